"""Fixtures of the clients' tests: the two stores, and the client that is under test."""

import pytest
from contract.conftest import consul, kvstore, prefix, require_consul, store
from contract.stores import Store, consul_binary

from .command import Command

__all__ = ["consul", "kvstore", "prefix", "store"]


@pytest.fixture
def cli(store: Store) -> Command:
    """Give the real `consul` command, speaking to the store."""
    require_consul()
    return Command(consul_binary(), store.port)


@pytest.fixture
def our_cli(kvstore: Store) -> Command:
    """Give the real `consul` command, speaking to our server only."""
    require_consul()
    return Command(consul_binary(), kvstore.port)

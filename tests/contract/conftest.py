"""Fixtures of the contract tests: one long-lived store of each kind, and fresh ones on demand."""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from promised import lacking, promised

from .stores import Store, consul_binary

STORES = ["kvstore", pytest.param("consul", marks=pytest.mark.oracle)]

_numbers = itertools.count(1)


@contextmanager
def running(name: str, folder: Path, *, session_ttl_min: str = "10s") -> Iterator[Store]:
    """Run a store on an empty folder, for as long as the context lasts."""
    if name == "consul":
        require_consul()
    store = Store(name, folder, session_ttl_min=session_ttl_min)
    try:
        store.start()
        yield store
    finally:
        store.kill()  # its data is thrown away: no need for good order


def has_consul() -> bool:
    """Return whether the real Consul is where it should be."""
    return os.access(consul_binary(), os.X_OK)


def require_consul() -> None:
    """Skip without the real Consul; fail instead where it is promised."""
    if has_consul():
        return
    lacking(
        f"no real Consul at {consul_binary()}: run `python -m conformance setup`, "
        "or name one in KVSTORE_CONSUL"
    )


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run the real Consul, shared by all tests."""
    with running("consul", tmp_path_factory.mktemp("consul")) as store:
        yield store


@pytest.fixture(scope="session")
def kvstore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run our server, shared by all tests."""
    with running("kvstore", tmp_path_factory.mktemp("kvstore")) as store:
        yield store


@pytest.fixture(scope="session", params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Return the shared store of each kind in turn; keep to keys under `prefix`."""
    shared: Store = request.getfixturevalue(request.param)
    return shared


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    """Run both stores where sessions may be short, for a test that waits for their end.

    Together, so that the test waits once; ours alone where there is no Consul.
    """
    names = ["kvstore", "consul"] if has_consul() or promised() else ["kvstore"]
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(name, tmp_path_factory.mktemp(name), session_ttl_min="1s"))
            for name in names
        ]


@pytest.fixture(scope="session")
def spares(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Spares"]:
    """Keep one more store of each kind starting, for the next test that needs a fresh one."""
    spares = Spares(tmp_path_factory)
    yield spares
    spares.kill()


class Spares:
    """Stores that are on their way up: Consul needs two seconds, which no test waits for twice."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._launched: dict[str, Store] = {}

    def take(self, name: str) -> Store:
        """Return a store that has never been written to, and launch the next one."""
        store = self._launched.pop(name, None) or self._launch(name)
        store.wait_until_ready()
        self._launched[name] = self._launch(name)
        return store

    def kill(self) -> None:
        """End those that nobody took."""
        for store in self._launched.values():
            store.kill()

    def _launch(self, name: str) -> Store:
        store = Store(name, self._folders.mktemp(f"{name}-fresh"))
        store.launch()
        return store


@pytest.fixture(params=STORES)
def fresh(request: pytest.FixtureRequest, spares: Spares) -> Iterator[Store]:
    """Return a store that has never been written to, for one test alone."""
    if request.param == "consul":
        require_consul()
    store = spares.take(request.param)
    yield store
    store.kill()


@pytest.fixture
def prefix() -> str:
    """Return a prefix that no other test uses, ending in a slash."""
    return f"t{next(_numbers)}/"

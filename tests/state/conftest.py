"""Fixtures of the state tests: a state whose invariants are verified after every test."""

from collections.abc import Iterator

import pytest

from kvstore.state.store import State

from .apply import Apply, applier


@pytest.fixture
def state() -> Iterator[State]:
    """Give an empty state and verify its invariants when the test is over."""
    state = State()
    yield state
    state.check()


@pytest.fixture
def apply(state: State) -> Apply:
    """Apply a command to `state` at its next index."""
    return applier(state)

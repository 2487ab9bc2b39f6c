"""Fixtures of the engine tests: an engine on a fake clock, verified after every test."""

from collections.abc import AsyncIterator

import pytest
from fake_clock import FakeClock

from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.errors import JournalUnwritable
from kvstore.state.store import State

from .journals import GatedJournal
from .store import NODE, Store


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still."""
    return FakeClock()


@pytest.fixture
async def journal() -> GatedJournal:
    """Give a journal whose gate is open."""
    return GatedJournal()


@pytest.fixture
def rules() -> SessionRules:
    """Give the rules of a server whose shortest TTL is 10 s."""
    return SessionRules(NODE, 10 * NS_PER_S)


@pytest.fixture
async def engine(
    journal: GatedJournal, clock: FakeClock, rules: SessionRules
) -> AsyncIterator[Engine]:
    """Give a running engine; afterwards nothing waits, and the journal says what the state says."""
    engine = Engine(journal, clock, rules)
    await engine.start()
    yield engine
    assert engine.parked_count == 0
    journal.open()
    failed = engine.failure
    try:
        await engine.close()
    except JournalUnwritable as failure:
        assert failure is failed  # noqa: PT017 - the one the test brought about, not another
    engine.state.check()
    assert_equal(engine.state, replay(journal))


@pytest.fixture
def store(engine: Engine, clock: FakeClock) -> Store:
    """Give the shortest way to write to `engine`."""
    return Store(engine, clock)


def replay(journal: GatedJournal) -> State:
    """Return what the journal says."""
    state = State()
    for record in journal.replay():
        state.apply(record.index, record.command)
    return state


def assert_equal(one: State, other: State) -> None:
    """Compare all that can be read of two states."""
    assert one.last_index == other.last_index
    assert one.store_id == other.store_id
    assert one.get_tree(b"") == other.get_tree(b"")
    assert one.list_sessions() == other.list_sessions()

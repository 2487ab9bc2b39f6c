"""Sessions on the whole engine: their time, their end, and what becomes of their keys."""
# ruff: noqa: N802 - names begin with the ids of the contract, as they are written there

import asyncio
import logging

import pytest
from fake_clock import FakeClock, settle

from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.engine.engine import Engine
from kvstore.engine.writer import QUEUE_COMMANDS_MAX
from kvstore.errors import InvalidSessionId, JournalUnwritable
from kvstore.state.command import DeleteKey, SetKey

from .journals import GatedJournal
from .store import Store

UNKNOWN = "00000000-0000-0000-0000-000000000000"


async def test_S14_session_ends_at_twice_its_ttl(store: Store) -> None:
    """To the tick, by an ordinary command with an index."""
    session = await store.create_session(ttl="10s")
    store.clock.advance(19.999)
    await settle()
    assert store.is_live(session)
    before = store.last()
    store.clock.advance(0.001)
    await settle()
    assert not store.is_live(session)
    assert store.last() == before + 1


async def test_S14_renewal_gives_twice_the_ttl_again(store: Store) -> None:
    """From then on; it takes no index and wakes nobody (S11)."""
    session = await store.create_session(ttl="10s")
    before = store.last()
    store.clock.advance(9.01)
    renewed = store.engine.renew_session(session.upper())
    assert renewed is not None
    assert renewed.id == session
    store.clock.advance(19.999)
    await settle()
    assert store.is_live(session)
    assert store.last() == before
    store.clock.advance(0.001)
    await settle()
    assert not store.is_live(session)


async def test_S14_restart_gives_the_full_time_again(
    journal: GatedJournal, rules: SessionRules
) -> None:
    """A session made long before the restart has twice its TTL from the start."""
    clock = FakeClock()
    engine = Engine(journal, clock, rules)
    await engine.start()
    applied = await engine.create_session(SessionRequest(ttl="10s"))
    assert applied.created is not None
    clock.advance(19)
    await engine.close()
    assert clock.pending_count == 0
    again = Engine(journal, clock, rules)
    await again.start()
    clock.advance(19.999)
    await settle()
    assert again.state.session_count == 1
    clock.advance(0.001)
    await settle()
    assert again.state.session_count == 0
    await again.close()


async def test_S11_session_without_a_ttl_is_renewed_without_effect(store: Store) -> None:
    """It lives until it is destroyed."""
    session = await store.create_session()
    assert store.engine.renew_session(session) is not None
    store.clock.advance(10**7)
    await settle()
    assert store.is_live(session)


async def test_renewal_of_no_session(store: Store) -> None:
    """An unknown id is None, a malformed one is an error."""
    assert store.engine.renew_session(UNKNOWN) is None
    with pytest.raises(InvalidSessionId):
        store.engine.renew_session("x")


async def test_renewal_is_refused_when_the_end_is_on_its_way(
    store: Store, journal: GatedJournal
) -> None:
    """The session is still there, but its end may be on the disk already."""
    session = await store.create_session(ttl="10s")
    journal.shut()
    store.clock.advance(20)
    await settle()
    assert store.is_live(session)
    assert store.engine.renew_session(session) is None
    journal.open()
    await settle()
    assert not store.is_live(session)


async def test_end_waits_while_the_queue_is_full(store: Store, journal: GatedJournal) -> None:
    """It is tried again a second later; until then the session may be renewed."""
    session = await store.create_session(ttl="10s")
    journal.shut()
    under_way = store.engine.submit(DeleteKey(b"k"))
    await settle()
    queued = [store.engine.submit(DeleteKey(b"k")) for _ in range(QUEUE_COMMANDS_MAX)]
    store.clock.advance(20)
    journal.open()
    await asyncio.gather(under_way, *queued)
    assert store.is_live(session)
    store.clock.advance(1)
    await settle()
    assert not store.is_live(session)


async def test_end_of_a_session_while_the_journal_is_broken(
    store: Store, journal: GatedJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays: its end would not last, and whoever holds its lock may still rely on it."""
    session = await store.create_session(ttl="10s")
    await store.lock(b"k", session)
    journal.fail()
    with caplog.at_level(logging.WARNING):
        store.clock.advance(30)
        await settle()
    assert store.is_live(session)
    entry = store.entry(b"k")
    assert entry is not None
    assert entry.session == session
    with pytest.raises(JournalUnwritable):
        await store.set(b"other")


@pytest.mark.parametrize("behavior", ["release", "delete"])
@pytest.mark.parametrize("by_time", [False, True])
async def test_S15_end_releases_or_deletes_what_is_held(
    store: Store, behavior: str, *, by_time: bool
) -> None:
    """All at one index, that of the sessions; what was deleted before stays so (S16)."""
    session = await store.create_session(ttl="10s", behavior=behavior)
    for key in (b"a", b"b", b"gone"):
        assert await store.lock(key, session)
    await store.delete(b"gone")
    await store.set(b"free")
    if by_time:
        store.clock.advance(20)
        await settle()
    else:
        await store.destroy(session)
    assert store.engine.state.list_sessions().index == store.last()
    for key in (b"a", b"b"):
        entry = store.entry(key)
        if behavior == "delete":
            assert entry is None
        else:
            assert entry is not None
            assert (entry.session, entry.value, entry.lock_index) == ("", b"l", 1)
            assert entry.modify_index == store.last()
    assert store.entry(b"gone") is None
    assert store.entry(b"free") is not None


async def test_destroyed_session_does_not_end_again(store: Store) -> None:
    """Its timer is gone with it."""
    session = await store.create_session(ttl="10s", delay_s=0)
    await store.destroy(session)
    before = store.last()
    assert store.clock.pending_count == 0
    store.clock.advance(100)
    await settle()
    assert store.last() == before


async def test_close_leaves_no_session_timer(journal: GatedJournal, rules: SessionRules) -> None:
    """Also when a session is made by a command that was still queued."""
    clock = FakeClock()
    engine = Engine(journal, clock, rules)
    await engine.start()
    creating = engine.create_session(SessionRequest(ttl="10s"))
    await engine.close()
    assert (await creating).created is not None
    assert clock.pending_count == 0


async def test_session_that_runs_out_while_the_engine_closes_is_left_to_the_next_start(
    journal: GatedJournal, rules: SessionRules
) -> None:
    """Nothing more is written, no timer is left, and a restart gives it its full time again."""
    clock = FakeClock()
    engine = Engine(journal, clock, rules)
    await engine.start()
    created = (await engine.create_session(SessionRequest(ttl="10s"))).created
    assert created is not None
    journal.shut()
    writing = engine.submit(SetKey(b"k", b"", 0))
    await settle()
    closing = asyncio.create_task(engine.close())
    await settle()
    clock.advance(25)
    journal.open()
    await closing
    assert (await writing).done
    assert clock.pending_count == 0
    assert engine.state.get_session(created.id).value
    again = Engine(journal, clock, rules)
    await again.start()
    clock.advance(19.999)
    await settle()
    assert again.state.get_session(created.id).value
    clock.advance(0.001)
    await settle()
    assert not again.state.get_session(created.id).value
    await again.close()

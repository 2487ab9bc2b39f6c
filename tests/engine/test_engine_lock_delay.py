"""Lock-delay on the whole engine: who may not acquire a key that its holder has lost."""
# ruff: noqa: N802 - names begin with the ids of the contract, as they are written there

import asyncio

import pytest
from fake_clock import FakeClock, settle

from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.errors import UnknownSession
from kvstore.state.command import DeleteKey, DestroySession, LockKey

from .journals import GatedJournal
from .store import Store

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("behavior", ["release", "delete"])
@pytest.mark.parametrize("by_time", [False, True])
async def test_L7_lost_lock_cannot_be_acquired_for_the_lock_delay(
    store: Store, behavior: str, *, by_time: bool
) -> None:
    """Whoever asks, to the tick; the refusal takes no index; plain writes work meanwhile."""
    other = await store.create_session()
    session = await store.create_session(ttl="10s", behavior=behavior)
    await store.lock(b"k", session)
    if by_time:
        store.clock.advance(20)
        await settle()
    else:
        await store.destroy(session)
    before = store.last()
    assert not await store.lock(b"k", other)
    assert store.last() == before
    await store.set(b"k", b"plain")
    store.clock.advance(14.999)
    assert not await store.lock(b"k", other)
    store.clock.advance(0.001)
    assert await store.lock(b"k", other)


async def test_L7_lock_delay_is_cut_at_a_minute(store: Store) -> None:
    """Whatever was stored."""
    other, session = await store.create_session(), await store.create_session(delay_s=90)
    await store.lock(b"k", session)
    await store.destroy(session)
    store.clock.advance(59.999)
    assert not await store.lock(b"k", other)
    store.clock.advance(0.001)
    assert await store.lock(b"k", other)


async def test_L7_lock_delay_outlives_the_key(store: Store) -> None:
    """Deleted and made again, it is still that name."""
    other, session = await store.create_session(), await store.create_session()
    await store.lock(b"k", session)
    await store.destroy(session)
    await store.delete(b"k")
    assert not await store.lock(b"k", other)
    await store.set(b"k")
    assert not await store.lock(b"k", other)
    assert await store.lock(b"kk", other)


async def test_L7_no_lock_delay_without_the_end_of_a_session(store: Store) -> None:
    """A release and the deletion of the key cause none, nor a delay of 0."""
    one, other = await store.create_session(), await store.create_session(delay_s=0)
    await store.lock(b"k", one)
    await store.delete(b"k")
    assert await store.lock(b"k", other)
    await store.destroy(other)
    assert await store.lock(b"k", one)


async def test_L8_lock_delay_is_looked_at_before_the_session(store: Store) -> None:
    """A session id that would be refused otherwise gets a plain no."""
    session = await store.create_session()
    await store.lock(b"k", session)
    await store.destroy(session)
    for session_id in ("", "x", UNKNOWN):
        applied = await store.engine.submit(LockKey(b"k", b"", 0, session_id))
        assert (applied.done, applied.refusal) == (False, None)
    store.clock.advance(15)
    applied = await store.engine.submit(LockKey(b"k", b"", 0, UNKNOWN))
    assert isinstance(applied.refusal, UnknownSession)


@pytest.mark.parametrize("between", [0, 3])
async def test_L7_lock_behind_an_end_does_not_slip_through(
    store: Store, journal: GatedJournal, between: int
) -> None:
    """Submitted together, the lock still meets the delay that the end begins."""
    other, session = await store.create_session(), await store.create_session()
    await store.lock(b"k", session)
    ending = store.engine.submit(DestroySession(session))
    others = [store.engine.submit(DeleteKey(b"x")) for _ in range(between)]
    locking = store.engine.submit(LockKey(b"k", b"", 0, other))
    free = store.engine.submit(LockKey(b"free", b"", 0, other))
    assert (await ending).destroyed is not None
    await asyncio.gather(*others)
    assert not (await locking).done
    assert (await free).done
    assert LockKey(b"k", b"", 0, other) not in [one for batch in journal.batches for one in batch]


async def test_L7_lock_that_waits_behind_an_end_under_way(
    store: Store, journal: GatedJournal
) -> None:
    """The same when the end is on its way to the disk as the lock arrives."""
    other, session = await store.create_session(ttl="10s"), await store.create_session(ttl="10s")
    await store.lock(b"k", session)
    store.clock.advance(10)
    store.engine.renew_session(other)
    journal.shut()
    store.clock.advance(10)
    await settle()
    locking = store.engine.submit(LockKey(b"k", b"", 0, other))
    await settle()
    journal.open()
    assert not (await locking).done


async def test_L9_restart_drops_the_lock_delay(
    journal: GatedJournal, clock: FakeClock, rules: SessionRules
) -> None:
    """As the contract allows."""
    first = Engine(journal, clock, rules)
    await first.start()
    store = Store(first, clock)
    other, session = await store.create_session(), await store.create_session()
    await store.lock(b"k", session)
    await store.destroy(session)
    assert not await store.lock(b"k", other)
    await first.close()
    again = Engine(journal, clock, rules)
    await again.start()
    assert await Store(again, clock).lock(b"k", other)
    await again.close()

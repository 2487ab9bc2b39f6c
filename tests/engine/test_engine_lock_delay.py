"""Lock-delay on the whole engine: who may not acquire a key that its holder has lost."""
# ruff: noqa: N802 - names begin with the ids of the contract, as they are written there

import asyncio

import pytest
from fake_clock import FakeClock, settle

from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.errors import UnknownSession
from kvstore.state.command import (
    DeleteKey,
    DestroySession,
    GetKey,
    LockKey,
    SetKey,
    Txn,
    UnlockKey,
)

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


async def lose(store: Store, *keys: bytes) -> str:
    """Put keys under lock-delay; return a session that could lock them."""
    other, session = await store.create_session(), await store.create_session()
    for key in keys:
        assert await store.lock(key, session)
    await store.destroy(session)
    return other


async def test_T4_transaction_under_lock_delay_leaves_no_record(
    store: Store, journal: GatedJournal
) -> None:
    """All its locks that have to wait are named, nothing of it is done, and it takes no index."""
    other = await lose(store, b"k", b"l")
    batches, before = len(journal.batches), store.last()
    locks = [LockKey(key, b"", 0, other) for key in (b"k", b"free", b"l")]
    ops = (SetKey(b"new", b"", 0), GetKey(b"never"), *locks)
    applied = await store.engine.submit(Txn(ops))
    assert (applied.done, applied.index, applied.changed_keys) == (False, before, ())
    assert applied.txn is not None
    told = [(one.position, one.op, one.lock_delayed) for one in applied.txn.failures]
    assert told == [(2, ops[2], True), (4, ops[4], True)]
    assert (len(journal.batches), store.last()) == (batches, before)
    assert store.entry(b"new") is None


async def test_T4_what_lock_delay_means_to_operations(store: Store) -> None:
    """Locks under lock-delay are told with their places; other operations have none."""
    other = await lose(store, b"k")
    ops = [SetKey(b"k", b"", 0), LockKey(b"k", b"", 0, other), LockKey(b"free", b"", 0, other)]
    (failure,) = store.engine.lock_delayed(enumerate(ops))
    assert (failure.position, failure.op, failure.lock_delayed) == (1, ops[1], True)
    store.clock.advance(15)
    assert store.engine.lock_delayed(enumerate(ops)) == ()


async def test_L7_transaction_locks_when_the_lock_delay_is_over(store: Store) -> None:
    """To the tick; one that does not lock is done meanwhile."""
    other = await lose(store, b"k")
    locking = Txn((LockKey(b"k", b"", 0, other), SetKey(b"x", b"", 0)))
    plain = Txn((SetKey(b"k", b"", 0), UnlockKey(b"k", b"", 0, other)))
    applied = await store.engine.submit(plain)
    assert applied.txn is not None
    assert [one.position for one in applied.txn.failures] == [1]
    store.clock.advance(14.999)
    assert not (await store.engine.submit(locking)).done
    store.clock.advance(0.001)
    assert (await store.engine.submit(locking)).done


async def test_L7_transaction_behind_an_end_does_not_slip_through(
    store: Store, journal: GatedJournal
) -> None:
    """The batch ends before one that locks, so it meets the delay; one that does not stays in."""
    other, session = await store.create_session(), await store.create_session()
    await store.lock(b"k", session)
    batches = len(journal.batches)
    plain = Txn((SetKey(b"x", b"", 0), DeleteKey(b"y")))
    locking = Txn((SetKey(b"x", b"1", 0), LockKey(b"k", b"", 0, other)))
    free = Txn((LockKey(b"free", b"", 0, other),))
    commands = (DestroySession(session), plain, locking, free)
    outcomes = await asyncio.gather(*map(store.engine.submit, commands))
    assert [one.done for one in outcomes] == [True, True, False, True]
    assert journal.batches[batches:] == [[DestroySession(session), plain], [free]]


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

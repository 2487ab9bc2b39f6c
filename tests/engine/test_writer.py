"""The one writer: journal, then state, then answer; what waits is one batch; and failures."""

import asyncio
from dataclasses import replace

import pytest
from fake_clock import FakeClock, settle

from kvstore.engine.engine import Engine
from kvstore.engine.lock_delay import LockDelays
from kvstore.engine.writer import QUEUE_BYTES_MAX, QUEUE_COMMANDS_MAX, Writer
from kvstore.errors import JournalUnwritable, NoRoom, Overloaded, Stopping
from kvstore.journal.journal import BATCH_BYTES_MAX, BATCH_COMMANDS_MAX
from kvstore.state.applied import Applied
from kvstore.state.command import (
    CasKey,
    CheckNotExists,
    Command,
    CreateSession,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    UnlockKey,
)
from kvstore.state.entry import Entry, ServiceCheck
from kvstore.state.store import State

from .journals import GatedJournal
from .store import Store


def a_write(number: int) -> SetKey:
    """Return a write of a key of its own."""
    return SetKey(b"k%d" % number, b"v", 0)


async def test_write_is_neither_answered_nor_read_before_it_is_durable(
    store: Store, journal: GatedJournal
) -> None:
    """While the append is under way nobody sees the write, and no waiter fires."""
    watching = store.watch_key(b"k1")
    journal.shut()
    answer = store.engine.submit(a_write(1))
    await settle()
    assert journal.batches[-1] == [a_write(1)]
    assert not answer.done()
    assert store.entry(b"k1") is None
    assert watching.waits
    journal.open()
    applied = await answer
    assert store.entry(b"k1") is not None
    assert watching.answer.index == applied.index


async def test_waiters_fire_before_the_submitter_is_answered(store: Store) -> None:
    """Who has its answer can rely on everybody else having been told."""
    watching = store.watch_key(b"k1")
    future = store.engine.submit(a_write(1))
    told: list[bool] = []
    future.add_done_callback(lambda _: told.append(watching.waits))
    await future
    await settle()
    assert told == [False]


async def test_what_waits_becomes_one_batch(store: Store, journal: GatedJournal) -> None:
    """Everything that was submitted while an append was under way shares the next one."""
    journal.shut()
    first = store.engine.submit(a_write(0))
    await settle()
    rest = [store.engine.submit(a_write(number)) for number in range(1, 50)]
    await settle()
    assert journal.batches[1:] == [[a_write(0)]]
    journal.open()
    indexes = [applied.index for applied in await asyncio.gather(first, *rest)]
    assert journal.batches[2:] == [[a_write(number) for number in range(1, 50)]]
    assert indexes == list(range(2, 52))


async def test_batch_is_applied_in_the_order_of_its_submission(store: Store) -> None:
    """The last of several writes of one key stays, and each has an index of its own."""
    commands = [SetKey(b"k", b"%d" % number, 0) for number in range(5)] + [DeleteKey(b"other")]
    outcomes = await asyncio.gather(*[store.engine.submit(one) for one in commands])
    assert [applied.index for applied in outcomes] == [2, 3, 4, 5, 6, 7]
    entry = store.entry(b"k")
    assert entry is not None
    assert (entry.value, entry.modify_index) == (b"4", 6)


async def test_batch_has_at_most_so_many_commands(store: Store, journal: GatedJournal) -> None:
    """More than that wait for the batch after it."""
    futures = [store.engine.submit(a_write(number)) for number in range(BATCH_COMMANDS_MAX + 1)]
    await asyncio.gather(*futures)
    assert [len(batch) for batch in journal.batches[1:]] == [BATCH_COMMANDS_MAX, 1]


async def test_batch_ends_when_it_has_so_many_bytes(store: Store, journal: GatedJournal) -> None:
    """The command that reaches the bound is the last one in it."""
    value = bytes(BATCH_BYTES_MAX // 4)
    futures = [store.engine.submit(SetKey(b"k", value, number)) for number in range(6)]
    await asyncio.gather(*futures)
    assert [len(batch) for batch in journal.batches[1:]] == [4, 2]


async def test_queue_is_bounded_in_commands(store: Store, journal: GatedJournal) -> None:
    """One more than it holds is refused at once and never written; then there is room again."""
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    queued = [store.engine.submit(DeleteKey(b"k")) for _ in range(QUEUE_COMMANDS_MAX)]
    with pytest.raises(Overloaded, match=f"the limit is {QUEUE_COMMANDS_MAX}: try again"):
        store.engine.submit(a_write(1))
    journal.open()
    await asyncio.gather(under_way, *queued)
    assert store.entry(b"k1") is None
    assert await store.set(b"k1") == store.last()


async def test_queue_is_bounded_in_bytes(store: Store, journal: GatedJournal) -> None:
    """Large values fill it long before their number does; what takes no memory then still fits."""
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    value = bytes(QUEUE_BYTES_MAX // 4 - 1)
    queued = [store.engine.submit(SetKey(b"k", value, number)) for number in range(4)]
    with pytest.raises(Overloaded):
        store.engine.submit(DeleteKey(b"o"))
    queued.append(store.engine.submit(DeleteTree(b"")))
    journal.open()
    await asyncio.gather(under_way, *queued)
    assert await store.set(b"k1", value) == store.last()


MIB = 1024 * 1024
HALF = bytes(QUEUE_BYTES_MAX // 2)


@pytest.mark.parametrize(
    "command",
    [
        DeleteKey(HALF),
        DeleteTree(HALF),
        LockKey(b"", b"", 0, HALF.decode()),
        Txn((SetKey(HALF[: MIB // 2], b"", 0), GetKey(HALF[MIB // 2 :]))),
        Txn((DeleteKey(b""), CasKey(b"", HALF, 0, 0), ImpossibleOp(""))),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_all_that_is_long_counts(
    store: Store, journal: GatedJournal, command: Command
) -> None:
    """Keys, values and ids, of every operation of a transaction: two halves fill the queue."""
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    queued = [store.engine.submit(command) for _ in range(2)]
    with pytest.raises(Overloaded):
        store.engine.submit(a_write(1))
    journal.open()
    await asyncio.gather(under_way, *queued)


NO_SESSION = CreateSession(
    "00000000-0000-4000-8000-000000000001", "", "n1", 0, "release", "", 0, (), (), ()
)
# Ids of checks, almost a third of what the queue holds; they are one text in memory.
CHECKS = ("c" * MIB,) * (QUEUE_BYTES_MAX // MIB // 3)


@pytest.mark.parametrize(
    "command",
    [
        replace(NO_SESSION, node_checks=CHECKS),
        replace(NO_SESSION, service_checks=tuple(ServiceCheck(one, "") for one in CHECKS)),
        replace(NO_SESSION, checks=CHECKS),
    ],
    ids=["node_checks", "service_checks", "checks"],
)
async def test_checks_of_a_session_count(
    store: Store, journal: GatedJournal, command: CreateSession
) -> None:
    """Their ids are most of what a session can take: three such sessions leave no room for four."""
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    queued = [store.engine.submit(command) for _ in range(3)]
    with pytest.raises(Overloaded):
        store.engine.submit(command)
    journal.open()
    await asyncio.gather(under_way, *queued)


def a_restore(entry_count: int) -> RestoreStore:
    """Return a restore of so many megabytes, a key each; they share their value."""
    value = bytes(MIB)
    keys = [b"k%d" % number for number in range(entry_count)]
    return RestoreStore((), tuple(Entry(key, value, 0, "", 0, 1, 1) for key in keys))


async def test_restore_larger_than_the_queue_is_taken_alone(
    store: Store, journal: GatedJournal
) -> None:
    """There is no other way to bring back a large store; behind others it has to come again."""
    large = a_restore(QUEUE_BYTES_MAX // MIB + 1)
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    queued = [store.engine.submit(a_write(1))]
    with pytest.raises(Overloaded):
        store.engine.submit(large)
    journal.open()
    await asyncio.gather(under_way, *queued)
    journal.shut()
    under_way = store.engine.submit(a_write(2))
    await settle()
    queued = [store.engine.submit(large)]
    with pytest.raises(Overloaded):  # it alone is more than the queue holds
        store.engine.submit(a_write(3))
    journal.open()
    await asyncio.gather(under_way, *queued)
    assert store.engine.state.entry_count == len(large.entries)
    assert await store.set(b"k") == store.last()


S1 = "aaaaaaaa-0000-4000-8000-00000000000b"


@pytest.mark.parametrize(
    "command",
    [
        a_write(1),
        CasKey(b"k", b"", 0, 0),
        LockKey(b"k", b"", 0, S1),
        a_restore(1),
        Txn((DeleteKey(b"k"), a_write(1))),
        Txn((CheckNotExists(b"k"), CasKey(b"k", b"", 0, 0))),
        Txn((LockKey(b"k", b"", 0, S1), DeleteKey(b"k"))),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_without_room_what_adds_is_refused(
    store: Store, journal: GatedJournal, command: Command
) -> None:
    """It takes no index and is not queued; the reason is the journal's."""
    journal.full = "for a reason"
    batches, last = len(journal.batches), store.last()
    with pytest.raises(NoRoom, match=r"^no room for more data: for a reason$"):
        store.engine.submit(command)
    await settle()
    assert (len(journal.batches), store.last()) == (batches, last)


async def test_without_room_no_session_is_made(store: Store, journal: GatedJournal) -> None:
    """It would be written too."""
    journal.full = "for a reason"
    with pytest.raises(NoRoom):
        await store.create_session()


async def test_without_room_what_takes_away_is_taken(store: Store, journal: GatedJournal) -> None:
    """Deletes, releases and the ends of sessions are the way out of it."""
    session = await store.create_session()
    for key in (b"a", b"b", b"c", b"d", b"l"):
        await store.set(key)
    assert await store.lock(b"l", session)
    journal.full = "for a reason"
    for command in (
        DeleteKey(b"a"),
        DeleteKeyCas(b"b", 4),
        DeleteTree(b"c"),
        UnlockKey(b"l", b"", 0, session),
        Txn((GetTree(b""), DeleteKey(b"d"), DeleteKeyCas(b"d", 0), DeleteTree(b"d"))),
        DestroySession(session),
    ):
        applied = await store.engine.submit(command)
        assert applied.done
    assert [entry.key for entry in store.engine.state.get_tree(b"").value] == [b"l"]


async def test_writes_are_taken_again_when_there_is_room(
    store: Store, journal: GatedJournal
) -> None:
    """Nothing has to be restarted; the engine has not failed."""
    journal.full = "for a reason"
    with pytest.raises(NoRoom):
        store.engine.submit(a_write(1))
    assert store.engine.failure is None
    journal.full = None
    assert await store.set(b"k1") == store.last()


async def test_cancelled_submission_is_done_all_the_same(
    store: Store, journal: GatedJournal
) -> None:
    """A command that was taken is written in its place, though nobody waits for its outcome."""
    journal.shut()
    under_way = store.engine.submit(a_write(0))
    await settle()
    cancelled, kept = store.engine.submit(a_write(1)), store.engine.submit(a_write(2))
    cancelled.cancel()
    journal.open()
    await asyncio.gather(under_way, kept)
    assert journal.batches[2:] == [[a_write(1), a_write(2)]]
    assert store.entry(b"k1") is not None


async def test_cancelled_lock_under_lock_delay_is_no_write(
    store: Store, journal: GatedJournal
) -> None:
    """Its refusal has nobody to go to; the writer goes on with what comes next."""
    other, session = await store.create_session(), await store.create_session()
    await store.lock(b"k", session)
    await store.destroy(session)
    batches = len(journal.batches)
    store.engine.submit(LockKey(b"k", b"", 0, other)).cancel()
    await store.set(b"k2")
    assert journal.batches[batches:] == [[SetKey(b"k2", b"v", 0)]]


async def test_cancelled_submission_under_way_is_applied(
    store: Store, journal: GatedJournal
) -> None:
    """What the journal has is the truth, whether or not somebody waits for the answer."""
    journal.shut()
    cancelled, kept = store.engine.submit(a_write(1)), store.engine.submit(a_write(2))
    await settle()
    cancelled.cancel()
    journal.open()
    await kept
    assert store.entry(b"k1") is not None


async def test_cancelled_submission_that_waits_alone_is_written(
    store: Store, journal: GatedJournal
) -> None:
    """It needs no other one to be a batch, and the writer goes on with what comes next."""
    store.engine.submit(a_write(1)).cancel()
    await settle()
    await store.set(b"k2")
    assert [len(batch) for batch in journal.batches[1:]] == [1, 1]
    assert store.entry(b"k1") is not None


async def test_journal_that_fails_takes_no_notice_of_who_has_left(
    store: Store, journal: GatedJournal
) -> None:
    """Cancelled submissions, under way or queued, do not get in the way of the others' failure."""
    journal.shut()
    left, under_way = store.engine.submit(a_write(0)), store.engine.submit(a_write(1))
    await settle()
    left_too, queued = store.engine.submit(a_write(2)), store.engine.submit(a_write(3))
    left.cancel()
    left_too.cancel()
    journal.fail()
    outcomes = await asyncio.gather(under_way, queued, return_exceptions=True)
    assert all(outcome is store.engine.failure for outcome in outcomes)


async def test_journal_that_fails_fails_all_that_wait(store: Store, journal: GatedJournal) -> None:
    """What is under way, what is queued and what comes later get the same failure."""
    await store.set(b"before")
    before = store.last()
    journal.shut()
    under_way = [store.engine.submit(a_write(number)) for number in range(2)]
    await settle()
    queued = [store.engine.submit(a_write(number)) for number in range(2, 5)]
    journal.fail()
    outcomes = await asyncio.gather(*under_way, *queued, return_exceptions=True)
    assert all(outcome is store.engine.failure for outcome in outcomes)
    with pytest.raises(JournalUnwritable, match="No space left on device"):
        store.engine.submit(a_write(9))
    assert len(journal.batches) == 3
    assert store.last() == before


async def test_reads_go_on_after_the_journal_failed(store: Store, journal: GatedJournal) -> None:
    """Both at once and parked; the writer does not end, so nothing stops the server."""
    await store.set(b"k")
    journal.fail()
    with pytest.raises(JournalUnwritable):
        await store.set(b"k", b"other")
    entry = store.entry(b"k")
    assert entry is not None
    assert entry.value == b"v"
    watching = store.watch_key(b"k", wait_s=10)
    failing = asyncio.create_task(store.engine.wait_failed())
    await settle()
    assert not failing.done()
    failing.cancel()
    store.clock.advance(11)
    assert watching.answer.value == entry


async def test_failure_is_none_while_the_journal_is_sound(
    engine: Engine, journal: GatedJournal
) -> None:
    """And is set by the first failure."""
    assert engine.failure is None
    journal.fail()
    with pytest.raises(JournalUnwritable):
        await engine.submit(a_write(1))
    assert engine.failure is not None


def make_writer(journal: GatedJournal, clock: FakeClock) -> tuple[Writer, State, list[Applied]]:
    """Return a writer, its state, and the outcomes it tells of."""
    state, told = State(), list[Applied]()
    return Writer(state, journal, clock, LockDelays(clock), told.append), state, told


async def test_closed_writer_writes_what_is_queued(journal: GatedJournal, clock: FakeClock) -> None:
    """`run` returns when all of it is written; nothing more is taken, and that is no failure."""
    writer, state, told = make_writer(journal, clock)
    queued = [writer.submit(a_write(number)) for number in range(3)]
    writer.close()
    with pytest.raises(Stopping):
        writer.submit(a_write(9))
    await writer.run()
    assert [future.result().index for future in queued] == [1, 2, 3]
    assert [applied.index for applied in told] == [1, 2, 3]
    assert state.last_index == 3
    assert writer.failure is None


async def test_idle_writer_ends_when_it_is_closed(journal: GatedJournal, clock: FakeClock) -> None:
    """It need not be given anything for that."""
    writer, _, _ = make_writer(journal, clock)
    running = asyncio.create_task(writer.run())
    await settle()
    writer.close()
    await running
    assert journal.batches == []


async def test_batch_carries_the_time_of_day(store: Store, journal: GatedJournal) -> None:
    """Of the moment it is written, from the clock."""
    store.clock.advance(5)
    await store.set(b"k")
    assert [record.written_ms for record in journal.replay()] == [
        1_600_000_000_000,
        1_600_000_005_000,
    ]

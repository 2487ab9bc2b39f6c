"""A life of a journal, from its first batch over restarts and compactions, with every moment."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from journal.batches import Batch
from journal.fake_disk import FakeDisk

from kvstore.errors import JournalCorrupt, JournalError, JournalUnreadable, JournalUnwritable
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import Listing
from kvstore.maintenance.compaction import build_snapshot
from kvstore.maintenance.retention import Retention, needless
from kvstore.state.command import (
    CasKey,
    CheckNotExists,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Behavior, Entry, ServiceCheck, Session
from kvstore.state.store import State

__all__ = ["Life", "MakeDisk", "Moment", "Plan", "a_plan", "start", "the_plan"]

# Makes the disk of a life, which tells each call to the life when it is done.
MakeDisk = Callable[[Callable[[str], None]], FakeDisk]

# What may stand alone and in a transaction.
_Write = SetKey | CasKey | DeleteKey | DeleteKeyCas | DeleteTree | LockKey | UnlockKey

_WRITTEN_MS = 1_600_000_000_123
# At which calls of the writing of a snapshot the server appends a batch.
_BESIDE = (3, 6)

_SESSIONS = [f"aaaaaaaa-0000-4000-8000-00000000000{number}" for number in range(4)]


def start(journal: FileJournal) -> State:
    """Return the store that a journal brings back; the journal can be written then."""
    state = State()
    base = journal.base()
    if base is not None:
        state.load(base)
    for record in journal.replay():
        state.apply(record.index, record.command)
    return state


@dataclass(frozen=True)
class Plan:
    """What happens in a life."""

    batches: Sequence[Batch]
    # a: append a batch; r: a clean restart; k: a kill and a restart; c: a compaction, with up to
    # four batches appended on the way.
    steps: str
    segment_bytes_max: int
    # How many zeros are written ahead; less than a batch, and more than several.
    room_bytes: int
    # Without it what was acknowledged lasts only when it is in a closed segment, or was replayed.
    sync: bool = True


@dataclass(frozen=True)
class Moment:
    """The disk right after a call to it, or after an answer to whoever appends."""

    after: str
    disk: FakeDisk
    # How many batches must survive from then on, and how many the journal had been given.
    lasting: int
    submitted: int


class Life:
    """A journal that lives by a plan until its end or its disk's."""

    def __init__(
        self,
        plan: Plan,
        make_disk: MakeDisk = lambda after_call: FakeDisk(after_call=after_call),
        journal_class: type[FileJournal] = FileJournal,
    ) -> None:
        self.plan = plan
        self.moments: list[Moment] = []
        self.disk = make_disk(self._remember)
        self.acknowledged = 0
        # What stopped it, and what only stopped a compaction.
        self.failure: JournalError | None = None
        self.setbacks: list[Exception] = []
        self.journal: FileJournal
        self._journal_class = journal_class
        self._submitted = 0
        self._lasting = 0
        # Calls of the compaction that is under way, and who lets it go on.
        self._build_calls: int | None = None
        self._loop: asyncio.AbstractEventLoop

    def open(self, disk: FakeDisk) -> FileJournal:
        """Open the journal of this life on a disk."""
        plan = self.plan
        return self._journal_class(
            disk,
            segment_bytes_max=plan.segment_bytes_max,
            room_bytes=plan.room_bytes,
            sync=plan.sync,
        )

    async def run(self) -> None:
        """Live; ends without a close."""
        self._loop = asyncio.get_running_loop()
        try:
            self._start()
            for step in self.plan.steps:
                await self._step(step)
        except (JournalUnwritable, JournalUnreadable) as failure:
            self.failure = failure

    def remember_end(self) -> None:
        """Add the moment that is now, with what a failed call has left."""
        self._remember("the end")

    async def _step(self, step: str) -> None:
        if step == "a":
            await self._append()
        elif step == "c":
            await self._compact()
        else:
            if step == "r":
                await self.journal.close()
                self._remember("close", lasts=True)
            self._start()

    def _start(self) -> None:
        self.journal = self.open(self.disk)
        start(self.journal)
        self._remember("start", lasts=True)

    async def _append(self) -> None:
        if self._submitted == len(self.plan.batches):
            return
        self._submitted += 1
        await self.journal.append(self.plan.batches[self._submitted - 1], _WRITTEN_MS)
        self.acknowledged = self._submitted
        self._remember("append", lasts=self.plan.sync)

    async def _compact(self) -> None:
        last_index = await self.journal.rotate(_WRITTEN_MS)
        self._remember("rotate", lasts=True)
        await self._append()
        self._build_calls = 0
        try:
            await asyncio.to_thread(build_snapshot, self.disk, last_index, _WRITTEN_MS)
        except (OSError, JournalUnreadable, JournalCorrupt) as error:
            self.setbacks.append(error)
            return
        finally:
            self._build_calls = None
        await self.journal.adopt_snapshot(last_index)
        self._remember("adopt")
        await self._append()
        try:
            await self.journal.remove(self._needless())
        except OSError as error:
            self.setbacks.append(error)
            return
        self._remember("remove")

    def _needless(self) -> list[str]:
        image = self.disk.image()
        sizes = {name: len(data) for name, data in image.items()}
        return needless(Listing.of(image), sizes, {}, Retention(0, 0), _WRITTEN_MS)

    def _remember(self, after: str, *, lasts: bool = False) -> None:
        if lasts:
            self._lasting = self.acknowledged
        self.moments.append(Moment(after, self.disk.fork(), self._lasting, self._submitted))
        if self._build_calls is not None and after.endswith(".unfinished"):
            self._build_calls += 1
            if self._build_calls in _BESIDE:
                asyncio.run_coroutine_threadsafe(self._append(), self._loop).result()


def _session(number: int, behavior: Behavior) -> CreateSession:
    checks = (ServiceCheck("s", "\udcff"),) if number else None
    return CreateSession(_SESSIONS[number], "n", "n", 1, behavior, "9s", 9, None, checks, ("c",))


def _restored() -> RestoreStore:
    session = Session(_SESSIONS[3], "", "n", 0, "delete", "", 0, ("a",), None, (), 3)
    entries = (
        Entry(b"a", b"restored", 1, "", 0, 2, 4),
        Entry(b"r", b"", 0, _SESSIONS[3], 1, 5, 5),
    )
    return RestoreStore((session,), entries)


def the_plan() -> Plan:
    """Return the plan that has everything in it once, and the interesting things twice."""
    batches: list[list[Command]] = [
        [CreateStore("store")],
        [SetKey(b"a", b"1", 0), SetKey(b"d/1", b"x", 7)],
        [_session(0, "delete"), LockKey(b"l", b"v", 0, _SESSIONS[0])],
        [CasKey(b"a", b"2", 0, 2), CasKey(b"a", b"lost", 0, 2)],
        [_session(1, "release"), LockKey(b"m", b"", 1, _SESSIONS[1]), SetKey(b"d/2", b"\xff", 0)],
        [DeleteKey(b"d/1")],
        [UnlockKey(b"m", b"u", 0, _SESSIONS[1]), LockKey(b"n", b"", 0, _SESSIONS[1])],
        [DeleteTree(b"d/"), SetKey(b"d", bytes(range(200)), 2**64 - 1)],
        [DestroySession(_SESSIONS[0])],
        [DeleteKeyCas(b"n", 1), DeleteKeyCas(b"a", 6)],
        [CasKey(b"a", b"3", 0, 10**6, adopt_lost=True)],
        [_restored()],
        [SetKey(b"b", b"", 0)],
        [LockKey(b"r", b"w", 0, _SESSIONS[3])],
        [DeleteTree(b"")],
        [SetKey(b"z", b"last but three", 1)],
        [Txn((SetKey(b"y", b"2", 1), DeleteKey(b"z"), LockKey(b"s", b"", 0, _SESSIONS[3])))],
        [CasKey(b"x", b"1", 1, 0), Txn((SetKey(b"x", b"2", 0), GetKey(b"never")))],
        [DestroySession(_SESSIONS[3])],
    ]
    return Plan(batches, "aaacraakcaaraaaa", segment_bytes_max=230, room_bytes=150)


def a_plan(chance: Random) -> Plan:
    """Return a plan made by chance."""
    count = chance.randint(6, 16)
    batches: list[list[Command]] = [[CreateStore(f"{chance.randrange(99)}")]]
    batches += [[_a_command(chance) for _ in range(chance.randint(1, 3))] for _ in range(count)]
    steps = "".join(chance.choice("aaaacrk") for _ in range(count))
    segment_bytes_max = chance.choice((60, 150, 300, 900))
    room_bytes = chance.choice((0, 1, 40, 150, 500))
    sync = chance.random() < 3 / 4
    return Plan(batches, "a" + steps, segment_bytes_max, room_bytes, sync=sync)


def _a_command(chance: Random) -> Command:
    number = chance.randrange(len(_SESSIONS))
    make: list[Callable[[], Command]] = [
        lambda: _a_write(chance),
        lambda: Txn(tuple(_an_op(chance) for _ in range(chance.randint(1, 4)))),
        lambda: _session(number, chance.choice(("release", "delete"))),
        lambda: DestroySession(_SESSIONS[number]),
        _restored,
    ]
    return chance.choices(make, weights=(17, 4, 2, 1, 1))[0]()


def _an_op(chance: Random) -> TxnOp:
    return _a_write(chance) if chance.random() < 0.9 else CheckNotExists(b"c")


def _a_write(chance: Random) -> _Write:
    key = chance.choice((b"", b"a", b"a/", b"a/b", b"a/\xff", b"c"))
    value = chance.randbytes(chance.choice((0, 1, 9, 60)))
    number = chance.randrange(len(_SESSIONS))
    index = chance.choice((0, 1, 2, 5, 9, 10**9))
    make: list[Callable[[], _Write]] = [
        lambda: SetKey(key, value, index),
        lambda: CasKey(key, value, 0, index, adopt_lost=index > 9),
        lambda: DeleteKey(key),
        lambda: DeleteKeyCas(key, index),
        lambda: DeleteTree(key),
        lambda: LockKey(key, value, index, _SESSIONS[number]),
        lambda: UnlockKey(key, value, index, _SESSIONS[number]),
    ]
    return chance.choices(make, weights=(6, 3, 2, 1, 1, 3, 1))[0]()

"""The one writer: a bounded queue, batches, and the order journal → state → watch → answer.

Whatever waits when a sync ends is the next batch: one write and one sync for all of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kvstore.clock import Clock
from kvstore.engine.lock_delay import LockDelays
from kvstore.errors import JournalUnwritable, KVStoreError, NoRoom, Overloaded, Stopping
from kvstore.journal.journal import BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, Journal
from kvstore.state.applied import Applied, OpFailure, TxnOutcome
from kvstore.state.command import (
    CasKey,
    Command,
    CreateSession,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
)
from kvstore.state.entry import ServiceCheck
from kvstore.state.store import State

__all__ = ["QUEUE_BYTES_MAX", "QUEUE_COMMANDS_MAX", "Writer"]

log = logging.getLogger(__name__)

# Far more than clients that wait for an answer ever have under way; it bounds the memory of a
# flood. The largest values allowed are half a megabyte, hence the second bound.
QUEUE_COMMANDS_MAX = 16_384
QUEUE_BYTES_MAX = 256 * 1024 * 1024
# Not taken when there is no room; what deletes or releases is, since it is the way out.
_GROWING: frozenset[type[Command | TxnOp]] = frozenset(
    {SetKey, CasKey, LockKey, CreateSession, RestoreStore}
)
# A union would be made anew for each command that is looked at.
_PLAIN_WRITES = (SetKey, CasKey)
_ENDS_OF_SESSIONS = (DestroySession, RestoreStore)
_TEXTS = (bytes, str)


@dataclass(slots=True)
class _Submission:
    command: Command
    size_bytes: int
    future: asyncio.Future[Applied]


class Writer:
    """Takes commands, makes them last, applies them, and then tells whoever submitted them.

    `applied` is called with each outcome, in order, before any submitter hears of it.
    """

    def __init__(
        self,
        state: State,
        journal: Journal,
        clock: Clock,
        lock_delays: LockDelays,
        applied: Callable[[Applied], None],
    ) -> None:
        self._state = state
        self._journal = journal
        self._clock = clock
        self._lock_delays = lock_delays
        self._applied = applied
        self._queue: deque[_Submission] = deque()
        self._queued_bytes = 0
        # How many batches there were, and whether the last of them is under way.
        self._batches = 0
        self._is_writing = False
        # Set while the writer has nothing to do.
        self._idle: asyncio.Future[None] | None = None
        # Set when no more writes are taken: by `close` or by a journal that failed.
        self._refusal: KVStoreError | None = None
        self._closed = False

    @property
    def failure(self) -> JournalUnwritable | None:
        """Why nothing is written any more; None while the journal is sound."""
        return self._refusal if isinstance(self._refusal, JournalUnwritable) else None

    @property
    def batch_under_way(self) -> int | None:
        """Number of the batch that is being written; None while there is none."""
        return self._batches if self._is_writing else None

    def submit(self, command: Command) -> asyncio.Future[Applied]:
        """Queue a command; the future has its outcome once it is durable and applied.

        Raises Overloaded when the queue is full, NoRoom when the data folder is, Stopping after
        `close`, JournalUnwritable when the journal has failed; the future can end with
        JournalUnwritable too, and whether the command lasts is then unknown. Cancelling the future
        only means not to hear of the outcome: a command that was taken is done, as in Consul,
        though its client has left.
        """
        if self._refusal is not None:
            raise self._refusal
        size_bytes = _size(command)
        # One alone is taken whatever its size: only a restore is larger than the whole queue.
        full = self._queue and self._queued_bytes + size_bytes > QUEUE_BYTES_MAX
        if full or len(self._queue) >= QUEUE_COMMANDS_MAX:
            raise Overloaded(QUEUE_COMMANDS_MAX)
        if _grows(command):
            shortage = self._journal.full
            if shortage is not None:
                raise NoRoom(shortage)
        future: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._queue.append(_Submission(command, size_bytes, future))
        self._queued_bytes += size_bytes
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        return future

    def close(self) -> None:
        """Take no more commands; `run` returns when those that wait are written."""
        self._closed = True
        if self._refusal is None:
            self._refusal = Stopping()
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def run(self) -> None:
        """Write batch after batch until `close`.

        A journal that fails does not end it: every submitter gets the failure, and reads go on.
        Whatever is raised is a bug, and the state must not be used any more.
        """
        while True:
            batch = self._take()
            if batch:
                self._batches += 1
                self._is_writing = True
                await self._write(batch)
                self._is_writing = False
            elif self._closed:
                return
            else:
                self._idle = asyncio.get_running_loop().create_future()
                await self._idle

    def _take(self) -> list[_Submission]:
        """Take the next batch off the queue and answer what is refused without the journal.

        A batch ends before a lock that follows the end of a session, or a restore: whether the key
        is under lock-delay is only known when that is applied.
        """
        batch: list[_Submission] = []
        size_bytes = 0
        session_ends = False
        while self._queue and len(batch) < BATCH_COMMANDS_MAX and size_bytes < BATCH_BYTES_MAX:
            command = self._queue[0].command
            locks = _locks(command)
            if locks and session_ends:
                break
            submission = self._queue.popleft()
            self._queued_bytes -= submission.size_bytes
            delayed = self.lock_delayed(locks) if locks else ()
            if delayed:
                outcome = TxnOutcome(failures=delayed) if isinstance(command, Txn) else None
                _answer(submission, Applied(self._state.last_index, done=False, txn=outcome))
                continue
            session_ends = session_ends or isinstance(command, _ENDS_OF_SESSIONS)
            size_bytes += submission.size_bytes
            batch.append(submission)
        return batch

    def lock_delayed(self, ops: Iterable[tuple[int, TxnOp]]) -> tuple[OpFailure, ...]:
        """Return the failures of those operations that lock a key under lock-delay."""
        return tuple(
            OpFailure(position, op, lock_delayed=True)
            for position, op in ops
            if isinstance(op, LockKey) and self._lock_delays.covers(op.key)
        )

    async def _write(self, batch: list[_Submission]) -> None:
        commands = [submission.command for submission in batch]
        try:
            first = await self._journal.append(commands, self._clock.wall_ms())
        except JournalUnwritable as failure:
            self._fail(batch, failure)
            return
        outcomes = [self._state.apply(first + n, command) for n, command in enumerate(commands)]
        for applied in outcomes:
            self._applied(applied)
        for submission, applied in zip(batch, outcomes, strict=True):
            _answer(submission, applied)

    def _fail(self, batch: list[_Submission], failure: JournalUnwritable) -> None:
        """Give up for good: nothing is acknowledged any more, reads go on."""
        log.critical("%s: no more writes are taken; reads go on until the restart", failure)
        self._refusal = failure
        for submission in (*batch, *self._queue):
            if not submission.future.done():
                submission.future.set_exception(failure)
        self._queue.clear()
        self._queued_bytes = 0


def _answer(submission: _Submission, applied: Applied) -> None:
    if not submission.future.done():  # cancelled: nobody wants to know
        submission.future.set_result(applied)


def _grows(command: Command) -> bool:
    """Return whether a command may add data."""
    if type(command) is Txn:
        return not _GROWING.isdisjoint(map(type, command.ops))
    return type(command) in _GROWING


def _locks(command: Command) -> tuple[tuple[int, TxnOp], ...]:
    """Return the operations of a command that lock a key, with their places in it."""
    if isinstance(command, LockKey):
        return ((0, command),)
    if isinstance(command, Txn) and LockKey in map(type, command.ops):
        return tuple((n, op) for n, op in enumerate(command.ops) if isinstance(op, LockKey))
    return ()


def _size(command: Command | TxnOp) -> int:
    """Return about how much memory a queued command holds: its names, values and other texts."""
    if isinstance(command, _PLAIN_WRITES):  # most of them, and this runs for each
        return len(command.key) + len(command.value)
    if isinstance(command, RestoreStore):
        return sum(len(entry.key) + len(entry.value) for entry in command.entries)
    if isinstance(command, Txn):
        return sum(map(_size, command.ops))
    return sum(_texts_size(getattr(command, name)) for name in command.__slots__)


def _texts_size(field: object) -> int:
    """Return the length of a text, or of all that a command's list holds; 0 for what is neither."""
    if isinstance(field, _TEXTS):
        return len(field)
    if isinstance(field, tuple):
        return sum(map(_texts_size, field))
    if isinstance(field, ServiceCheck):
        return len(field.id) + len(field.namespace)
    return 0

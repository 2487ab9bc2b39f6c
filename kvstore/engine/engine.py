"""The engine: one store that is written by one writer, read at once, and waited for.

It brings together what knows nothing of each other: state, journal, writer, watch, parking,
expiry and lock-delay.
"""

import asyncio
import itertools
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from kvstore.clock import Clock
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.engine.blocking import Parked, Parking
from kvstore.engine.expiry import Expiry
from kvstore.engine.lock_delay import LockDelays
from kvstore.engine.watch import CATALOG, Scope, Watch
from kvstore.engine.writer import Writer
from kvstore.errors import JournalUnwritable, KVStoreError
from kvstore.journal.journal import Journal
from kvstore.state.applied import Applied, OpFailure, Read
from kvstore.state.command import CasKey, Command, CreateStore, DestroySession, TxnOp
from kvstore.state.entry import Session
from kvstore.state.store import State

__all__ = ["Engine"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# How many entries or records a start takes between two reports.
_TOLD_EVERY = 1_000

# How often at most a client's impossible index is worth a line in the log.
_LOST_DATA_LOG_S = 60.0


class Engine:
    """One running store.

    `start`, then `submit`, `read` and `renew` as often as wanted, then `close`.
    """

    def __init__(self, journal: Journal, clock: Clock, rules: SessionRules) -> None:
        self._journal = journal
        self._clock = clock
        self._rules = rules
        self._state = State()
        self._watch = Watch()
        self._parking = Parking(self._watch, clock)
        self._lock_delays = LockDelays(clock)
        self._expiry = Expiry(clock, self._expire)
        self._writer = Writer(self._state, journal, clock, self._lock_delays, self._on_applied)
        # Set by `start`.
        self._writing: asyncio.Task[None] | None = None
        self._next_lost_data_log = clock.monotonic()

    @property
    def state(self) -> State:
        """The applied state, to read from; whoever changes it breaks the engine."""
        return self._state

    @property
    def node(self) -> str:
        """Name of the one node there is."""
        return self._rules.node

    @property
    def parked_count(self) -> int:
        """Number of blocking queries that wait."""
        return len(self._parking)

    @property
    def failure(self) -> JournalUnwritable | None:
        """Why nothing is written any more; None while the journal is sound."""
        return self._writer.failure

    @property
    def batch_under_way(self) -> int | None:
        """Number of the batch of writes that is being made to last; None while there is none."""
        return self._writer.batch_under_way

    async def start(self, replayed: Callable[[int], None] = lambda _: None) -> None:
        """Replay the journal, name a new store, start the writer and all sessions' time.

        Sessions get their full time again, as after a leader change of Consul's. `replayed` is
        told now and then how many more entries of the base and records were taken. Raises what the
        journal raises.
        """
        base = self._journal.base()
        if base is not None:
            self._state.load(replace(base, entries=_told(base.entries, replayed)))
        for record in _told(self._journal.replay(), replayed):
            self._state.apply(record.index, record.command)
        self._writing = asyncio.create_task(self._writer.run(), name="kvstore writer")
        self._track_sessions()
        if not self._state.store_id:
            created = self.submit(CreateStore(str(uuid.uuid4())))
            await asyncio.wait((created, self._writing), return_when=asyncio.FIRST_COMPLETED)
            await (created if created.done() else self._writing)

    def submit(self, command: Command) -> asyncio.Future[Applied]:
        """Queue a write; see `Writer.submit` for what comes of it."""
        if type(command) is CasKey:
            self._look_for_lost_data(command.cas_index)
        return self._writer.submit(command)

    def lock_delayed(self, ops: Iterable[tuple[int, TxnOp]]) -> tuple[OpFailure, ...]:
        """Return the failures that lock-delay would cause now; see `Writer.lock_delayed`."""
        return self._writer.lock_delayed(ops)

    def create_session(self, request: SessionRequest) -> asyncio.Future[Applied]:
        """Queue the making of a session; its outcome's `created` has the id.

        Raises InvalidSession, TooManySessions, and what `submit` raises.
        """
        return self._writer.submit(self._rules.admit(request, self._state.session_count))

    def renew_session(self, session_id: str) -> Session | None:
        """Give a session its full time again; None when it is unknown or its time is up.

        Not journaled: after a restart every session has its full time. Raises InvalidSessionId.
        """
        found = self._state.get_session(session_id).value
        if not found or not self._expiry.renew(found[0].id):
            return None
        return found[0]

    def read(
        self, query: Callable[[], Read[T]], scope: Scope, min_index: int, wait_s: float
    ) -> Read[T] | Parked[T]:
        """Run a query on the state; park it until its index passes `min_index`.

        See `Parking.read`. The caller must take up a Parked with `on_done`, or `cancel` it.
        """
        if scope is not CATALOG:  # whose index is not the store's
            self._look_for_lost_data(min_index)
        return self._parking.read(query, scope, min_index, wait_s)

    async def wait_failed(self) -> None:
        """Wait until the writer ends, which before `close` only a bug can do; raises that bug."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    def release_parked(self) -> None:
        """Answer every blocking query with what is there now, and park no more."""
        self._parking.close()

    async def close(self) -> None:
        """Answer what waits, write what is queued, give up the journal.

        Raises JournalUnwritable when the journal's end could not be written, or had failed before.
        """
        self._parking.close()
        self._writer.close()
        if self._writing is not None:
            await self._writing
        self._expiry.clear()
        await self._journal.close()
        if self._writer.failure is not None:
            raise self._writer.failure

    def _track_sessions(self) -> None:
        for session in self._state.list_sessions().value:
            self._expiry.track(session.id, session.ttl_ns / NS_PER_S)

    def _on_applied(self, applied: Applied) -> None:
        if applied.restored:
            # As in Consul: those who lost these locks are not of the store that came back.
            self._lock_delays.clear()
            self._expiry.clear()
            self._track_sessions()
        if applied.created is not None:
            self._expiry.track(applied.created.id, applied.created.ttl_ns / NS_PER_S)
        if applied.destroyed is not None:
            session = applied.destroyed
            self._expiry.forget(session.id)
            self._lock_delays.start(applied.changed_keys, session.lock_delay_ns / NS_PER_S)
        self._watch.notify(applied)

    def _expire(self, session_id: str) -> bool:
        try:
            self._writer.submit(DestroySession(session_id)).add_done_callback(_forget_outcome)
        except KVStoreError as error:
            log.debug("session %s has run out and cannot be destroyed yet: %s", session_id, error)
            return False
        log.info("session %s has run out", session_id)
        return True

    def _look_for_lost_data(self, index: int) -> None:
        """Warn when a client has an index that this store never issued."""
        if index <= self._state.last_index or self._clock.monotonic() < self._next_lost_data_log:
            return
        self._next_lost_data_log = self._clock.monotonic() + _LOST_DATA_LOG_S
        log.warning(
            "a client has index %d, this store has only reached %d: it has lost data, "
            "or the client knew another store",
            index,
            self._state.last_index,
        )


def _told(items: Iterable[T], taken: Callable[[int], None]) -> Iterator[T]:
    rest = iter(items)
    while piece := list(itertools.islice(rest, _TOLD_EVERY)):
        yield from piece
        taken(len(piece))


def _forget_outcome(future: asyncio.Future[Applied]) -> None:
    """Take note of a failure nobody waits for: the writer has logged it."""
    if not future.cancelled():
        future.exception()

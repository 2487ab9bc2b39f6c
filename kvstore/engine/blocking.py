"""Blocking queries: reads that wait until their index passes the one the client has.

There is no `await` between looking and registering the waiter, and writes are applied on the same
event loop, so no write can slip between the two. A parked query is a waiter with a callback, not a
task: it costs memory, not scheduling.
"""

import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kvstore.clock import Clock, Timer
from kvstore.engine.watch import Scope, Watch
from kvstore.state.applied import Read

__all__ = ["WAIT_DEFAULT_S", "WAIT_MAX_S", "Parked", "Parking"]

T = TypeVar("T")

# Source: Consul 1.8.7, defaultQueryTime, maxQueryTime and jitterFraction; contract B3.
WAIT_DEFAULT_S = 300.0
WAIT_MAX_S = 600.0
_JITTER_FRACTION = 16


class Parked(Generic[T]):
    """One read that waits; made by `Parking.read`, ends by itself or by `cancel`."""

    __slots__ = ("_done", "_index", "_last", "_min_index", "_parking", "_query", "_scope", "_timer")

    def __init__(
        self,
        parking: "Parking",
        query: Callable[[], Read[T]],
        scope: Scope,
        min_index: int,
        index: int,
    ) -> None:
        self._parking = parking
        self._query = query
        self._scope = scope
        self._min_index = min_index
        # The index that the query gave when it was last run: that of the answer if the time runs
        # out (B4). What it read is not kept: thousands of watchers of a large tree would each
        # keep a list of it.
        self._index = index
        # What there was when the time ran out; set by `finish`.
        self._last: Read[T] | None = None
        # Set by `on_done`, called once.
        self._done: Callable[[Read[T]], None] | None = None
        # Set by `start`.
        self._timer: Timer | None = None

    def start(self, watch: Watch, clock: Clock, wait_s: float) -> None:
        """Begin to wait for a change, for `wait_s` at most."""
        watch.add(self._scope, self)
        self._timer = clock.call_at(clock.monotonic() + wait_s, self.finish)

    def on_done(self, callback: Callable[[Read[T]], None]) -> None:
        """Have `callback` called once, on the event loop, with the answer; not after `cancel`."""
        self._done = callback

    def fire(self) -> None:
        """Look again; a change that leaves the index at or below the client's is no answer (B2)."""
        read = self._query()
        self._index = read.index
        if read.index > self._min_index:
            self._end(read)

    def finish(self) -> None:
        """Answer now with what is there; nothing of it has changed since it was last read."""
        self._last = Read(self._index, self._query().value)
        self._end(self._last)

    @property
    def ran_out(self) -> bool:
        """Whether it ended because its time was up, or all had to; its index has not moved then."""
        return self._last is not None

    def look(self) -> Read[T]:
        """Return the answer some time after the end: what is there now, unless the time ran out.

        An answer with the old index must not show what was written since.
        """
        return self._query() if self._last is None else self._last

    def _end(self, read: Read[T]) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(read)

    def cancel(self) -> None:
        """Leave without an answer and leave nothing behind; a second call does nothing."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        self._parking.leave(self, self._scope)


class Parking:
    """Every parked query of one engine.

    `jitter` draws a number in [0, 1); it spreads the ends of queries that began together.
    """

    def __init__(
        self, watch: Watch, clock: Clock, jitter: Callable[[], float] = random.random
    ) -> None:
        self._watch = watch
        self._clock = clock
        self._jitter = jitter
        self._parked: dict[Parked[Any], None] = {}
        self._closed = False

    def __len__(self) -> int:
        """Return the number of parked queries."""
        return len(self._parked)

    def read(
        self, query: Callable[[], Read[T]], scope: Scope, min_index: int, wait_s: float
    ) -> Read[T] | Parked[T]:
        """Run a query; park it if its index has not passed `min_index`.

        `min_index` 0 never parks. `wait_s` of 0 or less means the default, more than the maximum
        means the maximum; up to a sixteenth is added. Once the lot is closed nothing is parked.
        """
        read = query()
        if min_index == 0 or read.index > min_index or self._closed:
            return read
        parked = Parked(self, query, scope, min_index, read.index)
        self._parked[parked] = None
        parked.start(self._watch, self._clock, self._limit_s(wait_s))
        return parked

    def leave(self, parked: Parked[Any], scope: Scope) -> None:
        """Forget a parked query; without effect when it has left already."""
        if self._parked.pop(parked, self) is None:
            self._watch.remove(scope, parked)

    def close(self) -> None:
        """Answer every parked query with what was last read, and park no more (B12)."""
        self._closed = True
        for parked in list(self._parked):
            parked.finish()

    def _limit_s(self, wait_s: float) -> float:
        limit = min(wait_s, WAIT_MAX_S) if wait_s > 0 else WAIT_DEFAULT_S
        return limit + self._jitter() * limit / _JITTER_FRACTION

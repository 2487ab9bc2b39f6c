"""Events: named messages that are kept for a while and waited for, as with `consul event`.

There is nobody to carry an event to: whoever fires one and whoever waits for it speak to the same
server. Events are kept in memory only and end with the process, as in Consul.

To those who wait, the name of an event is what a key is to those who wait for keys.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from kvstore.clock import Clock
from kvstore.engine.blocking import Parked, Parking
from kvstore.engine.watch import Scope, ScopeKind, Watch
from kvstore.state.applied import Applied, Read

__all__ = ["EVENTS_KEPT", "Event", "Events"]

# Source: Consul 1.8.7, the size of an agent's eventBuf.
EVENTS_KEPT = 256
# Source: Serf's clock of events stands at 2 when the first user's event of a new server is fired.
_FIRST_TIME = 2


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    # A UUID.
    id: str
    name: bytes
    payload: bytes
    node_filter: bytes
    service_filter: bytes
    tag_filter: bytes
    # Its number among the events of this process; 0 until it is kept.
    time: int = 0

    @property
    def index(self) -> int:
        """What Consul gives as the index of a list that ends with this event.

        Not a number that grows: a client waits for another one. Source: Consul, uuidToUint64.
        """
        number = int(self.id.replace("-", ""), 16)
        return (number >> 64) ^ (number & (2**64 - 1))


class Events:
    """The newest events of one server.

    `jitter` draws a number in [0, 1), as in `Parking`.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._watch = Watch()
        self._parking = Parking(self._watch, clock, jitter)
        self._kept: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._next_time = _FIRST_TIME

    @property
    def next_time(self) -> int:
        """The time that the next event gets."""
        return self._next_time

    @property
    def parked_count(self) -> int:
        """Number of queries that wait for an event."""
        return len(self._parking)

    def skip(self) -> None:
        """Count an event that nobody here is meant to get."""
        self._next_time += 1

    def add(self, event: Event) -> None:
        """Keep an event, give it its time, answer whoever waits for it; the oldest is forgotten."""
        self._kept.append(replace(event, time=self._next_time))
        self.skip()
        self._watch.notify(Applied(self._next_time, changed_keys=(event.name,)))

    def read(
        self, name: bytes, index: int, wait_s: float
    ) -> Read[list[Event]] | Parked[list[Event]]:
        """Read the events of a name, or all for an empty one, oldest first.

        Parked while `index` is that of the list as it is; see `Parking.read` for the rest. The
        indexes of the reads count events; a list's own is that of its last event.
        """
        scope = Scope(ScopeKind.KEY, name) if name else Scope(ScopeKind.TREE)

        def query() -> Read[list[Event]]:
            found = [event for event in self._kept if name in (b"", event.name)]
            return Read(found[-1].time if found else 1, found)

        read = query()
        known = read.value[-1].index if read.value else 1
        if index != known:
            return read
        return self._parking.read(query, scope, read.index, wait_s)

    def close(self) -> None:
        """Answer every query that waits with what is there, and let none wait any more."""
        self._parking.close()

"""Who must have heard of what: every watcher of a changed entry, and every later reader of it.

An engine that writes announces the index it got; from then on each watcher of it owes us that
index or a newer one, and no read that begins later may show an older one.
Knows nothing of HTTP.

Source: spec/docker-cluster-store.md, section 0, rules 4 and 6.
"""

from collections.abc import Callable
from dataclasses import dataclass

from conformance.soak.meter import Kind, Meter

# A watcher hears within a millisecond or two; this allows for a busy machine.
LATE_S = 5.0
# And from here on nobody believes that it is still to come.
LOST_S = 30.0


@dataclass(slots=True, eq=False)
class Watch:
    """One watcher: what it watches, the newest index it saw, and the oldest one it still owes."""

    topic: str
    seen: int
    seen_at: float
    owed: int = 0
    owed_since: float = 0.0
    # Set when it was reported: once is enough.
    lost: bool = False


class News:
    """All watchers and the newest index of everything announced."""

    def __init__(self, meter: Meter, clock: Callable[[], float]) -> None:
        self._meter = meter
        self._clock = clock
        self._newest: dict[str, int] = {}
        self._watches: dict[str, set[Watch]] = {}

    def announce(self, topic: str, index: int, since: float) -> None:
        """Tell that `topic` was changed, and that the change is acknowledged and readable.

        `since` is when the write was sent: watchers hear of it before the writer does.
        """
        if index <= self.floor(topic):
            return
        self._newest[topic] = index
        for watch in self._watches.get(topic, ()):
            if watch.seen >= index:
                self._heard(watch.seen_at - since)
            elif not watch.owed:
                watch.owed, watch.owed_since = index, since

    def floor(self, topic: str) -> int:
        """Return the index that whoever reads from now on must see at least; 0 for any."""
        return self._newest.get(topic, 0)

    def forget(self, topic: str) -> None:
        """Tell that an entry was deleted on purpose: nobody needs to remember it."""
        self._newest.pop(topic, None)

    def join(self, topic: str, index: int) -> Watch:
        """Begin to watch, with the index of the first answer."""
        watch = Watch(topic, index, self._clock())
        self._watches.setdefault(topic, set()).add(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        """End a watch: it owes nothing any more. A second call does nothing."""
        watchers = self._watches.get(watch.topic, set())
        watchers.discard(watch)
        if not watchers:
            self._watches.pop(watch.topic, None)

    def deliver(self, watch: Watch, index: int) -> None:
        """Tell that a watcher was answered with an index."""
        if index == watch.seen:
            return
        watch.seen, watch.seen_at = index, self._clock()
        if not watch.owed or index < watch.owed:
            return
        self._heard(watch.seen_at - watch.owed_since)
        newest = self.floor(watch.topic)
        # Announced while this answer was on its way: owed from now on.
        watch.owed, watch.owed_since = (newest, watch.seen_at) if newest > index else (0, 0.0)

    def _heard(self, lag_s: float) -> None:
        self._meter.took(Kind.WATCH, max(0.0, lag_s))  # below 0: it knew of a newer change
        if lag_s > LATE_S:
            self._meter.late += 1

    def owing(self) -> int:
        """Return how many watchers have not heard of the newest change yet."""
        return sum(bool(one.owed) for watches in self._watches.values() for one in watches)

    def sweep(self) -> None:
        """Report watchers that should have heard long ago."""
        deadline = self._clock() - LOST_S
        for topic, watches in self._watches.items():
            for one in watches:
                if one.owed and one.owed_since < deadline and not one.lost:
                    one.lost = True
                    self._meter.fault(
                        "watch lost",
                        f"{topic}: index {one.owed} was acknowledged {LOST_S:g} s ago, "
                        f"a watcher still waits with {one.seen}",
                    )

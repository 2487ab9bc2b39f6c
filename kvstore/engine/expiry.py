"""Sessions that run out: a deadline each, moved by every renewal.

A session goes at twice its TTL after it was made or last renewed: Consul promises "not before the
TTL" and doubles it, and libkv halves the TTL it wants because of that (contract S14).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kvstore.clock import Clock, Timer

__all__ = ["TTL_GRACE", "Expiry"]

# Source: Consul 1.8.7, structs.SessionTTLMultiplier.
TTL_GRACE = 2
# When the expiry could not be submitted (the queue was full, say), how long until the next try.
_RETRY_S = 1.0


@dataclass(slots=True)
class _Lease:
    ttl_s: float
    deadline: float
    timer: Timer
    # Set when the deadline has passed and its destruction is on the way.
    expired: bool = False


class Expiry:
    """The deadlines of one engine's sessions.

    `expire` is called with a session's id when its time is up; it answers whether it could see to
    it, and is called again a second later if not.
    """

    def __init__(self, clock: Clock, expire: Callable[[str], bool]) -> None:
        self._clock = clock
        self._expire = expire
        self._leases: dict[str, _Lease] = {}

    def __len__(self) -> int:
        """Return the number of sessions with a TTL."""
        return len(self._leases)

    def track(self, session_id: str, ttl_s: float) -> None:
        """Start the time of a session; a TTL of 0 means it never runs out."""
        if ttl_s > 0:
            deadline = self._clock.monotonic() + TTL_GRACE * ttl_s
            self._leases[session_id] = _Lease(ttl_s, deadline, self._arm(session_id, deadline))

    def renew(self, session_id: str) -> bool:
        """Give a session its full time again; False when its time was up already.

        O(1): the timer is left alone and looks at the deadline when it fires.
        """
        lease = self._leases.get(session_id)
        if lease is None:
            return True
        if lease.expired:
            return False
        lease.deadline = self._clock.monotonic() + TTL_GRACE * lease.ttl_s
        return True

    def forget(self, session_id: str) -> None:
        """Drop a session that is gone; without effect when it is unknown."""
        lease = self._leases.pop(session_id, None)
        if lease is not None:
            lease.timer.cancel()

    def clear(self) -> None:
        """Drop all sessions and stop their timers; at the next start they get their full time."""
        for lease in self._leases.values():
            lease.timer.cancel()
        self._leases.clear()

    def _arm(self, session_id: str, deadline: float) -> Timer:
        return self._clock.call_at(deadline, partial(self._look, session_id))

    def _look(self, session_id: str) -> None:
        lease = self._leases.get(session_id)
        if lease is None:
            return
        now = self._clock.monotonic()
        if now < lease.deadline:
            lease.timer = self._arm(session_id, lease.deadline)
            return
        lease.expired = self._expire(session_id)
        if not lease.expired:
            lease.timer = self._arm(session_id, now + _RETRY_S)

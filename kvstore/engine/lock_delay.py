"""Lock-delay: for a while after its session was invalidated, nobody may acquire a key.

It gives a former holder, who may not know yet that it lost the lock, time to notice. Wall-clock
state, so it lives here and not in `state`; a restart drops it (Consul starts it again; contract
L9 allows both).
"""

from collections.abc import Iterable
from functools import partial

from kvstore.clock import Clock

__all__ = ["LOCK_DELAY_MAX_S", "LockDelays"]

# Source: Consul 1.8.7, structs.MaxLockDelay; longer ones are stored as they came and cut here.
LOCK_DELAY_MAX_S = 60.0


class LockDelays:
    """The keys of one engine that may not be acquired yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[bytes, float] = {}

    def __len__(self) -> int:
        """Return the number of keys under lock-delay."""
        return len(self._deadlines)

    def start(self, keys: Iterable[bytes], delay_s: float) -> None:
        """Put keys under lock-delay; a delay of 0 or less is none."""
        if delay_s <= 0:
            return
        delayed = tuple(keys)
        if not delayed:
            return
        deadline = self._clock.monotonic() + min(delay_s, LOCK_DELAY_MAX_S)
        for key in delayed:
            self._deadlines[key] = max(deadline, self._deadlines.get(key, deadline))
        self._clock.call_at(deadline, partial(self._end, delayed))

    def covers(self, key: bytes) -> bool:
        """Return whether `key` may not be acquired yet."""
        deadline = self._deadlines.get(key)
        return deadline is not None and self._clock.monotonic() < deadline

    def _end(self, keys: tuple[bytes, ...]) -> None:
        now = self._clock.monotonic()
        for key in keys:
            if self._deadlines.get(key, now + 1) <= now:
                del self._deadlines[key]

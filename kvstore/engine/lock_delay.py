"""Lock-delay: for a while after its session was invalidated, nobody may acquire a key.

It gives a former holder, who may not know yet that it lost the lock, time to notice. Wall-clock
state, so it lives here and not in `state`; a restart drops it (Consul starts it again; contract
L9 allows both).
"""

from collections.abc import Iterable

from kvstore.clock import Clock

__all__ = ["LOCK_DELAY_MAX_S", "LockDelays"]

# Source: Consul 1.8.7, structs.MaxLockDelay; longer ones are stored as they came and cut here.
LOCK_DELAY_MAX_S = 60.0


# Ended delays are swept out when there are twice as many keys as after the last sweep, and at
# least these.
_SWEEP_KEYS_MIN = 64


class LockDelays:
    """The keys of one engine that may not be acquired yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[bytes, float] = {}
        self._sweep_at = _SWEEP_KEYS_MIN

    def start(self, keys: Iterable[bytes], delay_s: float) -> None:
        """Put keys under lock-delay; a delay of 0 or less is none."""
        if delay_s <= 0:
            return
        deadline = self._clock.monotonic() + min(delay_s, LOCK_DELAY_MAX_S)
        for key in keys:
            self._deadlines[key] = max(deadline, self._deadlines.get(key, deadline))
        if len(self._deadlines) >= self._sweep_at:
            self._sweep()

    def clear(self) -> None:
        """Let every key be acquired at once."""
        self._deadlines.clear()

    def covers(self, key: bytes) -> bool:
        """Return whether `key` may not be acquired yet."""
        deadline = self._deadlines.get(key)
        return deadline is not None and self._clock.monotonic() < deadline

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        self._deadlines = {key: at for key, at in self._deadlines.items() if now < at}
        self._sweep_at = max(_SWEEP_KEYS_MIN, 2 * len(self._deadlines))

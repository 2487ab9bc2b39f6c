"""A clock that moves when it is told to, and `settle`, which lets the event loop come to rest."""

import asyncio
import heapq
from collections.abc import Callable

__all__ = ["FakeClock", "FakeTimer", "settle"]

# The longest chain in the engine (submit, wake the writer, append, answer, wake the submitter) is
# under ten steps long.
_YIELDS = 40


class FakeTimer:
    """A callback that waits for its instant on a FakeClock."""

    def __init__(self, deadline: float, number: int, callback: Callable[[], None]) -> None:
        self.deadline = deadline
        # Timers of one deadline run in the order in which they were made.
        self.number = number
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: "FakeTimer") -> bool:
        return (self.deadline, self.number) < (other.deadline, other.number)

    def cancel(self) -> None:
        """Forget the callback; without effect when it has run already."""
        self.callback = None


class FakeClock:
    """A Clock whose time stands still between two calls of `advance`."""

    def __init__(self, start_s: float = 1000.0, start_ms: int = 1_600_000_000_000) -> None:
        self._start_s = start_s
        self._start_ms = start_ms
        self._now = start_s
        self._timers: list[FakeTimer] = []
        self._made = 0

    @property
    def pending_count(self) -> int:
        """Number of timers that have neither run nor been cancelled."""
        return sum(timer.callback is not None for timer in self._timers)

    def monotonic(self) -> float:
        """Return the seconds it was told to be."""
        return self._now

    def wall_ms(self) -> int:
        """Return a time of day that moves with `monotonic`."""
        return self._start_ms + round((self._now - self._start_s) * 1000)

    def call_at(self, deadline: float, callback: Callable[[], None]) -> FakeTimer:
        """Run `callback` in the `advance` that reaches `deadline`; at the next if it is past."""
        self._made += 1
        timer = FakeTimer(deadline, self._made, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass: run what is due in the order of deadlines, each at its own instant.

        A callback made meanwhile runs too, if its deadline is within the time that passes.
        """
        end = self._now + seconds
        while self._timers and self._timers[0].deadline <= end:
            timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._now = max(self._now, timer.deadline)
                callback()
        self._now = end


async def settle() -> None:
    """Let every task run until it waits for something that only the test can bring about.

    An event loop cannot be asked whether anything is ready, so this yields more often than any
    chain of wake-ups is long. Work in other threads is not waited for.
    """
    for _ in range(_YIELDS):
        await asyncio.sleep(0)

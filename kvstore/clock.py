"""Time as the engine sees it: monotonic seconds and one-shot timers.

Tests move a clock of their own (`tests/fake_clock.py`); nothing else in kvstore asks what time it
is, and `state` never does.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """A callback that waits for its instant."""

    def cancel(self) -> None:
        """Forget the callback; without effect when it has run already."""


class Clock(Protocol):
    """What the engine asks of time."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary instant; never goes back."""

    def wall_ms(self) -> int:
        """Return the time of day in milliseconds since 1970, for people to read."""

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once when `monotonic()` has reached `deadline`, never earlier."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def monotonic(self) -> float:
        """Return the event loop's time in seconds."""
        return self._loop.time()

    def wall_ms(self) -> int:
        """Return the time of day in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the event loop at `deadline`."""
        return self._loop.call_at(deadline, callback)

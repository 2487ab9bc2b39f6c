"""What clients may take of this server's memory and patience, and how it is counted.

Every bound here is far above what clients need, and has a clear answer for who goes beyond it. What
is not bounded: how long a connection may be idle, and how long a query may be parked. A Docker
engine loses a watch for good when either is ended for it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from mmap import mmap

from kvstore.clock import Clock, Timer

__all__ = [
    "DEFAULT_LIMITS",
    "LARGE_BYTES",
    "READ_AHEAD_BYTES",
    "Answers",
    "Limits",
    "Patience",
    "Received",
    "Terms",
    "reading_patience",
]

log = logging.getLogger(__name__)

_MIB = 1024 * 1024
# How much is read ahead of a request that is under way.
READ_AHEAD_BYTES = 64 * 1024
# Answers from here on are counted until the client has taken them.
LARGE_BYTES = 64 * 1024
# How much is read at once: as much as asyncio does.
_BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is too much. Sizes in bytes, times in seconds."""

    # One head: request line and headers together. Source: contract H10, Go's DefaultMaxHeaderBytes.
    head_bytes: int = _MIB
    # Everything that clients have sent and that is not answered yet: unfinished heads, requests
    # that wait behind others, bodies. 512 of the largest values at once; an ordinary request that
    # comes in one piece is not counted and never refused.
    received_bytes: int = 256 * _MIB
    # Large answers that are made and that clients have not taken yet. Beyond it queries that were
    # parked wait for room, since they are never failed; other large answers are a 503.
    answers_bytes: int = 256 * _MIB
    # How long the head of a request may take from its first byte. Clients send one in one piece; a
    # minute gets it through a line that loses every other packet.
    head_s: float = 60.0
    # How long a body, or the reading of an answer, may take, and how much each second must bring
    # beyond that: 8 KiB/s is slower than any line still in use. Answers have longer: what a client
    # takes is seen here a megabyte or two at a time, whenever the system's buffers have run dry.
    body_s: float = 60.0
    answer_s: float = 300.0
    rate_bytes: int = 8 * 1024

    def changed(self, buffers_bytes: int, patience_s: float) -> "Limits":
        """Return them with other bounds of memory and of time."""
        return replace(
            self,
            received_bytes=buffers_bytes,
            answers_bytes=buffers_bytes,
            head_s=patience_s,
            body_s=patience_s,
            answer_s=5 * patience_s,
        )


DEFAULT_LIMITS = Limits()


class Received:
    """Counts the bytes that were received and are not answered yet, of all connections."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """How many there are."""
        return self._bytes

    def take(self, size_bytes: int) -> bool:
        """Count some more; False, and nothing counted, when they are too many."""
        if self._bytes + size_bytes > self._limit_bytes:
            return False
        self._bytes += size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Count them no more."""
        self._bytes -= size_bytes


class Answers:
    """Counts the bytes of large answers that clients have not taken yet, of all connections."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        # Who waits for room, in the order they came.
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def bytes(self) -> int:
        """How many there are."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether no further large answer should be made now."""
        return self._bytes >= self._limit_bytes

    async def room(self) -> None:
        """Wait until there is room for one more; a cancelled wait leaves nothing behind."""
        while self.is_full:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                self._pass_on()
                raise
        # Whoever comes next looks for itself: this one may turn out to be small.
        asyncio.get_running_loop().call_soon(self._pass_on)

    def take(self, size_bytes: int) -> None:
        """Count an answer from now on."""
        self._bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Count it no more."""
        self._bytes -= size_bytes
        self._pass_on()

    @contextmanager
    def held(self, size_bytes: int) -> Iterator[None]:
        """Count an answer as long as the block lasts."""
        self.take(size_bytes)
        try:
            yield
        finally:
            self.give_back(size_bytes)

    def _pass_on(self) -> None:
        """Wake one that waits, if there is room."""
        while self._waiting and not self.is_full:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


class Terms:
    """What the connections of a server have in common."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.received = Received(limits.received_bytes)
        self.answers = Answers(limits.answers_bytes)
        # What the system's bytes are read into; mapped, since few reads fill all of it.
        self.buffer = memoryview(mmap(-1, _BUFFER_BYTES))


class Patience:
    """Ends what takes longer than it may, from now on until `cancel`.

    `allowed_s` is asked again when the time seems to be up: it may grow with what has come.
    """

    def __init__(
        self, clock: Clock, allowed_s: Callable[[], float], end: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._allowed_s = allowed_s
        self._end = end
        self._began = clock.monotonic()
        # None once it has ended.
        self._timer: Timer | None = None
        self._look()

    def cancel(self) -> None:
        """Let it take as long as it likes; without effect when it has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        deadline = self._began + self._allowed_s()
        if self._clock.monotonic() < deadline:
            self._timer = self._clock.call_at(deadline, self._look)
        else:
            self._timer = None
            self._end()


def reading_patience(
    clock: Clock,
    limits: Limits,
    transport: asyncio.Transport,
    unwritten_bytes: Callable[[], int] = lambda: 0,
) -> Patience:
    """Cut off a client that does not read what it is sent, from now on until `cancel`.

    `unwritten_bytes` is how much of the answer the transport has not been given yet.
    """
    left_bytes = unwritten_bytes() + transport.get_write_buffer_size()

    def allowed_s() -> float:
        taken_bytes = left_bytes - unwritten_bytes() - transport.get_write_buffer_size()
        return limits.answer_s + taken_bytes / limits.rate_bytes

    def cut_off() -> None:
        log.info("a client was cut off: it did not read its answer")
        transport.abort()

    return Patience(clock, allowed_s, cut_off)

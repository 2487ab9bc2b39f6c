"""Requests whose body comes behind their head: most clients that are not Go's send it by itself."""

from collections.abc import Callable

from kvstore.clock import Clock

__all__ = ["Unfinished"]

# How much of a body is waited for, in how many pieces, and how long: the rest is on its way, or the
# client is one for aiohttp's lane, which has patience.
_MISSING_BYTES_MAX = 1024 * 1024
_PIECES_MAX = 64
_WITHIN_S = 1.0


class Unfinished:
    """The pieces of a request that have come; `give_up` is called when the rest does not."""

    __slots__ = ("_missing_bytes", "_pieces", "_timer")

    def __init__(
        self, data: bytes, missing_bytes: int, clock: Clock, give_up: Callable[[], None]
    ) -> None:
        self._pieces = [data]
        self._missing_bytes = missing_bytes
        self._timer = clock.call_at(clock.monotonic() + _WITHIN_S, give_up)

    @staticmethod
    def is_worthwhile(missing_bytes: int) -> bool:
        """Return whether so much should be waited for; nothing missing is nothing to wait for."""
        return 0 < missing_bytes <= _MISSING_BYTES_MAX

    def add(self, data: bytes) -> None:
        """Take the next piece."""
        self._pieces.append(data)
        self._missing_bytes -= len(data)

    @property
    def is_whole(self) -> bool:
        """Whether the pieces hold all of the request."""
        return self._missing_bytes <= 0

    @property
    def is_in_too_many_pieces(self) -> bool:
        """Whether no other piece is to be waited for."""
        return len(self._pieces) >= _PIECES_MAX

    def split(self) -> tuple[bytes, bytes]:
        """Wait no more; return the request, which is whole, and what came behind it."""
        data = b"".join(self.end())
        size_bytes = len(data) + self._missing_bytes
        return data[:size_bytes], data[size_bytes:]

    def end(self) -> list[bytes]:
        """Wait no more; return the pieces as they came."""
        self._timer.cancel()
        return self._pieces

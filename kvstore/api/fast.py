"""The fast lane: ordinary requests are answered as soon as they are read.

For those, aiohttp's task, request and response would cost more than everything else together. Here
the connection itself calls the endpoint, the same one, and writes its answer; what has to be waited
for calls back. A connection that sends anything else goes over to aiohttp's lane with what it has
sent, and stays there.

That lane is loaded when it is needed first: it is a quarter of a server's start and a fifth of its
memory, and where only Docker engines come it never is.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from kvstore.api.exchange import Response
from kvstore.api.fast_connection import FastConnection
from kvstore.api.limits import Terms
from kvstore.api.ordinary import Recogniser
from kvstore.api.outgoing import encode
from kvstore.api.responses import INTERNAL_ERROR
from kvstore.api.router import Router

if TYPE_CHECKING:
    from kvstore.api.lane import Lane

__all__ = ["FastLane"]

log = logging.getLogger(__name__)

# Woken queries that are answered before other requests have their turn.
_WOKEN_AT_ONCE = 64


def _load_lane() -> "type[Lane]":
    """Load aiohttp; takes some 80 ms, in which the GIL is given up now and then."""
    from kvstore.api.lane import Lane  # noqa: PLC0415 - see above

    return Lane


class FastLane:
    """Makes the protocols of new connections; what they are not made for goes to `other`.

    For `settles_s` after its start a connection that begins with a query that would be parked gets
    an answer at once, with what is there. Such queries come from clients of a server that ended:
    Go's HTTP client repeats what was lost on a connection that has had an answer, so that such a
    client outlives the next end too. On one without, it gives up, and a Docker engine its watch.
    """

    def __init__(
        self,
        router: Router,
        terms: Terms,
        settles_s: float = 0.0,
        load: "Callable[[], type[Lane]]" = _load_lane,
    ) -> None:
        self.router = router
        self.terms = terms
        self.recogniser = Recogniser()
        self.draining = False
        # aiohttp's lane, once `load_other` has loaded it.
        self.other: Lane | None = None
        self._load = load
        self._loading: asyncio.Future[None] | None = None
        self._settled = terms.clock.monotonic() + settles_s
        self._connections: set[FastConnection] = set()
        # What was encoded last, in which second, whether to be kept alive, and how it came out.
        self._encoded = INTERNAL_ERROR, 0, False, b""
        # Queries that have an answer.
        self._woken: deque[FastConnection] = deque()
        # Set by `shutdown`: done when no connection is left.
        self._empty: asyncio.Future[None] | None = None

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        # A BufferedProtocol that takes `data_received` too, as a Protocol does: asyncio asks which
        # of both it is, those who make connections want a Protocol.
        return cast(asyncio.Protocol, FastConnection(self))

    @property
    def settling(self) -> bool:
        """Whether connections that begin now may be those of clients that lost one."""
        return self.terms.clock.monotonic() < self._settled

    def drain(self) -> None:
        """Take no more requests; each connection ends with the answer under way, or `shutdown`."""
        self.draining = True
        if self.other is not None:
            self.other.drain()
        for connection in list(self._connections):
            connection.close_if_idle()

    async def shutdown(self, timeout_s: float) -> None:
        """End all connections; those with an answer under way have so long to get it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        if self._connections:
            self._empty = loop.create_future()
            await asyncio.wait((self._empty,), timeout=timeout_s)
            for connection in list(self._connections):
                connection.abort()
        if self._loading is not None:
            await asyncio.wait((self._loading,))
        if self.other is not None:
            await self.other.shutdown(max(0.0, until - loop.time()))

    async def load_other(self) -> None:
        """Have `other`; what was loaded once stays, and the second caller waits for the first."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load_other())
        await asyncio.shield(self._loading)

    async def _load_other(self) -> None:
        began = time.monotonic()
        make = await asyncio.to_thread(self._load)
        self.other = make(self.router, self.terms)
        if self.draining:
            self.other.drain()
        log.debug("aiohttp's lane was loaded in %.3f s", time.monotonic() - began)

    def joined(self, connection: FastConnection) -> None:
        """Know a connection."""
        self._connections.add(connection)

    def left(self, connection: FastConnection) -> None:
        """Know it no more."""
        self._connections.discard(connection)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def encode(self, response: Response, *, keep_alive: bool) -> bytes:
        """Return the bytes of a response; the one before is remembered: often it is the same."""
        second = int(time.time())
        of, at, kept, data = self._encoded
        if of is response and at == second and kept is keep_alive:
            return data
        data = encode(response, is_head=False, is_old=False, keep_alive=keep_alive)
        self._encoded = response, second, keep_alive, data
        return data

    def wake(self, connection: FastConnection) -> None:
        """Have the query that is parked on a connection answered soon."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._answer_woken)
        self._woken.append(connection)

    def _answer_woken(self) -> None:
        for _ in range(min(len(self._woken), _WOKEN_AT_ONCE)):
            self._woken.popleft().answer_woken()
        if self._woken:
            asyncio.get_running_loop().call_soon(self._answer_woken)

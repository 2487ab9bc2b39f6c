"""One connection: aiohttp's, but for what Go's HTTP server takes and aiohttp's parser does not.

And the other way round: what clients may not take (`limits.py`). Each read is looked at for a few
tenths of a microsecond, which is all that an ordinary request costs; what comes in many pieces,
late, large or malformed is counted, timed and refused here.

It looks at its base's state in some places (`_waiter`, `_messages`, `_request_count`), which is why
pyproject.toml holds aiohttp to one minor version.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kvstore.api import web
from kvstore.api.exchange import Answer, Response
from kvstore.api.limits import Patience, Terms, reading_patience
from kvstore.api.outgoing import HEAD_TOO_LARGE
from kvstore.api.responses import plain, text
from kvstore.api.unparsed import (
    FIRST_LINE_BYTES_MAX,
    HeadRefused,
    encode_last,
    escape_target,
    unparsed,
)
from kvstore.api.web import (
    EMPTY_PAYLOAD,
    ErrInfo,
    RawRequestMessage,
    StreamReader,
)

__all__ = ["BodyRefused", "Connection"]

log = logging.getLogger(__name__)

# A request that came alone, is no larger and has no more headers is not counted: it takes less
# than the rest of its connection does.
_SMALL_BYTES = 2048
_FEW_HEADERS = 32
# What a header takes once it is parsed, its few bytes apart; measured.
_HEADER_COST_BYTES = 400
# How many bytes a chunked body may take for each of its own, and how many besides. A body in
# chunks of one byte takes six; what takes more is made of chunk extensions or trailers.
_OVERHEAD_MAX = 16
_OVERHEAD_FREE_BYTES = 64 * 1024

# Closed, as what is left of a request cannot be told from the next one.
_HEAD_LATE = plain(
    408, "408 Request Timeout: the head of the request did not come in time", close=True
)
_BODY_LATE = text(408, "the body of the request did not come in time")
_CROWDED = text(
    503, "too much is being received at the moment, this request was not taken: try again"
)
_NO_MORE = "the client sends no more"
_BAD_BODY = plain(400, "400 Bad Request", close=True)


class BodyRefused(web.RequestPayloadError):
    """Raised to whoever reads a body that is not taken any further; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body)
        self.response = response


class Connection(web.RequestHandler, asyncio.BufferedProtocol):
    """One client's connection.

    `route` answers a method and a target, for requests that aiohttp could not parse.
    """

    __slots__ = (
        "_body_bytes",
        "_counted_bytes",
        "_deaf",
        "_discards",
        "_head_bytes",
        "_head_patience",
        "_last",
        "_payload",
        "_received",
        "_route",
        "_terms",
        "body",
        "half_closed",
        "parked",
        "refusal",
        "unsettled",
    )

    def __init__(
        self, lane: web.Server, route: Callable[[str, str], Answer], terms: Terms, **options: Any
    ) -> None:
        super().__init__(lane, **options)
        # See `data_received`: the parser may stop one request earlier than the base knows of.
        self._max_msg_queue_size -= 1
        self._route = route
        self._terms = terms
        # The beginning of what came last, for `unparsed`.
        self._received = b""
        # The body of the newest request.
        self._payload: StreamReader = EMPTY_PAYLOAD
        # How much of an unfinished head has come, and what ends the wait for the rest.
        self._head_bytes = 0
        self._head_patience: Patience | None = None
        # How many bytes have come for the body since its head, framing included.
        self._body_bytes = 0
        # How much of `Terms.received` is this connection's.
        self._counted_bytes = 0
        # Whether the body of the newest request is read only to be dropped.
        self._discards = False
        # Whether the newest request is the last, and whether nothing at all is taken any more.
        self._last = False
        self._deaf = False
        # Whether `settle` has something to do when a request is answered.
        self.unsettled = False
        # The body that is being waited for.
        self.body: StreamReader | None = None
        # Why no more comes of the newest request's body.
        self.refusal: Response | None = None
        # Whether a query of this client is parked.
        self.parked = False
        # Whether the client has said that it will send no more.
        self.half_closed = False

    @property
    def is_at_end(self) -> bool:
        """Whether no request can follow those that have come."""
        return (self.half_closed or self._deaf or self._last) and not self._messages

    @property
    def _is_idle(self) -> bool:
        """Whether no request is under way, so that what comes begins with a head."""
        return self._waiter is not None and not self._waiter.done()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Return what to read into: one for all connections, since nothing stays in it.

        Without it asyncio allocates 256 KiB for each read, to give most of them back, and the
        system is asked for them whenever the heap has no such piece free: up to 20 us a request.
        """
        return self._terms.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(bytes(self._terms.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self._deaf or self._close or self._force_close:
            return
        if not data.isascii() and (self._is_idle or not self._request_count):
            data = escape_target(data)
        if data:
            self._received = data[:FIRST_LINE_BYTES_MAX]
        count, within_body = self._request_count, not self._payload.is_eof()
        taken_up = within_body and not self._messages
        super().data_received(data)
        if taken_up and self._payload.is_eof() and self._parser is not None:
            # The parser counts requests that wait, and stops at 32; but it has counted this one
            # only now that it is whole, and will not hear of it again.
            self._parser.message_consumed()
        if self._request_count == count:
            if within_body:
                self._take_of_body(len(data))
            elif self._head_bytes or data.strip(b"\r\n"):
                self._take_of_head(len(data))
            return
        message, payload = self._messages[-1]
        if (
            len(data) > _SMALL_BYTES
            or within_body
            or self._head_bytes
            or self._request_count != count + 1
            or type(message) is not RawRequestMessage
            or message.upgrade
            or len(message.raw_headers) > _FEW_HEADERS
            or not payload.is_eof()
        ):
            self._take_stock(self._request_count - count, len(data), within_body=within_body)
        else:
            self._payload = payload

    # The base says None and asyncio takes a bool: True keeps the connection open for answers.
    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what is under way though the client sends no more; `nc -N` and others do that.

        But a query that is parked is given up: a client that is gone looks the same from here.
        """
        if self._is_idle or self.parked or not self._request_count:
            return False
        self.half_closed = True
        self._stop_discarding()
        if not self._messages and self._payload.is_eof():
            # No other request can come. This one may have been answered a moment ago, as if there
            # could; nobody would end the connection then.
            self._close = True
        if self.body is not None:
            self.body.set_exception(web.RequestPayloadError(_NO_MORE))
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection and all that was counted for it."""
        self._deaf = True
        self._end_of_head()
        self._give_back(self._counted_bytes)
        super().connection_lost(exc)
        self._payload = EMPTY_PAYLOAD  # what is left of it need not wait for the collector

    def settle(self, body: StreamReader) -> None:
        """Count no more what a request took that is answered now; `body` is its own."""
        if not self._messages:  # they may have come together with others that wait
            self._give_back(self._counted_bytes - self._head_bytes)
            self.unsettled = False
        if body.is_eof():
            return
        if self._deaf or self.half_closed:
            body.feed_eof()  # so that nobody waits for the rest
        else:
            self._discards = True

    @contextmanager
    def reading(self, body: StreamReader) -> Iterator[None]:
        """Let the body of the newest request be read in the block, and end it when it is slow.

        Raises BodyRefused, or another RequestPayloadError, when its end is known already.
        """
        if not body.is_eof():
            if self.refusal is not None:
                raise BodyRefused(self.refusal)
            if self.half_closed:
                raise web.RequestPayloadError(_NO_MORE)
        limits = self._terms.limits
        patience = Patience(
            self._terms.clock,
            lambda: limits.body_s + body.total_bytes / limits.rate_bytes,
            lambda: self._refuse_body(_BODY_LATE),
        )
        self.body = body
        try:
            yield
        finally:
            self.body = None
            patience.cancel()

    async def _drain_helper(self) -> None:
        """Wait until the client has taken most of what was sent; cut it off when it is slow."""
        transport = self.transport
        if transport is None or not self._paused:
            await super()._drain_helper()
            return
        patience = reading_patience(self._terms.clock, self._terms.limits, transport)
        try:
            await super()._drain_helper()
        finally:
            patience.cancel()

    def _take_of_head(self, size_bytes: int) -> None:
        """Count a piece of a head; its time runs from the first one on."""
        limits = self._terms.limits
        if self._head_patience is None:
            self._head_patience = Patience(
                self._terms.clock, lambda: limits.head_s, self._head_late
            )
        self._head_bytes += size_bytes
        if self._head_bytes > limits.head_bytes:
            self._refuse_head(HEAD_TOO_LARGE)
        elif not self._count(size_bytes):
            self._refuse_head(encode_last(_CROWDED))

    def _take_of_body(self, size_bytes: int) -> None:
        """Count a piece of a body; the end of a request that was the last is the end of all."""
        self._body_bytes += size_bytes
        body = self._payload
        if self._body_bytes > _OVERHEAD_MAX * body.total_bytes + _OVERHEAD_FREE_BYTES:
            self._refuse_body(_BAD_BODY)
        elif not self._discards and not self._count(size_bytes):
            self._refuse_body(_CROWDED)
        elif self._last and body.is_eof():
            self._deaf = True

    def _take_stock(self, count: int, size_bytes: int, *, within_body: bool) -> None:
        """Count requests that came at once, in many pieces, large, or with more to follow."""
        self._end_of_head()
        message, payload = self._messages[-1]
        if type(message) is not RawRequestMessage:
            self._deaf = True
            if within_body:  # by the rules it cannot be read on
                self._refuse_body(_BAD_BODY)
            return
        self._payload = payload
        self._body_bytes = 0
        self._discards = False
        self.unsettled = True
        if message.upgrade:
            # What comes behind it might be meant for another protocol, so nothing of it is read.
            self._last = True
            self._deaf = payload.is_eof()
        newest = itertools.islice(reversed(self._messages), count)
        headers = sum(len(one.raw_headers) for one, _ in newest if not isinstance(one, ErrInfo))
        if self._count(size_bytes + headers * _HEADER_COST_BYTES):
            return
        if payload.is_eof():
            self._messages.pop()
            self._refuse_head(encode_last(_CROWDED))
        else:
            self._refuse_body(_CROWDED)

    def _count(self, size_bytes: int) -> bool:
        """Count bytes as this connection's; False when there are too many of all connections."""
        if not self._terms.received.take(size_bytes):
            return False
        self._counted_bytes += size_bytes
        self.unsettled = True
        return True

    def _give_back(self, size_bytes: int) -> None:
        self._counted_bytes -= size_bytes
        self._terms.received.give_back(size_bytes)

    def _end_of_head(self) -> None:
        self._head_bytes = 0
        if self._head_patience is not None:
            self._head_patience.cancel()
            self._head_patience = None

    def _head_late(self) -> None:
        self._refuse_head(encode_last(_HEAD_LATE))

    def _refuse_head(self, answer: bytes) -> None:
        """Answer what has come of a head, after what came before it, and take no more."""
        self._deaf = True
        self._end_of_head()
        self._messages.append((ErrInfo(400, HeadRefused(answer), ""), EMPTY_PAYLOAD))
        if self._is_idle:
            assert self._waiter is not None
            self._waiter.set_result(None)

    def _refuse_body(self, response: Response) -> None:
        """Take no more of the newest request's body; whoever reads it is told."""
        self._deaf = True
        self.refusal = replace(response, close=True)
        if self.body is self._payload:
            self.body.set_exception(BodyRefused(self.refusal))
        self._stop_discarding()

    def _stop_discarding(self) -> None:
        """End the connection if all that is waited for is the rest of a body nobody wants."""
        if self._discards and not self._payload.is_eof():
            self._payload.feed_eof()
            self.close()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - as the base has it
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request, or a bug; the connection ends."""
        return web.last_words(unparsed(exc, status, message, self._received, self._route))

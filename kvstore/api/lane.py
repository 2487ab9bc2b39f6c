"""The aiohttp lane: brings each request's answer to its bytes.

aiohttp owns connections, parsing, keep-alive and chunked bodies. Its application layer is not
used: it costs as much as everything else together (ARCHITECTURE.md, "Two lanes"), and it would
normalise targets that Consul's contract wants raw. So a response is the few bytes we write, and
what aiohttp needs to know of it.
"""

import asyncio
import logging
import re
from contextlib import suppress
from typing import Any

from multidict import CIMultiDict

from kvstore.api import web
from kvstore.api.connection import BodyRefused, Connection
from kvstore.api.exchange import (
    Answer,
    NeedBody,
    Response,
    Streaming,
    Waiting,
    Working,
    Writing,
)
from kvstore.api.gzip import GZIP_BYTES_MIN, accepts_gzip
from kvstore.api.limits import LARGE_BYTES, READ_AHEAD_BYTES, Terms
from kvstore.api.outgoing import (
    BAD_HOST,
    BAD_REQUEST,
    LAST_CHUNK,
    chunk,
    encode,
    encode_head,
    encode_stream,
    packed,
    packed_aside,
    send_pieces,
)
from kvstore.api.refusals import guarded, refusal
from kvstore.api.responses import UNREAD, plain, text
from kvstore.api.router import BAD_REQUEST as BAD_REQUEST_ANSWER
from kvstore.api.router import Router
from kvstore.api.web import HttpVersion10, HttpVersion11, StreamReader, last_words, outgoing
from kvstore.errors import KVStoreError
from kvstore.state.applied import Read

__all__ = ["Lane"]

log = logging.getLogger(__name__)

# Consul's limit on a request's head (H10), for each of its lines.
_HEAD_BYTES_MAX = 1024 * 1024
_HEADERS_MAX = 1024
# An engine whose re-dial fails loses a watch for good, so idle connections are not given up (rule
# idle-connections-stay); dead peers are found by TCP keep-alive.
_IDLE_S = 3600.0
# How long an unread body is read and dropped, so that the client sees the answer and no reset.
_LINGER_S = 2.0
# What Go takes for a length and for the name of a host, longer ones aside.
_LENGTH_MAX = 2**63 - 1
_HOST = re.compile(r"[!$%&'()*+,.0-9:;=A-Z\[\]_a-z~-]*")

_EXPECTATION_FAILED = plain(417, close=True)
_BAD_HOST_ANSWER = plain(400, "400 Bad Request: malformed Host header", close=True)
_CUT_SHORT = text(500, "unexpected EOF")
_WAITED_FOR = (Writing, Working)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Lane(web.Server):
    """Serves a router on connections that aiohttp keeps."""

    def __init__(self, router: Router, terms: Terms) -> None:
        super().__init__(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_IDLE_S,
            lingering_time=_LINGER_S,
            max_line_size=_HEAD_BYTES_MAX,
            max_field_size=_HEAD_BYTES_MAX,
            max_headers=_HEADERS_MAX,
            read_bufsize=READ_AHEAD_BYTES,
            auto_decompress=False,
        )
        self._router = router
        self._terms = terms
        self._draining = False
        # The ends of the streams under way.
        self._streams: set[asyncio.Timeout] = set()

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self, self._route_unparsed, self._terms, loop=self._loop, **self._kwargs)

    def drain(self) -> None:
        """Take no more requests; each connection ends with the answer under way, or `shutdown`."""
        self._draining = True
        self.pre_shutdown()
        for end in self._streams:
            end.reschedule(self._loop.time())
        self._streams.clear()

    def _route_unparsed(self, method: str, target: str) -> Answer:
        return self._router.dispatch(method, target, CIMultiDict[str]())

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; cancelled when its client is gone, which leaves nothing behind."""
        connection = request.protocol
        assert isinstance(connection, Connection)  # `__call__` makes no others
        answer = await self._answer(request, connection)
        if log.isEnabledFor(logging.DEBUG):
            # Without its query, which may hold a token.
            target, _, _ = request.raw_path.partition("?")
            status = answer.status if isinstance(answer, Response) else 200
            log.debug("%s %s: %d", request.method, target, status)
        if not isinstance(answer, Response):
            return await self._stream(request, connection, answer)
        size_bytes = len(answer.body)
        if size_bytes >= LARGE_BYTES:
            return await self._send_large(request, connection, answer)
        if size_bytes >= GZIP_BYTES_MIN and _takes_packed(request, answer):
            answer = packed(answer)
        return self._finish(request, connection, answer)

    def _finish(
        self, request: web.BaseRequest, connection: Connection, response: Response
    ) -> web.StreamResponse:
        """Return an answer as bytes; its request is done with."""
        if response.close:
            if response is BAD_REQUEST_ANSWER:
                return last_words(BAD_REQUEST)
            if response is _BAD_HOST_ANSWER:
                return last_words(BAD_HOST)
        keep_alive = self._keeps(request, connection, response)
        data = encode(
            response,
            is_head=request.method == "HEAD",
            is_old=request.version < HttpVersion11,
            keep_alive=keep_alive,
        )
        if connection.unsettled:
            connection.settle(request.content)
        return outgoing(data, keep_alive=keep_alive)

    def _keeps(self, request: web.BaseRequest, connection: Connection, response: Response) -> bool:
        """Return whether the connection goes on after an answer."""
        # After an error the body of an Expect may not have been asked for, so that the next
        # request cannot be found on this connection (H37).
        unread = response.status >= 400 and "Expect" in request.headers
        last = unread or response.close or self._draining or connection.is_at_end
        return request.keep_alive and not last

    async def _send_large(
        self, request: web.BaseRequest, connection: Connection, response: Response
    ) -> web.StreamResponse:
        """Send a large answer, which is counted until the client has taken it."""
        if self._terms.answers.is_full:
            return self._finish(request, connection, UNREAD)
        with self._terms.answers.held(len(response.body)):
            if _takes_packed(request, response):
                response = await packed_aside(response)
            keep_alive = self._keeps(request, connection, response)
            is_old = request.version < HttpVersion11
            head = encode_head(response, is_old=is_old, keep_alive=keep_alive)
            if connection.unsettled:
                connection.settle(request.content)
            body = response.body if request.method != "HEAD" else b""
            if request.transport is not None:
                with suppress(ConnectionError):  # it is met again in a moment
                    drain = request.writer.drain
                    await send_pieces(head, body, request.transport, drain, self._terms)
        return outgoing(b"", keep_alive=keep_alive)

    async def _stream(
        self, request: web.BaseRequest, connection: Connection, answer: Streaming
    ) -> web.StreamResponse:
        """Send pieces as they come, until there are no more, the client leaves or we drain."""
        is_old = request.version < HttpVersion11
        keep_alive = request.keep_alive and not is_old and not connection.is_at_end
        if connection.unsettled:
            connection.settle(request.content)
        # A client that sends no more is taken for one that is gone.
        connection.parked = True
        until_drained = asyncio.timeout(None)
        try:
            head = encode_stream(answer.headers, is_old=is_old, keep_alive=keep_alive)
            await outgoing(head, keep_alive=True).prepare(request)
            async with until_drained:
                self._streams.add(until_drained)
                if self._draining:  # its request had come before
                    until_drained.reschedule(self._loop.time())
                async for piece in answer.pieces:
                    data = piece if is_old or not piece else chunk(piece)
                    await outgoing(data, keep_alive=True).prepare(request)
        except TimeoutError:
            if not until_drained.expired():
                raise
        except ConnectionError:
            pass  # it is met again in a moment
        finally:
            connection.parked = False
            self._streams.discard(until_drained)
            await answer.pieces.aclose()
        return outgoing(b"" if is_old else LAST_CHUNK, keep_alive=keep_alive)

    async def _answer(
        self, request: web.BaseRequest, connection: Connection
    ) -> Response | Streaming:
        headers = request.headers
        length = request.content_length if "Content-Length" in headers else None
        unsound = _unsound(request, length)
        if unsound is not None:
            return unsound
        answer = self._router.dispatch(request.method, request.raw_path, headers)
        if isinstance(answer, Response):
            return answer  # as most are: no other kind needs to be asked for
        if isinstance(answer, NeedBody):
            answer = await _with_body(request, connection, answer, length)
        if isinstance(answer, Waiting):
            return await self._wait(connection, answer)
        if isinstance(answer, _WAITED_FOR):
            return await _outcome(answer)
        assert isinstance(answer, Response | Streaming)  # a body is asked for once
        return answer

    async def _wait(self, connection: Connection, waiting: Waiting) -> Response:
        """Wait for a parked query; when the client goes away it is cancelled and forgotten."""
        if connection.half_closed:
            waiting.parked.cancel()
            raise asyncio.CancelledError
        future: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

        def wake(read: Read[Any]) -> None:
            # What was read is looked up again: if a write wakes thousands, they must not hold
            # what they read all at once. But an answer with the old index must not show what is
            # written from now on.
            if future.done():  # the client has left a moment ago
                return
            try:
                future.set_result(waiting.render(read) if waiting.parked.ran_out else None)
            except Exception as bug:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(bug)

        waiting.parked.on_done(wake)
        connection.parked = True
        try:
            response = await future
            if self._terms.answers.is_full:
                await self._terms.answers.room()
            return waiting.render(waiting.parked.look()) if response is None else response
        finally:
            connection.parked = False
            waiting.parked.cancel()


def _unsound(request: web.BaseRequest, length: int | None) -> Response | None:
    """Return what is answered to a head that Go would not take, or take otherwise than we do."""
    version, headers = request.version, request.headers
    if version is not HttpVersion11 and version != HttpVersion10:
        return BAD_REQUEST_ANSWER
    if "Transfer-Encoding" in headers and not _is_chunked(request):
        return BAD_REQUEST_ANSWER
    if length is not None and length > _LENGTH_MAX:
        return BAD_REQUEST_ANSWER
    if not _HOST.fullmatch(headers.get("Host", "")):
        return _BAD_HOST_ANSWER
    if "Expect" in headers and headers["Expect"].lower() != "100-continue":
        return _EXPECTATION_FAILED
    return None


async def _outcome(answer: Writing | Working) -> Response:
    """Wait for a write or for other work; when the client goes away nobody waits any more."""
    try:
        if isinstance(answer, Working):
            return await answer.response
        return answer.render(await answer.outcome)
    except KVStoreError as error:
        return refusal(error)


async def _with_body(
    request: web.BaseRequest, connection: Connection, wanted: NeedBody, length: int | None
) -> Answer:
    """Read a body within its limit and go on with it."""
    if length is not None and length > wanted.limit_bytes:
        return wanted.too_large(length)
    awaited = "Expect" in request.headers and length != 0 and request.version >= (1, 1)
    if awaited and request.transport is not None:
        request.transport.write(_CONTINUE)
    content = request.content
    if content.is_eof() and length is not None:
        # All of it came with the head, as small bodies do: nothing to wait for.
        return guarded(wanted.then, content.read_nowait())
    try:
        body = await _read(connection, content, wanted.limit_bytes)
    except BodyRefused as refused:
        return refused.response
    except web.RequestPayloadError:
        content.feed_eof()  # so that nobody waits for the rest
        return _CUT_SHORT
    return wanted.too_large(None) if body is None else guarded(wanted.then, body)


async def _read(connection: Connection, content: StreamReader, limit_bytes: int) -> bytes | None:
    """Return a whole body; None when it is larger than the limit, which it stops at.

    Raises BodyRefused, or another RequestPayloadError when the client sends no more.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        with connection.reading(content):
            while piece := await content.readany():
                size += len(piece)
                if size > limit_bytes:
                    return None
                pieces.append(piece)
        return b"".join(pieces)
    finally:
        pieces.clear()  # an error that ends it is kept by the body, and keeps this frame


def _is_chunked(request: web.BaseRequest) -> bool:
    """Return whether a Transfer-Encoding is one that we know and the client may send."""
    coding: str = request.headers["Transfer-Encoding"]
    return coding.lower() == "chunked" and request.version >= HttpVersion11


def _takes_packed(request: web.BaseRequest, response: Response) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return response.compressible and accepts_gzip(accepted)

"""The aiohttp lane: brings each request's answer to its bytes.

aiohttp owns connections, parsing, keep-alive and chunked bodies. Its application layer is not
used: it costs as much as everything else together (ARCHITECTURE.md, "Two lanes"), and it would
normalise targets that Consul's contract wants raw. So a response is the few bytes we write, and
what aiohttp needs to know of it.
"""

import asyncio
import logging
import re
import time
from dataclasses import replace
from email.utils import formatdate
from http import HTTPMethod, HTTPStatus
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from multidict import CIMultiDict

from kvstore.api.exchange import Answer, NeedBody, Response, Waiting, Writing
from kvstore.api.gzip import GZIP_BYTES_MIN, accepts_gzip, compress
from kvstore.api.refusals import guarded, refusal
from kvstore.api.responses import plain, text
from kvstore.api.router import BAD_REQUEST, Router
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
# Bodies from here on are compressed in a thread: 256 KiB takes about 3 ms.
_COMPRESS_ASIDE_BYTES = 256 * 1024

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}


def _go_error(text: str) -> bytes:
    """Return what Go's server sends, before any handler, for what is no request to it."""
    head = f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close"
    return f"{head}\r\n\r\n{text}".encode("ascii")


_BAD_REQUEST = _go_error("400 Bad Request")
_NO_HOST = _go_error("400 Bad Request: missing required Host header")
_HEAD_TOO_LARGE = _go_error("431 Request Header Fields Too Large")
_EXPECTATION_FAILED = plain(417, close=True)
# A request line whose target may hold bytes that clients should have escaped. The parser refuses
# them; Go's does not, and neither curl nor a person types %C3%A9 for é.
_RAW_TARGET = re.compile(rb"\A[A-Z]+ /[^ \r\n]*(?= HTTP/1\.[01]\r\n)")
# How much of it is kept for a request that turns out to have a strange method.
_FIRST_LINE_BYTES_MAX = 4096
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Lane(web.Server):
    """Serves a router on connections that aiohttp keeps."""

    def __init__(self, router: Router) -> None:
        super().__init__(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_IDLE_S,
            lingering_time=_LINGER_S,
            max_line_size=_HEAD_BYTES_MAX,
            max_field_size=_HEAD_BYTES_MAX,
            max_headers=_HEADERS_MAX,
            auto_decompress=False,
        )
        self._router = router
        self._date = _Date()
        self._draining = False

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def drain(self) -> None:
        """Take no more requests; each connection ends with the answer under way, or `shutdown`."""
        self._draining = True
        self.pre_shutdown()

    def route(
        self, method: str, target: str, headers: CIMultiDict[str], length: int | None
    ) -> Answer:
        """Return the router's answer, for requests that aiohttp could not parse."""
        return self._router.dispatch(method, target, headers, length)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; cancelled when its client is gone, which leaves nothing behind."""
        response = await self._answer(request)
        if "Expect" in request.headers and response.status >= 400:
            # The body was never asked for, so the next request cannot be found on this connection.
            response = replace(response, close=True)
        gzipped = (
            response.compressible
            and len(response.body) >= GZIP_BYTES_MIN
            and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        )
        if gzipped:
            response = await _compressed(response)
        return self.outgoing(request, response)

    async def _answer(self, request: web.BaseRequest) -> Response:
        headers = request.headers
        if "Expect" in headers and headers["Expect"].lower() != "100-continue":
            return _EXPECTATION_FAILED
        length = request.content_length if "Content-Length" in headers else None
        answer = self._router.dispatch(request.method, request.raw_path, headers, length)
        if isinstance(answer, NeedBody):
            answer = await _with_body(request, answer, length)
        if isinstance(answer, Waiting):
            return await _wait(answer)
        if isinstance(answer, Writing):
            try:
                return answer.render(await answer.outcome)
            except KVStoreError as error:
                return refusal(error)
        assert isinstance(answer, Response)  # a body is asked for once
        return answer

    def outgoing(self, request: web.BaseRequest, response: Response) -> web.StreamResponse:
        """Return what aiohttp takes for a response."""
        if response is BAD_REQUEST:
            return _last_words(_BAD_REQUEST)
        keep_alive = request.keep_alive and not (response.close or self._draining)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s: %d", request.method, _without_query(request), response.status)
        connection = b""
        if not keep_alive:
            connection = b"Connection: close\r\n"
        elif request.version < (1, 1):
            connection = b"Connection: keep-alive\r\n"
        head = b"".join(
            (
                _STATUS_LINES[response.status],
                response.headers,
                self._date.header(),
                connection,
                b"Content-Length: %d\r\n\r\n" % len(response.body),
            )
        )
        data = head if request.method == "HEAD" else head + response.body
        if request.version < (1, 1):
            data = data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        return _outgoing(data, keep_alive=keep_alive)


class _Outgoing:
    """A response as finished bytes."""

    __slots__ = ("_data", "keep_alive")

    def __init__(self, data: bytes, *, keep_alive: bool) -> None:
        self._data = data
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send; waits while the client is slower than we are."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        transport.write(self._data)
        await request.writer.drain()

    async def write_eof(self) -> None:
        """Do nothing: everything has been sent."""


def _outgoing(data: bytes, *, keep_alive: bool) -> web.StreamResponse:
    # aiohttp asks of a response what _Outgoing has; a StreamResponse's other fields are for those
    # who build one.
    return cast(web.StreamResponse, _Outgoing(data, keep_alive=keep_alive))


def _last_words(data: bytes) -> web.StreamResponse:
    return _outgoing(data, keep_alive=False)


class _Connection(web.RequestHandler):
    """One connection; differs from aiohttp's in what it says to requests it cannot parse."""

    __slots__ = ("_received",)

    def __init__(self, lane: Lane, **options: Any) -> None:
        super().__init__(lane, **options)
        # The beginning of what came last, for `_strange_method`.
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        # `_waiter`: pending while no request is under way, so `data` begins with a head.
        if not data.isascii() and self._waiter is not None and not self._waiter.done():
            data = _RAW_TARGET.sub(_escape_target, data, count=1)
        self._received = data[:_FIRST_LINE_BYTES_MAX]
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request, or a bug; the connection ends."""
        lane = self._manager
        if not isinstance(lane, Lane):
            raise ConnectionResetError("the client is gone")
        if isinstance(exc, LineTooLong):
            return _last_words(_HEAD_TOO_LARGE)
        if message is not None and "'Host'" in message:
            return _last_words(_NO_HOST)
        if isinstance(exc, BadHttpMethod):
            response = self._strange_method(lane)
        elif status < 500:
            response = BAD_REQUEST
        else:
            log.error("a bug: a request ended with an error", exc_info=exc)
            response = text(500, "internal error")
        if response is not BAD_REQUEST:
            response = replace(response, close=True)
        return lane.outgoing(request, response)

    def _strange_method(self, lane: Lane) -> Response:
        """Answer a method that the parser does not know as one that is not allowed (H1)."""
        line, _, _ = self._received.partition(b"\r\n")
        parts = line.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return BAD_REQUEST
        method, target = (part.decode("utf-8", "surrogateescape") for part in parts[:2])
        if method in HTTPMethod.__members__:
            # A sound request that came together with what cannot be parsed: not to be done now.
            return BAD_REQUEST
        answer = lane.route(method, target, CIMultiDict(), None)
        return answer if isinstance(answer, Response) else BAD_REQUEST


class _Date:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._header = b""

    def header(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._header = f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        return self._header


def _escape_target(line: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte if byte >= 0x80 else b"%c" % byte for byte in line[0])


async def _wait(waiting: Waiting) -> Response:
    """Wait for a parked query; when the client goes away it is cancelled and forgotten."""
    future: asyncio.Future[Read[Any]] = asyncio.get_running_loop().create_future()

    def wake(read: Read[Any]) -> None:
        if not future.done():  # the client may have left a moment ago
            future.set_result(read)

    waiting.parked.on_done(wake)
    try:
        return waiting.render(await future)
    finally:
        waiting.parked.cancel()


async def _with_body(request: web.BaseRequest, wanted: NeedBody, length: int | None) -> Answer:
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
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := await content.readany():
            size += len(chunk)
            if size > wanted.limit_bytes:
                return wanted.too_large(None)
            chunks.append(chunk)
    except web.RequestPayloadError:
        return text(500, "unexpected EOF")
    return guarded(wanted.then, b"".join(chunks))


async def _compressed(response: Response) -> Response:
    body = response.body
    if len(body) >= _COMPRESS_ASIDE_BYTES:
        packed = await asyncio.to_thread(compress, body)
    else:
        packed = compress(body)
    headers = response.headers + b"Content-Encoding: gzip\r\n"
    return replace(response, headers=headers, body=packed)


def _without_query(request: web.BaseRequest) -> str:
    """Return a target for the log: a query may hold a token."""
    return request.raw_path.partition("?")[0]

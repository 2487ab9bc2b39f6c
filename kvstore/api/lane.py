"""The aiohttp lane: brings each request's answer to its bytes.

aiohttp owns connections, parsing, keep-alive and chunked bodies. Its application layer is not
used: it costs as much as everything else together (ARCHITECTURE.md, "Two lanes"), and it would
normalise targets that Consul's contract wants raw. So a response is the few bytes we write, and
what aiohttp needs to know of it.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Any

from aiohttp import StreamReader, web
from multidict import CIMultiDict

from kvstore.api.connection import Connection
from kvstore.api.exchange import Answer, NeedBody, Response, Waiting, Working, Writing
from kvstore.api.gzip import GZIP_BYTES_MIN, accepts_gzip, compress
from kvstore.api.outgoing import BAD_REQUEST, encode, last_words, outgoing
from kvstore.api.refusals import guarded, refusal
from kvstore.api.responses import plain, text
from kvstore.api.router import BAD_REQUEST as BAD_REQUEST_ANSWER
from kvstore.api.router import Router
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

_EXPECTATION_FAILED = plain(417, close=True)
_CUT_SHORT = text(500, "unexpected EOF")
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
        self._draining = False

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a new connection."""
        return Connection(self, self._route_unparsed, loop=self._loop, **self._kwargs)

    def drain(self) -> None:
        """Take no more requests; each connection ends with the answer under way, or `shutdown`."""
        self._draining = True
        self.pre_shutdown()

    def _route_unparsed(self, method: str, target: str) -> Answer:
        return self._router.dispatch(method, target, CIMultiDict[str]())

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; cancelled when its client is gone, which leaves nothing behind."""
        connection = request.protocol
        assert isinstance(connection, Connection)  # `__call__` makes no others
        response = await self._answer(request, connection)
        if response is BAD_REQUEST_ANSWER:
            return last_words(BAD_REQUEST)
        if log.isEnabledFor(logging.DEBUG):
            # Without its query, which may hold a token.
            target, _, _ = request.raw_path.partition("?")
            log.debug("%s %s: %d", request.method, target, response.status)
        gzipped = (
            response.compressible
            and len(response.body) >= GZIP_BYTES_MIN
            and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        )
        if gzipped:
            response = await _compressed(response)
        # After an error the body of an Expect may not have been asked for, so that the next
        # request cannot be found on this connection (H37).
        unread = response.status >= 400 and "Expect" in request.headers
        last = unread or response.close or self._draining or connection.is_at_end
        keep_alive = request.keep_alive and not last
        data = encode(
            response,
            is_head=request.method == "HEAD",
            is_old=request.version < (1, 1),
            keep_alive=keep_alive,
        )
        return outgoing(data, keep_alive=keep_alive)

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> Response:
        headers = request.headers
        if "Expect" in headers and headers["Expect"].lower() != "100-continue":
            return _EXPECTATION_FAILED
        length = request.content_length if "Content-Length" in headers else None
        answer = self._router.dispatch(request.method, request.raw_path, headers)
        if isinstance(answer, NeedBody):
            answer = await _with_body(request, connection, answer, length)
        if isinstance(answer, Waiting):
            return await _wait(connection, answer)
        if isinstance(answer, Writing | Working):
            return await _outcome(answer)
        assert isinstance(answer, Response)  # a body is asked for once
        return answer


async def _wait(connection: Connection, waiting: Waiting) -> Response:
    """Wait for a parked query; when the client goes away it is cancelled and forgotten."""
    if connection.half_closed:
        waiting.parked.cancel()
        raise asyncio.CancelledError
    future: asyncio.Future[Read[Any]] = asyncio.get_running_loop().create_future()

    def wake(read: Read[Any]) -> None:
        if not future.done():  # the client may have left a moment ago
            future.set_result(read)

    waiting.parked.on_done(wake)
    connection.parked = True
    try:
        return waiting.render(await future)
    finally:
        connection.parked = False
        waiting.parked.cancel()


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
    if connection.half_closed and not content.is_eof():
        return _cut_short(content)
    connection.body = content
    try:
        body = await _read(content, wanted.limit_bytes)
    except web.RequestPayloadError:
        return _cut_short(content)
    finally:
        connection.body = None
    return wanted.too_large(None) if body is None else guarded(wanted.then, body)


def _cut_short(content: StreamReader) -> Response:
    content.feed_eof()  # so that nobody waits for the rest
    return _CUT_SHORT


async def _read(content: StreamReader, limit_bytes: int) -> bytes | None:
    """Return a whole body; None when it is larger than the limit, which it stops at."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await content.readany():
        size += len(chunk)
        if size > limit_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


async def _compressed(response: Response) -> Response:
    body = response.body
    if len(body) >= _COMPRESS_ASIDE_BYTES:
        packed = await asyncio.to_thread(compress, body)
    else:
        packed = compress(body)
    headers = response.headers + b"Content-Encoding: gzip\r\n"
    return replace(response, headers=headers, body=packed)

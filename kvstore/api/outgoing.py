"""Responses as finished bytes, and what aiohttp needs to know of them.

Knows nothing of requests' meaning or of routes.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

from aiohttp import web

from kvstore.api.exchange import Response

__all__ = [
    "BAD_HOST",
    "BAD_REQUEST",
    "HEAD_TOO_LARGE",
    "LAST_CHUNK",
    "NO_HOST",
    "TLS_ON_PLAIN_PORT",
    "TWO_HOSTS",
    "chunk",
    "encode",
    "encode_stream",
    "last_words",
    "outgoing",
]

_STATUS_LINES = {
    status.value: f" {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}


def _go_error(text: str) -> bytes:
    """Return what Go's server sends, before any handler, for what is no request to it."""
    head = f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close"
    return f"{head}\r\n\r\n{text}".encode("ascii")


BAD_REQUEST = _go_error("400 Bad Request")
NO_HOST = _go_error("400 Bad Request: missing required Host header")
TWO_HOSTS = _go_error("400 Bad Request: too many Host headers")
BAD_HOST = _go_error("400 Bad Request: malformed Host header")
# Ours: Go waits for more of what it cannot know to be TLS.
TLS_ON_PLAIN_PORT = _go_error("400 Bad Request: this port speaks plain HTTP, and that was TLS")
HEAD_TOO_LARGE = _go_error("431 Request Header Fields Too Large")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")


def encode(response: Response, *, is_head: bool, is_old: bool, keep_alive: bool) -> bytes:
    """Return the bytes of a response; `is_old` for a client of HTTP/1.0."""
    connection = b""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    elif is_old:
        connection = b"Connection: keep-alive\r\n"
    return b"".join(
        (
            b"HTTP/1.0" if is_old else b"HTTP/1.1",
            _STATUS_LINES[response.status],
            response.headers,
            _date(int(time.time())),
            connection,
            b"Content-Length: %d\r\n\r\n" % len(response.body),
            b"" if is_head else response.body,
        )
    )


def encode_stream(headers: bytes, *, is_old: bool, keep_alive: bool) -> bytes:
    """Return the head of an answer without a known end: in chunks, or up to the end for 1.0."""
    return b"".join(
        (
            b"HTTP/1.0" if is_old else b"HTTP/1.1",
            _STATUS_LINES[200],
            headers,
            _date(int(time.time())),
            b"" if keep_alive else b"Connection: close\r\n",
            b"\r\n" if is_old else b"Transfer-Encoding: chunked\r\n\r\n",
        )
    )


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body in the chunked coding; it must not be empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK = b"0\r\n\r\n"


class _Outgoing:
    """Finished bytes in the place of aiohttp's response."""

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


def outgoing(data: bytes, *, keep_alive: bool) -> web.StreamResponse:
    """Return what aiohttp takes for a response: it asks of one what `_Outgoing` has.

    A StreamResponse's other fields are for those who build one.
    """
    return cast(web.StreamResponse, _Outgoing(data, keep_alive=keep_alive))


def last_words(data: bytes) -> web.StreamResponse:
    """Return the last response of a connection."""
    return outgoing(data, keep_alive=False)

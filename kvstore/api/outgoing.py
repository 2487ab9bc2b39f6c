"""Responses as finished bytes.

Knows nothing of requests' meaning or of routes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from kvstore.api.exchange import Response
from kvstore.api.gzip import compress
from kvstore.api.limits import Terms, reading_patience

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
    "encode_head",
    "encode_stream",
    "packed",
    "packed_aside",
    "send_pieces",
]

# How much of a large answer the system is given at once.
_PIECE_BYTES = 256 * 1024
# Bodies from here on are compressed in a thread: 256 KiB takes about 3 ms.
_COMPRESS_ASIDE_BYTES = 256 * 1024

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


def encode_head(response: Response, *, is_old: bool, keep_alive: bool) -> bytes:
    """Return the head of a response; `is_old` for a client of HTTP/1.0."""
    connection = b""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    elif is_old:
        connection = b"Connection: keep-alive\r\n"
    return b"%b%b%b%b%bContent-Length: %d\r\n\r\n" % (
        b"HTTP/1.0" if is_old else b"HTTP/1.1",
        _STATUS_LINES[response.status],
        response.headers,
        _date(int(time.time())),
        connection,
        len(response.body),
    )


def encode(response: Response, *, is_head: bool, is_old: bool, keep_alive: bool) -> bytes:
    """Return the bytes of a response; `is_old` for a client of HTTP/1.0."""
    head = encode_head(response, is_old=is_old, keep_alive=keep_alive)
    return head if is_head else head + response.body


async def send_pieces(
    head: bytes,
    body: bytes,
    transport: asyncio.Transport,
    until_taken: Callable[[], Awaitable[None]],
    terms: Terms,
) -> None:
    """Send an answer piece by piece, each when the client has taken most of what was sent before.

    At once it would be copied twice, and moved as a whole for each bit that the client takes.
    `until_taken` waits for the client, which is cut off when it is slow.
    """
    unwritten_bytes = len(body)
    patience = reading_patience(terms.clock, terms.limits, transport, lambda: unwritten_bytes)
    try:
        transport.write(head)
        rest = memoryview(body)
        while rest:
            await until_taken()
            transport.write(rest[:_PIECE_BYTES])
            rest = rest[_PIECE_BYTES:]
            unwritten_bytes = len(rest)
        await until_taken()
    finally:
        patience.cancel()


def packed(response: Response) -> Response:
    """Return a response with its body compressed, which is done once for each response.

    Holds up the caller 10 ms a megabyte, but not the GIL.
    """
    if response.packed is None:
        headers = response.headers + b"Content-Encoding: gzip\r\n"
        body = compress(response.body)
        response.packed = replace(response, headers=headers, body=body, packing=None)
    return response.packed


async def packed_aside(response: Response) -> Response:
    """Return a response with its body compressed; a large one is done in a thread, once.

    However many clients wait for it, and however many of them leave.
    """
    if response.packed is not None or len(response.body) < _COMPRESS_ASIDE_BYTES:
        return packed(response)
    if response.packing is None:
        response.packing = asyncio.ensure_future(asyncio.to_thread(packed, response))
    return await asyncio.shield(response.packing)


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

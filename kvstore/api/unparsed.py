"""What comes on a connection and is no request to aiohttp's parser: put right, or answered.

Go's HTTP server takes some of it, and has its own words for the rest.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPMethod

from kvstore.api.exchange import Answer, Response
from kvstore.api.outgoing import (
    BAD_REQUEST,
    HEAD_TOO_LARGE,
    NO_HOST,
    TLS_ON_PLAIN_PORT,
    TWO_HOSTS,
    encode,
)
from kvstore.api.responses import BUG, INTERNAL_ERROR
from kvstore.api.router import BAD_REQUEST as BAD_REQUEST_ANSWER
from kvstore.api.web import BadHttpMethod, HttpProcessingError, LineTooLong

__all__ = ["FIRST_LINE_BYTES_MAX", "HeadRefused", "encode_last", "escape_target", "unparsed"]

log = logging.getLogger(__name__)

# How much of what came last `unparsed` wants to see.
FIRST_LINE_BYTES_MAX = 4096
# A request line whose target may hold bytes that clients should have escaped. The parser refuses
# them; Go's does not, and neither curl nor a person types %C3%A9 for é.
_RAW_TARGET = re.compile(rb"\A[A-Z]+ /[^ \r\n]*(?= HTTP/1\.[01]\r\n)")
# A request line whose method the parser does not know; what the rest may be made of, the parser
# has not looked at. Source: RFC 9110, 5.6.2, for the method.
_STRANGE_METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/1\.[01]\r\n")
_TLS_HANDSHAKE = b"\x16\x03"


class HeadRefused(HttpProcessingError):
    """Stands in the place of a request whose head is not taken any further."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(message="refused")
        self.answer = answer


def escape_target(data: bytes) -> bytes:
    """Return what begins with a head, with its target escaped where it should have been."""
    return _RAW_TARGET.sub(_escape, data, count=1)


def _escape(line: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte if byte >= 0x80 else b"%c" % byte for byte in line[0])


def unparsed(
    error: BaseException | None,
    status: int,
    message: str | None,
    received: bytes,
    route: Callable[[str, str], Answer],
) -> bytes:
    """Return the last words to a client that sent no request, or that met a bug, which is logged.

    The first three are what aiohttp says of it; `received` is the beginning of what came last, and
    `route` answers a method and a target.
    """
    if isinstance(error, HeadRefused):
        return error.answer
    if isinstance(error, LineTooLong):
        return HEAD_TOO_LARGE
    if message is not None and "'Host'" in message:
        return NO_HOST if "Missing" in message else TWO_HOSTS
    if isinstance(error, BadHttpMethod):
        if received.startswith(_TLS_HANDSHAKE):
            return TLS_ON_PLAIN_PORT
        answer = _strange_method(received, route)
    elif status < 500:
        answer = None
    else:
        log.error(BUG, exc_info=error)
        answer = INTERNAL_ERROR
    return BAD_REQUEST if answer is None else encode_last(answer)


def _strange_method(received: bytes, route: Callable[[str, str], Answer]) -> Response | None:
    """Answer a method that the parser does not know as one that is not allowed (H1).

    None when there is no such request line, but for instance a sound request that came together
    with what cannot be parsed: that is not to be done now.
    """
    line = _STRANGE_METHOD.match(received)
    if line is None:
        return None
    method, target = (part.decode("utf-8", "surrogateescape") for part in line.groups())
    if method in HTTPMethod.__members__:
        return None
    answer = route(method, target)
    if not isinstance(answer, Response) or answer is BAD_REQUEST_ANSWER:
        return None
    return answer


def encode_last(response: Response) -> bytes:
    """Return the bytes of a response after which the connection ends."""
    return encode(replace(response, close=True), is_head=False, is_old=False, keep_alive=False)

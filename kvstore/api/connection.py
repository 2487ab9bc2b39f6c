"""One connection: aiohttp's, but for what Go's HTTP server takes and aiohttp's parser does not.

It looks at its base's state in two places (`_waiter`, `_messages`), which is why pyproject.toml
holds aiohttp to one minor version.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPMethod
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from kvstore.api.exchange import Answer, Response
from kvstore.api.outgoing import BAD_REQUEST, HEAD_TOO_LARGE, NO_HOST, encode, last_words
from kvstore.api.responses import text
from kvstore.api.router import BAD_REQUEST as BAD_REQUEST_ANSWER

__all__ = ["Connection"]

log = logging.getLogger(__name__)

# A request line whose target may hold bytes that clients should have escaped. The parser refuses
# them; Go's does not, and neither curl nor a person types %C3%A9 for é.
_RAW_TARGET = re.compile(rb"\A[A-Z]+ /[^ \r\n]*(?= HTTP/1\.[01]\r\n)")
# How much of what came last is kept for a request that turns out to have a strange method.
_FIRST_LINE_BYTES_MAX = 4096


class Connection(web.RequestHandler):
    """One client's connection.

    `route` answers a method and a target, for requests that aiohttp could not parse.
    """

    __slots__ = ("_received", "_route", "body", "half_closed", "parked")

    def __init__(
        self, lane: web.Server, route: Callable[[str, str], Answer], **options: Any
    ) -> None:
        super().__init__(lane, **options)
        self._route = route
        # The beginning of what came last, for `_strange_method`.
        self._received = b""
        # The body that is being waited for.
        self.body: StreamReader | None = None
        # Whether a query of this client is parked.
        self.parked = False
        # Whether the client has said that it will send no more.
        self.half_closed = False

    @property
    def is_at_end(self) -> bool:
        """Whether no request can follow those that have come."""
        return self.half_closed and not self._messages

    @property
    def _is_idle(self) -> bool:
        """Whether no request is under way, so that what comes begins with a head."""
        return self._waiter is not None and not self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if not data.isascii() and self._is_idle:
            data = _RAW_TARGET.sub(_escape_target, data, count=1)
        self._received = data[:_FIRST_LINE_BYTES_MAX]
        super().data_received(data)

    # The base says None and asyncio takes a bool: True keeps the connection open for answers.
    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what is under way though the client sends no more; `nc -N` and others do that.

        But a query that is parked is given up: a client that is gone looks the same from here.
        """
        if self._is_idle or self.parked:
            return False
        self.half_closed = True
        if self.body is not None:
            self.body.set_exception(web.RequestPayloadError("the client sends no more"))
        return True

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - as the base has it
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request, or a bug; the connection ends."""
        if isinstance(exc, LineTooLong):
            return last_words(HEAD_TOO_LARGE)
        if message is not None and "'Host'" in message:
            return last_words(NO_HOST)
        if isinstance(exc, BadHttpMethod):
            answer = self._strange_method()
        elif status < 500:
            answer = None
        else:
            log.error("a bug: a request ended with an error", exc_info=exc)
            answer = text(500, "internal error")
        if answer is None:
            return last_words(BAD_REQUEST)
        answer = replace(answer, close=True)
        return last_words(encode(answer, is_head=False, is_old=False, keep_alive=False))

    def _strange_method(self) -> Response | None:
        """Answer a method that the parser does not know as one that is not allowed (H1).

        None when there is no such request line, but for instance a sound request that came
        together with what cannot be parsed: that is not to be done now.
        """
        line, _, _ = self._received.partition(b"\r\n")
        parts = line.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return None
        method, target = (part.decode("utf-8", "surrogateescape") for part in parts[:2])
        if method in HTTPMethod.__members__:
            return None
        answer = self._route(method, target)
        if not isinstance(answer, Response) or answer is BAD_REQUEST_ANSWER:
            return None
        return answer


def _escape_target(line: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte if byte >= 0x80 else b"%c" % byte for byte in line[0])

"""A raw-socket HTTP/1.x client that sends exact bytes and hides nothing of the answer.

HTTP libraries normalise targets, join headers and follow redirects; a conformance suite must not.
Knows nothing of Consul, of keys or of sessions.
"""

import gzip
import json
import socket
import ssl
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from conformance.suite.layout import compact

ANSWER_WITHIN_S = 10.0
"""Longest wait for an answer that should come at once; generous, since two cores are shared."""

FINAL = 200
"""Statuses below this one announce another answer."""

BODILESS = {204, 304}

Headers = Iterable[tuple[str, str]]


class ConnectionEnded(Exception):
    """The peer closed the connection before a whole answer had come; `received` is what did."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"connection ended after {len(received)} bytes: {received[:200]!r}")
        self.received = received


class NotAnswered(Exception):
    """No whole answer came in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: the status line, headers with casing and order, the body as sent.

    `body` has its transfer coding undone, but not its content coding (see `plain`).
    `interim` holds the 1xx statuses that came before.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[int, ...] = ()

    def get(self, name: str) -> str | None:
        """Return the value of the header spelt exactly like `name`, or None."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def plain(self) -> bytes:
        """The body with gzip undone."""
        if self.get("Content-Encoding") != "gzip" or not self.body:
            return self.body
        return zlib.decompress(self.body, wbits=31)

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 survive as surrogates."""
        return self.body.decode("utf-8", "surrogateescape")

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def index(self) -> int:
        """The number in X-Consul-Index; AssertionError when there is none."""
        value = self.get("X-Consul-Index") or ""
        if not value.isdecimal():
            raise AssertionError(f"no number in X-Consul-Index of {self}")
        return int(value)

    def __str__(self) -> str:
        """Show the answer as it would stand in the contract."""
        names = "".join(f"\n  {name}: {value}" for name, value in self.headers)
        return f"{self.status} {self.reason}{names}\n  {self.body[:600]!r}"


def encode_request(
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    headers: Headers = (),
    chunked: bool = False,
    version: str = "HTTP/1.1",
    host: str | None = "127.0.0.1",
) -> bytes:
    """Build the bytes of one request; each character of `target` is one byte (latin-1).

    A body gets a Content-Length, or with `chunked` goes out in pieces of 60,000 bytes.
    `host=None` leaves the Host header out.
    """
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if chunked:
        return head + encode_chunks(body or b"")
    return head + (body or b"")


def encode_chunks(body: bytes, size_bytes: int = 60_000) -> bytes:
    """Return `body` in the chunked transfer coding, end mark included."""
    pieces = [body[at : at + size_bytes] for at in range(0, len(body), size_bytes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Connection:
    """A connection over an open socket, plain or TLS; answers come in the order of requests.

    With `compacts`, bodies of JSON are given without the blanks between their tokens.
    """

    def __init__(self, opened: socket.socket, *, compacts: bool = False) -> None:
        self._socket = opened
        self._compacts = compacts
        self._buffer = bytearray()
        self._deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; harmless when it is closed already."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`; a peer that has already closed is not an error here."""
        self._socket.settimeout(ANSWER_WITHIN_S)
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            self._socket.sendall(data)  # `read` tells what it answered

    def end_sending(self) -> None:
        """Half-close: tell the peer that no more bytes will come.

        Below TLS, whose own way to say so ends reading too.
        """
        socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def silent_for(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when the peer sent nothing and kept the connection."""
        if self._buffer:
            return False
        self._deadline = time.monotonic() + seconds
        try:
            self._receive()
        except NotAnswered:
            return True
        return False

    def ended(self, within_s: float = ANSWER_WITHIN_S) -> bool:
        """Return whether the peer closes without sending another byte, within that time."""
        self._deadline = time.monotonic() + within_s
        try:
            return not self._buffer and not self._receive()
        except NotAnswered:
            return False

    def read(self, method: str = "GET", within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Read one whole answer to a request of that method, 1xx before it included.

        Raises NotAnswered when it does not come in time, ConnectionEnded when it never will.
        """
        self._deadline = time.monotonic() + within_s
        interim = []
        while True:
            status, reason, headers = self._read_head()
            if status >= FINAL:
                break
            interim.append(status)
        body = b"" if method == "HEAD" or status in BODILESS else self._read_body(headers)
        answer = Answer(status, reason, headers, body, tuple(interim))
        return _compacted(answer) if self._compacts else answer

    def read_interim(self, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Read the head of the next answer, which may be a 1xx; a body is left unread.

        Raises as `read` does.
        """
        self._deadline = time.monotonic() + within_s
        return Answer(*self._read_head(), b"")

    def _read_head(self) -> tuple[int, str, tuple[tuple[str, str], ...]]:
        head = self._read_until(b"\r\n\r\n").decode("latin-1")
        first, *rest = head.split("\r\n")
        _, status, reason = first.split(" ", 2)
        pairs = (line.split(": ", 1) if ": " in line else [line[:-1], ""] for line in rest)
        return int(status), reason, tuple((name, value) for name, value in pairs)

    def _read_body(self, headers: tuple[tuple[str, str], ...]) -> bytes:
        known = {name.lower(): value for name, value in headers}
        if known.get("transfer-encoding") == "chunked":
            return self._read_chunks()
        if "content-length" in known:
            return self._read_exactly(int(known["content-length"]))
        while self._receive():
            pass
        body = bytes(self._buffer)
        self._buffer.clear()
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._read_until(b"\r\n").split(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_exactly(2)
        while self._read_until(b"\r\n"):
            pass  # trailers
        return bytes(body)

    def _read_until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if not self._receive():
                raise ConnectionEnded(bytes(self._buffer))
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return taken

    def _read_exactly(self, size_bytes: int) -> bytes:
        while len(self._buffer) < size_bytes:
            if not self._receive():
                raise ConnectionEnded(bytes(self._buffer))
        taken = bytes(self._buffer[:size_bytes])
        del self._buffer[:size_bytes]
        return taken

    def _receive(self) -> bool:
        """Take more bytes into the buffer; False when the peer has closed."""
        self._socket.settimeout(max(0.0, self._deadline - time.monotonic()))
        try:
            data = self._socket.recv(1 << 16)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            so_far = f"; so far {bytes(self._buffer[:200])!r}" if self._buffer else ""
            raise NotAnswered(f"no answer in time{so_far}") from None
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        self._buffer += data
        return bool(data)


def _compacted(answer: Answer) -> Answer:
    """Return the answer with its JSON compact; its content coding stays."""
    if answer.get("Content-Type") != "application/json" or not answer.body:
        return answer
    body = compact(answer.plain)
    if answer.get("Content-Encoding") == "gzip":
        body = gzip.compress(body, mtime=0)
    return replace(answer, body=body)

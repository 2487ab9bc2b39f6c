"""Ordinary requests, recognised by their bytes: those that the fast lane takes.

A client sends the same header lines with every request, so they are looked at once and remembered
as they are; what is left to parse is the request line. Whatever is not plainly what every client
of the KV API sends is not recognised, which says nothing about it: aiohttp's parser decides.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from multidict import CIMultiDict

from kvstore.api.gzip import accepts_gzip

__all__ = ["Ordinary", "Recogniser"]

# Targets that need escapes decoded or slashes cleaned are fine, the router does that; bytes that
# should have been escaped are not.
_LINE = re.compile(
    rb"(GET|PUT|DELETE) "
    rb"(/v1/(?:kv/|session/|txn|status/)[!$%&'()*+,./0-9:;=?@A-Z_a-z~-]*) HTTP/1\.1\r\n"
)
_HEADER = re.compile(rb"([A-Za-z0-9-]+): ?([!-~](?:[ !-~]*[!-~])?|)")
_HOST = re.compile(r"[0-9A-Za-z.:_\[\]-]+")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,8}")
# They change how the message or the connection is to be read.
_TELLING = frozenset(
    {"expect", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# They are about the message, the connection or the client, and no endpoint looks at them.
_NO_CONCERN = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length"}
)
# Much cheaper to look something up in.
_NONE: Mapping[str, str] = MappingProxyType({})
# Header lines as a whole; more, or longer ones, are remembered by nobody.
_LINES_BYTES_MAX = 2048
_LINES_MAX = 32
# Different lines that are remembered: some megabytes, if somebody wants them to be.
_REMEMBERED_MAX = 1024
_METHODS = {b"GET": "GET", b"PUT": "PUT", b"DELETE": "DELETE"}


@dataclass(slots=True)
class _Lines:
    """What the header lines of a request say."""

    headers: Mapping[str, str]
    length_bytes: int
    accepts_gzip: bool


@dataclass(slots=True)
class Ordinary:
    """A whole request of HTTP/1.1 on a connection that is to be kept."""

    method: str
    # As it was sent.
    target: str
    # Case-insensitive; none when all that are there are no endpoint's concern.
    headers: Mapping[str, str]
    body: bytes
    accepts_gzip: bool


class Recogniser:
    """Remembers header lines, at most so many; one for all connections."""

    def __init__(self, remembered_max: int = _REMEMBERED_MAX) -> None:
        self._remembered_max = remembered_max
        # None: lines that are not ordinary.
        self._remembered: dict[bytes, _Lines | None] = {}

    def recognise(self, data: bytes) -> Ordinary | None:
        """Return the one request that `data` is.

        None when it is not ordinary, not yet whole, or has something behind it.
        """
        line = _LINE.match(data)
        if line is None:
            return None
        end = data.find(b"\r\n\r\n", line.end() - 2)
        if end < 0:
            return None
        text = data[line.end() : end + 2]
        lines = self._remembered[text] if text in self._remembered else self._learn(text)
        if lines is None:
            return None
        body = data[end + 4 :]
        if len(body) != lines.length_bytes:
            return None
        method, target = line.groups()
        if body and method != b"PUT":
            return None
        return Ordinary(
            _METHODS[method], target.decode("ascii"), lines.headers, body, lines.accepts_gzip
        )

    def missing_bytes(self, data: bytes) -> int:
        """Return how much of its body an ordinary request still lacks; 0 for everything else.

        For what `recognise` has not recognised.
        """
        line, end = _LINE.match(data), data.find(b"\r\n\r\n")
        if line is None or end < line.end() - 2:
            return 0
        lines = self._remembered.get(data[line.end() : end + 2])
        if lines is None or line[1] != b"PUT":
            return 0
        return max(0, lines.length_bytes - (len(data) - end - 4))

    def _learn(self, text: bytes) -> _Lines | None:
        if len(text) > _LINES_BYTES_MAX:
            return None
        if len(self._remembered) >= self._remembered_max:
            self._remembered.clear()
        lines = self._remembered[text] = _parse(text)
        return lines


def _parse(text: bytes) -> _Lines | None:
    """Return what header lines say; None when they are not ordinary."""
    headers: CIMultiDict[str] = CIMultiDict()
    texts = text.split(b"\r\n")[:-1]
    if len(texts) > _LINES_MAX:
        return None
    for one in texts:
        header = _HEADER.fullmatch(one)
        if header is None:
            return None
        name, value = (part.decode("ascii") for part in header.groups())
        if name in headers or name.lower() in _TELLING:
            return None
        headers[name] = value
    length = headers.get("Content-Length", "0")
    keeps = headers.get("Connection", "keep-alive").lower() == "keep-alive"
    if not (keeps and _HOST.fullmatch(headers.get("Host", "")) and _LENGTH.fullmatch(length)):
        return None
    gzip = accepts_gzip(headers.get("Accept-Encoding", ""))
    concern = any(name.lower() not in _NO_CONCERN for name in headers)
    return _Lines(headers if concern else _NONE, int(length), gzip)

"""The responses there are: which headers go with what (contract 1.4)."""

from dataclasses import replace

from kvstore.api.exchange import Response
from kvstore.api.query import Query
from kvstore.api.render import indent

__all__ = [
    "BUG",
    "INTERNAL_ERROR",
    "KNOWN_LEADER",
    "NOT_LOOKED",
    "UNREAD",
    "archive",
    "empty",
    "index_headers",
    "json_response",
    "not_found",
    "plain",
    "raw_value",
    "redirect",
    "text",
    "too_large",
]

_VARY = b"Vary: Accept-Encoding\r\n"
_JSON = b"Content-Type: application/json\r\n" + _VARY
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n" + _VARY
_ARCHIVE = b"Content-Type: application/x-gzip\r\n" + _VARY
# Source: Consul's fix of CVE-2020-25864: a stored value must never run in a browser.
_RAW = (
    b"Content-Type: text/plain\r\n"
    + _VARY
    + b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n"
)

# What Consul sends with an error of its store: it has not looked yet (contract 1.4).
NOT_LOOKED = b"X-Consul-Index: 1\r\nX-Consul-Knownleader: false\r\nX-Consul-Lastcontact: 0\r\n"


# What goes with every read: one server always knows its leader (H22).
KNOWN_LEADER = b"X-Consul-Knownleader: true\r\nX-Consul-Lastcontact: 0\r\n"


def index_headers(index: int) -> bytes:
    """Return the headers of a read; the index is never 0 (H21)."""
    return b"X-Consul-Index: %d\r\n%s" % (index or 1, KNOWN_LEADER)


def json_response(
    query: Query, body: bytes, headers: bytes = b"", *, status: int = 200
) -> Response:
    """Return a JSON body, indented if the client asked for it."""
    return Response(status, _JSON + headers, indent(body) if "pretty" in query else body)


def raw_value(value: bytes, headers: bytes) -> Response:
    """Return a stored value as it is."""
    return Response(200, _RAW + headers, value)


def archive(body: bytes, headers: bytes) -> Response:
    """Return a snapshot archive; it is compressed already, and not once more as in Consul."""
    return Response(200, _ARCHIVE + headers, body, compressible=False)


def not_found(headers: bytes) -> Response:
    """Return the answer for a key or prefix that is not there: no body."""
    return Response(404, _VARY + headers)


def text(status: int, message: str, headers: bytes = b"") -> Response:
    """Return an error as Consul does: its text, nothing else (H25)."""
    return Response(status, _TEXT + headers, message.encode("utf-8", "surrogateescape"))


def too_large(size_bytes: int | None, *, max_bytes: int, advice: str = "") -> Response:
    """Return the refusal of a body that is larger than it may be, with its size if it is known."""
    size = "" if size_bytes is None else f"({size_bytes} bytes)"
    return text(413, f"Request body{size} too large, max size: {max_bytes} bytes.{advice}")


def empty(status: int, headers: bytes = b"") -> Response:
    """Return an answer without a body on a known route."""
    return Response(status, _VARY + headers)


def plain(status: int, message: str = "", *, close: bool = False) -> Response:
    """Return what Consul's HTTP server answers before any route: no Vary, never compressed."""
    headers = b"Content-Type: text/plain; charset=utf-8\r\n" if message else b""
    return Response(status, headers, message.encode(), compressible=False, close=close)


def redirect(location: str, page: str) -> Response:
    """Return a 301; `page` is for a GET and empty for other methods (H7)."""
    headers = f"Location: {location}\r\n"
    if page:
        headers += "Content-Type: text/html; charset=utf-8\r\n"
    body = page.encode("utf-8", "surrogateescape")
    return Response(301, headers.encode("latin-1"), body, compressible=False)


# What is logged and answered when a request ends with an error that nobody expected.
BUG = "a bug: a request ended with an error"
INTERNAL_ERROR = replace(text(500, "internal error"), close=True)
# What is answered in the place of a large answer when too many are waiting (`limits.Answers`).
UNREAD = text(503, "too many large answers wait for clients to read them: try again")

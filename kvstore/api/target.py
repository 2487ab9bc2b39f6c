"""The request target: from raw bytes to a decoded, clean path, in Consul's order (contract 1.2)."""

import html
import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache

from kvstore.api.gotext import is_printable, path_escape, path_unescape
from kvstore.errors import InvalidRequest

__all__ = ["KV_PREFIX", "Target", "parse_target", "redirect_location"]

KV_PREFIX = b"/v1/kv/"
# Longer ones are not remembered: a thousand of a megabyte each would take gigabytes.
_REMEMBERED_CHARS_MAX = 1024
_SLASHES = re.compile(rb"//+")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    # Decoded, not cleaned.
    path: bytes
    # As sent, with its "?"; empty without one.
    raw_query: str
    # `path` without empty and dot segments; the same when it has none.
    clean: bytes

    @property
    def doubles_slashes_of_a_key(self) -> bool:
        """Whether this names a key, and would do so cleanly but for doubled slashes.

        Dot segments could lead to another key than the one meant, and nothing but slashes behind
        the prefix to the whole store: neither counts.
        """
        return (
            self.clean != self.path
            and self.clean == _SLASHES.sub(b"/", self.path)
            and self.clean.startswith(KV_PREFIX)
            and self.clean != KV_PREFIX
        )

    @property
    def printable(self) -> bool:
        """Whether Consul takes this path at all; undecodable bytes count as printable."""
        return is_printable(self.path.decode("utf-8", "replace"))


def parse_target(raw: str) -> Target:
    """Return the parts of a request target; an absolute one loses its scheme and host (H9).

    Raises InvalidRequest when it is no target at all (an escape that is none, no leading slash).
    """
    return _remembered(raw) if len(raw) <= _REMEMBERED_CHARS_MAX else _parse(raw)


def _parse(raw: str) -> Target:
    absolute = _ABSOLUTE.match(raw)
    if absolute is not None:
        raw = raw[absolute.end() :]
        if not raw.startswith("/"):
            raw = f"/{raw}"
    raw_path, mark, raw_query = raw.partition("?")
    path = path_unescape(raw_path.encode("utf-8", "surrogateescape"))
    if not path.startswith(b"/"):
        raise InvalidRequest("the request target does not start with /")
    return Target(path, mark + raw_query, _clean(path))


_remembered = lru_cache(maxsize=1024)(_parse)


def _clean(path: bytes) -> bytes:
    """Return a path as Go's ServeMux cleans it; a trailing slash stays."""
    clean = posixpath.normpath(path)
    if clean.startswith(b"//"):  # POSIX gives two leading slashes a meaning, Go does not
        clean = clean[1:]
    if path.endswith(b"/") and clean != b"/":
        clean += b"/"
    return clean


def redirect_location(path: bytes, raw_query: str) -> tuple[str, str]:
    """Return the Location of a redirect and the page that goes with it for a GET (H7)."""
    location = path_escape(path) + raw_query
    page = f'<a href="{_escape_html(location)}">Moved Permanently</a>.\n\n'
    escaped = "".join(
        chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}"
        for byte in location.encode("utf-8", "surrogateescape")
    )
    return escaped, page


def _escape_html(text: str) -> str:
    """Escape as Go's http.Redirect does."""
    return html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")

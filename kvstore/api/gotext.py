"""Texts as Go writes them: Consul's error messages carry them and clients match on some."""

import re
from collections.abc import Iterable

from kvstore.errors import InvalidRequest

__all__ = [
    "is_printable",
    "parse_uint64",
    "path_escape",
    "path_unescape",
    "query_escape",
    "query_unescape",
    "quote",
]

_UINT64_MAX = 2**64 - 1
_UINT64_DIGITS = len(str(_UINT64_MAX))
_DIGITS = re.compile("[0-9]*")
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_PERCENT = re.compile(rb"%(..?|\Z)", re.DOTALL)
_HEX_PAIR = re.compile(rb"[0-9A-Fa-f]{2}")
_QUERY_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_PATH_SAFE = _QUERY_SAFE | frozenset(b"$&+,/:;=@")


def is_printable(text: str) -> bool:
    """Return whether every character is printable to Go: of the spaces, only ASCII's.

    Source: unicode.IsPrint, which Python's `isprintable` agrees with.
    """
    return text.isprintable()


def quote(text: str) -> str:
    """Return a text in Go's double quotes. Source: strconv.Quote."""
    return f'"{"".join(map(_quote_one, text))}"'


def _quote_one(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte
        return f"\\x{code - 0xDC00:02x}"
    if is_printable(char):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_uint64(text: str) -> int:
    """Return a decimal number of 0 to 2**64-1; leading zeros are fine, signs are not.

    Raises InvalidRequest with the text of strconv.ParseUint.
    """
    digits = _DIGITS.match(text)[0].lstrip("0")  # type: ignore[index]  # it matches any text
    # Go reads from the left, so a number that is too large already is not looked at any further.
    if len(digits) > _UINT64_DIGITS or int(digits or "0") > _UINT64_MAX:
        raise InvalidRequest(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return int(digits or "0")


def path_unescape(raw: bytes) -> bytes:
    """Return a path with its percent escapes decoded, once; "+" stays.

    Raises InvalidRequest on an escape that is none.
    """
    return _unescape(raw) if b"%" in raw else raw


def query_unescape(raw: bytes) -> bytes:
    """Return a part of a query with "+" and percent escapes decoded. Raises InvalidRequest."""
    return path_unescape(raw.replace(b"+", b" "))


def _unescape(raw: bytes) -> bytes:
    def decode(found: re.Match[bytes]) -> bytes:
        if not _HEX_PAIR.fullmatch(found[1]):
            raise InvalidRequest(f"invalid URL escape {quote(found[0].decode('latin-1'))}")
        return bytes.fromhex(found[1].decode("ascii"))

    return _PERCENT.sub(decode, raw)


def path_escape(path: bytes) -> str:
    """Return a path escaped as Go's URL.String does."""
    return _escape(path, _PATH_SAFE)


def query_escape(text: bytes) -> str:
    """Return a name or value of a query escaped as url.QueryEscape does."""
    return _escape(text, _QUERY_SAFE).replace("%20", "+")


def _escape(data: Iterable[int], safe: frozenset[int]) -> str:
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in data)

"""Texts as Go writes them: Consul's error messages carry them and clients match on some."""

import re
from binascii import unhexlify

from kvstore.errors import InvalidRequest

__all__ = [
    "is_printable",
    "parse_bool",
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
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPES_IN_A_ROW = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_QUERY_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_PATH_SAFE = _QUERY_SAFE | frozenset(b"$&+,/:;=@")


def _escapes(safe: frozenset[int]) -> tuple[str, ...]:
    """Return what stands for each byte."""
    return tuple(chr(byte) if byte in safe else f"%{byte:02X}" for byte in range(256))


_PATH_ESCAPES = _escapes(_PATH_SAFE)
_QUERY_ESCAPES = tuple(one.replace("%20", "+") for one in _escapes(_QUERY_SAFE))


def is_printable(text: str) -> bool:
    """Return whether every character is printable to Go: of the spaces, only ASCII's.

    Source: unicode.IsPrint, which Python's `isprintable` agrees with.
    """
    return text.isprintable()


def quote(text: str) -> str:
    """Return a text in Go's double quotes. Source: strconv.Quote."""
    # Each character once: a text may be a megabyte of few different ones.
    quoted = text.translate({ord(char): _quote_one(char) for char in set(text)})
    return f'"{quoted}"'


def _quote_one(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte
        return f"\\x{code - 0xDC00:02x}"
    if is_printable(char):
        return char
    if code < 0x20:  # and not 0x7f, up to Go 1.15
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_bool(text: str) -> bool | None:
    """Return what a text says, None when it says neither. Source: strconv.ParseBool."""
    return _BOOLEANS.get(text)


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
    """Decode escapes by runs, since a target may be a megabyte of them."""
    bad = _BAD_ESCAPE.search(raw)
    if bad is not None:
        escape = raw[bad.start() : bad.start() + 3].decode("latin-1")
        raise InvalidRequest(f"invalid URL escape {quote(escape)}")
    return _ESCAPES_IN_A_ROW.sub(_decode, raw)


def _decode(run: re.Match[bytes]) -> bytes:
    return unhexlify(run[0].replace(b"%", b""))


def path_escape(path: bytes) -> str:
    """Return a path escaped as Go's URL.String does."""
    return "".join([_PATH_ESCAPES[byte] for byte in path])


def query_escape(text: bytes) -> str:
    """Return a name or value of a query escaped as url.QueryEscape does."""
    return "".join([_QUERY_ESCAPES[byte] for byte in text])

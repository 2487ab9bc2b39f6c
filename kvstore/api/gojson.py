"""JSON as Go's encoding/json reads it, with its words for what is wrong. Pure.

Members match in any letter case, the last of two wins, and whatever follows the first JSON value is
ignored (H31). A number keeps its digits, so that whoever wants it decides what fits.
"""

import json
import re
from binascii import a2b_base64
from typing import Any

from kvstore.errors import InvalidRequest

__all__ = ["Members", "Number", "bytes_of", "decode", "text_of", "uint_of", "wrong_type"]

_WHITESPACE = " \t\r\n"
# Half of a surrogate pair, which JSON can spell and UTF-8 cannot; or a byte that is not UTF-8.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# What is left where Python's decoder stops in a text that is cut off: nothing, or the beginning of
# a word, of the rest of a number, or of an escape.
_CUT_OFF = re.compile(r"|t(ru?)?|f(a(ls?)?)?|n(ul?)?|-|\.|[eE][+-]?|u[0-9A-Fa-f]{0,4}")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# How Go says what Python's decoder says.
_GO_REASONS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
}


class Members(list[tuple[str, Any]]):
    """The members of a JSON object in their order; a class, so that a list is not taken for one."""


class Number(str):
    """A JSON number as it was typed."""

    __slots__ = ()


def decode(body: bytes) -> Any:
    """Return the first JSON value of a body: Members, lists, texts, Numbers, bool or None.

    Raises InvalidRequest with Go's text.
    """
    text = body.decode("utf-8", "surrogateescape").lstrip(_WHITESPACE)
    if not text:
        raise InvalidRequest("EOF")
    decoder = json.JSONDecoder(
        object_pairs_hook=Members,
        parse_int=Number,
        parse_float=Number,
        parse_constant=_refuse_constant,
    )
    try:
        value, _end = decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        if "Unterminated" in error.msg or _CUT_OFF.fullmatch(text, error.pos):
            raise InvalidRequest("unexpected EOF") from error
        where = _GO_REASONS.get(error.msg, error.msg.lower())
        raise InvalidRequest(f"invalid character {text[error.pos]!r} {where}") from error
    except RecursionError as error:
        raise InvalidRequest("exceeded max depth") from error
    return value


def _refuse_constant(name: str) -> Any:
    raise InvalidRequest(f"invalid character {name[0]!r} looking for beginning of value")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Number):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Members) else "array"


def wrong_type(value: Any, place: str, wanted: str) -> InvalidRequest:
    """Return the error for a value of another kind than `wanted`, a type of Go's.

    `place` is "Go struct field STRUCT.PATH", or "Go value" for the whole.
    """
    return InvalidRequest(f"json: cannot unmarshal {_kind(value)} into {place} of type {wanted}")


def text_of(value: Any, place: str, wanted: str = "string") -> str:
    """Return a text that UTF-8 can spell. Raises InvalidRequest."""
    if type(value) is str and value.isascii():
        return value  # as most are
    if not isinstance(value, str) or isinstance(value, Number):
        raise wrong_type(value, place, wanted)
    return _LONE_SURROGATE.sub("\ufffd", value)


def uint_of(value: Any, place: str, bits: int) -> int:
    """Return a whole number of so many bits, without a sign. Raises InvalidRequest."""
    if not isinstance(value, Number):
        raise wrong_type(value, place, f"uint{bits}")
    # What fits has far fewer digits than bits, and JSON knows no leading zeros: more digits than
    # that are not looked at, since making a number of them takes long.
    if value.isdecimal() and len(value) <= bits:  # JSON's numbers are ASCII
        number = int(value)
        if number >> bits == 0:
            return number
    raise InvalidRequest(f"json: cannot unmarshal number {value} into {place} of type uint{bits}")


def bytes_of(value: Any, place: str) -> bytes:
    """Return bytes spelled as base64, or as a list of numbers (T2). Raises InvalidRequest."""
    if isinstance(value, list) and not isinstance(value, Members):
        return bytes(0 if one is None else uint_of(one, place, 8) for one in value)
    text = text_of(value, place, "[]uint8")
    decoded = _decode_base64(text)
    if decoded is None:
        decoded = _decode_base64(text.replace("\n", "").replace("\r", ""))
    if decoded is None:
        raise InvalidRequest(f"illegal base64 data at input byte {_illegal_at(text.encode())}")
    return decoded


def _decode_base64(text: str) -> bytes | None:
    """Return the bytes that are spelled like this, without line breaks; None if there are none."""
    if len(text) % 4:  # which Python takes if all that is too much is a sign of padding
        return None
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or not ASCII
        return None


def _illegal_at(text: bytes) -> int:
    """Return where Go's base64 decoder stops. Source: Go 1.15, Encoding.decodeQuantum."""
    data = [(at, byte) for at, byte in enumerate(text) if byte not in b"\r\n"]
    end = len(text)
    for start in range(0, len(data), 4):
        quantum = data[start : start + 4]
        for place, (at, byte) in enumerate(quantum):
            if byte in _BASE64_ALPHABET:
                continue
            if byte != ord("=") or place < 2:
                return at
            after = data[start + place + 1 :]
            if place == 2:
                if not after:
                    return end
                if after[0][1] != ord("="):
                    return after[0][0] - 1
                after = after[1:]
            return after[0][0] if after else end
        if len(quantum) < 4:
            return end - len(quantum)
    return end

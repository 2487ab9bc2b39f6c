"""The JSON of `consul kv export`: keys with flags and values, written and read piece by piece.

    [
        {
                "key": "a/b",
                "flags": 0,
                "value": "aGVsbG8="
        }
    ]

Written to the byte as Consul 1.8.7 does. Read as Consul reads it: names of members in any case, so
that an answer to `GET /v1/kv/?recurse` can be read too; a missing or null member is empty; others
are ignored. Stricter where Consul would take something else than what the text says. Pure.
"""

import json
import re
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import IO, Any

from kvstore.api.render import render_text

__all__ = ["FLAGS_MAX", "Pair", "PairReader", "PairWriter", "WrongPairs", "is_exact", "show_key"]

FLAGS_MAX = 2**64 - 1

# More text than this without the end of a pair is no pair: a value has 700,000 characters, and a
# server whose limit was raised some millions.
_PAIR_CHARS_MAX = 64 * 1024 * 1024

_PAIR = b'\t{\n\t\t"key": %s,\n\t\t"flags": %d,\n\t\t"value": "%s"\n\t}'
_SPACE = re.compile(r"[ \t\n\r]*")
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with what an export tells of it."""

    key: bytes
    # 0 to FLAGS_MAX.
    flags: int
    value: bytes


class WrongPairs(ValueError):
    """Text that is no list of pairs; says where, what is wrong, and what was expected."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(line, column, reason)
        self.line = line
        self.column = column
        self.reason = reason

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.reason}"


def is_exact(key: bytes) -> bool:
    """Return whether JSON can show this key, and the reader can be sure that it did.

    Bytes that are no UTF-8 are shown as U+FFFD, as Consul does: several keys may come out as one.
    """
    try:
        return "\ufffd" not in key.decode("utf-8")
    except UnicodeDecodeError:
        return False


def show_key(key: bytes) -> str:
    """Return a key as a sentence shows it."""
    return _render_key(key).decode()


class PairWriter:
    """Writes pairs as an export, as they come in."""

    def __init__(self, file: IO[bytes]) -> None:
        self.written = 0
        # Number of keys among them that JSON does not show as they are; see `is_exact`.
        self.inexact = 0
        self._file = file

    def write(self, pairs: Iterable[Pair]) -> None:
        """Write some more pairs."""
        for pair in pairs:
            self._file.write((b",\n" if self.written else b"[\n") + _render_pair(pair))
            self.written += 1
            self.inexact += not is_exact(pair.key)

    def close(self) -> None:
        """Write what comes behind the last pair; the file stays open."""
        self._file.write(b"\n]\n" if self.written else b"[]\n")


def _render_pair(pair: Pair) -> bytes:
    key = _render_key(pair.key)
    value = b2a_base64(pair.value, newline=False)
    return _PAIR % (key, pair.flags, value)


def _render_key(key: bytes) -> bytes:
    text = _UNDECODABLE.sub("\ufffd", key.decode("utf-8", "surrogateescape"))
    return render_text(text.encode())


class _Expects(Enum):
    """What comes next, spaces aside."""

    LIST = "["
    FIRST = "{ or ]"
    PAIR = "{"
    MORE = ", or ]"
    NOTHING = "nothing more"


class PairReader:
    """Turns text into pairs as it comes in; holds no more than one pair and a piece of text.

    Bytes that are no UTF-8 may come as Python's surrogateescape has them: they are refused.
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        # Where `_text` begins.
        self._line, self._column = 1, 1
        # Where the last pair began.
        self._began = 0
        self._expects = _Expects.LIST

    def feed(self, text: str) -> Iterator[Pair]:
        """Give the pairs that this text completes; it must be run to its end.

        Raises WrongPairs.
        """
        self._forget()
        self._text += text
        while (pair := self._next()) is not None:
            yield pair

    def close(self) -> None:
        """Say that there is no more text; raises WrongPairs when that cannot be."""
        if self._expects is _Expects.NOTHING:
            return
        if self._at < len(self._text):  # the beginning of a pair
            self._decode(last=True)
        raise self._wrong(len(self._text), f"the text ends, expected {self._expects.value}")

    def refuse(self, reason: str) -> WrongPairs:
        """Return an error about the pair that was given last."""
        return self._wrong(self._began, reason)

    def _next(self) -> Pair | None:
        """Return the next pair; None when there is none, or not yet."""
        while (mark := self._mark()) != "":
            if mark == "{" and self._expects in (_Expects.FIRST, _Expects.PAIR):
                return self._decode(last=False)
            if mark == "[" and self._expects is _Expects.LIST:
                self._expects = _Expects.FIRST
            elif mark == "]" and self._expects in (_Expects.FIRST, _Expects.MORE):
                self._expects = _Expects.NOTHING
            elif mark == "," and self._expects is _Expects.MORE:
                self._expects = _Expects.PAIR
            else:
                raise self._wrong(self._at, f"found {mark!r}, expected {self._expects.value}")
            self._at += 1
        return None

    def _mark(self) -> str:
        """Return the next character that is no space; "" when there is none yet."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _decode(self, *, last: bool) -> Pair | None:
        """Return the pair that begins here; None when more text may complete it."""
        self._began = began = self._at
        try:
            members, self._at = _DECODER.raw_decode(self._text, began)
        except json.JSONDecodeError as error:
            if not last and len(self._text) - began < _PAIR_CHARS_MAX:
                return None
            reason = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
            raise self._wrong(error.pos, reason) from error
        except (ValueError, RecursionError) as error:  # a number or a nesting beyond all measure
            raise self._wrong(began, f"not JSON that can be read: {error}") from error
        self._expects = _Expects.MORE
        try:
            return _pair({name.lower(): value for name, value in members.items()})
        except ValueError as error:
            raise self._wrong(began, str(error)) from error

    def _forget(self) -> None:
        """Drop the text that has been read."""
        self._line, self._column = self._place(self._at)
        self._text, self._at = self._text[self._at :], 0

    def _place(self, at: int) -> tuple[int, int]:
        lines = self._text.count("\n", 0, at)
        if lines:
            return self._line + lines, at - self._text.rfind("\n", 0, at)
        return self._line, self._column + at

    def _wrong(self, at: int, reason: str) -> WrongPairs:
        return WrongPairs(*self._place(at), reason)


def _pair(members: dict[str, Any]) -> Pair:
    """Return a pair; raises ValueError with a sentence."""
    key = members.get("key")
    if not isinstance(key, str) or not key:
        raise ValueError(f'"key" is {_show(key)}, expected a text that is not empty')
    flags = members.get("flags")
    flags = 0 if flags is None else flags
    if type(flags) is not int or not 0 <= flags <= FLAGS_MAX:
        raise ValueError(
            f'"flags" of {_show(key)} is {_show(flags)}, expected a whole number from 0 to 2^64-1'
        )
    namespace = members.get("namespace")
    if namespace not in (None, "", "default"):  # Consul Enterprise's: two keys would become one
        raise ValueError(
            f"{_show(key)} is of another namespace, {_show(namespace)}, expected the default one"
        )
    try:
        name = key.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'"key" is {_show(key)}, expected text in UTF-8') from error
    return Pair(name, flags, _value(key, members.get("value")))


def _value(key: str, text: object) -> bytes:
    if text is None:
        return b""
    wrong = f'"value" of {_show(key)} is {_show(text)}, expected base64'
    if not isinstance(text, str):
        raise ValueError(wrong)  # noqa: TRY004 - the text is wrong, not the program
    try:
        return b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError as error:
        raise ValueError(wrong) from error


def _show(value: object) -> str:
    """Return a value as JSON, cut to what fits a sentence."""
    if value is None:
        return "missing"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - as said

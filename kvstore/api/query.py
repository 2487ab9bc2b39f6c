"""The query string: its pairs, and the options that every read understands.

Pure and cached: clients send the same few query strings over and over, and a parsed one is
immutable.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from kvstore.api.gotext import parse_uint64, query_escape, query_unescape, quote
from kvstore.duration import NS_PER_S, parse_duration
from kvstore.errors import InvalidRequest

__all__ = ["Query", "ReadOptions", "check_cache_control", "parse_query"]

_UNICODE = ("utf-8", "surrogateescape")
# Source: Go 1.26, urlmaxqueryparams; a megabyte of pairs would keep the server busy for a second.
_PAIRS_MAX = 10_000
# Longer ones are not remembered: a thousand with hundreds of pairs each would take much memory.
_REMEMBERED_CHARS_MAX = 256
_HEADER_CHARS_MAX = 1024


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """When a read may be answered."""

    # 0: at once.
    min_index: int = 0
    # 0 or less: the default.
    wait_s: float = 0.0


class Query:
    """The parameters of one request; names and values are text, odd bytes as surrogates."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self.pairs = pairs
        # The first value wins (H16).
        self._first = dict(reversed(pairs))

    def __contains__(self, name: str) -> bool:
        """Return whether a parameter is there, whatever its value: that is what counts (H15)."""
        return name in self._first

    def get(self, name: str) -> str:
        """Return a parameter's first value, "" when it is not there."""
        return self._first.get(name, "")

    def get_bytes(self, name: str) -> bytes:
        """Return a parameter's first value as bytes, empty when it is not there."""
        return self.get(name).encode(*_UNICODE)

    def encoded(self) -> str:
        """Return all parameters sorted by name, form-encoded, as Go's Values.Encode."""
        pairs = sorted(
            ((n.encode(*_UNICODE), v.encode(*_UNICODE)) for n, v in self.pairs), key=_name
        )
        return "&".join(f"{query_escape(name)}={query_escape(value)}" for name, value in pairs)

    @cached_property
    def form(self) -> tuple[bool, bool, bool]:
        """What of it says which form an answer from the KV store has."""
        return "recurse" in self, "raw" in self, "pretty" in self

    @cached_property
    def flags(self) -> int:
        """The flags of a write, 0 without any; raises InvalidRequest (P4)."""
        return parse_uint64(self.get("flags")) if "flags" in self else 0

    @cached_property
    def has_conflict(self) -> bool:
        """Whether a write is to be of more than one kind (P5)."""
        return sum(name in self for name in ("cas", "acquire", "release")) > 1

    @cached_property
    def consistency_error(self) -> str:
        """What is wrong with the consistency parameters; "" when nothing is (H17)."""
        stale = "stale" in self
        if text := self.get("max_stale"):
            try:
                stale = parse_duration(text) > 0 or stale
            except InvalidRequest:
                return f"Invalid max_stale value {quote(text)}"
        if "consistent" in self and stale:
            return "Cannot specify ?stale with ?consistent, conflicting semantics."
        if "consistent" in self and "cached" in self:
            return "Cannot specify ?cached with ?consistent, conflicting semantics."
        return ""

    @cached_property
    def read_options(self) -> ReadOptions | str:
        """The options of a read, or what is wrong with them (H17)."""
        wait_s, min_index = 0.0, 0
        if text := self.get("wait"):
            try:
                wait_s = parse_duration(text) / NS_PER_S
            except InvalidRequest:
                return "Invalid wait time"
        if text := self.get("index"):
            try:
                min_index = parse_uint64(text)
            except InvalidRequest:
                return "Invalid index"
        return ReadOptions(min_index, wait_s)


def _name(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def parse_query(raw: str) -> Query | None:
    """Return the parameters of a raw query string; None when it does not decode (H13).

    Pairs are parted by "&" and by ";" (H14). Too many of them count as undecodable.
    """
    return _remembered(raw) if len(raw) <= _REMEMBERED_CHARS_MAX else _parse(raw)


def _parse(raw: str) -> Query | None:
    pairs: list[tuple[str, str]] = []
    for part in raw.encode(*_UNICODE).replace(b";", b"&").split(b"&"):
        if not part:
            continue
        if len(pairs) == _PAIRS_MAX:
            return None
        name, _, value = part.partition(b"=")
        try:
            pairs.append(
                (query_unescape(name).decode(*_UNICODE), query_unescape(value).decode(*_UNICODE))
            )
        except InvalidRequest:
            return None
    return Query(tuple(pairs))


_remembered = lru_cache(maxsize=1024)(_parse)


def check_cache_control(value: str) -> bool:
    """Return whether a Cache-Control header is one that Consul takes; it has no effect (H19).

    One that is longer than any client's is not looked at.
    """
    if len(value) > _HEADER_CHARS_MAX:
        return True
    for directive in value.lower().split(","):
        name, _, amount = directive.strip().partition("=")
        if name in ("max-age", "stale-if-error") and "=" in directive:
            digits = amount[1:] if amount[:1] in ("+", "-") else amount
            if not (digits.isascii() and digits.isdigit()):
                return False
    return True

"""Go durations ("1m30s"), which Consul's API and its users speak.

Source: Go 1.15, time.ParseDuration and Duration.String; contract 1.9. Amounts are integers of
nanoseconds, as in Go.
"""

import re

from kvstore.errors import InvalidRequest

__all__ = ["NS_PER_MS", "NS_PER_S", "InvalidDuration", "format_duration", "parse_duration"]

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
_NS_MAX = 2**63 - 1
# More digits in front of the point are too large whatever the unit; behind it they do not count.
_DIGITS_MAX = 19
# Ours: nobody means a longer one, and a megabyte of "1ns1ns…" takes a second.
_CHARACTERS_MAX = 1000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?")
_UNIT = re.compile(r"[^.0-9]*")


class InvalidDuration(InvalidRequest):
    """A text that is no Go duration; the message is Go's."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds that a Go duration stands for; may be negative.

    Raises InvalidDuration.
    """
    invalid = InvalidDuration(f'time: invalid duration "{text}"')
    # An index into the text, not what is left of it: a text of a megabyte is parsed in one pass.
    at = 1 if text[:1] in ("+", "-") else 0
    if text[at:] == "0":
        return 0
    if at == len(text) or len(text) > _CHARACTERS_MAX:
        raise invalid
    total = 0
    while at < len(text):
        number = _NUMBER.match(text, at)
        assert number is not None  # every part of the pattern is optional
        whole, fraction = number[1], number[2] or ""
        if not whole and not fraction:
            raise invalid
        whole, fraction = whole.lstrip("0") or "0", fraction[:_DIGITS_MAX]
        if len(whole) > _DIGITS_MAX:
            raise invalid
        unit_match = _UNIT.match(text, number.end())
        assert unit_match is not None
        unit = unit_match[0]
        if not unit:
            raise InvalidDuration(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise InvalidDuration(f'time: unknown unit "{unit}" in duration "{text}"')
        scale = _UNITS[unit]
        total += int(whole) * scale + int(fraction or "0") * scale // 10 ** len(fraction)
        if total > _NS_MAX:
            raise invalid
        at = unit_match.end()
    return -total if text.startswith("-") else total


def format_duration(ns: int) -> str:
    """Return a duration as Go prints it: "10s", "24h0m0s", "1.5ms", "0s"."""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    for unit, scale in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if ns < 1_000 * scale:
            return f"{sign}{_decimal(ns, scale)}{unit}"
    minutes, rest = divmod(ns, 60 * NS_PER_S)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, NS_PER_S)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return sign + text


def _decimal(amount: int, scale: int) -> str:
    whole, rest = divmod(amount, scale)
    digits = len(str(scale)) - 1
    fraction = f"{rest:0{digits}d}".rstrip("0") if digits else ""
    return f"{whole}.{fraction}" if fraction else str(whole)

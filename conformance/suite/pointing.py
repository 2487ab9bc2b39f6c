"""Pointing at the first place where two texts differ, so that nobody has to compare them."""

from conformance.suite.text import one_line

SHORT = 60
"""Texts up to this length are shown whole."""

BEFORE = 32
AFTER = 40
"""How many characters are shown before the difference, and from there on."""


def pointed(expected: str, got: str) -> str:
    """Say where `got` differs from `expected`; texts that are short are just named.

    Of long ones the part around the first difference is shown, with a mark below it.
    """
    if len(expected) <= SHORT and len(got) <= SHORT:
        return f"{_named(got)} instead of {_named(expected)}"
    at = _alike(expected, got)
    before = one_line(got[max(0, at - BEFORE) : at])
    before = f"…{before}" if at > BEFORE else before
    line, column = got.count("\n", 0, at) + 1, at - (got.rfind("\n", 0, at) + 1) + 1
    return "\n".join(
        [
            f"from line {line}, column {column}:",
            f"  expected {before}{_from(expected, at)}",
            f"  got      {before}{_from(got, at)}",
            f"           {' ' * len(before)}^",
        ]
    )


def _alike(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _named(text: str) -> str:
    return f"“{one_line(text)}”" if text else "nothing"


def _from(text: str, at: int) -> str:
    if at >= len(text):
        return "(ends here)"
    return one_line(text[at : at + AFTER]) + ("…" if len(text) > at + AFTER else "")

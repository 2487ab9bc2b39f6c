"""The end of a session that nobody renews: at twice its TTL.

And the shortest TTL of a store, so that nobody waits longer than needed for one.
"""

import re

from conformance.clients.together import Stopwatch
from conformance.suite.case import Failed, Store

EARLY_S = 0.2
"""How much earlier an end may seem: clocks of two processes."""

LATE_S = 5.0
"""How much later than twice its TTL a session may go; the contract has no limit."""

_NANOSECOND = b'{"TTL":"1ns"}'
_BOUNDS = re.compile(r"must be between \[(?P<least>[^=\]]+)=(?P<most>[^\]]+)\]$")
_PARTS = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>h|ms|m|s)")
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def shortest_ttl(store: Store) -> tuple[str, float]:
    """Return the shortest TTL that the store takes, as it writes it and in seconds.

    It says so when it refuses a shorter one (S5).
    """
    answer = store.ask("PUT", "/v1/session/create", _NANOSECOND)
    bounds = _BOUNDS.search(answer.text)
    if bounds is None:
        asked = f"PUT /v1/session/create {_NANOSECOND.decode()}"
        expected = "500 Invalid Session TTL '1', must be between [10s=24h0m0s]"
        raise Failed(asked, expected, f"{answer.status} {answer.text}")
    least = bounds["least"]
    return least, parse_s(least)


def lasts_s(ttl_s: float) -> tuple[float, float]:
    """Return after how many seconds, least and most, a session with that TTL may end."""
    return 2 * ttl_s - EARLY_S, 2 * ttl_s + LATE_S


def check_expiry(what: str, watch: Stopwatch, ttl_s: float) -> None:
    """Raise Failed unless a session may end now that was renewed when the watch began."""
    watch.check(what, *lasts_s(ttl_s))


def parse_s(duration: str) -> float:
    """Return the seconds of a duration as Go writes it, such as 1m30s."""
    return sum(float(part["number"]) * _UNITS_S[part["unit"]] for part in _PARTS.finditer(duration))

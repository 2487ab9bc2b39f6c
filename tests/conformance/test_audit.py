"""The audit of a proxy's record: what breaks engines is found, what is healthy is not."""

import pytest

from conformance.overlay import audit
from conformance.overlay.proxy import Exchange

KEY = "/v1/kv/docker/network/v1.0/endpoint_count/n/"


def read(target: str, **fields: float | str) -> Exchange:
    """Return a read that was answered at once with index 7, but for the given fields."""
    exchange = Exchange("h1", "GET", target, 0.0, status=200, took_s=0.01, index="7")
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


@pytest.mark.parametrize(
    "exchange",
    [
        read(f"{KEY}?consistent=", modify_index=7),
        read(f"{KEY}?index=7&wait=15000ms", took_s=15.4),
        read(f"{KEY}?index=6&wait=15000ms"),
        read(f"{KEY}?consistent=", status=404),
        read(f"{KEY}?index=7&wait=15000ms", status=0, took_s=0.0),
        Exchange("h1", "PUT", f"{KEY}?cas=7", 0.0, status=500, took_s=0.01),
    ],
)
def test_healthy_answers_have_no_finding(exchange: Exchange) -> None:
    """Own index, full wait, newer index, 404 with an index, unanswered: all are as they should."""
    assert audit.check([exchange]) == []


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (read(f"{KEY}?consistent=", status=500), "answered 500"),
        (read(f"{KEY}?consistent=", index=""), "X-Consul-Index is ''"),
        (read(f"{KEY}?consistent=", index="0", status=404), "X-Consul-Index is '0'"),
        (read(f"{KEY}?consistent=", modify_index=5), "not the key's own 5"),
        (read(f"{KEY}?index=7&wait=15000ms", took_s=2.0), "unchanged index 7 after 2.0 s"),
        (read(f"{KEY}?consistent=&index=7", took_s=20.0), "unchanged index 7 after 20.0 s"),
    ],
)
def test_each_broken_rule_is_found(exchange: Exchange, words: str) -> None:
    """A 5xx, a missing or zero index, a foreign index and an early answer are each named."""
    (found,) = audit.check([exchange])

    assert words in found

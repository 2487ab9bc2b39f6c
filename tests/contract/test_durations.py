"""Durations as Go writes them, wherever a request may hold one (1.9)."""

import json

import pytest

from .stores import Store

GOOD = [
    *("0", "0s", "10s", "1.5s", ".5s", "5.s", "1m30s", "+5s", "-5s", "15.0s", "10000ms", "1h"),
    *("100ns", "5us", "5µs", "5μs", "1h2m3s4ms5us6ns", "1s1s", "30s1m"),
    *("9223372036854775807ns", "2562047h47m16s"),
]
BAD = [
    *("5", "abc", "1d", "10S", "1 s", " 1s", "1s ", "s", ".s", "-", "+", "1s5", "--1s", "1e3s"),
    *("99999999h", "9223372036854775808ns", "1_0s", "0x1s", "٣s"),
]


def percent(text: str) -> str:
    """Escape every byte of a parameter."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize("text", GOOD)
def test_1_9_good_durations(store: Store, text: str) -> None:
    """A sign, then decimals with units; a bare zero."""
    assert store.ask("GET", f"/v1/session/list?wait={percent(text)}").status == 200
    body = json.dumps({"LockDelay": text}).encode()
    answer = store.ask("PUT", "/v1/session/create", body)
    assert answer.status == 200, answer
    store.destroy(answer.json["ID"])


@pytest.mark.parametrize("text", BAD)
def test_1_9_bad_durations(store: Store, text: str) -> None:
    """No other number without a unit, no spaces, no days, no capitals, nothing over int64."""
    answer = store.ask("GET", f"/v1/session/list?wait={percent(text)}")
    assert (answer.status, answer.body) == (400, b"Invalid wait time")
    answer = store.ask("PUT", "/v1/session/create", json.dumps({"LockDelay": text}).encode())
    assert answer.status == 400
    assert answer.text.startswith("Request decode failed: time: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("abc", 'time: invalid duration "abc"'),
        ("10S", 'time: unknown unit "S" in duration "10S"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("99999999h", 'time: invalid duration "99999999h"'),
    ],
)
def test_1_9_texts(store: Store, text: str, said: str) -> None:
    """A bad duration in a session is explained in Go's words."""
    answer = store.ask("PUT", "/v1/session/create", json.dumps({"TTL": text}).encode())
    assert (answer.status, answer.text) == (500, f"Session TTL '{text}' invalid: {said}")
    answer = store.ask("PUT", "/v1/session/create", json.dumps({"LockDelay": text}).encode())
    assert (answer.status, answer.text) == (400, f"Request decode failed: {said}")

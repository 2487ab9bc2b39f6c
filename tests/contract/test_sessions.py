"""Creating sessions (S1-S8)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from .stores import Store

SECOND = 10**9
SERF = ["serfHealth"]


def create(store: Store, body: bytes | None) -> dict[str, Any]:
    """Create a session from this body, and return it as the store shows it, destroyed by then."""
    answer = store.ask("PUT", "/v1/session/create", body)
    assert answer.status == 200, answer
    session = answer.json["ID"]
    (shown,) = store.ask("GET", f"/v1/session/info/{session}").json
    store.destroy(session)
    return dict(shown)


@pytest.mark.parametrize("body", [None, b"", b"{}", b"null", b'{"Unknown":1,"ID":"x","TTL":null}'])
def test_S1_defaults(store: Store, body: bytes | None) -> None:
    """The body is optional; unknown members and null change nothing."""
    shown = create(store, body)
    assert shown.pop("ID") != "x"
    assert shown.pop("CreateIndex") == shown.pop("ModifyIndex") > 1
    assert shown.pop("Node")
    assert shown == {
        "Name": "",
        "LockDelay": 15 * SECOND,
        "Behavior": "release",
        "TTL": "",
        "NodeChecks": SERF,
        "ServiceChecks": None,
    }


@pytest.mark.parametrize(
    ("body", "member", "shown"),
    [
        ({"Name": "n <&> é"}, "Name", "n <&> é"),
        ({"Behavior": "delete"}, "Behavior", "delete"),
        ({"Behavior": ""}, "Behavior", "release"),
        ({"Behavior": None}, "Behavior", "release"),
        ({"CreateIndex": 7, "Namespace": "x", "Name": "y"}, "Name", "y"),
        ({"ServiceChecks": []}, "ServiceChecks", []),
        ({"ServiceChecks": None}, "ServiceChecks", None),
    ],
)
def test_S1_members(store: Store, body: dict[str, Any], member: str, shown: object) -> None:
    """Members are stored as given."""
    assert create(store, json.dumps(body).encode())[member] == shown


def test_S1_node(store: Store) -> None:
    """The node must be known, in any letter case; it is shown as typed."""
    node = create(store, None)["Node"]
    assert create(store, json.dumps({"Node": node}).encode())["Node"] == node
    assert create(store, json.dumps({"Node": node.upper()}).encode())["Node"] == node.upper()


ERRORS = [
    ({"Node": ""}, 500, "Must provide Node"),
    ({"Node": "nope"}, 500, "Missing node registration"),
    ({"Behavior": "foo"}, 500, "Invalid Behavior setting 'foo'"),
    ({"Behavior": "Delete"}, 500, "Invalid Behavior setting 'Delete'"),
    ({"TTL": "9s"}, 500, "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"),
    ({"TTL": "9.9s"}, 500, "Invalid Session TTL '9900000000', must be between [10s=24h0m0s]"),
    ({"TTL": "24h1s"}, 500, "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"),
    ({"TTL": "-10s"}, 500, "Invalid Session TTL '-10000000000', must be between [10s=24h0m0s]"),
    ({"TTL": "5"}, 500, "Session TTL '5' invalid: time: missing unit in duration \"5\""),
    ({"TTL": "x"}, 500, "Session TTL 'x' invalid: time: invalid duration \"x\""),
    ({"NodeChecks": ["nope"]}, 500, "Missing check 'nope' registration"),
    ({"NodeChecks": ["serfHealth", "nope"]}, 500, "Missing check 'nope' registration"),
    ({"Checks": ["nope"]}, 500, "Missing check 'nope' registration"),
    # S3: the order in which they are looked at
    ({"Node": "", "Behavior": "foo", "TTL": "x"}, 500, "Must provide Node"),
    ({"Behavior": "foo", "TTL": "x"}, 500, "Invalid Behavior setting 'foo'"),
    ({"TTL": "9s", "Node": "nope"}, 500, "Invalid Session TTL '9000000000', must be"),
    ({"Node": "nope", "NodeChecks": ["nope"]}, 500, "Missing node registration"),
    ({"LockDelay": "x", "Node": ""}, 400, "Request decode failed: time: invalid duration"),
]


@pytest.mark.parametrize(("body", "status", "said"), ERRORS)
def test_S3_errors(store: Store, body: dict[str, Any], status: int, said: str) -> None:
    """What cannot be a session is refused in Consul's words, first error first."""
    answer = store.ask("PUT", "/v1/session/create", json.dumps(body).encode())
    assert answer.status == status
    assert answer.text.startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b" ", "EOF"),
        (b"{bad}", "invalid character 'b' looking for beginning of object key string"),
        (b'{"Name":', "unexpected EOF"),
        (b'{"Name":5}', "json: cannot unmarshal number into Go struct field .Name of type string"),
        (b'{"TTL":10}', "json: cannot unmarshal number into Go struct field .TTL of type string"),
        (b"[]", "json: cannot unmarshal array into Go value of type"),
        (b'"x"', "json: cannot unmarshal string into Go value of type"),
        (b"5", "json: cannot unmarshal number into Go value of type"),
        (b'{"NodeChecks":"x"}', "json: cannot unmarshal string into Go struct field .NodeChecks"),
        (b'{"NodeChecks":[1]}', "json: cannot unmarshal number into Go struct field .NodeChecks"),
    ],
)
def test_S2_decode_errors(store: Store, body: bytes, said: str) -> None:
    """A body that does not decode is a 400; only the beginning of its text is promised."""
    answer = store.ask("PUT", "/v1/session/create", body)
    assert answer.status == 400
    prefix = "Request decode failed: "
    assert answer.text.startswith(prefix + (said if store.name == "consul" else ""))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("15s", 15 * SECOND),
        ("1m30s", 90 * SECOND),
        ("0s", 0),
        ("0", 0),
        (0, 0),
        (15, 15 * SECOND),
        (999, 999 * SECOND),
        (1000, 1000),
        (1.9, SECOND),
        (5 * SECOND, 5 * SECOND),
        ("500ns", 500 * SECOND),
        ("1us", 1000),
        ("1ms", 10**6),
        (-5, -5 * SECOND),
        ("100h", 360_000 * SECOND),
        (None, 15 * SECOND),
        (True, 0),
        ([], 0),
    ],
)
def test_S4_lock_delay(store: Store, given: object, stored: int) -> None:
    """LockDelay is a duration or nanoseconds; anything below 1000 counts as seconds."""
    shown = create(store, json.dumps({"LockDelay": given}).encode())
    assert shown["LockDelay"] == stored


@pytest.mark.parametrize("given", ["", "15", "abc"])
def test_S4_bad_lock_delay(store: Store, given: str) -> None:
    """A string that is no duration does not decode."""
    answer = store.ask("PUT", "/v1/session/create", json.dumps({"LockDelay": given}).encode())
    assert answer.status == 400
    assert answer.text.startswith("Request decode failed: time: ")


@pytest.mark.parametrize("ttl", ["10s", "24h", "0", "0s", "1h30m", "15.0s", "10000ms", "+10s", ""])
def test_S5_ttl_is_kept_as_typed(store: Store, ttl: str) -> None:
    """Ten seconds to a day, or none; shown as it was typed."""
    assert create(store, json.dumps({"TTL": ttl}).encode())["TTL"] == ttl


@pytest.mark.parametrize(
    ("given", "node_checks", "checks"),
    [
        ({}, SERF, None),
        ({"Checks": []}, [], None),
        ({"Checks": None}, [], None),
        ({"Checks": [], "NodeChecks": SERF}, [], None),
        ({"Checks": SERF}, SERF, None),
        ({"Checks": SERF, "NodeChecks": SERF}, SERF, None),
        ({"NodeChecks": []}, [], None),
        ({"NodeChecks": None}, None, None),
        ({"NodeChecks": SERF}, SERF, None),
        ({"NodeChecks": ["SERFHEALTH"]}, ["SERFHEALTH"], None),
        ({"NodeChecks": [], "Checks": ["a"]}, [], None),
    ],
)
def test_S6_checks(
    store: Store, given: dict[str, Any], node_checks: object, checks: object
) -> None:
    """How the old and the new spelling of checks work together."""
    shown = create(store, json.dumps(given).encode())
    assert (shown["NodeChecks"], shown.get("Checks")) == (node_checks, checks)


def test_S8_ids_differ(store: Store) -> None:
    """Every session gets an id of its own; two may have the same name."""
    ids = {create(store, b'{"Name":"same"}')["ID"] for _ in range(20)}
    assert len(ids) == 20

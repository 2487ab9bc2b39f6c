"""The body of a session's creation, read as leniently as Go reads it."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kvstore.api.session_body import parse_session_body
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest
from kvstore.errors import InvalidRequest
from kvstore.state.entry import ServiceCheck

NAMES = ["Name", "Node", "LockDelay", "Behavior", "TTL", "NodeChecks", "Checks", "ServiceChecks"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b" \t\r\n{}",
        b"{} junk",
        b'{"ID":"x","Namespace":5,"CreateIndex":[]}',
        b'{"Name":null,"Node":null,"LockDelay":null,"Behavior":null,"TTL":null}',
    ],
)
def test_S1_the_defaults(body: bytes) -> None:
    """Nothing, null, unknown members and what follows the first value leave the defaults."""
    assert parse_session_body(body) == SessionRequest()


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"Name":"n","Node":"N1"}', SessionRequest(name="n", node="N1")),
        (b'{"name":"n","BEHAVIOR":"delete"}', SessionRequest(name="n", behavior="delete")),
        (b'{"TTL":"10s","ttl":"20s"}', SessionRequest(ttl="20s")),
        (b'{"TTL":"20s","ttl":null}', SessionRequest(ttl="20s")),
        (b'{"LockDelay":"x","lockdelay":"0s"}', SessionRequest(lock_delay_ns=0)),
        (b'{"Node":""}', SessionRequest(node="")),
        ('{"Name":"é"}'.encode(), SessionRequest(name="é")),
        (b'{"Name":"\xff"}', SessionRequest(name="\ufffd")),
        (rb'{"Name":"\ud800"}', SessionRequest(name="\ufffd")),
        (rb'{"Name":"\ud83d\ude00"}', SessionRequest(name="😀")),
        (
            b'{"name":"patroni","checks":[],"lockdelay":"0.001s","behavior":"delete","ttl":"15.0s"}',
            SessionRequest(
                name="patroni", checks=(), lock_delay_ns=1_000_000, behavior="delete", ttl="15.0s"
            ),
        ),
    ],
)
def test_H31_members(body: bytes, wanted: SessionRequest) -> None:
    """Names match in any letter case, the last of two wins, texts are made whole."""
    assert parse_session_body(body) == wanted


@pytest.mark.parametrize(
    ("given_json", "lock_delay_ns"),
    [
        ('"15s"', 15 * NS_PER_S),
        ('"1ms"', 1_000_000),
        ('"1us"', 1_000),
        ('"500ns"', 500 * NS_PER_S),
        ('"0s"', 0),
        ('"0"', 0),
        ("15", 15 * NS_PER_S),
        ("999", 999 * NS_PER_S),
        ("1000", 1_000),
        ("1.9e3", 1_900),
        ("15.9", 15 * NS_PER_S),
        ("0", 0),
        ("-5", -5 * NS_PER_S),
        ("1e300", 2**63 - 1),
        ("true", 0),
        ("[]", 0),
        ("{}", 0),
    ],
)
def test_S4_lock_delay(given_json: str, lock_delay_ns: int) -> None:
    """A number is nanoseconds, a small one was meant as seconds, anything else is none."""
    wanted = parse_session_body(f'{{"LockDelay":{given_json}}}'.encode())
    assert wanted.lock_delay_ns == lock_delay_ns


@pytest.mark.parametrize(
    ("body", "node_checks", "checks", "service_checks"),
    [
        (b"{}", ("serfHealth",), ("serfHealth",), None),
        (b'{"NodeChecks":null}', None, ("serfHealth",), None),
        (b'{"NodeChecks":[]}', (), ("serfHealth",), None),
        (b'{"NodeChecks":["a",null]}', ("a", ""), ("serfHealth",), None),
        (b'{"Checks":null}', ("serfHealth",), (), None),
        (b'{"Checks":["a","b"]}', ("serfHealth",), ("a", "b"), None),
        (b'{"ServiceChecks":null}', ("serfHealth",), ("serfHealth",), None),
        (b'{"ServiceChecks":[]}', ("serfHealth",), ("serfHealth",), ()),
        (
            b'{"ServiceChecks":[{"ID":"a","namespace":"b","x":1},{"id":null},null]}',
            ("serfHealth",),
            ("serfHealth",),
            (ServiceCheck("a", "b"), ServiceCheck("", ""), ServiceCheck("", "")),
        ),
    ],
)
def test_S6_checks(
    body: bytes,
    node_checks: tuple[str, ...] | None,
    checks: tuple[str, ...],
    service_checks: tuple[ServiceCheck, ...] | None,
) -> None:
    """The three lists as they were asked for; what becomes of them is the engine's to say."""
    wanted = parse_session_body(body)
    assert wanted.node_checks == node_checks
    assert wanted.checks == checks
    assert wanted.service_checks == service_checks


GO = "json: cannot unmarshal {} into Go {}"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b" ", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"Name":"x', "unexpected EOF"),
        (b'{"Name"', "unexpected EOF"),
        (b"[]", GO.format("array", "value of type structs.Session")),
        (b'"x"', GO.format("string", "value of type structs.Session")),
        (b"7", GO.format("number", "value of type structs.Session")),
        (b"true", GO.format("bool", "value of type structs.Session")),
        (b'{"Name":1}', GO.format("number", "struct field .Name of type string")),
        (b'{"ttl":10}', GO.format("number", "struct field .TTL of type string")),
        (b'{"Behavior":{}}', GO.format("object", "struct field .Behavior of type string")),
        (b'{"Checks":"a"}', GO.format("string", "struct field .Checks of type []string")),
        (b'{"NodeChecks":[1]}', GO.format("number", "struct field .NodeChecks of type string")),
        (b'{"NodeChecks":{}}', GO.format("object", "struct field .NodeChecks of type []string")),
        (
            b'{"ServiceChecks":{}}',
            GO.format("object", "struct field .ServiceChecks of type []structs.ServiceCheck"),
        ),
        (
            b'{"ServiceChecks":[[]]}',
            GO.format("array", "struct field .ServiceChecks of type structs.ServiceCheck"),
        ),
        (
            b'{"ServiceChecks":[{"ID":1}]}',
            GO.format("number", "struct field .ServiceChecks.ID of type string"),
        ),
        (b'{"LockDelay":"15"}', 'time: missing unit in duration "15"'),
        (b'{"LockDelay":""}', 'time: invalid duration ""'),
    ],
)
def test_S2_S4_what_is_no_session(body: bytes, error: str) -> None:
    """Broken JSON and wrong types are refused in Go's words, where clients may look at them."""
    with pytest.raises(InvalidRequest) as caught:
        parse_session_body(body)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    "body",
    [
        b"{bad}",
        b"}",
        b"{'Name':1}",
        b'{"LockDelay":NaN}',
        b'{"LockDelay":-Infinity}',
        b"\xff",
        b'{"a":1,}',
        b"\xef\xbb\xbf{}",
        b'{"Name":"a\nb"}',
        b"[" * 200000,
        b'{"a":' * 200000,
    ],
)
def test_S2_what_is_no_json(body: bytes) -> None:
    """Anything else that Go cannot read is refused too."""
    with pytest.raises(InvalidRequest):
        parse_session_body(body)


@given(body=st.binary() | st.text().map(str.encode) | JSON_VALUES.map(json.dumps).map(str.encode))
@example(b'{"LockDelay":' + b"9" * 5000 + b"}")
@example(b'{"Unknown":' + b"9" * 5000 + b"}")
@example(b"9" * 5000)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """No bytes raise anything but InvalidRequest."""
    with suppress(InvalidRequest):
        assert isinstance(parse_session_body(body), SessionRequest)


@given(members=st.lists(st.tuples(st.sampled_from(NAMES), JSON_VALUES), max_size=4))
def test_any_members_are_read_or_refused(members: list[tuple[str, Any]]) -> None:
    """Whatever stands behind a known name, it is a session or refused."""
    body = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(one)}" for name, one in members) + "}"
    with suppress(InvalidRequest):
        wanted = parse_session_body(body.encode())
        assert -(2**63) < wanted.lock_delay_ns < 2**63
        wanted.name.encode()

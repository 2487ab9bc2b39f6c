"""The body of a transaction, read as strictly as Go reads it."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kvstore.api.txn_body import WrittenOp, parse_txn_body
from kvstore.errors import InvalidRequest
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    TxnOp,
    UnlockKey,
)

VERBS = [
    "set",
    "cas",
    "lock",
    "unlock",
    "delete",
    "delete-cas",
    "delete-tree",
    "get",
    "get-or-empty",
    "get-tree",
    "check-index",
    "check-session",
    "check-not-exists",
]
MEMBERS = ["Verb", "Key", "Value", "Flags", "Index", "Session", "Namespace"]


def one(body: bytes) -> WrittenOp:
    """Return the only operation of a body."""
    (written,) = parse_txn_body(body)
    assert written is not None
    return written


def kv(**members: Any) -> WrittenOp:
    """Return the operation that a KV object is."""
    return one(json.dumps([{"KV": members}]).encode())


@pytest.mark.parametrize(
    ("verb", "op"),
    [
        ("set", SetKey(b"k", b"v", 7)),
        ("cas", CasKey(b"k", b"v", 7, 5)),
        ("lock", LockKey(b"k", b"v", 7, "s")),
        ("unlock", UnlockKey(b"k", b"v", 7, "s")),
        ("delete", DeleteKey(b"k")),
        ("delete-cas", DeleteKeyCas(b"k", 5)),
        ("delete-tree", DeleteTree(b"k")),
        ("get", GetKey(b"k")),
        ("get-or-empty", GetKey(b"k", or_empty=True)),
        ("get-tree", GetTree(b"k")),
        ("check-index", CheckIndex(b"k", 5)),
        ("check-session", CheckSession(b"k", "s")),
        ("check-not-exists", CheckNotExists(b"k")),
        ("SET", ImpossibleOp('unknown KV verb "SET"')),
        ("", ImpossibleOp('unknown KV verb ""')),
        ('"é\n', ImpossibleOp(r'unknown KV verb "\"é\n"')),
    ],
)
def test_T7_verbs(verb: str, op: TxnOp) -> None:
    """Each takes the members that it needs; one that is unknown cannot be done."""
    found = kv(Verb=verb, Key="k", Value="dg==", Flags=7, Index=5, Session="s", Namespace="n")
    assert found.op == op
    assert found.key == b"k"
    assert found.needs_key == (verb != "delete-tree")
    writes = {"set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"}
    assert found.is_write == (verb in writes)


@pytest.mark.parametrize(
    ("members", "op"),
    [
        (b"", ImpossibleOp('unknown KV verb ""')),
        (b'"Verb":"set"', SetKey(b"", b"", 0)),
        (b'"Verb":"cas","Key":"k"', CasKey(b"k", b"", 0, 0)),
        (b'"Verb":"lock"', LockKey(b"", b"", 0, "")),
        (b'"Verb":"set","Key":"k","Value":null,"Flags":null', SetKey(b"k", b"", 0)),
        (b'"Verb":"set","Index":null,"Session":null,"Namespace":null', SetKey(b"", b"", 0)),
        (b'"Verb":"set","Key":"k","Verb":null,"Key":null', SetKey(b"k", b"", 0)),
        (b'"Verb":"set","Value":"dg==","Value":null', SetKey(b"", b"", 0)),
        (b'"VERB":"set","kEY":"k","value":"dg==","flags":1', SetKey(b"k", b"v", 1)),
        (b'"Verb":"set","Key":"a","key":"b"', SetKey(b"b", b"", 0)),
        (b'"Verb":"set","Value":[1,255]', SetKey(b"", b"\x01\xff", 0)),
        (b'"Verb":"set","Value":[]', SetKey(b"", b"", 0)),
        (b'"Verb":"set","Value":""', SetKey(b"", b"", 0)),
        (b'"Verb":"set","Value":"d\\r\\ng=\\n="', SetKey(b"", b"v", 0)),
        (b'"Verb":"set","Flags":18446744073709551615', SetKey(b"", b"", 2**64 - 1)),
        (rb'"Verb":"get","Key":"/a//../\u0000\u00e9"', GetKey("/a//../\x00é".encode())),
        (b'"Verb":"get","Key":"\xff"', GetKey("\ufffd".encode())),
        (rb'"Verb":"get","Key":"\ud800"', GetKey("\ufffd".encode())),
    ],
)
def test_H31_T2_T11_members(members: bytes, op: TxnOp) -> None:
    """Any letter case, the last of two, null as the default; keys are not cleaned."""
    assert one(b'[{"KV":{%s}}]' % members).op == op


@pytest.mark.parametrize("body", [b"[]", b"null", b" []", b"[] junk", b"null x"])
def test_T3_nothing_to_do(body: bytes) -> None:
    """No operations are fine."""
    assert parse_txn_body(body) == []


@pytest.mark.parametrize(
    "op", [b"{}", b'{"KV":null}', b'{"Node":null,"Check":null}', b'{"KV":{},"KV":null}']
)
def test_T3_an_operation_that_says_nothing(op: bytes) -> None:
    """It has a place, and does not count."""
    written = parse_txn_body(b'[%s,{"KV":{"Verb":"get"}},%s]' % (op, op))
    assert [found and found.op for found in written] == [None, GetKey(b""), None]


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (b'{"KV":{"Verb":"set"},"KV":{"Key":"k"}}', SetKey(b"k", b"", 0)),
        (b'{"KV":{"Verb":"set","Key":"a"},"kv":{"Key":"k","Flags":1}}', SetKey(b"k", b"", 1)),
        (b'{"KV":{"Verb":"set"},"KV":null,"KV":{"Verb":"get"}}', GetKey(b"")),
    ],
)
def test_of_two_kv_objects_the_second_adds_to_the_first(op: bytes, wanted: TxnOp) -> None:
    """As Go reads two of a structure; null begins anew."""
    assert one(b"[%s]" % op).op == wanted


@pytest.mark.parametrize(
    ("op", "why"),
    [
        (b'{"Node":{"Verb":"get","Node":{"Node":"n"}}}', 'unknown Node verb "get"'),
        (b'{"node":{"verb":"set"}}', 'unknown Node verb "set"'),
        (b'{"Service":{"Verb":"cas","Service":{"ID":"s"}}}', 'unknown Service verb "cas"'),
        (b'{"Check":{"Verb":"x","Verb":"delete"}}', 'unknown Check verb "delete"'),
        (b'{"Check":{}}', 'unknown Check verb ""'),
        (b'{"Check":{"Verb":null}}', 'unknown Check verb ""'),
        (b'{"Check":{"Verb":"get"},"Service":{"Verb":"get"}}', 'unknown Service verb "get"'),
        (b'{"Service":{"Verb":"get"},"Node":{"Verb":"get"}}', 'unknown Node verb "get"'),
        (b'{"Service":{"Verb":"get"},"Service":null,"Check":{}}', 'unknown Check verb ""'),
    ],
)
def test_T12_there_is_no_catalog(op: bytes, why: str) -> None:
    """Such an operation is read, and cannot be done; the first in Consul's order counts (T3)."""
    found = one(b"[%s]" % op)
    text = f"{why}: this server has keys and sessions, but no catalog"
    assert found == WrittenOp(ImpossibleOp(text), b"", '"get"' not in why, needs_key=False)


@pytest.mark.parametrize(
    "op",
    [
        b'{"KV":{"Verb":"get"},"Node":{"Verb":"set"},"Check":{}}',
        b'{"Check":{},"KV":{"Verb":"get"}}',
    ],
)
def test_T3_keys_come_first(op: bytes) -> None:
    """Of several kinds in one operation, KV counts."""
    assert one(b"[%s]" % op).op == GetKey(b"")


PLACE = "Go struct field KVTxnOp.KV"
JSON = "json: cannot unmarshal"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "EOF"),
        (b"[", "unexpected EOF"),
        (b"{}", f"{JSON} object into Go value of type api.TxnOps"),
        (b"5", f"{JSON} number into Go value of type api.TxnOps"),
        (b'"x"', f"{JSON} string into Go value of type api.TxnOps"),
        (b"true", f"{JSON} bool into Go value of type api.TxnOps"),
        (b"[5]", f"{JSON} number into Go value of type api.TxnOp"),
        (b"[[]]", f"{JSON} array into Go value of type api.TxnOp"),
        (b'[{"KV":5}]', f"{JSON} number into Go struct field TxnOp.KV of type api.KVTxnOp"),
        (b'[{"KV":[]}]', f"{JSON} array into Go struct field TxnOp.KV of type api.KVTxnOp"),
        (b'[{"Node":5}]', f"{JSON} number into Go struct field TxnOp.Node of type api.NodeTxnOp"),
        (
            b'[{"Check":{"Verb":5}}]',
            f"{JSON} number into Go struct field CheckTxnOp.Check.Verb of type string",
        ),
        (b'[{"Session":{}}]', 'json: unknown field "Session"'),
        (b'[{"Intention":{}}]', 'json: unknown field "Intention"'),
        (b'[{"":1}]', 'json: unknown field ""'),
        (b'[{"KV":{"Foo":1}}]', 'json: unknown field "Foo"'),
        (rb'[{"KV":{"F\"\u00e9":1}}]', r'json: unknown field "F\"é"'),
        (b'[{"KV":{"Verb":5}}]', f"{JSON} number into {PLACE}.Verb of type api.KVOp"),
        (b'[{"KV":{"Key":5}}]', f"{JSON} number into {PLACE}.Key of type string"),
        (b'[{"KV":{"Session":{}}}]', f"{JSON} object into {PLACE}.Session of type string"),
        (b'[{"KV":{"Namespace":1}}]', f"{JSON} number into {PLACE}.Namespace of type string"),
        (b'[{"KV":{"Value":5}}]', f"{JSON} number into {PLACE}.Value of type []uint8"),
        (b'[{"KV":{"Value":["x"]}}]', f"{JSON} string into {PLACE}.Value of type uint8"),
        (b'[{"KV":{"Value":[256]}}]', f"{JSON} number 256 into {PLACE}.Value of type uint8"),
        (b'[{"KV":{"Value":"djE"}}]', "illegal base64 data at input byte 0"),
        (b'[{"KV":{"Value":"-_8="}}]', "illegal base64 data at input byte 0"),
        (b'[{"KV":{"Flags":"5"}}]', f"{JSON} string into {PLACE}.Flags of type uint64"),
        (b'[{"KV":{"Flags":-5}}]', f"{JSON} number -5 into {PLACE}.Flags of type uint64"),
        (b'[{"KV":{"Flags":1e3}}]', f"{JSON} number 1e3 into {PLACE}.Flags of type uint64"),
        (
            b'[{"KV":{"Index":18446744073709551616}}]',
            f"{JSON} number 18446744073709551616 into {PLACE}.Index of type uint64",
        ),
        # The first that is wrong is told.
        (b'[{"KV":{"Foo":1,"Flags":"x"}},{"Bar":1}]', 'json: unknown field "Foo"'),
        (b'[{"KV":{"Flags":[],"Foo":1}}]', f"{JSON} array into {PLACE}.Flags of type uint64"),
    ],
)
def test_T1_what_is_no_transaction(body: bytes, error: str) -> None:
    """Broken JSON, wrong types and unknown members are refused in Go's words."""
    with pytest.raises(InvalidRequest) as caught:
        parse_txn_body(body)
    assert str(caught.value) == error


@pytest.mark.parametrize("body", [b"[null]", b'[{"KV":{"Verb":"get"}},null]'])
def test_T3_null_is_no_operation(body: bytes) -> None:
    """What was expected is said (rule txn-null-operation)."""
    with pytest.raises(InvalidRequest, match=r"^an operation is null, expected an object"):
        parse_txn_body(body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(VERBS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBER = st.sampled_from([*MEMBERS, *map(str.lower, MEMBERS)])
KIND = st.sampled_from(["KV", "KV", "kv", "Node", "Service", "Check", "Foo"])
OPS = st.lists(
    st.none() | st.dictionaries(KIND, st.dictionaries(MEMBER, JSON_VALUES, max_size=4)), max_size=3
)


@given(
    st.binary() | st.text().map(str.encode) | (JSON_VALUES | OPS).map(json.dumps).map(str.encode)
)
@example(b"[" * 200_000)
@example(b'[{"KV":' * 100_000)
@example(b'[{"KV":{"Flags":' + b"9" * 5000 + b"}}]")
@example(b'[{"KV":{"Key":"\xed\xa0\x80\xff"}}]')
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """No bytes raise anything but InvalidRequest; what was read fits in the journal."""
    with suppress(InvalidRequest):
        for written in parse_txn_body(body):
            if written is not None:
                assert written.key.decode().encode() == written.key
                for number in ("flags", "index", "cas_index"):
                    assert 0 <= getattr(written.op, number, 0) < 2**64


@given(
    verb=st.sampled_from(VERBS),
    key=st.text(),
    value=st.binary(),
    number=st.integers(0, 2**64 - 1),
)
def test_what_clients_write_is_what_is_read(verb: str, key: str, value: bytes, number: int) -> None:
    """Whatever is in key, value, flags and index."""
    found = kv(Verb=verb, Key=key, Value=list(value), Flags=number, Index=number, Session=key)
    assert found.key == key.encode()
    assert getattr(found.op, "value", value) == value
    assert getattr(found.op, "session", key) == key
    for name in ("flags", "index", "cas_index"):
        assert getattr(found.op, name, number) == number

"""Plainly written transactions: read as `txn_body.py` reads them, or left to it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.txn_body import parse_txn_body
from kvstore.api.txn_plain import parse_plain

from .test_txn_body import VERBS


def as_python_writes(*ops: object) -> bytes:
    """Return the JSON of some operations, with spaces."""
    return json.dumps(ops).encode()


def as_go_writes(*ops: object) -> bytes:
    """Return the JSON of some operations, without spaces; Go spells all letters as they are."""
    return json.dumps(ops, separators=(",", ":"), ensure_ascii=False).encode()


def members(verb: str) -> dict[str, object]:
    """Return all members that Go's client sends."""
    session = "5c9a1f3e-0a7b-4d8e-9f2c-1b6d3e7a8c90"
    index = {"Flags": 7, "Index": 2**63 - 1, "Session": session}
    return {"Verb": verb, "Key": "docker/né/x-0", "Value": "dg==", **index}


@pytest.mark.parametrize("write", [as_go_writes, as_python_writes])
@pytest.mark.parametrize("verb", [*VERBS, "SET", ""])
def test_what_clients_write_is_taken(write: Callable[..., bytes], verb: str) -> None:
    """Every verb, with all members or with those that it needs; each is what it should be."""
    ascii_only = {**members(verb), "Key": "a/b"}
    body = write({"KV": ascii_only}, {"KV": {"Verb": verb, "Key": "k"}}, {"KV": {}})
    taken = parse_plain(body)
    assert taken is not None
    assert len(taken) == 3
    assert taken == parse_txn_body(body)


def test_letters_of_every_script_are_taken() -> None:
    """Go spells them as they are, and a session's id has dashes."""
    body = as_go_writes({"KV": members("lock")})
    assert parse_plain(body) == parse_txn_body(body) != []


@pytest.mark.parametrize("body", [b"[]", b" [\n] \r\n\t"])
def test_no_operations_are_taken(body: bytes) -> None:
    """There may be nothing to do."""
    assert parse_plain(body) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[] junk",
        b"[null]",
        b"[{}]",
        b'[{"KV":null}]',
        b'[{"KV":{}},{}]',
        b'[{"kv":{}}]',
        b'[{"Node":{"Verb":"get"}}]',
        b'[{"KV":{},"Check":null}]',
        b'[{"KV":{"verb":"set"}}]',
        b'[{"KV":{"Namespace":"n"}}]',
        b'[{"KV":{"Foo":1}}]',
        b'[{"KV":{"Key":null}}]',
        rb'[{"KV":{"Key":"\u00e9"}}]',
        b'[{"KV":{"Key":"\xff"}}]',
        b'[{"KV":{"Key":"\xed\xa0\x80"}}]',
        b'[{"KV":{"Key":"a\nb"}}]',
        b'[{"KV":{"Value":[1,255]}}]',
        b'[{"KV":{"Value":"d"}}]',
        b'[{"KV":{"Value":"-_8="}}]',
        rb'[{"KV":{"Value":"d\ng=="}}]',
        b'[{"KV":{"Flags":-0}}]',
        b'[{"KV":{"Index": \t-0}}]',
        b'[{"KV":{"Flags":-1}}]',
        b'[{"KV":{"Flags":1.0}}]',
        b'[{"KV":{"Flags":1e3}}]',
        b'[{"KV":{"Flags":01}}]',
        b'[{"KV":{"Flags":"1"}}]',
        b'[{"KV":{"Index":18446744073709551616}}]',
        b'[{"KV":{"Verb":"set","Key":"a"},"KV":{"Flags":1}}]',
        b'[{"KV":{"Verb":"set","Key":"a"},"KV" :{"Flags":1}}]',
        rb'[{"KV":{"Verb":"set","Key":"a"},"\u004bV":{"Flags":1}}]',
        b'[{"KV":{"Key":"KV"}}]',
        b"[" * 200_000,
    ],
)
def test_what_is_unusual_is_left_alone(body: bytes) -> None:
    """What Go would refuse, and what it reads otherwise than msgspec."""
    assert parse_plain(body) is None


def quoted(text: str) -> str:
    """Put a text between quotes as it is, whatever JSON says to that."""
    return f'"{text}"'


SPACE = st.sampled_from(["", "", "", " ", "\n", "\t", "\r", "\x0b", "\u00a0", "\x00"])
TEXT = st.sampled_from(
    ["", "k", "KV", "a/-0", "é", "\U0001f600", "\u2028", "\x7f", "\x1f", "\\n", "\\u004b", ": -0"]
)
NUMBER = st.sampled_from(
    ["0", "1", "-0", "-1", "00", "1.0", "1e0", "1E2", "+1", "9" * 400]
    + [str(2**bits - one) for bits in (63, 64) for one in (0, 1)]
)
BASE64 = st.sampled_from(
    ["", "dg==", "dh==", "djE=", "djF=", "djEy", "dg=", "d", "dg==dg==", "d g==", "dg==\\n", "-_8="]
)
WRONG = st.sampled_from(["null", "true", "{}", "[]", '"', "", "0x1"])
MEMBER = st.one_of(
    st.tuples(st.sampled_from(['"Verb"', '"Verb"', '"verb"']), st.sampled_from(VERBS).map(quoted)),
    st.tuples(st.sampled_from(['"Key"', '"Session"', '"KEY"', '"\\u004bey"']), TEXT.map(quoted)),
    st.tuples(st.sampled_from(['"Flags"', '"Index"', '"Namespace"']), NUMBER),
    st.tuples(st.just('"Value"'), BASE64.map(quoted)),
    st.tuples(st.sampled_from(['"Verb"', '"Key"', '"Value"', '"Flags"', '"Foo"']), WRONG),
)


@st.composite
def written(draw: st.DrawFn, inner: st.SearchStrategy[list[tuple[str, str]]]) -> str:
    """Write the object that has these members, with some space, and seldom a comma too many."""
    texts = [f"{draw(SPACE)}{name}:{draw(SPACE)}{value}" for name, value in draw(inner)]
    return "{" + ",".join(texts) + draw(st.sampled_from(["", "", "", ","])) + "}"


KIND = st.sampled_from(['"KV"', '"KV"', '"KV"', '"KV"', '"kv"', '"Check"'])
OP = written(st.lists(st.tuples(KIND, written(st.lists(MEMBER, max_size=6))), max_size=2))


@given(ops=st.lists(OP, max_size=3), end=st.sampled_from(["]", "]", "] ", "", "]]", "\x00"]))
def test_what_is_taken_is_what_it_would_be(ops: list[str], end: str) -> None:
    """Whatever is in a body: no operation is read otherwise than all others are."""
    body = ("[" + ",".join(ops) + end).encode()
    taken = parse_plain(body)
    assert taken is None or taken == parse_txn_body(body)


@given(body=st.binary(), at=st.integers(0, 200), length=st.integers(0, 3))
def test_bytes_in_the_midst_of_a_body(body: bytes, at: int, length: int) -> None:
    """The same, where some bytes of a body that is plain have become others."""
    plain = as_go_writes(*({"KV": members(verb)} for verb in ("set", "cas")))
    broken = plain[:at] + body + plain[at + length :]
    taken = parse_plain(broken)
    assert taken is None or taken == parse_txn_body(broken)

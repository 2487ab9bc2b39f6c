"""Transactions: all operations at one index, or none (T1-T12, V7, H12 and the limits of 1.8)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.suite.wire import Answer, ConnectionEnded, encode_request

from .rules import by_intent
from .stores import Store

LIMIT_BYTES = 524_288
TOO_LARGE = (
    "Request body{} too large, max size: 524288 bytes. See "
    "https://www.consul.io/docs/agent/options.html#txn_max_req_len."
)
UNKNOWN = "abcdef00-2222-3333-4444-555555555555"
LOOKUP = "failed session lookup: index error: "
READ_END = ',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}'


def kv(verb: str, key: str, **members: Any) -> dict[str, Any]:
    """Return a KV operation."""
    return {"KV": {"Verb": verb, "Key": key, **members}}


def run(store: Store, *ops: Any, query: str = "") -> Answer:
    """Run a transaction."""
    return store.ask("PUT", f"/v1/txn{query}", json.dumps(ops).encode())


def results(answer: Answer) -> list[dict[str, Any]]:
    """Return the entries of a transaction that must have been done."""
    assert answer.status == 200, answer
    assert answer.json["Errors"] is None
    return [one["KV"] for one in answer.json["Results"]]


def whats(answer: Answer) -> list[tuple[int, str]]:
    """Return the place and text of each failure of a transaction that must have failed."""
    assert answer.status == 409, answer
    assert answer.json["Results"] is None
    return [(one["OpIndex"], one["What"]) for one in answer.json["Errors"]]


def parse_error(store: Store, body: bytes) -> str:
    """Return what is wrong with a body, for which Consul and we must find the same words."""
    answer = store.ask("PUT", "/v1/txn", body)
    assert answer.status == 400, answer
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    assert answer.get("Vary") == "Accept-Encoding"
    head, said, error = answer.text.partition("Failed to parse body: ")
    assert (head, said) == ("", "Failed to parse body: ")
    return error


@pytest.fixture
def sessions(store: Store) -> Iterator[tuple[str, str]]:
    """Create two sessions without lock-delay."""
    both = store.session(Name="mine"), store.session(Name="other")
    yield both
    for session in both:
        store.destroy(session)


# --- T1 to T3: the body ---------------------------------------------------------------------

KV_PLACE = "Go struct field KVTxnOp.KV"
JSON = "json: cannot unmarshal"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "EOF"),
        (b"[", "unexpected EOF"),
        (b'[{"KV":{"Verb":"get"', "unexpected EOF"),
        (b"[tru", "unexpected EOF"),
        (b"[1.", "unexpected EOF"),
        (b'["\\u00', "unexpected EOF"),
        (b"[NaN]", "invalid character 'N' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b"{}", f"{JSON} object into Go value of type api.TxnOps"),
        (b"5", f"{JSON} number into Go value of type api.TxnOps"),
        (b'["x"]', f"{JSON} string into Go value of type api.TxnOp"),
        (b'[{"KV":[]}]', f"{JSON} array into Go struct field TxnOp.KV of type api.KVTxnOp"),
        (b'[{"Node":5}]', f"{JSON} number into Go struct field TxnOp.Node of type api.NodeTxnOp"),
        (b'[{"Session":{}}]', 'json: unknown field "Session"'),
        (b'[{"Intention":{}}]', 'json: unknown field "Intention"'),
        (b'[{"KV":{"Foo":1}}]', 'json: unknown field "Foo"'),
        (b'[{"KV":{"Foo":1,"Flags":"x"}},{"Bar":1}]', 'json: unknown field "Foo"'),
        (b'[{"KV":{"Flags":"x","Foo":1}}]', f"{JSON} string into {KV_PLACE}.Flags of type uint64"),
        (b'[{"KV":{"Verb":5}}]', f"{JSON} number into {KV_PLACE}.Verb of type api.KVOp"),
        (b'[{"KV":{"Key":{}}}]', f"{JSON} object into {KV_PLACE}.Key of type string"),
        (b'[{"KV":{"Value":true}}]', f"{JSON} bool into {KV_PLACE}.Value of type []uint8"),
        (b'[{"KV":{"Value":[256]}}]', f"{JSON} number 256 into {KV_PLACE}.Value of type uint8"),
        (b'[{"KV":{"Flags":-5}}]', f"{JSON} number -5 into {KV_PLACE}.Flags of type uint64"),
        (b'[{"KV":{"Flags":1e3}}]', f"{JSON} number 1e3 into {KV_PLACE}.Flags of type uint64"),
        (
            b'[{"KV":{"Index":18446744073709551616}}]',
            f"{JSON} number 18446744073709551616 into {KV_PLACE}.Index of type uint64",
        ),
        (b'[{"KV":{"Session":1}}]', f"{JSON} number into {KV_PLACE}.Session of type string"),
        (b'[{"KV":{"Namespace":1}}]', f"{JSON} number into {KV_PLACE}.Namespace of type string"),
    ],
)
def test_T1_strict_decoding(store: Store, body: bytes, error: str) -> None:
    """What is no list of operations is a 400 in Go's words, the first mistake first."""
    assert parse_error(store, body) == error


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("d", 0),
        ("djE", 0),
        ("====", 0),
        ("d===", 1),
        ("djE==", 4),
        ("dj=E", 2),
        ("dj=\nE", 3),
        ("djE=djE=", 4),
        ("djE=\nx", 5),
        (" djE=", 0),
        ("-_8=", 0),
        ("+_8=", 1),
        ("é", 0),
        ("djEx é", 4),
        ("dj\n", 1),
        ("\nd\n", 2),
    ],
)
def test_T1_base64_is_strict(store: Store, value: str, at: int) -> None:
    """Padding is required, other alphabets are refused; the byte is the one where Go stops."""
    body = json.dumps([kv("set", "k", Value=value)]).encode()
    assert parse_error(store, body) == f"illegal base64 data at input byte {at}"


def test_T1_base64_of_any_text(store: Store) -> None:
    """Whatever is made of letters, padding and line breaks is refused at the same byte, or read.

    Consul's answers are the judge of ours: this states what they have in common.
    """
    chance = random.Random(17)
    for _ in range(40):
        value = "".join(
            chance.choices("Ab+/=\r\n-", (5, 5, 1, 1, 3, 1, 1, 1), k=chance.randint(1, 9))
        )
        answer = store.ask("PUT", "/v1/txn", json.dumps([kv("get", "k", Value=value)]).encode())
        clean = value.replace("\r", "").replace("\n", "")
        padding = len(clean) - len(clean.rstrip("="))
        is_sound = len(clean) % 4 == 0 and padding < 3 and not set(clean.rstrip("=")) & set("=-")
        assert (answer.status != 400) == is_sound, (value, answer)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[]", None),
        ('""', None),
        ("null", None),
        ("[1,null,255]", "AQD/"),
        ('"djE="', "djE="),
        ('"d\\r\\njE=\\n"', "djE="),
        ('"dj=="', "dg=="),
        ('"\\u0064jE="', "djE="),
    ],
)
def test_T2_values(store: Store, prefix: str, value: str, shown: str | None) -> None:
    """A value is base64, or a list of bytes; nothing is the empty value."""
    key = f"{prefix}k"
    body = f'[{{"KV":{{"Verb":"set","Key":"{key}","Value":{value}}}}}]'.encode()
    (result,) = results(store.ask("PUT", "/v1/txn", body))
    assert result["Value"] is None
    assert store.entry(key)["Value"] == shown


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"[{}]", b'[{"KV":null}]', b"[] junk", b'[{"Node":null}]']
)
def test_T3_nothing_to_do(store: Store, body: bytes) -> None:
    """No operations are a read of nothing."""
    answer = store.ask("PUT", "/v1/txn", body)
    assert (answer.status, answer.text) == (200, '{"Results":[],"Errors":null' + READ_END)


def test_T3_null_is_no_operation(store: Store) -> None:
    """Consul's handler panics and the connection is closed; we say what is wrong."""
    expected = by_intent(store, consul=None, kvstore=400, rule="txn-null-operation")
    with store.connect() as connection:
        connection.send(encode_request("PUT", "/v1/txn", b"[null]"))
        if expected is None:
            with pytest.raises(ConnectionEnded):
                connection.read()
        else:
            answer = connection.read()
            assert answer.status == expected
            assert answer.text.startswith("Failed to parse body: an operation is null, expected")
    assert store.ask("PUT", "/v1/txn", b"[]").status == 200


def test_T3_operations_that_say_nothing_do_not_count(store: Store, prefix: str) -> None:
    """The place of a failure is its place among those that say something."""
    answer = run(store, {}, kv("get", f"{prefix}1"), {"KV": None}, kv("get", f"{prefix}2"))
    assert [place for place, _what in whats(answer)] == [0, 1]


@pytest.mark.parametrize(
    "op", ['{{"KV":{},"Node":{{"Verb":"set"}}}}', '{{"Service":{{}},"Check":{{}},"KV":{}}}']
)
def test_T3_keys_come_first(store: Store, prefix: str, op: str) -> None:
    """Of several kinds in one operation KV counts."""
    inner = json.dumps({"Verb": "get-tree", "Key": prefix})
    assert results(store.ask("PUT", "/v1/txn", f"[{op.format(inner)}]".encode())) == []


@pytest.mark.parametrize(
    ("members", "flags"),
    [
        ('{"VERB":"set","key":$K,"flags":5}', 5),
        ('{"Verb":"set","Key":"x","Key":$K,"Flags":5,"flags":6}', 6),
        ('{"Verb":"set","Key":$K,"Key":null,"Flags":5,"Flags":null}', 5),
        ('{"Verb":"set","Key":$K},"KV":{"Flags":5}', 5),
        ('{"Verb":"get","Key":"x","Flags":3},"KV":null,"kv":{"Verb":"set","Key":$K}', 0),
    ],
)
def test_H31_members(store: Store, prefix: str, members: str, flags: int) -> None:
    """Any letter case, the last of two, null as the default; a second object adds to the first."""
    key = f"{prefix}k"
    body = f'[{{"KV":{members.replace("$K", json.dumps(key))}}}]'
    (result,) = results(store.ask("PUT", "/v1/txn", body.encode()))
    assert (result["Key"], result["Flags"]) == (key, flags)


# --- T4, T5: all or nothing -----------------------------------------------------------------


def test_T5_done(store: Store, prefix: str) -> None:
    """Results in order, each an entry in the usual shape; writes show no value."""
    key = f"{prefix}k"
    answer = run(store, kv("set", key, Value="djE=", Flags=3), kv("get", key))
    index = store.modify_index(key)
    shown = ",".join(
        f'{{"KV":{{"LockIndex":0,"Key":"{key}","Flags":3,"Value":{value},'
        f'"CreateIndex":{index},"ModifyIndex":{index}}}}}'
        for value in ("null", '"djE="')
    )
    assert (answer.status, answer.text) == (200, f'{{"Results":[{shown}],"Errors":null}}')


def test_T5_failed(store: Store, prefix: str) -> None:
    """Every failure with its place, and no results."""
    answer = run(store, kv("set", f"{prefix}k"), kv("get", f"{prefix}no"))
    what = f'"key \\"{prefix}no\\" doesn\'t exist"'
    assert answer.status == 409
    assert answer.text == f'{{"Results":null,"Errors":[{{"OpIndex":1,"What":{what}}}]}}'


def test_T4_nothing_remains(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """After a failure keys, locks, prefixes' indexes and listings are as before."""
    mine, other = sessions
    store.write(f"{prefix}a", b"1")
    store.write(f"{prefix}t/1", b"1")
    store.write(f"{prefix}held?acquire={mine}")
    store.delete(f"{prefix}t/1")
    paths = [f"{prefix}{query}" for query in ("?recurse", "t/?recurse", "a", "?keys")]
    before = [(answer.index, answer.body) for answer in map(store.get, paths)]
    answer = run(
        store,
        kv("set", f"{prefix}a", Value="eA=="),
        kv("set", f"{prefix}new"),
        kv("lock", f"{prefix}a", Session=other),
        kv("unlock", f"{prefix}held", Session=mine),
        kv("lock", f"{prefix}held", Session=other),
        kv("delete", f"{prefix}a"),
        kv("set", f"{prefix}t/1"),
        kv("delete-tree", prefix),
        kv("get", f"{prefix}new"),
    )
    assert [place for place, _what in whats(answer)] == [8]
    assert [(answer.index, answer.body) for answer in map(store.get, paths)] == before
    store.destroy(other)
    assert store.entry(f"{prefix}held")["Session"] == mine


def test_T4_each_sees_what_those_before_it_did(
    store: Store, prefix: str, sessions: tuple[str, str]
) -> None:
    """In the order of the operations."""
    key, (mine, _other) = f"{prefix}k", sessions
    answer = run(
        store,
        kv("check-not-exists", key),
        kv("cas", key, Value="MQ=="),
        kv("lock", key, Value="Mg==", Session=mine),
        kv("check-session", key, Session=mine),
        kv("get", key),
        kv("unlock", key, Session=mine, Value="Mw=="),
        kv("get-tree", prefix),
        kv("delete", key),
        kv("get-tree", prefix),
        kv("set", key),
    )
    shown = [(one["Value"], one.get("Session"), one["LockIndex"]) for one in results(answer)]
    assert shown == [
        (None, None, 0),
        (None, mine, 1),
        (None, mine, 1),
        ("Mg==", mine, 1),
        (None, None, 1),
        ("Mw==", None, 1),
        (None, None, 0),
    ]


def test_T4_all_failures_are_listed(store: Store, prefix: str) -> None:
    """Those behind a failure run too, and see what those before them did."""
    key = f"{prefix}k"
    answer = run(
        store,
        kv("get", key),
        kv("set", key),
        kv("get", key),
        kv("cas", key, Index=1),
        kv("bad", key),
        kv("check-not-exists", key),
    )
    assert [place for place, _what in whats(answer)] == [0, 3, 4, 5]


@pytest.mark.parametrize(
    "verb",
    [
        *("set", "cas", "lock", "unlock", "get", "get-tree", "check-index", "check-session"),
        *("check-not-exists", "delete", "delete-cas", "bad"),
    ],
)
def test_T4_a_key_is_needed(store: Store, prefix: str, verb: str) -> None:
    """By every verb but delete-tree; then nothing is run, and nothing else is told."""
    answer = run(store, kv("set", f"{prefix}k"), kv(verb, ""), kv("get", f"{prefix}no"))
    assert whats(answer) == [(1, "Must provide key")]
    assert store.get(f"{prefix}k").status == 404


def test_T4_lock_delay(store: Store, prefix: str) -> None:
    """A lock under lock-delay is told before anything is run, whatever its session is."""
    first, second = store.session(LockDelay="60s"), store.session()
    key = f"{prefix}k"
    store.write(f"{key}?acquire={first}")
    store.destroy(first)
    ops = [
        kv("set", f"{prefix}new"),
        kv("lock", key, Session=second),
        kv("get", f"{prefix}no"),
        kv("lock", key, Session="x"),
        kv("set", ""),
    ]
    delayed = f'failed to lock key "{key}" due to lock delay'
    assert whats(run(store, *ops[:3])) == [(1, delayed)]
    assert whats(run(store, *ops)) == [(1, delayed), (3, delayed), (4, "Must provide key")]
    assert store.get(f"{prefix}new").status == 404
    assert len(results(run(store, kv("set", key), kv("lock", f"{prefix}l", Session=second)))) == 2
    store.destroy(second)


# --- T6: reads ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", ["get", "get-tree", "check-index", "check-session", "check-not-exists", "SET", ""]
)
def test_T6_reads(store: Store, prefix: str, verb: str) -> None:
    """What has no write in it says more of itself; unknown verbs are no writes."""
    answer = run(store, kv(verb, f"{prefix}k"))
    assert answer.status in (200, 409)
    assert answer.text.endswith(READ_END)
    assert answer.get("X-Consul-Knownleader") == "true"
    assert answer.get("X-Consul-Lastcontact") == "0"
    assert answer.get("X-Consul-Index") is None
    assert answer.get("Content-Type") == "application/json"


@pytest.mark.parametrize("verb", ["set", "cas", "delete", "delete-cas", "delete-tree", "unlock"])
def test_T6_writes(store: Store, prefix: str, verb: str) -> None:
    """What has a write in it does not, whether it is done or fails."""
    for more in ([], [kv("get", f"{prefix}no")]):
        answer = run(store, kv(verb, f"{prefix}k"), *more)
        assert answer.status in (200, 409)
        assert set(answer.json) == {"Results", "Errors"}
        for name in ("X-Consul-Knownleader", "X-Consul-Lastcontact", "X-Consul-Index"):
            assert answer.get(name) is None


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("?index=999999999&wait=9s", 200, '{"Results":[]'),
        ("?stale", 200, '{"Results":[]'),
        ("?consistent&ns=x", 200, '{"Results":[]'),
        ("?index=x", 400, "Invalid index"),
        ("?wait=x", 400, "Invalid wait time"),
        (
            "?stale&consistent",
            400,
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        ("?dc=other", 500, "No path to datacenter"),
    ],
)
def test_T6_T11_options(store: Store, prefix: str, query: str, status: int, said: str) -> None:
    """Reads are held to their options and never wait; writes know the datacenter only."""
    answer = run(store, query=query)
    assert answer.status == status
    assert answer.text.startswith(said)
    answer = run(store, kv("set", f"{prefix}k"), query=query)
    assert answer.status == (500 if "dc=" in query else 200)


# --- T7 to T10: each verb -------------------------------------------------------------------


def test_T7_T9_results(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """One for each operation that has an entry to show; they share one index."""
    mine, _other = sessions
    for name in ("t/1", "t/2", "gone"):
        store.write(prefix + name, b"1")
    answer = run(
        store,
        kv("set", f"{prefix}a", Value="MQ=="),
        kv("set", f"{prefix}a", Value="Mg=="),
        kv("cas", f"{prefix}b"),
        kv("lock", f"{prefix}c", Session=mine),
        kv("check-session", f"{prefix}a"),
        kv("check-index", f"{prefix}t/1", Index=store.modify_index(f"{prefix}t/1")),
        kv("check-not-exists", f"{prefix}d"),
        kv("get-tree", f"{prefix}t/"),
        kv("get-tree", f"{prefix}never"),
        kv("delete", f"{prefix}gone"),
        kv("delete-cas", f"{prefix}never", Index=9),
        kv("delete-tree", f"{prefix}t/"),
        kv("get", f"{prefix}a"),
    )
    shown = [(one["Key"].removeprefix(prefix), one["Value"]) for one in results(answer)]
    assert shown == [
        *(("a", None), ("a", None), ("b", None), ("c", None), ("a", None), ("t/1", None)),
        *(("t/1", "MQ=="), ("t/2", "MQ=="), ("a", "Mg==")),
    ]
    indexes = {store.modify_index(prefix + name) for name in "abc"}
    assert len(indexes) == 1
    assert {store.get(f"{prefix}?recurse").index, store.get(f"{prefix}t/?keys").index} == indexes


@pytest.mark.parametrize(
    ("op", "what"),
    [
        (kv("cas", "$a", Index=1), 'failed to set key "$a", index is stale'),
        (kv("cas", "$a"), 'failed to set key "$a", index is stale'),
        (kv("cas", "$new", Index=1), 'failed to set key "$new", index is stale'),
        (kv("lock", "$held", Session="$other"), 'failed to lock key "$held", lock is already held'),
        (kv("lock", "$held", Session="$MINE"), 'failed to lock key "$held", lock is already held'),
        (kv("lock", "$a"), "missing session"),
        (kv("lock", "$a", Session="x"), f"{LOOKUP}UUID must be 36 characters"),
        (
            kv("lock", "$a", Session="z" * 36),
            f"{LOOKUP}Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",
        ),
        (kv("lock", "$a", Session=UNKNOWN), f'invalid session "{UNKNOWN}"'),
        (
            kv("unlock", "$held", Session="$other"),
            'failed to unlock key "$held", lock isn\'t held, or is held by another session',
        ),
        (
            kv("unlock", "$new", Session="x"),
            'failed to unlock key "$new", lock isn\'t held, or is held by another session',
        ),
        (kv("unlock", "$held"), "missing session"),
        (kv("delete-cas", "$a", Index=1), 'failed to delete key "$a", index is stale'),
        (kv("get", "$new"), 'key "$new" doesn\'t exist'),
        (
            kv("check-index", "$a", Index=1),
            'failed index check for key "$a", current modify index $index != 1',
        ),
        (kv("check-index", "$new"), 'failed to check index, key "$new" doesn\'t exist'),
        (
            kv("check-session", "$held", Session="$other"),
            'failed session check for key "$held", current session "$mine" != "$other"',
        ),
        (
            kv("check-session", "$held"),
            'failed session check for key "$held", current session "$mine" != ""',
        ),
        (
            kv("check-session", "$a", Session='"\\é'),
            'failed session check for key "$a", current session "" != "\\"\\\\é"',
        ),
        (kv("check-session", "$new"), 'failed to check session, key "$new" doesn\'t exist'),
        (kv("check-not-exists", "$a"), 'key "$a" exists'),
        (kv("SET", "$a"), 'unknown KV verb "SET"'),
        (kv("", "$a"), 'unknown KV verb ""'),
        (kv("b<\u0001>", "$a"), 'unknown KV verb "b<\\x01>"'),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_write", [False, True], ids=["alone", "beside a write"])
def test_T7_T8_failures(
    store: Store,
    prefix: str,
    sessions: tuple[str, str],
    op: dict[str, Any],
    what: str,
    *,
    is_write: bool,
) -> None:
    """Each has its words, in a read and in a write."""
    mine, other = sessions
    index = store.write(f"{prefix}a")
    store.write(f"{prefix}held?acquire={mine}")
    text = json.dumps([kv("set", f"{prefix}beside"), op] if is_write else [op])
    for name in ("a", "new", "held"):
        text, what = (
            text.replace(f"${name}", prefix + name),
            what.replace(f"${name}", prefix + name),
        )
    for name, one in (("mine", mine), ("MINE", mine.upper()), ("other", other)):
        text, what = text.replace(f"${name}", one), what.replace(f"${name}", one)
    answer = store.ask("PUT", "/v1/txn", text.encode())
    assert whats(answer) == [(int(is_write), what.replace("$index", str(index)))]


def test_T9_identical_writes(store: Store, prefix: str) -> None:
    """A set that changes nothing shows the old index; of a cas see rule cas-identical-wakes."""
    index = store.write(f"{prefix}k", b"v")
    (result,) = results(run(store, kv("set", f"{prefix}k", Value="dg==")))
    assert result["ModifyIndex"] == index
    (result,) = results(run(store, kv("cas", f"{prefix}k", Value="dg==", Index=index)))
    moved = result["ModifyIndex"] > index
    assert moved == by_intent(store, consul=False, kvstore=True, rule="cas-identical-wakes")
    assert result["ModifyIndex"] == store.modify_index(f"{prefix}k")


@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ('q"\\', r"q\"\\"),
        ("\u0001\n\t\u001f", r"\x01\n\t\x1f"),
        ("\u007f\u0080\u00a0", r"\u007f\u0080\u00a0"),
        ("\u2028\ufeff\u3000\ue000", r"\u2028\ufeff\u3000\ue000"),
        ("é<&>😀\ufffd", "é<&>😀\ufffd"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_T10_keys_are_quoted(store: Store, prefix: str, key: str, quoted: str) -> None:
    """As Go quotes them, and then as JSON does."""
    answer = run(store, kv("get", prefix + key))
    assert whats(answer) == [(0, f'key "{prefix}{quoted}" doesn\'t exist')]


# --- T11, T12 -------------------------------------------------------------------------------


def test_T11_H12_keys_are_not_cleaned(store: Store, prefix: str) -> None:
    """Those that no path can spell are made, listed, and deleted again."""
    odd = [prefix + name for name in ("/a", "a//b", "../c", "x\u0000\n", "\u3000")]
    assert len(results(run(store, *[kv("set", key, Namespace="x") for key in odd]))) == len(odd)
    assert store.get(f"{prefix}?keys").json == sorted(odd, key=str.encode)
    rooted = f"/{prefix}rooted"
    (result,) = results(run(store, kv("set", rooted)))
    assert result["Key"] == rooted
    assert results(run(store, *[kv("delete", key) for key in (*odd, rooted)])) == []
    assert store.get(f"{prefix}?keys").status == 404


def test_T11_undecodable_bytes_of_keys(store: Store, prefix: str) -> None:
    """They are replaced, since the body is JSON; one for each byte."""
    for sent, key in ((b"\xff", "\ufffd"), (rb"\ud800", "\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3)):
        body = b'[{"KV":{"Verb":"set","Key":"%s%s"}}]' % (prefix.encode(), sent)
        (result,) = results(store.ask("PUT", "/v1/txn", body))
        assert result["Key"] == prefix + key


@pytest.mark.parametrize(
    ("op", "consul", "verb"),
    [
        (
            {"Node": {"Verb": "get", "Node": {"Node": "zz"}}},
            'node "zz" doesn\'t exist',
            'Node verb "get"',
        ),
        (
            {"Node": {"Verb": "delete-cas", "Node": {"Node": "zz"}}},
            'failed to delete node "zz", index is stale',
            'Node verb "delete-cas"',
        ),
        (
            {"Service": {"Verb": "get", "Node": "zz", "Service": {"ID": "s"}}},
            'service "s" on node "zz" doesn\'t exist',
            'Service verb "get"',
        ),
        (
            {"Check": {"Verb": "get", "Check": {"Node": "zz", "CheckID": "c"}}},
            'check "c" on node "zz" doesn\'t exist',
            'Check verb "get"',
        ),
        (
            {"Node": {"Verb": "bad", "Node": {"Node": "zz"}}},
            'unknown Node verb "bad"',
            'Node verb "bad"',
        ),
    ],
    ids=str,
)
def test_T12_the_catalog(store: Store, op: dict[str, Any], consul: str, verb: str) -> None:
    """Ours has no nodes to read or write, and says so; either way it is a 409."""
    ours = f"unknown {verb}: this server has keys and sessions, but no catalog"
    what = by_intent(store, consul=consul, kvstore=ours, rule="one-node")
    answer = run(store, op)
    assert whats(answer) == [(0, what)]
    is_read = '"get"' in verb
    assert answer.text.endswith(READ_END) == is_read


# --- 1.8, V7: limits ------------------------------------------------------------------------


def test_V7_number_of_operations(store: Store, prefix: str) -> None:
    """One more than allowed is a 413, whatever they are; those that say nothing count."""
    most = by_intent(store, consul=64, kvstore=128, rule="txn-larger")
    assert len(results(run(store, *[kv("set", f"{prefix}{n}") for n in range(most)]))) == most
    for op in ({}, kv("get", "x"), kv("set", "")):
        answer = run(store, *[op] * (most + 1))
        assert answer.status == 413
        text = f"Transaction contains too many operations ({most + 1} > {most})"
        assert answer.text == text
        assert answer.get("Content-Type") == "text/plain; charset=utf-8"


def test_V7_get_or_empty(store: Store, prefix: str) -> None:
    """An absent key is an entry without a value; 1.8.7 does not know the verb."""
    key = f"{prefix}k"
    answer = run(store, kv("get-or-empty", key))
    assert answer.text.endswith(READ_END)
    if by_intent(store, consul=False, kvstore=True, rule="txn-larger"):
        assert results(answer) == [
            {
                "LockIndex": 0,
                "Key": key,
                "Flags": 0,
                "Value": None,
                "CreateIndex": 0,
                "ModifyIndex": 0,
            }
        ]
        store.write(key, b"v")
        assert results(run(store, kv("get-or-empty", key))) == [store.entry(key)]
    else:
        assert whats(answer) == [(0, 'unknown KV verb "get-or-empty"')]


def test_1_8_size_of_the_body(store: Store, prefix: str) -> None:
    """As much as a value may have is taken, one byte more is a 413, before it is looked at."""
    whole = json.dumps([kv("set", f"{prefix}k", Value="dg==")]).encode().ljust(LIMIT_BYTES)
    assert len(results(store.ask("PUT", "/v1/txn", whole))) == 1
    answer = store.ask("PUT", "/v1/txn", b"x" * (LIMIT_BYTES + 1))
    assert (answer.status, answer.text) == (413, TOO_LARGE.format("(524289 bytes)"))


def test_1_8_size_of_a_chunked_body(store: Store, prefix: str) -> None:
    """It is held to the same limit while it is read; a smaller one is fine (H36)."""
    body = json.dumps([kv("set", f"{prefix}k", Value="A" * 400_000)]).encode()
    assert len(results(store.ask("PUT", "/v1/txn", body, chunked=True))) == 1
    assert len(store.get(f"{prefix}k?raw").body) == 300_000
    large = json.dumps([kv("set", f"{prefix}k", Value="A" * 600_000)]).encode()
    answer = store.ask("PUT", "/v1/txn", large, chunked=True)
    assert (answer.status, answer.text) == (413, TOO_LARGE.format(""))


# --- what others see of it ------------------------------------------------------------------


def test_S17_watchers_are_woken_by_a_transaction(store: Store, prefix: str) -> None:
    """Of the keys, of prefixes over them; with all of it done."""
    store.write(f"{prefix}a")
    store.write(f"{prefix}b")
    index = store.get(f"{prefix}?recurse").index
    paths = [f"{prefix}{query}" for query in (f"a?index={index}", f"?recurse&index={index}")]
    with store.park(f"/v1/kv/{paths[0]}") as one, store.park(f"/v1/kv/{paths[1]}") as tree:
        results(run(store, kv("set", f"{prefix}a", Value="eA=="), kv("delete", f"{prefix}b")))
        answers = one.answer(), tree.answer()
    assert answers[0].index == answers[1].index > index
    assert [entry["Key"] for entry in answers[1].json] == [f"{prefix}a"]


def test_T4_watchers_sleep_through_a_transaction_that_fails(store: Store, prefix: str) -> None:
    """It has changed nothing."""
    index = store.write(f"{prefix}a")
    with store.park(f"/v1/kv/{prefix}a?index={index}") as query:
        whats(run(store, kv("set", f"{prefix}a", Value="eA=="), kv("get", f"{prefix}no")))
        assert query.waits()


@pytest.mark.parametrize("query", ["?pretty", "?pretty=0"])
def test_H26_pretty(store: Store, prefix: str, query: str) -> None:
    """The answer is indented for people, empty lists are not."""
    answer = run(store, query=query)
    assert answer.text == (
        '{\n    "Results": [],\n    "Errors": null,\n    "Index": 0,\n    "LastContact": 0,\n'
        '    "KnownLeader": true,\n    "ConsistencyLevel": ""\n}\n'
    )
    answer = run(store, kv("check-not-exists", f"{prefix}k"), kv("bad", f"{prefix}k"), query=query)
    assert answer.text.startswith('{\n    "Results": null,\n    "Errors": [\n        {\n')


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_1_1_methods(store: Store, method: str) -> None:
    """Only PUT."""
    answer = store.ask(method, "/v1/txn")
    assert answer.status == (200 if method == "OPTIONS" else 405)
    assert answer.get("Allow") == "OPTIONS,PUT"

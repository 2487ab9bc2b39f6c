"""What may differ, and how little: for each rule a case that it covers and near misses."""

import gzip
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fuzz_fakes import FakeStore, answer

from conformance.fuzz.episode import Differs, Episode, Pair, Tally
from conformance.fuzz.operation import Call
from conformance.fuzz.rules import Intent, cas_index, cas_path, refuses_chunks, writes_in_place
from conformance.suite.rules import rules
from conformance.suite.wire import Answer

A = "/v1/kv/a"
SMALL, LARGE = b"x" * 1399, b"x" * 1400
CHUNKS = Call("PUT", A, b"x" * 524289, chunked=True)
PUT = Call("PUT", "/v1/kv/b//c?flags=1", b"v")


def judge(call: Call, theirs: Answer, ours: Answer, *known: tuple[int, int]) -> Mapping[str, int]:
    """Return the rules that two answers needed, given pairs of indexes. Raises Differs."""
    episode = Episode(Pair(FakeStore(), FakeStore()), "p/", Tally())
    for pair in known:
        assert episode.pairing.fits(*pair)
    episode.compare(call, theirs, ours)
    return episode.tally.rules


def gzipped(said: Answer) -> Answer:
    """Return an answer as a server compresses it."""
    headers = (*said.headers, ("Content-Encoding", "gzip"))
    return replace(said, headers=headers, body=gzip.compress(said.body))


def missing(index: int) -> Answer:
    """Answer that there is no such key."""
    return answer(404, index=index)


GET, TREE = Call("GET", A), Call("GET", f"{A}?recurse")
KEYS = Call("GET", f"{A}?%6beys")
TXN = "/v1/txn"
NULL = Call("PUT", TXN, b'[{"KV":{"Verb":"set","Key":"a"}}, null]')
ENDED, REFUSED = answer(0), answer(400, b"an operation is null")
NODES = Call("GET", "/v1/catalog/nodes")
NODE_OP = Call("PUT", TXN, b'[{"Node":{"Verb":"set"}}]')
TOO_MANY = answer(413, b"Transaction contains too many operations (65 > 64)")

# Which rule, to what, both answers, and the pairs of indexes that are known.
COVERED: list[tuple[Intent, Call, Answer, Answer, list[tuple[int, int]]]] = [
    (Intent.SMALL_BODIES_PLAIN, GET, gzipped(answer(body=SMALL)), answer(body=SMALL), []),
    (Intent.SMALL_BODIES_PLAIN, GET, gzipped(answer()), answer(), []),
    (Intent.INDEX_NEVER_BACK, TREE, missing(5), missing(90), [(9, 90)]),
    (Intent.INDEX_NEVER_BACK, KEYS, missing(5), missing(90), [(9, 90)]),
    (Intent.TXN_NULL, NULL, ENDED, REFUSED, []),
    (Intent.TXN_NULL, replace(NULL, body=b" [null ]"), ENDED, REFUSED, []),
    (Intent.TXN_LARGER, Call("PUT", TXN), TOO_MANY, answer(200, b"{}"), []),
    (Intent.TXN_LARGER, Call("PUT", TXN), TOO_MANY, answer(409, b"{}"), []),
    (
        Intent.TXN_LARGER,
        Call("PUT", TXN),
        TOO_MANY,
        replace(TOO_MANY, body=TOO_MANY.body + b"x"),
        [],
    ),
    (Intent.ONE_NODE, NODES, answer(body=b'[{"ID":"a"}]'), answer(body=b'[{"ID":"b","x":1}]'), []),
    (Intent.ONE_NODE, NODE_OP, answer(409, b"Must provide node"), answer(409, b"no catalog"), []),
    (
        Intent.DECODE_TEXTS,
        Call("PUT", "/v1/session/create"),
        answer(400, b"Request decode failed: EOF"),
        answer(400, b"Request decode failed: nothing"),
        [],
    ),
    (
        Intent.DECODE_TEXTS,
        Call("PUT", TXN),
        answer(400, b"Failed to parse body: invalid character 'x'"),
        answer(400, b"Failed to parse body: invalid character 'y'"),
        [],
    ),
]

# How the answers differ, and what is near a rule but outside of it.
UNCOVERED: list[tuple[Call, Answer, Answer, list[tuple[int, int]]]] = [
    (GET, gzipped(answer(body=LARGE)), answer(body=LARGE), []),
    (GET, answer(body=SMALL), gzipped(answer(body=SMALL)), []),
    (GET, gzipped(answer(body=SMALL)), answer(body=SMALL + b"y"), []),
    (GET, missing(5), missing(90), [(9, 90)]),  # of a key, not of a tree
    (TREE, missing(9), missing(50), [(9, 90), (5, 50)]),  # ours is behind
    (TREE, missing(5), missing(90), [(5, 50)]),  # ours is of an unknown moment
    (TREE, answer(200, b"[]", 5), answer(200, b"[]", 90), [(9, 90)]),  # not emptied
    (replace(NULL, body=b'[{"KV":null}]'), ENDED, REFUSED, []),
    (replace(NULL, target="/v1/kv/a"), ENDED, REFUSED, []),
    (NULL, ENDED, answer(200), []),
    (NULL, REFUSED, ENDED, []),
    (Call("PUT", TXN), TOO_MANY, answer(413, b"Request body too large"), []),
    (Call("PUT", TXN), answer(413, b"Request body too large"), answer(200), []),
    (Call("PUT", TXN), answer(200), TOO_MANY, []),
    (NODES, answer(body=b"[]"), answer(body=b"{}"), []),
    (NODES, answer(body=b'[{"ID":"a"}]'), answer(body=b'["a"]'), []),
    (NODES, answer(200, b"[]"), answer(404), []),
    (Call("GET", "/v1/catalog/x"), answer(body=b'[{"ID":"a"}]'), answer(body=b'[{"ID":"b"}]'), []),
    (Call("GET", "/v1/kv/catalog"), answer(body=b'[{"ID":"a"}]'), answer(body=b'[{"ID":"b"}]'), []),
    (NODE_OP, answer(409, b"Must provide node"), answer(200, b"{}"), []),
    (replace(NODE_OP, body=b'[{"KV":{}}]'), answer(409, b"a"), answer(409, b"b"), []),
    (Call("PUT", TXN), answer(400, b"Request decode failed: a"), answer(400, b"no"), []),
    (
        Call("PUT", TXN),
        answer(400, b"Failed to parse body: a"),
        answer(400, b"Failed to parse body: b"),
        [],
    ),
    (
        Call("PUT", TXN),
        answer(400, b"Request decode failed: a"),
        answer(500, b"Request decode failed: b"),
        [],
    ),
]


@pytest.mark.parametrize(("rule", "call", "theirs", "ours", "known"), COVERED)
def test_what_a_rule_covers(
    rule: Intent, call: Call, theirs: Answer, ours: Answer, known: list[tuple[int, int]]
) -> None:
    """It is allowed, and counted under its name."""
    assert judge(call, theirs, ours, *known) == {rule: 1}


@pytest.mark.parametrize(("call", "theirs", "ours", "known"), UNCOVERED)
def test_what_no_rule_covers(
    call: Call, theirs: Answer, ours: Answer, known: list[tuple[int, int]]
) -> None:
    """It differs."""
    with pytest.raises(Differs):
        judge(call, theirs, ours, *known)


@pytest.mark.parametrize("rule", Intent)
def test_rules_stand_in_the_notes(rule: Intent) -> None:
    """Under the same name, with a reason."""
    assert rule in rules()


MOVED = answer(301, Location="/v1/kv/b/c?flags=1")
IN_PLACE: list[tuple[Call, Answer, Answer, bool]] = [
    (PUT, MOVED, answer(), True),
    (replace(PUT, method="DELETE"), MOVED, answer(500), True),
    (replace(PUT, target="//v1/kv/b/c"), MOVED, answer(), True),
    (replace(PUT, target="/v1/kv/b%2F%2fc"), MOVED, answer(), True),
    (replace(PUT, method="GET"), MOVED, answer(), False),
    (PUT, MOVED, MOVED, False),
    (PUT, answer(), answer(), False),
    (replace(PUT, target="/v1/kv/b/./c"), MOVED, answer(), False),
    (PUT, answer(301, Location="/v1/kv/"), answer(), False),
    (PUT, answer(301, Location="/v1/session/list"), answer(), False),
    (PUT, answer(301), answer(), False),
]


@pytest.mark.parametrize(("call", "theirs", "ours", "covered"), IN_PLACE)
def test_unclean_write_in_place(call: Call, theirs: Answer, ours: Answer, covered: bool) -> None:  # noqa: FBT001
    """Only a write to a key with doubled slashes, which Consul sends elsewhere and we do."""
    assert (writes_in_place(call, theirs, ours) is not None) == covered


LIMITED: list[tuple[dict[str, Any], int, int, bool]] = [
    ({}, 200, 413, True),
    ({}, 500, 413, True),
    ({}, 413, 413, False),
    ({}, 200, 200, False),
    ({"chunked": False}, 200, 413, False),
    ({"body": b"x" * 524288}, 200, 413, False),
    ({"target": TXN}, 200, 413, False),
]


@pytest.mark.parametrize(("changes", "theirs", "ours", "covered"), LIMITED)
def test_chunked_limit(changes: dict[str, Any], theirs: int, ours: int, covered: bool) -> None:  # noqa: FBT001
    """Only a chunked value over the limit, which we alone refuse."""
    assert refuses_chunks(replace(CHUNKS, **changes), answer(theirs), answer(ours)) == covered


def test_which_check_and_set_may_be_mended() -> None:
    """One over /v1/kv/, and one that is alone in a transaction."""
    alone = b'[{"KV":{"Verb":"cas","Key":"p/b/c","Value":"dg==","Index":7}}]'
    assert cas_index(Call("PUT", TXN, alone)) == 7
    assert cas_path(Call("PUT", TXN, alone)) == "/v1/kv/p/b/c"
    assert cas_path(Call("PUT", TXN, b"[" + alone[1:-1] + b"," + alone[1:])) is None
    assert cas_index(Call("PUT", f"{A}?cas=007")) == 7
    assert cas_path(Call("PUT", f"{A}?cas=007")) == A
    assert cas_path(Call("DELETE", f"{A}?cas=7")) is None
    assert cas_path(Call("PUT", A)) is None

"""Drawing: the same seed gives the same operations, everywhere, and everything gets its turn."""

import json
from collections import Counter
from functools import cache

import pytest

from conformance.fuzz.chance import Chance, Weighed
from conformance.fuzz.drawing import ALL_KINDS, OPERATIONS, Kind, draw_episode
from conformance.fuzz.operation import Call, Operation, Park
from conformance.fuzz.rules import TXN
from conformance.fuzz.script import format_script
from conformance.fuzz.transactions import WRITING

MANY = 40
NO_SNAPSHOTS = ALL_KINDS - {Kind.SNAPSHOTS}


@cache
def drawn(seed: int = 1, kinds: frozenset[Kind] = ALL_KINDS) -> list[Operation]:
    """Return the operations of many episodes."""
    return [each for number in range(MANY) for each in draw_episode(seed, number, kinds)]


def calls(kinds: frozenset[Kind] = ALL_KINDS) -> list[Call]:
    """Return the drawn requests."""
    return [each for each in drawn(kinds=kinds) if isinstance(each, Call)]


def test_a_seed_means_the_same_everywhere() -> None:
    """The chance behind it all is that of `random.random`, which no version may change."""
    chance = Chance("7/0")
    shown = [chance.below(1000) for _ in range(8)]
    assert shown == [705, 616, 123, 915, 156, 379, 617, 434]


@pytest.mark.parametrize("number", [0, 1, 19])
def test_an_episode_is_a_function_of_its_seed_and_number(number: int) -> None:
    """Drawn twice it is the same; with another seed or number it is another."""
    first = draw_episode(5, number)
    assert first == draw_episode(5, number)
    assert len(first) == OPERATIONS
    assert first != draw_episode(6, number)
    assert first != draw_episode(5, number + 1)


def test_a_shorter_episode_is_the_beginning_of_a_longer() -> None:
    """So that a number of operations that ends within an episode means the same, too."""
    assert draw_episode(5, 3, operations=50) == draw_episode(5, 3)[:50]


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        (Kind.TXN, "/v1/txn"),
        (Kind.SNAPSHOTS, "{archive}"),
        (Kind.BLOCKING, "park "),
        (Kind.CLUSTER, "/v1/catalog/"),
        (Kind.SESSIONS, "/v1/session/renew/"),
        (Kind.PATHS, "/favicon.ico"),
    ],
)
def test_what_is_left_out_is_not_drawn(kind: Kind, mark: str) -> None:
    """Each kind is drawn, and only when it is wanted."""
    others = format_script(drawn(kinds=frozenset({Kind.KV})))
    assert mark in format_script(drawn())
    assert mark not in others


def test_everything_gets_its_turn() -> None:
    """All methods, parameters and odd things of the contract are drawn now and then."""
    text = format_script(drawn())
    for mark in (
        *("cas={m:", "acquire={s0}", "release=", "flags=18446744073709551616", "keys", "recurse"),
        *("raw", "pretty", "separator=/", "seperator", "stale", "consistent", "max_stale=x"),
        *("index=x", "wait=x", "dc=other", "ns=x", ";", "%zz", "%E2%80%8B", "\\xc3\\xa9", "b//c"),
        *("chunked", "Accept-Encoding: gzip", "Cache-Control", "X-Consul-Token", "HEAD", "OPTIONS"),
        *("FOO", "524288*", "524289*", "wait=10ms", "ahead=1000", "{S0}", "{N}", "/v1/kv/?recurse"),
        *("get-tree", "check-not-exists", "delete-cas", "unlock", "\\ud800", "/v1/kv/%2e%2e/"),
    ):
        assert mark in text, mark


def transactions() -> list[list[dict[str, str]]]:
    """Return the operations of all well-formed transactions."""
    found = []
    for call in calls(NO_SNAPSHOTS):
        if call.path == TXN and b'"Verb"' in (call.body or b""):
            text = (call.body or b"").decode("latin-1").replace("{m:", "5").replace("5a}", "5")
            try:
                parsed = json.loads(text.replace("5b}", "5").replace("5b/c}", "5"))
                found.append([operation["KV"] for operation in parsed])
            except (ValueError, TypeError, KeyError):
                continue  # one of the odd ones
    return found


def test_transactions_have_all_verbs_and_sizes() -> None:
    """Most are well formed, and some as long as they may be, or longer."""
    verbs = Counter(str(kv.get("Verb")) for txn in transactions() for kv in txn)
    assert verbs.keys() >= {"set", "cas", "lock", "unlock", "get", "get-tree", "delete", "nope"}
    assert {64, 65, 129} <= {len(txn) for txn in transactions()}


def test_no_tree_is_deleted_behind_a_write() -> None:
    """A real Consul 1.8.7 ends itself on such a transaction."""
    seen = 0
    for txn in transactions():
        verbs = [str(kv.get("Verb", kv.get("verb"))) for kv in txn]
        trees = [at for at, verb in enumerate(verbs) if verb == "delete-tree"]
        seen += len(trees)
        assert not any(verb in WRITING for at in trees for verb in verbs[:at])
    assert seen


def test_snapshots_have_episodes_of_their_own() -> None:
    """Nothing is parked there, and no session has a lock-delay, which a restore would end."""
    episodes = [draw_episode(1, number) for number in range(40)]
    with_snapshots = [each for each in episodes if "{archive}" in format_script(each)]
    assert len(with_snapshots) == 2
    for each in with_snapshots:
        assert not [one for one in each if isinstance(one, Park)]
        created = [one for one in each if isinstance(one, Call) and "session/create" in one.target]
        bodies = [one.body or b"" for one in created if one.method == "PUT"]
        assert all(b'"LockDelay":0' in body for body in bodies)


def test_weights() -> None:
    """An item is drawn as often as its weight says."""
    chance, table = Chance("1"), Weighed({"often": 3, "seldom": 1})
    found = Counter(chance.weighed(table) for _ in range(4000))
    assert 2800 < found["often"] < 3200
    assert found["often"] + found["seldom"] == 4000

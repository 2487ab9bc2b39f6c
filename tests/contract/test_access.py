"""Access control (contract section 10): the same tokens, rules and requests on both stores."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.suite.wire import Headers
from kvstore.access.ruled import RuledGrants
from kvstore.access.rules import Level, Rules, merge

from .conftest import STORES
from .guarded import SECRETS, WRONG, GuardedStore, guarding

KEYS = ["ls/x", "n/a", "n/ro/x", "n/ro/y", "n/secret", "n/sub/a", "n/sub/b", "ro/a", "ro/b"]
UNKNOWN = "00000000-0000-0000-0000-000000000000"

MALFORMED = b"failed session lookup: index error: UUID must be 36 characters"

DENIED, NOT_FOUND = (403, b"Permission denied"), (403, b"ACL not found")


@pytest.fixture(scope="module", params=STORES)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedStore]:
    """Return a store that denies what no rule allows, with a few keys; each kind in turn."""
    with guarding(request.param, tmp_path_factory.mktemp("guarded")) as store:
        for key in KEYS:
            store.write(key, b"v")
        yield store


@pytest.fixture(scope="module", params=STORES)
def lenient(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedStore]:
    """Return a store that allows what no rule denies, and where listing takes LIST."""
    folder = tmp_path_factory.mktemp("lenient")
    with guarding(request.param, folder, default="allow", lists_need_list=True) as store:
        for key in KEYS:
            store.write(key, b"v")
        yield store


def told(store: GuardedStore, token: str, request: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return status and body of the answer to a request such as "GET /v1/kv/a"."""
    method, _, target = request.partition(" ")
    answer = store.ask_as(token, method, target, body or None)
    return answer.status, answer.plain


READER = SECRETS["reader"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", [], 403),
        (f"?token={READER}", [], 200),
        ("", [("X-Consul-Token", READER)], 200),
        ("", [("Authorization", f"Bearer {READER}")], 200),
        ("", [("Authorization", f"bEARer   {READER} and more")], 200),
        ("", [("Authorization", f"Basic {READER}")], 403),
        ("", [("Authorization", "Bearer")], 403),
        (f"?token={READER}&token={WRONG}", [], 200),
        (f"?token={READER}", [("X-Consul-Token", WRONG)], 200),
        ("?token=", [("X-Consul-Token", READER)], 200),
        ("?token", [("X-Consul-Token", READER)], 200),
        ("", [("X-Consul-Token", READER), ("Authorization", f"Bearer {WRONG}")], 200),
        (f"?token={WRONG}", [("X-Consul-Token", READER)], 403),
        ("", [("X-Consul-Token", WRONG), ("Authorization", f"Bearer {READER}")], 403),
        ("?token=anonymous", [], 403),
        ("?token=nobody", [("X-Consul-Token", READER)], 403),
    ],
)
def test_A1_where_a_token_is_looked_for(
    guarded: GuardedStore, query: str, headers: Headers, status: int
) -> None:
    """Query, header, bearer, in this order."""
    named = {name.lower() for name, _ in headers}
    empty = [] if "x-consul-token" in named else [("X-Consul-Token", "")]
    answer = guarded.ask("GET", f"/v1/kv/ro/a{query}", headers=[*headers, *empty])
    assert answer.status == status
    wrong = query.startswith((f"?token={WRONG}", "?token=nobody")) or (
        ("X-Consul-Token", WRONG) in headers and not query
    )
    if status == 403:
        assert answer.plain == (b"ACL not found" if wrong else b"Permission denied")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("GET /v1/kv/ro/a", NOT_FOUND),
        ("GET /v1/kv/?keys", NOT_FOUND),
        ("GET /v1/kv/?recurse", NOT_FOUND),
        ("PUT /v1/kv/ro/a", NOT_FOUND),
        ("PUT /v1/kv/ro/a?acquire=", NOT_FOUND),
        ("DELETE /v1/kv/ro/a", NOT_FOUND),
        ("DELETE /v1/kv/?recurse", NOT_FOUND),
        ("PUT /v1/session/create", NOT_FOUND),
        (f"PUT /v1/session/destroy/{UNKNOWN}", NOT_FOUND),
        ("PUT /v1/session/destroy/x", NOT_FOUND),
        (f"PUT /v1/session/renew/{UNKNOWN}", NOT_FOUND),
        ("PUT /v1/session/renew/x", NOT_FOUND),
        ("GET /v1/session/info/x", NOT_FOUND),
        ("GET /v1/session/list", NOT_FOUND),
        ("GET /v1/session/node/n1", NOT_FOUND),
        ("GET /v1/snapshot", NOT_FOUND),
        ("PUT /v1/snapshot", NOT_FOUND),
        ("GET /v1/agent/self", NOT_FOUND),
        ("GET /v1/agent/members", NOT_FOUND),
        ("GET /v1/agent/metrics", NOT_FOUND),
        ("GET /v1/catalog/nodes", NOT_FOUND),
        ("GET /v1/health/state/any", NOT_FOUND),
        ("GET /v1/operator/raft/configuration", NOT_FOUND),
        ("GET /v1/kv/ro/a?index=x", (400, b"Invalid index")),
        ("GET /v1/kv/", (400, b"Missing key name")),
        ("GET /v1/kv/ro/a?dc=x", (500, b"No path to datacenter")),
        ("PUT /v1/kv/ro/a?dc=x", (500, b"No path to datacenter")),
        ("DELETE /v1/kv/ro/a?dc=x", (500, b"No path to datacenter")),
        ("PUT /v1/session/create?dc=x", (500, b"No path to datacenter")),
        (f"PUT /v1/session/renew/{UNKNOWN}?dc=x", (500, b"No path to datacenter")),
        ("GET /v1/session/list?dc=x", (500, b"No path to datacenter")),
        ("GET /v1/snapshot?dc=x", (500, b"No path to datacenter")),
        ("PUT /v1/session/destroy/", (400, b"Missing session")),
        ("PUT /v1/session/renew/", (400, b"Missing session")),
        ("GET /v1/session/info/", (400, b"Missing session")),
        ("POST /v1/kv/ro/a", (405, b"method POST not allowed")),
        ("GET /v1/catalog/datacenters", (200, b'["dc1"]')),
    ],
)
def test_A2_a_token_that_does_not_exist(
    guarded: GuardedStore, request_: str, answer: tuple[int, bytes]
) -> None:
    """It is refused by everything that looks at rights, behind everything that is parsed."""
    assert told(guarded, "wrong", request_) == answer


@pytest.mark.parametrize(
    ("token", "request_", "answer"),
    [
        ("reader", "GET /v1/kv/ro/a?raw", (200, b"v")),
        ("reader", "GET /v1/kv/ro/missing", (404, b"")),
        ("reader", "GET /v1/kv/n/a", DENIED),
        ("reader", "GET /v1/kv/n/missing", DENIED),
        ("reader", "GET /v1/kv/n/a?index=99999&wait=9s", DENIED),
        ("reader", "PUT /v1/kv/ro/a", DENIED),
        ("reader", "PUT /v1/kv/ro/a?cas=0", DENIED),
        ("reader", "PUT /v1/kv/ro/a?acquire=", DENIED),
        ("reader", "PUT /v1/kv/ro/a?release=x", DENIED),
        ("reader", "DELETE /v1/kv/ro/a", DENIED),
        ("reader", "DELETE /v1/kv/ro/a?cas=1", DENIED),
        ("reader", "DELETE /v1/kv/ro/?recurse", DENIED),
        ("reader", "GET /v1/kv/ls/x?raw", (200, b"v")),
        ("engine", "PUT /v1/kv/docker/x", (200, b"true")),
        ("engine", "PUT /v1/kv/docker/x?acquire=", (500, b"missing session")),
        ("engine", "DELETE /v1/kv/docker/?recurse", (200, b"true")),
        ("engine", "DELETE /v1/kv/docker?recurse", DENIED),
        ("engine", "DELETE /v1/kv/?recurse", DENIED),
        ("narrow", "PUT /v1/kv/n/ro/x", (200, b"true")),
        ("narrow", "PUT /v1/kv/n/ro/y", DENIED),
        ("narrow", "GET /v1/kv/n/secret", DENIED),
        ("narrow", "DELETE /v1/kv/n/?recurse", DENIED),
        ("narrow", "DELETE /v1/kv/n/ro/?recurse", DENIED),
        ("narrow", "DELETE /v1/kv/n/ro/x?recurse", DENIED),
        ("narrow", "DELETE /v1/kv/n/s?recurse", DENIED),
        ("narrow", "DELETE /v1/kv/n/z?recurse", (200, b"true")),
        ("", "GET /v1/kv/ro/a", DENIED),
        ("", "PUT /v1/kv/x", DENIED),
        ("powerless", "GET /v1/kv/ro/a", DENIED),
        ("several", "GET /v1/kv/ro/a?raw", (200, b"v")),
        ("several", "PUT /v1/kv/docker/y", (200, b"true")),
        ("several", "GET /v1/kv/n/secret", DENIED),
        # DENY of the one set wins over WRITE of the other, and a narrower rule over both.
        ("crossed", "GET /v1/kv/n/a", DENIED),
        ("crossed", "GET /v1/kv/n/ro/y?raw", (200, b"v")),
        ("crossed", "PUT /v1/kv/n/ro/x", (200, b"true")),
    ],
)
def test_A3_one_key_and_writes(
    guarded: GuardedStore, token: str, request_: str, answer: tuple[int, bytes]
) -> None:
    """A right that is missing is a 403, whether the key exists or not."""
    guarded.write("n/ro/x", b"v")
    assert told(guarded, token, request_) == answer


@pytest.mark.parametrize(
    ("token", "request_", "answer"),
    [
        ("", "GET /v1/snapshot", DENIED),
        ("", "PUT /v1/snapshot?stale", DENIED),
        ("engine", "PUT /v1/snapshot", DENIED),
        ("operator", "PUT /v1/snapshot?stale", (500, b"stale not allowed for restore")),
        ("", "GET /v1/agent/self", DENIED),
        ("operator", "GET /v1/agent/self", DENIED),
        ("", "GET /v1/agent/metrics", DENIED),
        ("", "GET /v1/operator/raft/configuration", DENIED),
        ("", "GET /v1/agent/members", (200, b"[]")),
        ("", "GET /v1/catalog/nodes", (200, b"[]")),
        ("", "GET /v1/catalog/services", (200, b"{}")),
        ("", "GET /v1/catalog/service/consul", (200, b"[]")),
        ("", "GET /v1/catalog/node/n1", (200, b"null")),
        ("", "GET /v1/health/node/n1", (200, b"[]")),
        ("", "GET /v1/health/state/any", (200, b"[]")),
        ("", "GET /v1/health/service/consul", (200, b"[]")),
        ("", "GET /v1/event/list", (200, b"[]")),
    ],
)
def test_A3_A4_the_rest_of_the_server(
    guarded: GuardedStore, token: str, request_: str, answer: tuple[int, bytes]
) -> None:
    """The whole store and the agent are refused, lists of nodes and services are filtered."""
    assert told(guarded, token, request_) == answer


@pytest.mark.parametrize(
    ("token", "target"),
    [
        ("agent", "/v1/agent/self"),
        ("agent", "/v1/agent/metrics"),
        ("operator", "/v1/snapshot"),
        ("operator", "/v1/operator/raft/configuration"),
        ("", "/v1/status/leader"),
        ("wrong", "/v1/status/peers"),
    ],
)
def test_A3_with_the_right(guarded: GuardedStore, token: str, target: str) -> None:
    """The one rule there is for each of these is enough, and some take none."""
    assert guarded.ask_as(token, "GET", target).status == 200


def test_A4_members_by_a_rule_for_nodes(guarded: GuardedStore) -> None:
    """Who may see nodes sees the one there is."""
    assert len(guarded.ask_as("node", "GET", "/v1/agent/members").json) == 1
    assert len(guarded.ask_as("node", "GET", "/v1/catalog/nodes").json) == 1


@pytest.mark.parametrize(
    ("token", "target", "names"),
    [
        ("narrow", "n/?keys", ["n/a", "n/ro/x", "n/ro/y", "n/sub/a", "n/sub/b"]),
        ("narrow", "n/?keys&separator=/", ["n/a", "n/ro/", "n/sub/"]),
        ("narrow", "?keys&separator=/", ["n/"]),
        ("narrow", "n/s?keys&separator=/", ["n/sub/"]),
        ("crossed", "n/?keys", ["n/ro/x", "n/ro/y"]),
        ("reader", "?keys", ["ls/x", "ro/a", "ro/b"]),
        ("reader", "?keys&separator=/", ["ls/", "ro/"]),
        ("reader", "?keys&separator=o", ["ls/x", "ro"]),
        ("reader", "n?keys", None),
        ("", "?keys", []),
        ("narrow", "n/?recurse", ["n/a", "n/ro/x", "n/ro/y", "n/sub/a", "n/sub/b"]),
        ("reader", "?recurse", ["ls/x", "ro/a", "ro/b"]),
        ("reader", "n/?recurse", None),
        ("", "?recurse", None),
    ],
)
def test_A4_lists_are_filtered(
    guarded: GuardedStore, token: str, target: str, names: list[str] | None
) -> None:
    """What may not be read is not there; the index is that of all of it."""
    answer = guarded.ask_as(token, "GET", f"/v1/kv/{target}")
    assert answer.status == (404 if names is None else 200)
    if names is not None:
        found = [one["Key"] if isinstance(one, dict) else one for one in answer.json]
        assert found == names
    assert answer.index == guarded.ask("GET", f"/v1/kv/{target}").index


def test_A4_a_filtered_list_wakes_for_what_is_hidden(guarded: GuardedStore) -> None:
    """The index moves for everybody."""
    index = guarded.ask("GET", "/v1/kv/n/?keys").index
    with guarded.again(token=SECRETS["narrow"]).park(f"/v1/kv/n/?keys&index={index}") as parked:
        moved = guarded.write("n/secret", f"after {index}".encode())
        answer = parked.answer()
    assert answer.index == moved
    assert "n/secret" not in answer.json


def test_A3_A4_sessions(guarded: GuardedStore) -> None:
    """Seen by who may see them, written by who may write them."""
    created = guarded.ask_as("engine", "PUT", "/v1/session/create")
    session = created.json["ID"]
    for token in ("", "reader", "powerless"):
        assert told(guarded, token, "PUT /v1/session/create") == DENIED
        assert told(guarded, token, f"PUT /v1/session/renew/{session}") == DENIED
        assert told(guarded, token, f"PUT /v1/session/destroy/{session}") == DENIED
    index = guarded.sessions_index()
    for target in (f"info/{session}", "list", "node/n1"):
        for token, count in (("", 0), ("reader", 1), ("engine", 1)):
            seen = guarded.ask_as(token, "GET", f"/v1/session/{target}")
            assert (seen.status, len(seen.json), seen.index) == (200, count, index)
    assert told(guarded, "engine", f"PUT /v1/session/renew/{session}")[0] == 200
    assert told(guarded, "engine", f"PUT /v1/session/destroy/{session}") == (200, b"true")


@pytest.mark.parametrize(
    ("token", "request_", "body", "answer"),
    [
        ("wrong", "create", b"{", (400, b"Request decode failed: unexpected EOF")),
        ("wrong", "create", b'{"Node":""}', (500, b"Must provide Node")),
        ("wrong", "create", b'{"Behavior":"x"}', NOT_FOUND),
        ("reader", "create", b'{"Behavior":"x"}', DENIED),
        ("reader", "create", b'{"Node":"elsewhere"}', DENIED),
        ("engine", "create", b'{"Behavior":"x"}', (500, b"Invalid Behavior setting 'x'")),
        ("engine", "create", b'{"Node":"elsewhere"}', (500, b"Missing node registration")),
        ("", f"renew/{UNKNOWN}", b"", (404, f"Session id '{UNKNOWN}' not found".encode())),
        ("", f"destroy/{UNKNOWN}", b"", (200, b"true")),
        (
            "",
            "renew/x",
            b"",
            (500, MALFORMED),
        ),
        (
            "",
            "destroy/x",
            b"",
            (500, b"Session lookup failed: " + MALFORMED),
        ),
    ],
)
def test_A5_order_of_a_sessions_checks(
    guarded: GuardedStore, token: str, request_: str, body: bytes, answer: tuple[int, bytes]
) -> None:
    """Rights come behind the body and before what is in it; what is gone takes none."""
    assert told(guarded, token, f"PUT /v1/session/{request_}", body) == answer


@pytest.mark.parametrize(
    ("target", "has_index"),
    [
        ("/v1/session/list", True),
        ("/v1/session/node/n1", True),
        (f"/v1/session/info/{UNKNOWN}", True),
        ("/v1/session/info/x", True),
        ("/v1/catalog/nodes", True),
        ("/v1/health/state/any", True),
        ("/v1/kv/ro/a", False),
        ("/v1/kv/?keys", False),
        ("/v1/snapshot", False),
        ("/v1/agent/self", False),
    ],
)
def test_A7_headers_of_a_403(guarded: GuardedStore, target: str, *, has_index: bool) -> None:
    """Sessions and the catalog answer as if they had not looked; keys have no index at all."""
    answer = guarded.ask_as("wrong", "GET", target)
    assert answer.status == 403
    found = [answer.get(f"X-Consul-{name}") for name in ("Index", "Knownleader", "Lastcontact")]
    assert found == (["1", "false", "0"] if has_index else [None, None, None])


def op(verb: str, key: str, **members: object) -> dict[str, object]:
    """Return an operation on a key."""
    return {"KV": {"Verb": verb, "Key": key, **members}}


READS = ["get", "get-tree"]
CHECKS = ["check-index", "check-session"]
WRITES = ["set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"]
WRITES += ["check-not-exists", "no-such-verb", ""]


@pytest.mark.parametrize("verb", [*READS, *CHECKS, *WRITES])
@pytest.mark.parametrize("key", ["n/a", "n/missing", "ro/a"])
def test_A6_what_an_operation_takes(guarded: GuardedStore, verb: str, key: str) -> None:
    """Reads take nothing and are filtered, checks take the right to read, all else to write."""
    body = json.dumps([op(verb, key, Session=UNKNOWN)]).encode()
    answer = guarded.ask_as("reader", "PUT", "/v1/txn", body)
    missing_is_told = verb == "get" and key == "n/missing"
    if verb in READS and not missing_is_told:
        assert answer.status == 200
        found = [one["KV"]["Key"] for one in answer.json["Results"]]
        assert found == (["ro/a"] if key == "ro/a" else [])
        return
    assert answer.status == 409
    (failure,) = answer.json["Errors"]
    allowed = key == "ro/a" and verb in CHECKS
    assert (failure["What"] == "Permission denied") is not (allowed or missing_is_told)


def test_A6_a_whole_transaction(guarded: GuardedStore) -> None:
    """Every operation without a right is named, nothing is run, a wrong token is plain text."""
    ops = [
        op("set", "docker/t"),
        op("get", "n/a"),
        op("set", "n/t"),
        op("check-index", "n/a", Index=1),
        op("delete-tree", "docker/"),
        op("delete-tree", ""),
    ]
    body = json.dumps(ops).encode()
    answer = guarded.ask_as("engine", "PUT", "/v1/txn", body)
    denied = [{"OpIndex": at, "What": "Permission denied"} for at in (2, 3, 5)]
    assert (answer.status, answer.json) == (409, {"Results": None, "Errors": denied})
    assert guarded.get("docker/t").status == 404
    assert told(guarded, "wrong", "PUT /v1/txn", body) == NOT_FOUND
    assert told(guarded, "wrong", "PUT /v1/txn", b"[]") == NOT_FOUND
    ours = guarded.ask_as("engine", "PUT", "/v1/txn", json.dumps([*ops[:2], ops[4]]).encode())
    assert ours.status == 200
    assert [one["KV"]["Key"] for one in ours.json["Results"]] == ["docker/t"]


@pytest.mark.parametrize(
    ("token", "request_", "status"),
    [
        ("", "PUT /v1/kv/x", 200),
        ("", "GET /v1/kv/n/secret", 200),
        ("narrow", "GET /v1/kv/n/secret", 403),
        ("narrow", "PUT /v1/kv/elsewhere", 200),
        ("narrow", "DELETE /v1/kv/n/ro/?recurse", 403),
        ("narrow", "DELETE /v1/kv/nothing/?recurse", 200),
        ("", "PUT /v1/session/create", 200),
        ("reader", "PUT /v1/session/create", 403),
        ("wrong", "GET /v1/kv/x", 403),
        ("", "GET /v1/agent/self", 200),
        ("", "GET /v1/operator/raft/configuration", 200),
        # The default does not reach the whole store.
        ("", "GET /v1/snapshot", 403),
        ("engine", "PUT /v1/snapshot", 403),
        # Where listing takes LIST.
        ("reader", "GET /v1/kv/ls/?keys", 200),
        ("reader", "GET /v1/kv/ls/?recurse", 200),
        ("reader", "GET /v1/kv/ro/?keys", 403),
        ("reader", "GET /v1/kv/ro/?recurse", 403),
        ("reader", "GET /v1/kv/ro/a", 200),
        ("reader", "GET /v1/kv/?keys", 200),
        ("narrow", "GET /v1/kv/n/?keys", 200),
        ("narrow", "GET /v1/kv/n/secret?keys", 403),
        ("", "GET /v1/kv/?recurse", 200),
    ],
)
def test_defaults(lenient: GuardedStore, token: str, request_: str, status: int) -> None:
    """A default of allow, and a policy for lists."""
    assert told(lenient, token, request_)[0] == status


LETTERS = "abc"
POLICIES = 60
QUESTIONS = 12


@pytest.mark.oracle
def test_random_rules_as_a_real_consul_has_them(tmp_path: Path) -> None:
    """Whatever the rules and the keys, ours decide as a real Consul's do."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    def name(least: int) -> str:
        return "".join(chance.choices(LETTERS, k=chance.randint(least, 4)))

    with guarding("consul", tmp_path) as consul:
        for number in range(POLICIES):
            sets = [
                Rules(
                    keys={name(1).encode(): chance.choice(list(Level)) for _ in range(3)},
                    prefixes={name(0).encode(): chance.choice(list(Level)) for _ in range(3)},
                )
                for _ in range(chance.randint(1, 2))
            ]
            texts = [consul_rules(one) for one in sets]
            token = consul.make_token([f"random-{number}-{at}" for at in range(len(sets))], texts)
            grants = RuledGrants("random", merge(sets), Level.DENY)
            asking = consul.again(token=token)
            for _ in range(QUESTIONS):
                key = name(1)
                found = (
                    asking.get(key).status != 403,
                    asking.put(key).status != 403,
                    asking.delete(f"{key}?recurse").status != 403,
                )
                raw = key.encode()
                ours = (grants.key_read(raw), grants.key_write(raw), grants.tree_write(raw))
                assert found == ours, f"seed {seed}, key {key}: {sets}"


def consul_rules(rules: Rules) -> str:
    """Return rules as Consul writes them."""
    return " ".join(
        f'{kind} "{name.decode()}" {{ policy = "{level.name.lower()}" }}'
        for kind, levels in (("key", rules.keys), ("key_prefix", rules.prefixes))
        for name, level in levels.items()
    )

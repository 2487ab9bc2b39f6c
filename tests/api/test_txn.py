"""The endpoint of transactions, by dispatch: Consul's shapes, texts, headers and limits."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import importlib.util
import json
import platform
import sys
from typing import Any

import pytest

from kvstore.access.rules import Level, Rules
from kvstore.api.exchange import NeedBody, Response
from kvstore.api.txn import TXN_BYTES_MAX, TXN_OPS_MAX

from .calls import Calls, calling, head
from .guarded import Guarded, table

UNKNOWN = "00000000-0000-0000-0000-000000000000"
READ_END = ',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}'


def kv(verb: str, key: str = "", **members: Any) -> dict[str, Any]:
    """Return a KV operation."""
    return {"KV": {"Verb": verb, "Key": key, **members}}


async def run(calls: Calls, *ops: Any, query: str = "") -> Response:
    """Run a transaction."""
    return await calls("PUT", f"/v1/txn{query}", json.dumps(ops).encode())


def results(response: Response) -> list[dict[str, Any]]:
    """Return the entries of a transaction that was done."""
    assert response.status == 200, response
    answer = json.loads(response.body)
    assert answer["Errors"] is None
    return [one["KV"] for one in answer["Results"]]


def whats(response: Response) -> list[tuple[int, str]]:
    """Return what failed, by its place."""
    assert response.status == 409, response
    answer = json.loads(response.body)
    assert answer["Results"] is None
    return [(one["OpIndex"], one["What"]) for one in answer["Errors"]]


async def entry(calls: Calls, key: str) -> dict[str, Any]:
    """Return the entry of a key, empty when there is none."""
    response = await calls("GET", f"/v1/kv/{key}")
    return dict(json.loads(response.body)[0]) if response.status == 200 else {}


async def lost(calls: Calls, key: str) -> str:
    """Put a key under lock-delay; return a session that could lock it."""
    session = await calls.create_session(b'{"LockDelay":"60s"}')
    await calls.put(f"{key}?acquire={session}")
    await calls("PUT", f"/v1/session/destroy/{session}")
    return await calls.create_session()


# --- shapes ---------------------------------------------------------------------------------


async def test_T5_what_was_done(calls: Calls) -> None:
    """Results of writes have no value, those of reads do; all have the one index."""
    response = await run(
        calls, kv("set", "a", Value="djE=", Flags=7), kv("get", "a"), kv("delete", "b")
    )
    results = ",".join(
        f'{{"KV":{{"LockIndex":0,"Key":"a","Flags":7,"Value":{value},'
        '"CreateIndex":2,"ModifyIndex":2}}'
        for value in ("null", '"djE="')
    )
    assert response.body.decode() == f'{{"Results":[{results}],"Errors":null}}'
    assert head(response) == {"Content-Type": "application/json", "Vary": "Accept-Encoding"}


async def test_T5_what_failed(calls: Calls) -> None:
    """Each failure with its place, and nothing was done."""
    response = await run(calls, kv("set", "a"), kv("get", "nope"), {}, kv("check-not-exists", "a"))
    assert response.status == 409
    assert response.body.decode() == (
        '{"Results":null,"Errors":[{"OpIndex":1,"What":"key \\"nope\\" doesn\'t exist"},'
        '{"OpIndex":2,"What":"key \\"a\\" exists"}]}'
    )
    assert head(response) == {"Content-Type": "application/json", "Vary": "Accept-Encoding"}
    assert await entry(calls, "a") == {}


@pytest.fixture(params=["with msgspec", "without msgspec"])
def msgspec_or_none(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have msgspec, or none, as on a machine that there are no wheels for."""
    if request.param == "without msgspec":
        monkeypatch.setitem(sys.modules, "kvstore.api.txn_plain", None)
    return str(request.param)


@pytest.mark.usefixtures("msgspec_or_none")
@pytest.mark.parametrize("key", ["plain/", 'escaped/"é'])
async def test_a_large_one_is_read_as_a_small_one(calls: Calls, key: str) -> None:
    """However it is read: all of it is done, or is refused."""
    ops = [kv("set", f"{key}{n:02d}", Value="djEy" * 100, Flags=n) for n in range(64)]
    done = results(await run(calls, *ops))
    assert [(one["Key"], one["Flags"]) for one in done] == [(f"{key}{n:02d}", n) for n in range(64)]
    read = results(await run(calls, kv("get", f"{key}07"), kv("get", f"{key}63")))
    assert [one["Value"] for one in read] == ["djEy" * 100] * 2
    response = await run(calls, *ops, kv("set", "k", Value="d"))
    assert response.status == 400
    assert response.body == b"Failed to parse body: illegal base64 data at input byte 0"


def test_the_faster_parser_is_there() -> None:
    """Where there are wheels of its library, it is installed."""
    has_wheels = platform.machine() in ("x86_64", "aarch64")
    assert importlib.util.find_spec("msgspec") is not None or not has_wheels


@pytest.mark.parametrize("body", [b"[]", b"null", b"[{}]", b'[{"KV":null}] junk'])
async def test_T3_nothing_to_do(calls: Calls, body: bytes) -> None:
    """It is a read without results, and no write."""
    response = await calls("PUT", "/v1/txn", body)
    assert response.status == 200
    assert response.body.decode() == '{"Results":[],"Errors":null' + READ_END
    assert calls.engine.state.last_index == 1


async def test_T6_a_read(calls: Calls) -> None:
    """It says more of itself, and is answered without a write."""
    await calls.put("a", b"v")
    response = await run(calls, kv("get", "a"), kv("check-index", "a", Index=2))
    assert response.status == 200
    assert response.body.decode().endswith(f'],"Errors":null{READ_END}')
    assert [one["Value"] for one in results(response)] == ["dg==", None]
    assert head(response) == {
        "Content-Type": "application/json",
        "Vary": "Accept-Encoding",
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "0",
    }
    assert calls.engine.state.last_index == 2


@pytest.mark.parametrize("verb", ["get", "unknown"])
async def test_T6_a_read_that_fails(calls: Calls, verb: str) -> None:
    """It says as much; an unknown verb counts as a read."""
    response = await run(calls, kv(verb, "nope"))
    assert response.status == 409
    assert response.body.decode().endswith(f"]{READ_END}")
    assert head(response)["X-Consul-Knownleader"] == "true"
    assert calls.engine.state.last_index == 1


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("?index=999999&wait=1ms", 200, b'{"Results":[]'),
        ("?stale", 200, b'{"Results":[]'),
        ("?ns=x&token=y", 200, b'{"Results":[]'),
        ("?index=x", 400, b"Invalid index"),
        ("?wait=x", 400, b"Invalid wait time"),
        ("?stale&consistent", 400, b"Cannot specify ?stale with ?consistent"),
        ("?dc=other", 500, b"No path to datacenter"),
        ("?dc=other&index=x", 400, b"Invalid index"),
    ],
)
async def test_T6_H17_options_of_a_read(calls: Calls, query: str, status: int, body: bytes) -> None:
    """They are held to what they are, but it never waits."""
    response = await run(calls, query=query)
    assert response.status == status
    assert response.body.startswith(body)


async def test_T6_a_write_has_no_options(calls: Calls) -> None:
    """But for the datacenter."""
    response = await run(calls, kv("set", "a"), query="?index=x&wait=y&stale&consistent&ns=z")
    assert response.status == 200
    response = await run(calls, kv("set", "b"), query="?dc=other")
    assert (response.status, response.body) == (500, b"No path to datacenter")
    assert await entry(calls, "b") == {}


async def test_H26_pretty(calls: Calls) -> None:
    """For people, with results and without."""
    response = await run(calls, query="?pretty")
    assert response.body.startswith(b'{\n    "Results": [],\n    "Errors": null,\n    "Index": 0,')
    response = await run(calls, kv("get", "a"), query="?pretty")
    assert b'\n            "OpIndex": 0,\n' in response.body


# --- results and failures of each verb ------------------------------------------------------


async def test_T7_results(calls: Calls) -> None:
    """One for each operation that leaves or finds an entry, in order."""
    session = await calls.create_session()
    await calls.put("t/1", b"1")
    await calls.put("t/2", b"2")
    response = await run(
        calls,
        kv("set", "a"),
        kv("cas", "b"),
        kv("lock", "c", Session=session, Value="Yw=="),
        kv("check-session", "c", Session=session),
        kv("unlock", "c", Session=session),
        kv("check-session", "c"),
        kv("check-not-exists", "d"),
        kv("get-tree", "t/"),
        kv("get-or-empty", "d"),
        kv("delete-tree", "t/"),
        kv("get-tree", "t/"),
        kv("delete", "a"),
        kv("delete-cas", "nope", Index=9),
    )
    assert [(one["Key"], one["Value"]) for one in results(response)] == [
        ("a", None),
        ("b", None),
        ("c", None),
        ("c", None),
        ("c", None),
        ("c", None),
        ("t/1", "MQ=="),
        ("t/2", "Mg=="),
        ("d", None),
    ]
    sessions = [one.get("Session") for one in results(response)]
    assert sessions == [None, None, session, session, *[None] * 5]


async def test_V7_get_or_empty(calls: Calls) -> None:
    """An absent key is an entry of zeros; one that is there is shown."""
    response = await run(calls, kv("get-or-empty", "a"))
    assert results(response) == [
        {"LockIndex": 0, "Key": "a", "Flags": 0, "Value": None, "CreateIndex": 0, "ModifyIndex": 0}
    ]
    await calls.put("a", b"v")
    assert results(await run(calls, kv("get-or-empty", "a")))[0]["Value"] == "dg=="


@pytest.mark.parametrize(
    ("op", "what"),
    [
        (kv("cas", "a", Index=1), 'failed to set key "a", index is stale'),
        (kv("cas", "new", Index=1), 'failed to set key "new", index is stale'),
        (kv("lock", "held", Session="{other}"), 'failed to lock key "held", lock is already held'),
        (kv("lock", "a"), "missing session"),
        (
            kv("lock", "a", Session="x"),
            "failed session lookup: index error: UUID must be 36 characters",
        ),
        (kv("lock", "a", Session=UNKNOWN), f'invalid session "{UNKNOWN}"'),
        (
            kv("unlock", "held", Session="{other}"),
            'failed to unlock key "held", lock isn\'t held, or is held by another session',
        ),
        (
            kv("unlock", "new", Session="x"),
            'failed to unlock key "new", lock isn\'t held, or is held by another session',
        ),
        (kv("unlock", "held"), "missing session"),
        (kv("delete-cas", "a", Index=1), 'failed to delete key "a", index is stale'),
        (kv("get", "new"), 'key "new" doesn\'t exist'),
        (kv("get", 'n"\\\u0001\u2028\u007fé'), 'key "n\\"\\\\\\x01\\u2028\\u007fé" doesn\'t exist'),
        (
            kv("check-index", "a", Index=1),
            'failed index check for key "a", current modify index 4 != 1',
        ),
        (kv("check-index", "new"), 'failed to check index, key "new" doesn\'t exist'),
        (
            kv("check-session", "held", Session="x"),
            'failed session check for key "held", current session "{holder}" != "x"',
        ),
        (
            kv("check-session", "a", Session="x"),
            'failed session check for key "a", current session "" != "x"',
        ),
        (kv("check-session", "new"), 'failed to check session, key "new" doesn\'t exist'),
        (kv("check-not-exists", "a"), 'key "a" exists'),
        (kv("SET", "a"), 'unknown KV verb "SET"'),
        (kv("", "a"), 'unknown KV verb ""'),
        (kv("set"), "Must provide key"),
        (kv("get"), "Must provide key"),
        (kv("get-tree"), "Must provide key"),
        (kv("unknown"), "Must provide key"),
        (
            {"Node": {"Verb": "get"}},
            'unknown Node verb "get": this server has keys and sessions, but no catalog',
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("beside", [[], [kv("set", "beside")]], ids=["alone", "beside a write"])
async def test_T7_T10_what_is_said(
    calls: Calls, op: dict[str, Any], what: str, beside: list[Any]
) -> None:
    """Consul's text for each failure, of reads and in writes."""
    holder, other = await calls.create_session(), await calls.create_session()
    await calls.put("a")
    await calls.put(f"held?acquire={holder}")
    asked = json.loads(json.dumps(op).replace("{other}", other))
    response = await run(calls, *beside, asked)
    assert whats(response) == [(len(beside), what.replace("{holder}", holder))]
    assert await entry(calls, "beside") == {}


async def test_T4_what_is_wrong_with_the_request_comes_first(calls: Calls) -> None:
    """Nothing is run then, so nothing else is told but a lock-delay."""
    other = await lost(calls, "delayed")
    ops = [kv("set"), kv("get", "nope"), kv("lock", "delayed", Session=other), kv("delete-tree")]
    wanted = [
        (0, "Must provide key"),
        (2, 'failed to lock key "delayed" due to lock delay'),
    ]
    assert whats(await run(calls, *ops)) == wanted
    assert calls.engine.state.get(b"delayed").value is not None


async def test_T4_lock_delay(calls: Calls) -> None:
    """Also when nothing else is wrong; it takes no index, and other writes of the key work."""
    other = await lost(calls, "delayed")
    before = calls.engine.state.last_index
    response = await run(calls, kv("set", "a"), kv("lock", "delayed", Session=other))
    assert whats(response) == [(1, 'failed to lock key "delayed" due to lock delay')]
    assert calls.engine.state.last_index == before
    assert results(await run(calls, kv("set", "delayed")))


async def test_T11_H12_keys_that_paths_cannot_spell(calls: Calls) -> None:
    """They are taken as they come, listed, and deleted again."""
    odd = ["/a", "a//b", "../c", "x\u0000\n", "\u3000"]
    assert len(results(await run(calls, *[kv("set", key, Namespace="n") for key in odd]))) == 5
    listed = json.loads((await calls("GET", "/v1/kv/?keys")).body)
    assert listed == sorted(odd, key=str.encode)
    await run(calls, *[kv("delete", key) for key in odd])
    assert (await calls("GET", "/v1/kv/?keys")).body == b"[]"


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b"Failed to parse body: EOF"),
        (b"[", b"Failed to parse body: unexpected EOF"),
        (b"{}", b"Failed to parse body: json: cannot unmarshal object into Go value of type"),
        (b"[null]", b"Failed to parse body: an operation is null, expected an object such as"),
        (b'[{"Session":{}}]', b'Failed to parse body: json: unknown field "Session"'),
    ],
)
async def test_T1_what_is_no_transaction(calls: Calls, body: bytes, text: bytes) -> None:
    """It is a 400, whatever the query says."""
    response = await calls("PUT", "/v1/txn?dc=other&index=x", body)
    assert response.status == 400
    assert response.body.startswith(text)
    assert head(response)["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("op", [kv("set", "a"), {}, kv("get", "a")])
async def test_V7_so_many_operations(calls: Calls, op: dict[str, Any]) -> None:
    """One more is refused, of whatever kind; as many as allowed are not."""
    await calls.put("a")
    assert (await run(calls, *[op] * TXN_OPS_MAX)).status == 200
    response = await run(calls, *[op] * (TXN_OPS_MAX + 1))
    assert response.status == 413
    assert response.body == b"Transaction contains too many operations (129 > 128)"


async def test_1_8_so_many_bytes(calls: Calls) -> None:
    """With the size if it is known beforehand, without it for chunks."""
    body = b"[]".ljust(TXN_BYTES_MAX)
    assert (await calls("PUT", "/v1/txn", body)).status == 200
    response = await calls("PUT", "/v1/txn", body + b" ")
    url = b"https://www.consul.io/docs/agent/options.html#txn_max_req_len."
    assert response.status == 413
    assert response.body == (
        b"Request body(524289 bytes) too large, max size: 524288 bytes. See " + url
    )
    wanted = calls.dispatch("PUT", "/v1/txn")
    assert isinstance(wanted, NeedBody)
    assert wanted.too_large(None).body == (
        b"Request body too large, max size: 524288 bytes. See " + url
    )


async def test_a_server_that_takes_no_writes_reads_on(calls: Calls) -> None:
    """A transaction that writes is refused like any write; one that reads is answered."""
    await calls.put("a")
    await calls.engine.close()
    response = await run(calls, kv("set", "a"))
    assert (response.status, response.body) == (503, b"the server is stopping")
    assert results(await run(calls, kv("get", "a")))


# --- rights ---------------------------------------------------------------------------------

RULES = {
    "app": Rules(
        keys={b"app/secret": Level.DENY, b"app/drop": Level.WRITE},
        prefixes={b"app/": Level.WRITE, b"app/ro/": Level.READ},
    ),
}
DENIED = "Permission denied"


@pytest.fixture
async def guarded() -> Any:
    """Give a store with a few keys, a holder of one of them, and access control."""
    async with calling() as calls:
        for key in ("app/a", "app/ro/a", "app/secret", "other"):
            await calls.put(key)
        yield Guarded(calls, table(RULES))


async def asked(guarded: Guarded, *ops: Any, token: str = "app") -> Response:
    """Run a transaction with a token."""
    return await guarded(token, "PUT", "/v1/txn", json.dumps(ops).encode())


@pytest.mark.parametrize(
    ("verb", "key", "may"),
    [
        *((verb, "app/new", True) for verb in ("set", "cas", "delete", "delete-cas")),
        *((verb, "app/ro/new", False) for verb in ("set", "cas", "delete", "delete-cas")),
        *((verb, "app/secret", False) for verb in ("set", "cas", "delete", "delete-cas", "lock")),
        ("lock", "app/ro/new", False),
        ("unlock", "app/ro/new", False),
        ("unlock", "other", False),
        ("delete-tree", "app/ro/", False),
        ("delete-tree", "app/", False),
        ("delete-tree", "app/x/", True),
        ("delete-tree", "", False),
        ("check-not-exists", "app/new", True),
        ("check-not-exists", "app/ro/new", False),
        ("check-session", "app/ro/a", True),
        ("check-session", "app/secret", False),
        ("check-session", "other", False),
        ("check-index", "app/secret", False),
        ("check-index", "nope", False),
        ("unknown", "app/ro/a", False),
        ("get", "app/ro/a", True),
        ("get-tree", "app/ro/", True),
    ],
)
async def test_A6_rights(guarded: Guarded, verb: str, key: str, *, may: bool) -> None:
    """Writes need the right to write, checks to read, and one for nothing to write."""
    response = await asked(guarded, kv(verb, key))
    if may:
        assert response.status == 200, response
    else:
        assert whats(response) == [(0, DENIED)]


async def test_A6_what_is_denied_is_told_with_what_else_is_wrong(guarded: Guarded) -> None:
    """Before anything is run: the others have no failure, and nothing is done."""
    response = await asked(
        guarded, kv("set", "app/a"), kv("set", "other"), kv("get"), kv("get", "nope"), kv("set")
    )
    assert whats(response) == [(1, DENIED), (2, "Must provide key"), (4, "Must provide key")]
    shown = json.loads((await guarded("app", "GET", "/v1/kv/app/a")).body)
    assert shown[0]["Value"] == "dg=="


async def test_A6_what_may_not_be_read_is_left_out(guarded: Guarded) -> None:
    """In silence; but that a key is not there is told."""
    response = await asked(
        guarded,
        kv("get", "other"),
        kv("get-tree", "app/"),
        kv("get", "app/secret"),
        kv("get", "app/a"),
    )
    assert [one["Key"] for one in results(response)] == ["app/a", "app/ro/a", "app/a"]
    response = await asked(guarded, kv("get", "nope"), kv("set", "app/a"))
    assert whats(response) == [(0, 'key "nope" doesn\'t exist')]


async def test_A6_a_write_shows_what_may_be_read(guarded: Guarded) -> None:
    """An entry that was written by who may write it."""
    response = await asked(guarded, kv("set", "app/a", Value="eA=="), kv("get", "other"))
    assert [one["Key"] for one in results(response)] == ["app/a"]


async def test_A2_who_is_not_known(guarded: Guarded) -> None:
    """Parse errors come first; a token that is unknown is refused as a whole, with text."""
    for ops in ([], [kv("get", "app/a")], [kv("set", "app/a")]):
        response = await asked(guarded, *ops, token="wrong")
        assert (response.status, response.body) == (403, b"ACL not found")
        assert "X-Consul-Knownleader" not in head(response)
    response = await guarded("wrong", "PUT", "/v1/txn?index=x", b"[]")
    assert response.body == b"Invalid index"
    response = await guarded("wrong", "PUT", "/v1/txn", b"[")
    assert response.status == 400


async def test_A6_without_a_token(guarded: Guarded) -> None:
    """It may try, and see nothing."""
    assert results(await asked(guarded, kv("get", "app/a"), token="")) == []
    assert whats(await asked(guarded, kv("set", "app/a"), token="")) == [(0, DENIED)]

"""Who may do what with keys: A2 to A4 of the contract, and where rights stand among the checks."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from kvstore.access.rules import Level, Rules
from kvstore.api.exchange import Waiting
from kvstore.state.applied import Read

from .calls import Calls, head
from .guarded import Guarded, table

KEYS = ["ls/x", "n/a", "n/ro/x", "n/ro/y", "n/secret", "n/sub/a", "n/sub/b", "ro/a", "ro/b"]


@pytest.fixture
async def guarded(calls: Calls) -> Guarded:
    """Give a store with a few keys and access control."""
    for key in KEYS:
        await calls.put(key)
    return Guarded(calls, table())


@pytest.mark.parametrize(
    ("token", "method", "target", "status"),
    [
        ("reader", "GET", "ro/a", 200),
        ("reader", "GET", "ro/missing", 404),
        ("reader", "GET", "n/a", 403),
        ("reader", "GET", "n/missing", 403),
        ("reader", "GET", "n/a?raw", 403),
        ("reader", "GET", "n/a?index=1000&wait=1s", 403),
        ("reader", "PUT", "ro/a", 403),
        ("reader", "PUT", "ro/a?cas=0", 403),
        ("reader", "PUT", "ro/a?acquire=x", 403),
        ("reader", "PUT", "ro/a?release=x", 403),
        ("reader", "DELETE", "ro/a", 403),
        ("reader", "DELETE", "ro/a?cas=1", 403),
        ("reader", "DELETE", "ro/?recurse", 403),
        ("engine", "PUT", "docker/x", 200),
        ("engine", "DELETE", "docker/x", 200),
        ("engine", "DELETE", "docker/?recurse", 200),
        ("engine", "DELETE", "docker?recurse", 403),
        ("engine", "DELETE", "?recurse", 403),
        ("engine", "PUT", "docker/x?acquire=", 500),
        ("narrow", "PUT", "n/ro/x", 200),
        ("narrow", "PUT", "n/ro/y", 403),
        ("narrow", "GET", "n/secret", 403),
        ("narrow", "DELETE", "n/?recurse", 403),
        ("narrow", "DELETE", "n/ro/?recurse", 403),
        ("narrow", "DELETE", "n/ro/x?recurse", 403),
        ("narrow", "DELETE", "n/s?recurse", 403),
        ("narrow", "DELETE", "n/z?recurse", 200),
        ("", "GET", "ro/a", 403),
        ("powerless", "PUT", "x", 403),
        ("all", "DELETE", "?recurse", 200),
    ],
)
async def test_A3_one_key_and_writes(
    guarded: Guarded, token: str, method: str, target: str, status: int
) -> None:
    """A missing right is a 403 with its text and no index, whether there is such a key or not."""
    response = await guarded(token, method, f"/v1/kv/{target}", b"v")
    assert response.status == status
    if status == 403:
        assert response.body == b"Permission denied"
        assert set(head(response)) == {"Content-Type", "Vary"}


async def test_a_refused_write_changes_nothing(guarded: Guarded, calls: Calls) -> None:
    """Neither a key nor the index."""
    before = calls.engine.state.last_index
    for target in ("PUT ro/a", "DELETE ro/a", "DELETE ro/?recurse"):
        method, _, key = target.partition(" ")
        assert await guarded.status("reader", method, f"/v1/kv/{key}", b"other") == 403
    assert calls.engine.state.last_index == before


@pytest.mark.parametrize(
    ("token", "target", "names"),
    [
        ("narrow", "n/?keys", ["n/a", "n/ro/x", "n/ro/y", "n/sub/a", "n/sub/b"]),
        ("narrow", "n/?keys&separator=/", ["n/a", "n/ro/", "n/sub/"]),
        ("narrow", "?keys&separator=/", ["n/"]),
        ("narrow", "n/s?keys&separator=/", ["n/sub/"]),
        ("reader", "?keys", ["ls/x", "ro/a", "ro/b"]),
        ("reader", "?keys&separator=/", ["ls/", "ro/"]),
        # Filtered by whole keys, then cut: "ro" itself may not be read.
        ("reader", "?keys&separator=o", ["ls/x", "ro"]),
        ("all", "n/ro/?keys", ["n/ro/x", "n/ro/y"]),
        ("reader", "n?keys", None),
        ("", "?keys", []),
    ],
)
async def test_A4_names_are_filtered(
    guarded: Guarded, token: str, target: str, names: list[str] | None
) -> None:
    """What may not be read is not there: a 404, and an empty list for the whole store."""
    response = await guarded(token, "GET", f"/v1/kv/{target}")
    assert response.status == (404 if names is None else 200)
    if names is not None:
        assert json.loads(response.body) == names


@pytest.mark.parametrize(
    ("token", "target", "keys"),
    [
        ("narrow", "n/?recurse", ["n/a", "n/ro/x", "n/ro/y", "n/sub/a", "n/sub/b"]),
        ("reader", "?recurse", ["ls/x", "ro/a", "ro/b"]),
        ("reader", "ro/?recurse", ["ro/a", "ro/b"]),
        ("reader", "n/?recurse", None),
        ("", "?recurse", None),
    ],
)
async def test_A4_trees_are_filtered(
    guarded: Guarded, token: str, target: str, keys: list[str] | None
) -> None:
    """A tree of which nothing may be read is a 404."""
    response = await guarded(token, "GET", f"/v1/kv/{target}")
    assert response.status == (404 if keys is None else 200)
    if keys is not None:
        assert [entry["Key"] for entry in json.loads(response.body)] == keys


@pytest.mark.parametrize("target", ["n/?keys", "n/?recurse", "n/?keys&separator=/", "?keys"])
async def test_A4_hidden_entries_count_for_the_index(
    guarded: Guarded, calls: Calls, target: str
) -> None:
    """The index is the same for everybody."""
    everything = await calls("GET", f"/v1/kv/{target}")
    for token in ("narrow", "reader", ""):
        response = await guarded(token, "GET", f"/v1/kv/{target}")
        assert head(response)["X-Consul-Index"] == head(everything)["X-Consul-Index"]


async def test_a_filtered_list_wakes_for_what_is_hidden(calls: Calls) -> None:
    """A blocking query is answered when the index moves, with the list as it was allowed before."""
    await calls.put("n/a")
    guarded = Guarded(calls, table())
    index = head(await calls("GET", "/v1/kv/n/a"))["X-Consul-Index"]
    waiting = guarded.dispatch("narrow", "GET", f"/v1/kv/n/?keys&index={index}")
    assert isinstance(waiting, Waiting)
    reads: list[Read[Any]] = []
    waiting.parked.on_done(reads.append)
    await calls.put("n/secret")
    response = waiting.render(reads.pop())
    assert json.loads(response.body) == ["n/a"]
    assert int(head(response)["X-Consul-Index"]) > int(index)


@pytest.mark.parametrize(
    ("token", "target", "status"),
    [
        ("reader", "ls/?keys", 200),
        ("reader", "ls/?recurse", 200),
        ("reader", "ro/?keys", 403),
        ("reader", "ro/?recurse", 403),
        ("reader", "ro/a", 200),
        ("reader", "?keys", 403),
        ("engine", "docker/?keys", 404),
        ("", "?keys", 403),
    ],
)
async def test_A4_listing_by_a_right_of_its_own(
    calls: Calls, token: str, target: str, status: int
) -> None:
    """With a policy for lists, READ is for single keys and LIST for lists."""
    for key in KEYS:
        await calls.put(key)
    guarded = Guarded(calls, table(lists_need_list=True))
    assert await guarded.status(token, "GET", f"/v1/kv/{target}") == status


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "ro/a?index=x", b"Invalid index"),
        ("GET", "", b"Missing key name"),
        ("GET", "ro/a?ns=x", b"Bad request: Invalid query"),
        ("GET", "ro/a?dc=x", b"No path to datacenter"),
        ("PUT", "ro/a?cas=x", b"strconv.ParseUint"),
        ("PUT", "ro/a?cas=1&acquire=x", b"Conflicting flags"),
        ("PUT", "ro/a?dc=x", b"No path to datacenter"),
        ("DELETE", "ro/a?cas=x", b"strconv.ParseUint"),
        ("DELETE", "ro/a?dc=x", b"No path to datacenter"),
        ("POST", "ro/a", b"method POST not allowed"),
        ("GET", "ro/a", b"ACL not found"),
        ("GET", "?keys", b"ACL not found"),
        ("GET", "?recurse", b"ACL not found"),
        ("PUT", "ro/a?acquire=", b"ACL not found"),
        ("DELETE", "?recurse", b"ACL not found"),
    ],
)
async def test_A2_order_of_checks(guarded: Guarded, method: str, target: str, body: bytes) -> None:
    """Everything that is wrong with a request comes before its token."""
    response = await guarded("wrong", method, f"/v1/kv/{target}")
    assert response.body.startswith(body)


async def test_a_default_of_allow(calls: Calls) -> None:
    """What no rule is about is allowed, also without a token; a rule still denies."""
    rules = {"limited": Rules(prefixes={b"secret/": Level.DENY})}
    guarded = Guarded(calls, table(rules, Level.WRITE))
    assert await guarded.status("", "PUT", "/v1/kv/x") == 200
    assert await guarded.status("", "PUT", "/v1/kv/secret/x") == 200
    assert await guarded.status("limited", "PUT", "/v1/kv/x") == 200
    assert await guarded.status("limited", "GET", "/v1/kv/secret/x") == 403
    assert await guarded.status("limited", "DELETE", "/v1/kv/?recurse") == 403
    assert await guarded.status("limited", "GET", "/v1/kv/secret/?keys") == 404

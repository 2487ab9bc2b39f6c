"""The three methods of `/v1/kv/<key>`, by dispatch: reads and what they wait for."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from kvstore.api.exchange import Response, Waiting
from kvstore.state.applied import Read

from .calls import Calls, head


def entry(response: Response) -> dict[str, Any]:
    """Return the one entry of a response."""
    assert response.status == 200, response
    (fields,) = json.loads(response.body)
    return dict(fields)


def index(response: Response) -> int:
    """Return the index of a read."""
    return int(head(response)["X-Consul-Index"])


async def test_a_key_is_read_with_its_own_index(calls: Calls) -> None:
    """The index of a key is that of its last write (I5), though others were written since."""
    await calls.put("a", b"1")
    await calls.put("b", b"2")
    response = await calls("GET", "/v1/kv/a")
    fields = entry(response)
    assert (fields["Key"], fields["Value"]) == ("a", "MQ==")
    assert index(response) == fields["ModifyIndex"] == fields["CreateIndex"]
    assert index(await calls("GET", "/v1/kv/b")) > index(response)


async def test_a_missing_key(calls: Calls) -> None:
    """No key is an empty 404 that has an index all the same."""
    await calls.put("a")
    response = await calls("GET", "/v1/kv/b")
    assert (response.status, response.body) == (404, b"")
    assert index(response) == index(await calls("GET", "/v1/kv/a"))


async def test_a_raw_value(calls: Calls) -> None:
    """`raw` gives the bytes; a missing key stays a 404."""
    await calls.put("a", b"\x00\xff")
    response = await calls("GET", "/v1/kv/a?raw=0")
    assert (response.status, response.body) == (200, b"\x00\xff")
    assert head(response)["Content-Security-Policy"] == "sandbox"
    assert (await calls("GET", "/v1/kv/b?raw")).status == 404


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/v1/kv/?keys", ["a", "a/b", "a/c/d", "b"]),
        ("/v1/kv/a/?keys&separator=/", ["a/b", "a/c/"]),
        ("/v1/kv/a/?keys&seperator=/", ["a/b", "a/c/"]),
        ("/v1/kv/a/?keys&separator=/&seperator=b", ["a/b", "a/c/"]),
        ("/v1/kv/a/?keys&separator=&seperator=/", ["a/b", "a/c/d"]),
        ("/v1/kv/?keys&separator=", ["a", "a/b", "a/c/d", "b"]),
        ("/v1/kv/b?keys&recurse&raw", ["b"]),
    ],
)
async def test_G1_G4_keys(calls: Calls, target: str, answer: list[str]) -> None:
    """Names under a prefix, rolled up at a separator; `keys` beats everything."""
    for key in ("b", "a", "a/c/d", "a/b"):
        await calls.put(key)
    response = await calls("GET", target)
    assert (response.status, json.loads(response.body)) == (200, answer)


async def test_G1_a_tree_beats_raw(calls: Calls) -> None:
    """`recurse` lists entries by key, whatever `raw` and `separator` say."""
    for key in ("t/2", "t/1", "u"):
        await calls.put(key)
    response = await calls("GET", "/v1/kv/t?recurse&raw&separator=/")
    assert [one["Key"] for one in json.loads(response.body)] == ["t/1", "t/2"]


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/v1/kv/?keys", 200, b"[]"),
        ("/v1/kv/a?keys", 404, b""),
        ("/v1/kv/?recurse", 404, b""),
        ("/v1/kv/a?recurse", 404, b""),
        ("/v1/kv/?keys&pretty", 200, b"[]\n"),
        ("/v1/kv/", 400, b"Missing key name"),
    ],
)
async def test_contract_3_nothing_there(
    calls: Calls, target: str, status: int, body: bytes
) -> None:
    """Nothing under a prefix is a 404, but for the names of the whole store."""
    response = await calls("GET", target)
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/kv/?index=x&ns=n&dc=other", b"Invalid index"),
        ("/v1/kv/?ns=n&dc=other", b"Missing key name"),
        ("/v1/kv/a?ns=n&dc=other", b"Bad request: Invalid query"),
        ("/v1/kv/?keys&ns=n&dc=other", b"Bad request: Invalid query"),
        ("/v1/kv/a?dc=other", b"No path to datacenter"),
    ],
)
async def test_G6_order_of_a_reads_checks(calls: Calls, target: str, body: bytes) -> None:
    """Options, then the key, then the namespace, then the datacenter."""
    assert (await calls("GET", target)).body.startswith(body)


@pytest.mark.parametrize("target", ["/v1/kv/w/a", "/v1/kv/w/?recurse", "/v1/kv/w?keys"])
async def test_a_blocking_query_waits_for_its_write(calls: Calls, target: str) -> None:
    """It parks, is not answered by a write elsewhere, and is by one of what it reads."""
    await calls.put("w/a", b"1")
    seen = index(await calls("GET", target))
    mark = "&" if "?" in target else "?"
    answer = calls.dispatch("GET", f"{target}{mark}index={seen}&wait=60s")
    assert isinstance(answer, Waiting)
    reads: list[Read[Any]] = []
    answer.parked.on_done(reads.append)
    await calls.put("elsewhere")
    assert (calls.engine.parked_count, reads) == (1, [])
    await calls.put("w/a", b"2")
    assert calls.engine.parked_count == 0
    response = answer.render(reads.pop())
    assert response.status == 200
    assert index(response) > seen


async def test_B1_no_index_no_waiting(calls: Calls) -> None:
    """Without an index, or with 0, or with an older one, the answer is there at once."""
    await calls.put("a")
    for query in ("wait=60s", "index=0&wait=60s", "index=1&wait=60s", "index="):
        assert isinstance(calls.dispatch("GET", f"/v1/kv/a?{query}"), Response)


async def test_B4_when_the_time_is_up_the_answer_is_a_plain_one(calls: Calls) -> None:
    """A query that waited in vain is answered with what is there."""
    await calls.put("a")
    plain = await calls("GET", "/v1/kv/a")
    waited = await calls("GET", f"/v1/kv/a?index={index(plain)}&wait=1ms")
    assert (waited.status, waited.headers, waited.body) == (200, plain.headers, plain.body)
    missing = await calls("GET", "/v1/kv/b?index=99999&wait=1ms")
    assert missing.status == 404


async def test_a_cancelled_query_leaves_nothing(calls: Calls) -> None:
    """Who cancels what it was given leaves no waiter behind."""
    answer = calls.dispatch("GET", "/v1/kv/a?index=99999")
    assert isinstance(answer, Waiting)
    assert calls.engine.parked_count == 1
    answer.parked.cancel()
    assert calls.engine.parked_count == 0


async def test_B12_draining_answers_everything_that_waits(calls: Calls) -> None:
    """When the engine lets go of its queries, each has its answer, and no more are parked."""
    await calls.put("a")
    answers = [calls.dispatch("GET", f"/v1/kv/{key}?index=99999") for key in ("a", "b")]
    calls.engine.release_parked()
    assert calls.engine.parked_count == 0
    assert [type(answer) for answer in answers] == [Waiting, Waiting]
    assert isinstance(calls.dispatch("GET", "/v1/kv/a?index=99999"), Response)

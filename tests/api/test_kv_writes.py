"""The writes of `/v1/kv/<key>`, by dispatch: what is checked when, and what comes of it."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from kvstore.api.exchange import NeedBody, Response, Writing
from kvstore.api.kv import VALUE_BYTES_MAX

from .calls import Calls, calling

UNKNOWN = "00000000-0000-0000-0000-000000000000"


async def fields_of(calls: Calls, key: str) -> dict[str, Any]:
    """Return an existing key's JSON."""
    (fields,) = json.loads((await calls("GET", f"/v1/kv/{key}")).body)
    return dict(fields)


async def outcome(calls: Calls, method: str, target: str, body: bytes = b"") -> bool:
    """Return whether a write was done."""
    response = await calls(method, target, body)
    assert response.status == 200, response
    return {b"true": True, b"false": False}[response.body]


async def test_P2_value_and_flags_are_replaced(calls: Calls) -> None:
    """A write without flags has flags 0, one without a body has no value."""
    await outcome(calls, "PUT", "/v1/kv/a?flags=18446744073709551615", b"v")
    assert (await fields_of(calls, "a"))["Flags"] == 2**64 - 1
    await outcome(calls, "PUT", "/v1/kv/a")
    fields = await fields_of(calls, "a")
    assert (fields["Flags"], fields["Value"]) == (0, None)


async def test_contract_5_cas(calls: Calls) -> None:
    """Check-and-set writes at the right index, 0 means only a new key, `false` is a 200."""
    assert not await outcome(calls, "PUT", "/v1/kv/a?cas=7", b"v")
    assert await outcome(calls, "PUT", "/v1/kv/a?cas=0", b"v")
    assert not await outcome(calls, "PUT", "/v1/kv/a?cas=0", b"w")
    index = (await fields_of(calls, "a"))["ModifyIndex"]
    assert await outcome(calls, "PUT", f"/v1/kv/a?cas={index}&flags=3", b"w")
    assert (await fields_of(calls, "a"))["Flags"] == 3


async def test_contract_5_1_acquire_and_release(calls: Calls) -> None:
    """A session acquires, another cannot, and the holder releases."""
    one, two = await calls.create_session(), await calls.create_session()
    assert await outcome(calls, "PUT", f"/v1/kv/l?acquire={one}", b"1")
    assert not await outcome(calls, "PUT", f"/v1/kv/l?acquire={two}", b"2")
    assert (await fields_of(calls, "l"))["Session"] == one
    assert not await outcome(calls, "PUT", f"/v1/kv/l?release={two}", b"2")
    assert await outcome(calls, "PUT", f"/v1/kv/l?release={one}&flags=9", b"3")
    fields = await fields_of(calls, "l")
    assert ("Session" in fields, fields["LockIndex"], fields["Flags"]) == (False, 1, 9)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("acquire", b"missing session"),
        ("acquire=", b"missing session"),
        ("release=", b"missing session"),
        (f"acquire={UNKNOWN}", b'invalid session "%s"' % UNKNOWN.encode()),
        ("acquire=abc", b"failed session lookup: index error: UUID must be 36 characters"),
        ("acquire=%FF", b"failed session lookup: index error: UUID must be 36 characters"),
    ],
)
async def test_L3_locks_without_a_session(calls: Calls, query: str, body: bytes) -> None:
    """A lock for no session, or for one that cannot be, is a 500 and writes nothing."""
    response = await calls("PUT", f"/v1/kv/l?{query}", b"v")
    assert (response.status, response.body) == (500, body)
    assert calls.engine.state.entry_count == 0


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/v1/kv/?wait=x&ns=n", 400, b"Invalid wait time"),
        ("/v1/kv/?ns=n&cas&acquire", 400, b"Bad request: Invalid query"),
        ("/v1/kv/?cas&acquire", 400, b"Missing key name"),
        ("/v1/kv/a?cas&acquire&flags=x", 400, b"Conflicting flags: acquire=&cas=&flags=x"),
        ("/v1/kv/a?acquire=1&release=2", 400, b"Conflicting flags: acquire=1&release=2"),
        ("/v1/kv/a?flags=x&cas=y", 500, b'strconv.ParseUint: parsing "x": invalid syntax'),
        ("/v1/kv/a?cas=y&dc=other", 500, b'strconv.ParseUint: parsing "y": invalid syntax'),
        ("/v1/kv/a?cas", 500, b'strconv.ParseUint: parsing "": invalid syntax'),
    ],
)
async def test_P6_H43_what_is_checked_before_the_body(
    calls: Calls, target: str, status: int, body: bytes
) -> None:
    """The head alone is enough to refuse, in Consul's order."""
    answer = calls.dispatch("PUT", target)
    assert isinstance(answer, Response)
    assert answer.status == status
    assert answer.body.startswith(body)


async def test_P6_the_datacenter_is_checked_after_the_body(calls: Calls) -> None:
    """A body is asked for even if the write is for another datacenter."""
    answer = calls.dispatch("PUT", "/v1/kv/a?dc=other")
    assert isinstance(answer, NeedBody)
    response = await calls.finish(answer, b"v")
    assert (response.status, response.body) == (500, b"No path to datacenter")


async def test_contract_1_8_a_value_has_its_limit(calls: Calls) -> None:
    """A value of 512 KiB is taken; one byte more is a 413 that names both numbers."""
    assert VALUE_BYTES_MAX == 524288
    await calls.put("a", b"x" * VALUE_BYTES_MAX)
    response = await calls("PUT", "/v1/kv/a", b"y" * (VALUE_BYTES_MAX + 1))
    assert response.status == 413
    assert response.body == (
        b"Request body(524289 bytes) too large, max size: 524288 bytes. "
        b"See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
    )
    unknown_size = calls.dispatch("PUT", "/v1/kv/a")
    assert isinstance(unknown_size, NeedBody)
    assert unknown_size.too_large(None).body.startswith(b"Request body too large, max size")


async def test_a_write_is_under_way_until_it_lasts(calls: Calls) -> None:
    """Reads do not see a write whose outcome is still to come."""
    answer = calls.dispatch("DELETE", "/v1/kv/a")
    assert isinstance(answer, Writing)
    assert not answer.outcome.done()
    assert (await calls.finish(answer)).body == b"true"


async def test_contract_6_delete(calls: Calls) -> None:
    """One key or everything under a prefix; what is not there counts as deleted."""
    for key in ("t", "tt", "t/1", "u"):
        await calls.put(key)
    assert await outcome(calls, "DELETE", "/v1/kv/u")
    assert await outcome(calls, "DELETE", "/v1/kv/u")
    assert await outcome(calls, "DELETE", "/v1/kv/t?recurse=false")
    assert calls.engine.state.entry_count == 0
    await calls.put("x")
    assert await outcome(calls, "DELETE", "/v1/kv/?recurse")
    assert calls.engine.state.entry_count == 0


async def test_contract_6_delete_by_cas(calls: Calls) -> None:
    """Deleted at the right index only; an absent key is deleted at any."""
    await calls.put("a")
    index = (await fields_of(calls, "a"))["ModifyIndex"]
    assert not await outcome(calls, "DELETE", f"/v1/kv/a?cas={index + 1}")
    assert not await outcome(calls, "DELETE", "/v1/kv/a?cas=0")
    assert await outcome(calls, "DELETE", f"/v1/kv/a?cas={index}")
    assert await outcome(calls, "DELETE", "/v1/kv/a?cas=7")


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/v1/kv/?index=x&ns=n", 400, b"Invalid index"),
        ("/v1/kv/?ns=n", 400, b"Bad request: Invalid query"),
        ("/v1/kv/?cas&recurse", 400, b"Conflicting flags: cas=&recurse="),
        ("/v1/kv/?cas=x", 400, b"Missing key name"),
        ("/v1/kv/a?cas=x&dc=other", 500, b'strconv.ParseUint: parsing "x": invalid syntax'),
        ("/v1/kv/a?cas=", 500, b'strconv.ParseUint: parsing "": invalid syntax'),
        ("/v1/kv/a?dc=other", 500, b"No path to datacenter"),
    ],
)
async def test_D1_order_of_a_deletes_checks(
    calls: Calls, target: str, status: int, body: bytes
) -> None:
    """Options, namespace, conflict, key, index, datacenter; nothing is deleted."""
    await calls.put("a")
    response = await calls("DELETE", target)
    assert response.status == status
    assert response.body.startswith(body)
    assert calls.engine.state.entry_count == 1


async def test_a_lost_index_creates_only_where_it_was_asked_for() -> None:
    """An index from a lost store is refused, unless the operator says to adopt it."""
    for adopt_lost_cas in (False, True):
        async with calling(adopt_lost_cas=adopt_lost_cas) as calls:
            assert await outcome(calls, "PUT", "/v1/kv/a?cas=999999", b"v") is adopt_lost_cas


async def test_writes_are_refused_while_stopping(calls: Calls) -> None:
    """A store on its way down says so, and still answers reads."""
    await calls.put("a")
    await calls.engine.close()
    response = await calls("PUT", "/v1/kv/a", b"v")
    assert (response.status, response.body) == (503, b"the server is stopping")
    assert (await calls("DELETE", "/v1/kv/a")).status == 503
    assert (await calls("GET", "/v1/kv/a?raw")).body == b"v"

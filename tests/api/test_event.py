"""Events over the API, by dispatch."""

import asyncio
import json
from typing import Any

import pytest

from kvstore.api.event import EVENT_BYTES_MAX
from kvstore.api.exchange import Response, Waiting

from .calls import Calls, head
from .guarded import Guarded, table


async def fire(calls: Calls, name: str, payload: bytes = b"") -> Any:
    """Fire an event, which must succeed, and return it as it was answered."""
    response = await calls("PUT", f"/v1/event/fire/{name}", payload)
    assert response.status == 200, response
    return json.loads(response.body)


async def listed(calls: Calls, query: str = "") -> list[Any]:
    """Return the events of a list."""
    response = await calls("GET", f"/v1/event/list{query}")
    assert response.status == 200, response
    found: list[Any] = json.loads(response.body)
    return found


async def test_no_event_yet(calls: Calls) -> None:
    """An empty list has index 1, so that a client can wait for the first event."""
    response = await calls("GET", "/v1/event/list?dc=other&ns=n")
    assert (response.status, response.body) == (200, b"[]")
    headers = head(response)
    assert headers["X-Consul-Index"] == "1"
    assert set(headers) == {"Content-Type", "Vary", "X-Consul-Index"}


async def test_an_event_is_listed(calls: Calls) -> None:
    """As it was fired, with its number among the events; without a payload it is null."""
    fired = await fire(calls, "deploy", b"v1")
    assert list(fired) == [
        "ID",
        "Name",
        "Payload",
        "NodeFilter",
        "ServiceFilter",
        "TagFilter",
        "Version",
        "LTime",
    ]
    assert (fired["Name"], fired["Payload"], fired["LTime"]) == ("deploy", "djE=", 0)
    other = await fire(calls, "b/%C3%A9")
    assert (other["Name"], other["Payload"]) == ("b/é", None)
    assert await listed(calls) == [{**fired, "LTime": 2}, {**other, "LTime": 3}]
    assert await listed(calls, "?name=deploy") == [{**fired, "LTime": 2}]
    assert await listed(calls, "?name=none") == []


async def test_a_client_waits_for_the_next(calls: Calls) -> None:
    """A list with the index that the client knows waits; a second one with another does not."""
    waiting = calls.dispatch("GET", "/v1/event/list?index=1&wait=60s")
    assert isinstance(waiting, Waiting)
    answer, fired = await asyncio.gather(calls.finish(waiting), fire(calls, "deploy"))
    assert [one["ID"] for one in json.loads(answer.body)] == [fired["ID"]]
    index = head(answer)["X-Consul-Index"]
    again = calls.dispatch("GET", f"/v1/event/list?index={index}&wait=60s&name=deploy")
    assert isinstance(again, Waiting)
    again.parked.cancel()
    assert isinstance(calls.dispatch("GET", "/v1/event/list?index=1"), Response)


@pytest.mark.parametrize(
    ("query", "is_kept"),
    [
        ("node=n1", True),
        ("node=n", True),
        ("node=^n.$", True),
        ("node=web|n1", True),
        ("node=n2", False),
        ("node=^1", False),
        ("service=consul", False),
        ("service=web&tag=v1", False),
    ],
)
async def test_filters_decide_whether_it_is_for_this_node(
    calls: Calls, query: str, *, is_kept: bool
) -> None:
    """A node's name is matched anywhere in it; a service is never here. All are counted."""
    await fire(calls, f"a?{query}")
    kept = await listed(calls)
    assert len(kept) == is_kept
    await fire(calls, "b")
    assert (await listed(calls))[-1]["LTime"] == 3


@pytest.mark.parametrize("pattern", ["(", "a*", "n.%2B", "[a]", "a{9}", "%5Cd", "é", "%FF"])
@pytest.mark.parametrize("name", ["node", "service", "tag"])
async def test_filters_that_are_not_evaluated(calls: Calls, name: str, pattern: str) -> None:
    """They are refused with what can be used: an event may not go to the wrong nodes."""
    response = await calls("PUT", f"/v1/event/fire/a?{name}={pattern}&service=x")
    assert response.status == 400
    assert f"the {name} filter".encode() in response.body
    assert await listed(calls) == []


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("?dc=other", 400, b"Missing name"),
        ("a?dc=other", 500, b"No path to datacenter"),
        ("a?tag=x", 500, b"Cannot provide tag filter without service filter"),
    ],
)
async def test_what_is_wrong(calls: Calls, call: str, status: int, body: bytes) -> None:
    """In Consul's words."""
    response = await calls("PUT", f"/v1/event/fire/{call}")
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    ("name", "payload_bytes_max"),
    [
        ("foo", 410),
        ("f" * 40, 333),
        ("f" * 100, 214),
        ("foo?node=nope", 402),
        ("foo?service=nope", 402),
        ("foo?service=nope&tag=zz", 396),
    ],
)
async def test_an_event_is_small(calls: Calls, name: str, payload_bytes_max: int) -> None:
    """The limits are those of a real Consul, found by trying."""
    await fire(calls, name, b"x" * payload_bytes_max)
    refused = await calls("PUT", f"/v1/event/fire/{name}", b"x" * (payload_bytes_max + 1))
    assert refused.status == 500
    assert b"exceeds configured limit of 512 bytes after encoding" in refused.body


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("a", b"x" * EVENT_BYTES_MAX),
        ("a", b"x" * (EVENT_BYTES_MAX + 1)),
        ("n" * 600, b""),
        ("a?node=" + "n" * 600, b""),
        ("%FF" * 600, b""),
    ],
)
async def test_a_large_event_is_refused_early(calls: Calls, name: str, payload: bytes) -> None:
    """Whichever of its parts is too large."""
    response = await calls("PUT", f"/v1/event/fire/{name}", payload)
    assert response.status == 500
    assert b"exceeds configured limit of 512 bytes before encoding" in response.body


async def test_nobody_executes(calls: Calls) -> None:
    """The event of `consul exec` is refused: no node would ever answer."""
    response = await calls("PUT", "/v1/event/fire/_rexec", b'{"Prefix":"_rexec","Session":"x"}')
    assert (response.status, b"remote execution" in response.body) == (501, True)
    assert await listed(calls) == []


async def test_rights(calls: Calls) -> None:
    """Firing is refused and listing empty without a right; a wrong token gets neither."""
    guarded = Guarded(calls, table())
    assert await guarded.status("powerless", "PUT", "/v1/event/fire/a") == 403
    assert await guarded.status("nobody", "PUT", "/v1/event/fire/a") == 403
    assert await guarded.status("nobody", "GET", "/v1/event/list") == 403
    answer = guarded.dispatch("powerless", "GET", "/v1/event/list?index=9")
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, b"[]")

"""The server as an agent, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from kvstore.api.agent import AgentEndpoints
from kvstore.api.exchange import Response, Waiting
from kvstore.api.identity import API_VERSION
from kvstore.api.router import Router
from kvstore.clock import SystemClock
from kvstore.engine.events import Events
from kvstore.errors import KVStoreError

from .calls import IDENTITY, Calls, head
from .guarded import Guarded, table


async def ask(calls: Calls, call: str) -> Any:
    """Return the JSON of an answer that must be a 200."""
    response = await calls("GET", f"/v1/agent/{call}")
    assert response.status == 200, response
    return json.loads(response.body)


async def test_O1_self(calls: Calls) -> None:
    """The server names its node, the API it speaks and its own version, and shows its counts."""
    await calls.put("a")
    await calls.create_session()
    parked = calls.dispatch("GET", "/v1/kv/a?index=99999")
    waiting = calls.dispatch("GET", "/v1/event/list?index=1")
    described = await ask(calls, "self")
    assert list(described) == ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta"]
    assert described["Config"]["NodeName"] == "n1"
    assert described["Config"]["Version"] == API_VERSION
    assert described["Config"]["Revision"] == "kvstore-0.1.0"
    assert described["Member"]["Addr"] == IDENTITY.host
    counts = described["Stats"]["kvstore"]
    assert (counts["entries"], counts["sessions"], counts["parked_queries"]) == ("1", "1", "2")
    assert counts["index"] == str(calls.engine.state.last_index)
    for answer in (parked, waiting):
        assert isinstance(answer, Waiting)
        answer.parked.cancel()


async def test_O1_stats_are_two_levels_of_texts(calls: Calls) -> None:
    """What `consul info` prints, and nothing in it is made up."""
    stats = (await ask(calls, "self"))["Stats"]
    assert {"agent", "build", "consul", "kvstore", "raft", "runtime", "serf_lan"} == set(stats)
    assert all(type(value) is str for group in stats.values() for value in group.values())
    assert stats["raft"]["applied_index"] == stats["kvstore"]["index"]
    assert stats["raft"]["state"] == "Leader"
    assert stats["consul"]["acl"] == "disabled"


async def test_O2_members(calls: Calls) -> None:
    """The one member is alive, a server, of this datacenter."""
    (member,) = await ask(calls, "members?segment=_all")
    assert (member["Name"], member["Status"], member["Port"]) == ("n1", 1, 8500)
    assert (member["Tags"]["role"], member["Tags"]["dc"]) == ("consul", "dc1")
    assert member == (await ask(calls, "self"))["Member"]
    (wide,) = await ask(calls, "members?wan=1&segment=_all")
    assert wide == {**member, "Name": "n1.dc1"}


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("segment=a", 500, b"Network segments are not supported in this version of Consul"),
        ("segment=a&wan=1", 400, b"Cannot provide a segment with wan=true"),
    ],
)
async def test_members_of_a_segment(calls: Calls, query: str, status: int, body: bytes) -> None:
    """There are no segments."""
    response = await calls("GET", f"/v1/agent/members?{query}")
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize("call", ["self", "members"])
async def test_contract_1_4_headers(calls: Calls, call: str) -> None:
    """They have no index and look at no option of reads."""
    response = calls.dispatch("GET", f"/v1/agent/{call}?index=x&dc=other&ns=n&stale&consistent")
    assert isinstance(response, Response)
    assert response.status == 200
    assert set(head(response)) == {"Content-Type", "Vary"}


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("", 400, b"Missing value for enable"),
        ("?enable=", 400, b'Invalid value for enable: ""'),
        ("?enable=maybe", 400, b'Invalid value for enable: "maybe"'),
        ("?enable=false", 200, b""),
        ("?enable=0", 200, b""),
    ],
)
async def test_maintenance(calls: Calls, query: str, status: int, body: bytes) -> None:
    """A node that is in no maintenance can be taken out of it."""
    response = await calls("PUT", f"/v1/agent/maintenance{query}")
    assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize("enable", ["true", "1", "T"])
async def test_no_maintenance_is_begun(calls: Calls, enable: str) -> None:
    """It would have no effect, so it is refused."""
    response = await calls("PUT", f"/v1/agent/maintenance?enable={enable}&reason=x")
    assert (response.status, response.body[:31]) == (501, b"kvstore has no maintenance mode")


@pytest.mark.parametrize("name", ["nobody", "", "N1", "a'b"])
async def test_unknown_nodes_cannot_leave(calls: Calls, name: str) -> None:
    """In Consul's words, which quotes nothing."""
    response = await calls("PUT", f"/v1/agent/force-leave/{name}")
    assert (response.status, response.body.decode()) == (
        500,
        f"agent: No node found with name '{name}'",
    )


async def test_this_node_cannot_leave(calls: Calls) -> None:
    """It is the cluster."""
    response = await calls("PUT", "/v1/agent/force-leave/n1?prune")
    assert (response.status, b"stop its process" in response.body) == (501, True)


async def test_nothing_to_reload(calls: Calls) -> None:
    """A server without anything to read again says so."""
    assert (await calls("PUT", "/v1/agent/reload")).status == 501


class Source:
    """What can be read again, and counts how often it was."""

    def __init__(self) -> None:
        self.count = 0
        self.error: KVStoreError | None = None

    def reload(self) -> None:
        """Read again."""
        self.count += 1
        if self.error is not None:
            raise self.error


async def test_reload(calls: Calls) -> None:
    """It is done before it is answered, and a failure is no success."""
    source = Source()
    agent = AgentEndpoints(calls.engine, Events(SystemClock()), IDENTITY, source.reload)
    reloading = Calls(calls.engine, Router(agent))
    response = await reloading("PUT", "/v1/agent/reload")
    assert (response.status, response.body, source.count) == (200, b"", 1)
    assert "Content-Type" not in head(response)
    source.error = KVStoreError("no such file")
    response = await reloading("PUT", "/v1/agent/reload")
    assert (response.status, response.body, source.count) == (500, b"no such file", 2)


async def test_A3_rights(calls: Calls) -> None:
    """Who may read the agent, and who may change it."""
    guarded = Guarded(calls, table())
    assert await guarded.status("agent", "GET", "/v1/agent/self") == 200
    refused = await guarded("powerless", "GET", "/v1/agent/self")
    assert (refused.status, refused.body) == (403, b"Permission denied")
    for call in ("reload", "maintenance?enable=false", "force-leave/nobody"):
        assert await guarded.status("agent", "PUT", f"/v1/agent/{call}") == 403
    described = json.loads((await guarded("agent", "GET", "/v1/agent/self")).body)
    assert described["Stats"]["consul"]["acl"] == "enabled"
    assert described["Member"]["Tags"]["acls"] == "1"


async def test_A4_members_without_rights(calls: Calls) -> None:
    """None, for a token that exists."""
    guarded = Guarded(calls, table())
    response = await guarded("powerless", "GET", "/v1/agent/members")
    assert (response.status, response.body) == (200, b"[]")
    assert await guarded.status("nobody", "GET", "/v1/agent/members") == 403

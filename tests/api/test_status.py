"""What the server says of itself, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import asyncio
import json
from typing import Any

import pytest

from kvstore.api.exchange import Response, Waiting
from kvstore.api.identity import API_VERSION

from .calls import IDENTITY, Calls, head

PLAIN = [
    "status/leader",
    "status/peers",
    "agent/self",
    "agent/members",
    "agent/checks",
    "agent/services",
    "catalog/datacenters",
]
CATALOG = [
    "catalog/nodes",
    "catalog/services",
    "catalog/service/consul",
    "catalog/node/n1",
    "health/node/n1",
    "health/checks/consul",
    "health/state/any",
    "health/service/consul",
]


async def ask(calls: Calls, call: str) -> Any:
    """Return the JSON of an answer that must be a 200."""
    response = await calls("GET", f"/v1/{call}")
    assert response.status == 200, response
    return json.loads(response.body)


async def test_one_server_leads_itself(calls: Calls) -> None:
    """Leader and peers are this server, under the address that clients use."""
    assert await ask(calls, "status/leader") == IDENTITY.address
    assert await ask(calls, "status/peers") == [IDENTITY.address]
    assert await ask(calls, "catalog/datacenters") == ["dc1"]


async def test_O1_agent_self(calls: Calls) -> None:
    """The server names its node, the API it speaks and its own version, and shows its counts."""
    await calls.put("a")
    await calls.create_session()
    parked = calls.dispatch("GET", "/v1/kv/a?index=99999")
    described = await ask(calls, "agent/self")
    assert list(described) == ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta"]
    assert described["Config"]["NodeName"] == "n1"
    assert described["Config"]["Version"] == API_VERSION
    assert described["Config"]["Revision"] == "kvstore-0.1.0"
    assert described["Member"]["Addr"] == IDENTITY.host
    counts = described["Stats"]["kvstore"]
    assert (counts["entries"], counts["sessions"], counts["parked_queries"]) == ("1", "1", "1")
    assert counts["index"] == str(calls.engine.state.last_index)
    assert isinstance(parked, Waiting)
    parked.parked.cancel()


async def test_O2_members(calls: Calls) -> None:
    """The one member is alive, a server, of this datacenter."""
    (member,) = await ask(calls, "agent/members")
    assert (member["Name"], member["Status"], member["Port"]) == ("n1", 1, 8500)
    assert (member["Tags"]["role"], member["Tags"]["dc"]) == ("consul", "dc1")
    assert member == (await ask(calls, "agent/self"))["Member"]


async def test_nothing_is_registered_with_the_agent(calls: Calls) -> None:
    """No checks and no services of its own."""
    assert await ask(calls, "agent/checks") == {}
    assert await ask(calls, "agent/services") == {}


async def test_the_node_is_the_same_everywhere(calls: Calls) -> None:
    """Catalog and health agree on the node and on its address."""
    (node,) = await ask(calls, "catalog/nodes")
    assert (node["Node"], node["Address"], node["ID"]) == ("n1", "10.0.0.5", IDENTITY.node_id)
    assert (await ask(calls, "catalog/node/N1"))["Node"] == node
    (health,) = await ask(calls, "health/service/consul")
    assert health["Node"] == node
    assert health["Checks"] == await ask(calls, "health/node/n1")
    assert health["Service"] == (await ask(calls, "catalog/node/n1"))["Services"]["consul"]
    (served,) = await ask(calls, "catalog/service/consul")
    assert (served["Node"], served["ServicePort"]) == ("n1", 8500)


async def test_the_one_service_and_the_one_check(calls: Calls) -> None:
    """The server's own service, and the check that it is alive."""
    assert await ask(calls, "catalog/services") == {"consul": []}
    (check,) = await ask(calls, "health/state/passing")
    assert (check["CheckID"], check["Status"]) == ("serfHealth", "passing")
    assert await ask(calls, "health/state/any") == [check]


@pytest.mark.parametrize(
    ("call", "nothing"),
    [
        ("catalog/service/web", []),
        ("catalog/node/nobody", None),
        ("catalog/node/%FF", None),
        ("health/node/nobody", []),
        ("health/checks/consul", []),
        ("health/state/critical", []),
        ("health/service/web", []),
    ],
)
async def test_nothing_else_is_known(calls: Calls, call: str, nothing: Any) -> None:
    """Unknown nodes, services and states are no error."""
    assert await ask(calls, call) == nothing


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("catalog/service/", b"Missing service name"),
        ("catalog/node/", b"Missing node name"),
        ("health/node/", b"Missing node name"),
        ("health/checks/", b"Missing service name"),
        ("health/state/", b"Missing check state"),
        ("health/service/", b"Missing service name"),
        ("health/service/consul?passing=maybe", b"Invalid value for ?passing"),
    ],
)
async def test_a_name_is_missing(calls: Calls, call: str, body: bytes) -> None:
    """Without a name, or with a choice that is none, it is a 400."""
    response = await calls("GET", f"/v1/{call}")
    assert (response.status, response.body) == (400, body)


@pytest.mark.parametrize("passing", ["", "=", "=1", "=true", "=0", "=False"])
async def test_passing_takes_gos_booleans(calls: Calls, passing: str) -> None:
    """The one instance passes, so it is shown whatever was asked."""
    assert len(await ask(calls, f"health/service/consul?passing{passing}")) == 1


@pytest.mark.parametrize("call", PLAIN)
async def test_contract_1_4_plain_answers(calls: Calls, call: str) -> None:
    """They have no index and never wait, but are held to the options of reads."""
    response = calls.dispatch("GET", f"/v1/{call}?index=99999&dc=other&ns=n")
    assert isinstance(response, Response)
    assert response.status == 200
    assert set(head(response)) == {"Content-Type", "Vary"}
    assert (await calls("GET", f"/v1/{call}?index=x")).body == b"Invalid index"


@pytest.mark.parametrize("call", CATALOG)
@pytest.mark.parametrize(
    ("query", "consistency"),
    [("", "leader"), ("?stale", "stale"), ("?consistent", "consistent")],
)
async def test_contract_1_4_catalog_answers(
    calls: Calls, call: str, query: str, consistency: str
) -> None:
    """They have an index and say how consistent they are."""
    headers = head(await calls("GET", f"/v1/{call}{query}"))
    assert headers["X-Consul-Index"] == "2"
    assert headers["X-Consul-Knownleader"] == "true"
    assert headers["X-Consul-Effective-Consistency"] == consistency


@pytest.mark.parametrize("call", CATALOG)
async def test_the_catalog_never_changes(calls: Calls, call: str) -> None:
    """A blocking query of it waits out its time, whatever is written, and answers the same."""
    answer = calls.dispatch("GET", f"/v1/{call}?index=2&wait=1ms")
    assert isinstance(answer, Waiting)
    _, waited = await asyncio.gather(calls.put("a"), calls.finish(answer))
    plain = await calls("GET", f"/v1/{call}")
    assert (waited.status, waited.headers, waited.body) == (200, plain.headers, plain.body)


@pytest.mark.parametrize("call", CATALOG)
async def test_H17_the_catalog_of_another_datacenter(calls: Calls, call: str) -> None:
    """There is none, and the answer is one that never looked."""
    response = await calls("GET", f"/v1/{call}?dc=other")
    assert (response.status, response.body) == (500, b"No path to datacenter")
    assert head(response)["X-Consul-Knownleader"] == "false"


async def test_pretty(calls: Calls) -> None:
    """`pretty` is for people here too."""
    assert (await calls("GET", "/v1/status/peers?pretty")).body == (b'[\n    "10.0.0.5:8500"\n]\n')

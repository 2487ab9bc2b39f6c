"""The catalog of one node, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
from typing import Any

import pytest

from .calls import IDENTITY, Calls, head
from .guarded import Guarded, table


async def ask(calls: Calls, call: str) -> Any:
    """Return the JSON of an answer that must be a 200."""
    response = await calls("GET", f"/v1/catalog/{call}")
    assert response.status == 200, response
    return json.loads(response.body)


async def test_the_one_node(calls: Calls) -> None:
    """It is the same wherever it stands, and found in any letter case."""
    (node,) = await ask(calls, "nodes")
    assert (node["Node"], node["Address"], node["ID"]) == ("n1", "10.0.0.5", IDENTITY.node_id)
    described = await ask(calls, "node/N1")
    assert described["Node"] == node
    listed = await ask(calls, "node-services/n1")
    assert listed == {"Node": node, "Services": list(described["Services"].values())}


async def test_the_one_service(calls: Calls) -> None:
    """The server itself, under Consul's name for it."""
    assert await ask(calls, "services") == {"consul": []}
    (served,) = await ask(calls, "service/Consul")
    assert (served["Node"], served["ServiceName"], served["ServicePort"]) == ("n1", "consul", 8500)
    assert served["ServiceWeights"] == {"Passing": 1, "Warning": 1}
    assert served["ServiceMeta"]["version"] == "1.8.7"
    assert (await ask(calls, "node/n1"))["Services"]["consul"]["Port"] == 8500


@pytest.mark.parametrize(
    ("call", "nothing", "index"),
    [
        ("service/web", [], "2"),
        ("service/consul?tag=", [], "2"),
        ("service/consul?tag=a&tag=b", [], "2"),
        ("connect/consul", [], "2"),
        ("node/nobody", None, "1"),
        ("node/%FF", None, "1"),
        ("node-services/nobody", {"Node": None, "Services": None}, "1"),
        ("gateway-services/web", None, "1"),
        ("nodes?node-meta=rack:1", [], "2"),
        ("services?node-meta=rack:1", {}, "2"),
        ("service/consul?node-meta=rack:1", [], "2"),
    ],
)
async def test_nothing_else_is_known(calls: Calls, call: str, nothing: Any, index: str) -> None:
    """What is unknown is no error; what there can be none of has the smallest index."""
    response = await calls("GET", f"/v1/catalog/{call}")
    assert (response.status, json.loads(response.body)) == (200, nothing)
    assert head(response)["X-Consul-Index"] == index


async def test_datacenters(calls: Calls) -> None:
    """Ours; of the options of reads only the consistency is looked at."""
    response = await calls("GET", "/v1/catalog/datacenters?index=x&dc=other&ns=n")
    assert (response.status, response.body) == (200, b'["dc1"]')
    assert set(head(response)) == {"Content-Type", "Vary"}
    refused = await calls("GET", "/v1/catalog/datacenters?stale&consistent")
    assert (refused.status, refused.body[:20]) == (400, b"Cannot specify ?stal")


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("service/", b"Missing service name"),
        ("connect/", b"Missing service name"),
        ("node/", b"Missing node name"),
        ("node-services/", b"Missing node name"),
        ("gateway-services/", b"Missing gateway name"),
    ],
)
async def test_a_name_is_missing(calls: Calls, call: str, missing: bytes) -> None:
    """A 400, after the namespace and the options of reads, before the datacenter."""
    response = await calls("GET", f"/v1/catalog/{call}?dc=other")
    assert (response.status, response.body) == (400, missing)
    assert (await calls("GET", f"/v1/catalog/{call}?index=x")).body == b"Invalid index"
    assert (await calls("GET", f"/v1/catalog/{call}?index=x&ns=n")).body.startswith(b"Bad request")


async def test_nodes_have_no_namespace(calls: Calls) -> None:
    """`ns` means nothing there."""
    assert len(await ask(calls, "nodes?ns=n")) == 1


@pytest.mark.parametrize("call", ["nodes", "service/consul", "connect/x", "node/n1"])
async def test_a_filter_is_refused(calls: Calls, call: str) -> None:
    """An answer that was not filtered would be taken for one that was."""
    response = await calls("GET", f"/v1/catalog/{call}?filter=Node==n1")
    assert response.status == 400
    assert b"filter" in response.body
    assert (await calls("GET", f"/v1/catalog/{call}?filter=")).status == 200


async def test_services_are_never_filtered(calls: Calls) -> None:
    """As in Consul 1.8.7, which does not look at `filter` there."""
    assert await ask(calls, "services?filter=x") == {"consul": []}


def deregistration(**members: Any) -> bytes:
    """Return a body."""
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    "members",
    [
        {"Node": "nobody"},
        {"Node": "nobody", "ServiceID": "consul"},
        {"Node": "n1", "ServiceID": "web"},
        {"Node": "n1", "CheckID": "web"},
        {"node": "nobody", "datacenter": "dc1", "Address": "x", "Token": "y"},
    ],
)
async def test_O7_what_is_not_there_is_deregistered(calls: Calls, members: dict[str, str]) -> None:
    """It is not in the catalog, as was wanted."""
    response = await calls("PUT", "/v1/catalog/deregister", deregistration(**members))
    assert (response.status, response.body) == (200, b"true")


@pytest.mark.parametrize(
    "members",
    [
        {"Node": "n1"},
        {"Node": "N1", "ServiceID": "consul"},
        {"Node": "n1", "CheckID": "serfHealth"},
    ],
)
async def test_what_is_there_stays(calls: Calls, members: dict[str, str]) -> None:
    """Our node, its service and its check cannot be taken out."""
    response = await calls("PUT", "/v1/catalog/deregister", deregistration(**members))
    assert (response.status, b"stop the process" in response.body) == (501, True)
    assert len(await ask(calls, "nodes")) == 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, b"Request decode failed: EOF"),
        (b'{"Foo":1}', 400, b'Request decode failed: json: unknown field "Foo"'),
        (b"{}", 500, b"Must provide node"),
        (b"null", 500, b"Must provide node"),
        (b'{"Datacenter":"dc2"}', 500, b"No path to datacenter"),
        (
            b'{"Node":5}',
            400,
            (
                b"Request decode failed: "
                b"json: cannot unmarshal number into Go struct field .Node of type string"
            ),
        ),
    ],
)
async def test_O7_wrong_deregistrations(
    calls: Calls, body: bytes, status: int, reason: bytes
) -> None:
    """In Consul's words."""
    response = await calls("PUT", "/v1/catalog/deregister", body)
    assert (response.status, response.body) == (status, reason)


@pytest.mark.parametrize(
    ("call", "hidden"),
    [
        ("nodes", "[]"),
        ("services", "{}"),
        ("service/consul", "[]"),
        ("node/n1", "null"),
        ("node-services/n1", '{"Node":null,"Services":null}'),
    ],
)
async def test_A4_without_rights_the_catalog_is_empty(calls: Calls, call: str, hidden: str) -> None:
    """Not refused, and with the index of what is hidden."""
    response = await Guarded(calls, table())("powerless", "GET", f"/v1/catalog/{call}")
    assert (response.status, response.body.decode()) == (200, hidden)
    assert head(response)["X-Consul-Index"] == "2"


async def test_A2_A7_an_unknown_token(calls: Calls) -> None:
    """A 403 that has not looked, after the errors of parameters."""
    guarded = Guarded(calls, table())
    response = await guarded("nobody", "GET", "/v1/catalog/nodes")
    assert (response.status, response.body) == (403, b"ACL not found")
    assert head(response)["X-Consul-Knownleader"] == "false"
    assert await guarded.status("nobody", "GET", "/v1/catalog/nodes?index=x") == 400
    assert await guarded.status("nobody", "GET", "/v1/catalog/nodes?dc=other") == 500
    assert await guarded.status("nobody", "GET", "/v1/catalog/datacenters") == 200


async def test_a_right_to_deregister(calls: Calls) -> None:
    """Whoever may not change the agent may not say what is in it, even what is not."""
    body = deregistration(Node="nobody")
    guarded = Guarded(calls, table())
    assert await guarded.status("agent", "PUT", "/v1/catalog/deregister", body) == 403

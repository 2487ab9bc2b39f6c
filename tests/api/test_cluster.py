"""A cluster of one, by dispatch."""

import json
import re
from typing import Any

import pytest

from kvstore.errors import JournalUnwritable

from .calls import IDENTITY, Calls, head
from .guarded import Guarded, table


async def ask(calls: Calls, call: str, status: int = 200) -> Any:
    """Return the JSON of an answer."""
    response = await calls("GET", f"/v1/{call}")
    assert response.status == status, response
    return json.loads(response.body)


async def test_the_one_peer(calls: Calls) -> None:
    """It leads and votes."""
    shown = await ask(calls, "operator/raft/configuration")
    assert list(shown) == ["Servers", "Index"]
    (server,) = shown["Servers"]
    assert (server["ID"], server["Address"]) == (IDENTITY.node_id, IDENTITY.address)
    assert (server["Leader"], server["Voter"], server["ProtocolVersion"]) == (True, True, "3")


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        (
            "",
            400,
            (
                "Bad request: Must specify either ?id with the server's ID or ?address with "
                "IP:port of peer to remove"
            ),
        ),
        ("?id=a&address=b", 400, "Bad request: Must specify only one of ?id or ?address"),
        ('?id=a"b', 500, 'id "a\\"b" was not found in the Raft configuration'),
        (
            "?address=1.2.3.4:8300",
            500,
            'address "1.2.3.4:8300" was not found in the Raft configuration',
        ),
        ("?id=a&dc=other", 500, "No path to datacenter"),
    ],
)
async def test_unknown_peers_cannot_be_removed(
    calls: Calls, query: str, status: int, body: str
) -> None:
    """In Consul's words."""
    response = await calls("DELETE", f"/v1/operator/raft/peer{query}")
    assert (response.status, response.body.decode()) == (status, body)


@pytest.mark.parametrize("query", [f"id={IDENTITY.node_id}", f"address={IDENTITY.address}"])
async def test_the_one_peer_stays(calls: Calls, query: str) -> None:
    """There is no cluster without it."""
    assert (await calls("DELETE", f"/v1/operator/raft/peer?{query}")).status == 501


async def test_autopilot(calls: Calls) -> None:
    """Nothing is done by itself, and nothing of it can be changed."""
    shown = await ask(calls, "operator/autopilot/configuration")
    assert shown["CleanupDeadServers"] is False
    assert re.fullmatch(r"\d+s", shown["LastContactThreshold"])
    changed = await calls("PUT", "/v1/operator/autopilot/configuration", b"{}")
    assert (changed.status, b"autopilot" in changed.body) == (501, True)


async def test_health_is_that_of_the_journal(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Healthy as long as writes can last; then a 429, as in an unhealthy cluster."""
    shown = await ask(calls, "operator/autopilot/health")
    (server,) = shown["Servers"]
    assert (shown["Healthy"], server["Healthy"], shown["FailureTolerance"]) == (True, True, 0)
    assert server["LastIndex"] == calls.engine.state.last_index
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", server["StableSince"])
    failure = JournalUnwritable(__file__, OSError())
    monkeypatch.setattr(type(calls.engine), "failure", property(lambda _engine: failure))
    shown = await ask(calls, "operator/autopilot/health", 429)
    assert (shown["Healthy"], shown["Servers"][0]["Healthy"]) == (False, False)


async def test_keyring(calls: Calls) -> None:
    """There is none to read, in Consul's words, and none to change, in ours."""
    response = await calls("GET", "/v1/operator/keyring?dc=other&index=x")
    assert response.status == 500
    assert response.body.decode() == (
        "2 errors occurred:\n\t* dc1 (LAN) error: 1/1 nodes reported failure\n"
        "\t* n1: Keyring is empty (encryption not enabled)\n\n"
    )
    for method in ("POST", "PUT", "DELETE"):
        changed = await calls(method, "/v1/operator/keyring", b'{"Key":"x"}')
        assert (changed.status, b"docs/tls.md" in changed.body) == (501, True)


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        ("datacenters?dc=other", 200, b"[]"),
        ("nodes", 200, b"[]"),
        ("nodes?segment=a", 200, b"[]"),
        ("nodes?index=x", 400, b"Invalid index"),
        ("nodes?dc=other", 500, b"No path to datacenter"),
        ("node/n1", 404, b""),
        ("node/n1?dc=other", 500, b"No path to datacenter"),
    ],
)
async def test_coordinates(calls: Calls, call: str, status: int, body: bytes) -> None:
    """Distances are not measured, so none are known."""
    response = await calls("GET", f"/v1/coordinate/{call}")
    assert (response.status, response.body) == (status, body)


async def test_the_list_of_coordinates_can_be_waited_for(calls: Calls) -> None:
    """It has an index, but does not say how consistent it is."""
    headers = head(await calls("GET", "/v1/coordinate/nodes"))
    assert headers["X-Consul-Index"] == "1"
    assert "X-Consul-Effective-Consistency" not in headers


@pytest.mark.parametrize(
    "call", ["raft/configuration", "autopilot/configuration", "autopilot/health"]
)
async def test_operators_calls(calls: Calls, call: str) -> None:
    """They have no index, are held to the options of reads, and ask for a right."""
    response = await calls("GET", f"/v1/operator/{call}?index=7&ns=n")
    assert response.status == 200
    assert set(head(response)) == {"Content-Type", "Vary"}
    assert (await calls("GET", f"/v1/operator/{call}?index=x")).body == b"Invalid index"
    assert (await calls("GET", f"/v1/operator/{call}?dc=other")).status == 500
    guarded = Guarded(calls, table())
    refused = await guarded("powerless", "GET", f"/v1/operator/{call}")
    assert (refused.status, refused.body) == (403, b"Permission denied")
    assert await guarded.status("operator", "GET", f"/v1/operator/{call}") == 200


async def test_other_rights(calls: Calls) -> None:
    """Of peers, keys and coordinates."""
    guarded = Guarded(calls, table())
    assert await guarded.status("agent", "DELETE", "/v1/operator/raft/peer?id=x") == 403
    denied = await guarded("agent", "GET", "/v1/operator/keyring")
    assert (denied.status, denied.body) == (500, b"Reading keyring denied by ACLs")
    hidden = await guarded("powerless", "GET", "/v1/coordinate/node/n1")
    assert (hidden.status, hidden.body) == (403, b"Permission denied")
    assert head(hidden)["X-Consul-Knownleader"] == "false"

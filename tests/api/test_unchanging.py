"""What all reads of the catalog have in common: headers, waiting, the order of checks."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import asyncio

import pytest

from kvstore.api.exchange import Waiting
from kvstore.api.unchanging import has_node_meta

from .calls import Calls, head, read_query

CALLS = [
    "catalog/nodes",
    "catalog/services",
    "catalog/service/consul",
    "catalog/connect/consul",
    "catalog/node/n1",
    "catalog/node-services/n1",
    "health/node/n1",
    "health/checks/consul",
    "health/state/any",
    "health/service/consul",
    "health/connect/consul",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("query", "consistency"),
    [
        ("", "leader"),
        ("?stale", "stale"),
        ("?max_stale=5s", "stale"),
        ("?max_stale=0s", "leader"),
        ("?consistent", "consistent"),
    ],
)
async def test_contract_1_4_headers(calls: Calls, call: str, query: str, consistency: str) -> None:
    """They have an index and say how consistent they are."""
    headers = head(await calls("GET", f"/v1/{call}{query}"))
    assert headers["X-Consul-Index"] == "2"
    assert headers["X-Consul-Knownleader"] == "true"
    assert headers["X-Consul-Lastcontact"] == "0"
    assert headers["X-Consul-Effective-Consistency"] == consistency


@pytest.mark.parametrize("call", CALLS)
async def test_the_catalog_never_changes(calls: Calls, call: str) -> None:
    """A blocking query of it waits out its time, whatever is written, and answers the same."""
    answer = calls.dispatch("GET", f"/v1/{call}?index=2&wait=1ms")
    assert isinstance(answer, Waiting)
    _, waited = await asyncio.gather(calls.put("a"), calls.finish(answer))
    plain = await calls("GET", f"/v1/{call}")
    assert (waited.status, waited.headers, waited.body) == (200, plain.headers, plain.body)


@pytest.mark.parametrize("call", CALLS)
async def test_H17_another_datacenter(calls: Calls, call: str) -> None:
    """There is none, and the answer is one that never looked; a filter comes after it."""
    response = await calls("GET", f"/v1/{call}?dc=other&filter=x")
    assert (response.status, response.body) == (500, b"No path to datacenter")
    assert head(response)["X-Consul-Knownleader"] == "false"


@pytest.mark.parametrize(
    ("query", "has"),
    [
        ("", True),
        ("node-meta=consul-network-segment:", True),
        ("node-meta=consul-network-segment", True),
        ("node-meta=consul-network-segment:x", False),
        ("node-meta=rack:1", False),
        ("node-meta=", False),
        ("node-meta=consul-network-segment:&node-meta=rack:1", False),
        ("node-meta=consul-network-segment:x&node-meta=consul-network-segment:", True),
    ],
)
def test_node_meta(query: str, *, has: bool) -> None:
    """One member, without a value; the last of two for the same name counts."""
    assert has_node_meta(read_query(query)) is has

"""Who leads, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json

import pytest

from kvstore.api.exchange import Response

from .calls import IDENTITY, Calls, head

CALLS = ["leader", "peers"]


async def test_one_server_leads_itself(calls: Calls) -> None:
    """Leader and peers are this server, under the address that clients use."""
    assert json.loads((await calls("GET", "/v1/status/leader")).body) == IDENTITY.address
    assert json.loads((await calls("GET", "/v1/status/peers")).body) == [IDENTITY.address]


@pytest.mark.parametrize("call", CALLS)
async def test_contract_1_4_headers(calls: Calls, call: str) -> None:
    """They have no index, never wait, and do not know namespaces (H20)."""
    response = calls.dispatch("GET", f"/v1/status/{call}?index=99999&ns=n")
    assert isinstance(response, Response)
    assert response.status == 200
    assert set(head(response)) == {"Content-Type", "Vary"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("query", "status", "body"),
    [("index=x", 400, b"Invalid index"), ("dc=other", 500, b"No path to datacenter")],
)
async def test_H17_options(calls: Calls, call: str, query: str, status: int, body: bytes) -> None:
    """They are held to the options of reads."""
    response = await calls("GET", f"/v1/status/{call}?{query}")
    assert (response.status, response.body) == (status, body)


async def test_pretty(calls: Calls) -> None:
    """`pretty` is for people here too."""
    assert (await calls("GET", "/v1/status/peers?pretty")).body == b'[\n    "10.0.0.5:8500"\n]\n'

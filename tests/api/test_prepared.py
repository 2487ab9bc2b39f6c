"""Prepared queries: there are none, by dispatch."""

import pytest

from .calls import Calls, head
from .guarded import Guarded, table

ID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"
SHORT = "failed prepared query lookup: index error: UUID must be 36 characters"


async def test_none_are_listed(calls: Calls) -> None:
    """With the headers of a read of the catalog."""
    response = await calls("GET", "/v1/query?ns=n")
    assert (response.status, response.body) == (200, b"[]")
    headers = head(response)
    assert headers["X-Consul-Index"] == "1"
    assert headers["X-Consul-Effective-Consistency"] == "leader"


async def test_none_is_made(calls: Calls) -> None:
    """It would look for services."""
    response = await calls("POST", "/v1/query", b'{"Name":"q","Service":{"Service":"web"}}')
    assert (response.status, b"prepared queries" in response.body) == (501, True)


@pytest.mark.parametrize(
    ("method", "call", "status", "body"),
    [
        ("GET", ID, 404, "Query not found"),
        ("GET", "name", 500, SHORT),
        ("GET", "name/execute", 404, "Query not found"),
        ("GET", "name/explain", 404, "Query not found"),
        ("GET", f"{ID}?index=x", 400, "Invalid index"),
        ("PUT", ID, 500, f"Cannot modify non-existent prepared query: '{ID}'"),
        ("DELETE", ID, 500, f"Cannot modify non-existent prepared query: '{ID}'"),
        ("DELETE", "name", 500, f"Prepared Query lookup failed: {SHORT}"),
    ],
)
async def test_every_one_is_unknown(
    calls: Calls, method: str, call: str, status: int, body: str
) -> None:
    """In Consul's words."""
    response = await calls(method, f"/v1/query/{call}")
    assert (response.status, response.body.decode()) == (status, body)


async def test_what_is_used_can_only_be_read(calls: Calls) -> None:
    """With an Allow of its own."""
    response = await calls("DELETE", "/v1/query/name/execute")
    assert (response.status, response.body) == (405, b"method DELETE not allowed")
    assert head(response)["Allow"] == "GET"


@pytest.mark.parametrize(
    ("method", "call"),
    [("GET", ""), ("GET", f"/{ID}"), ("GET", "/x/execute"), ("DELETE", f"/{ID}")],
)
async def test_an_unknown_token(calls: Calls, method: str, call: str) -> None:
    """It gets no answer, not even that there is nothing (A2)."""
    assert await Guarded(calls, table()).status("nobody", method, f"/v1/query{call}") == 403

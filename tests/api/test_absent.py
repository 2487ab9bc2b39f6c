"""What is not part of this server is refused."""

import re

import pytest

from kvstore.api.absent import AbsentEndpoints
from kvstore.api.exchange import Response

from .calls import Calls, head
from .guarded import Guarded, table

REFUSED = [
    (method, pattern.decode())
    for pattern, methods in AbsentEndpoints().routes().items()
    for method in methods
]


@pytest.mark.parametrize(("method", "pattern"), REFUSED)
async def test_a_refusal_is_a_sentence(calls: Calls, method: str, pattern: str) -> None:
    """A 501 whose text says what there is not, and what to do; no body is waited for."""
    response = calls.dispatch(method, pattern)
    assert isinstance(response, Response)
    assert response.status == 501
    assert re.fullmatch(
        rb"kvstore (has no|is one server|does not|has one node)[^\n]{30,200}", response.body
    )
    assert head(response)["Content-Type"] == "text/plain; charset=utf-8"


async def test_nothing_is_registered(calls: Calls) -> None:
    """The best known of them: a service and a check."""
    for kind in ("service", "check"):
        body = b'{"Name":"web","TTL":"10s"}'
        response = await calls("PUT", f"/v1/agent/{kind}/register", body)
        assert response.status == 501
        assert b"Consul agent" in response.body
        assert (await calls("GET", f"/v1/agent/{kind}s")).body == b"{}"


async def test_no_token_makes_a_difference(calls: Calls) -> None:
    """Whoever asks: there is nothing to have a right to."""
    guarded = Guarded(calls, table())
    assert await guarded.status("operator", "PUT", "/v1/agent/leave") == 501
    assert await guarded.status("", "PUT", "/v1/agent/leave") == 501

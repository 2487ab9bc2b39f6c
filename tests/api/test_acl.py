"""Tokens are not managed over HTTP."""

import pytest

from kvstore.api.acl import ACLEndpoints

from .calls import Calls
from .guarded import Guarded, table

ASKED = [
    (method, pattern.decode())
    for pattern, methods in ACLEndpoints().routes().items()
    for method in methods
]


@pytest.mark.parametrize(("method", "pattern"), ASKED)
async def test_without_tokens(calls: Calls, method: str, pattern: str) -> None:
    """Consul's answer when its access control is off."""
    response = await calls(method, pattern, b"{}")
    assert (response.status, response.body) == (401, b"ACL support disabled")


@pytest.mark.parametrize(("method", "pattern"), ASKED)
async def test_with_tokens(calls: Calls, method: str, pattern: str) -> None:
    """The refusal says where tokens are, and shows none."""
    response = await Guarded(calls, table())("operator", method, pattern)
    assert response.status == 501
    assert b"docs/access.md" in response.body or b"/v1/agent/metrics" in response.body


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/v1/acl/token/some-id", 401),
        ("GET", "/v1/acl/policy/name/some-name", 401),
        ("PUT", "/v1/acl/policy/name/some-name", 405),
        ("PUT", "/v1/acl/policy/some-id", 401),
        ("GET", "/v1/acl/nothing", 404),
        ("GET", "/debug/pprof/heap", 401),
    ],
)
async def test_the_longest_pattern_counts(
    calls: Calls, method: str, target: str, status: int
) -> None:
    """Some of these routes lie within others."""
    assert (await calls(method, target)).status == status

"""Who may have, and replace, the whole store."""

import pytest

from kvstore.access.rules import Level

from .calls import Calls
from .guarded import Guarded, table


@pytest.mark.parametrize(
    ("token", "body"),
    [
        ("", b"Permission denied"),
        # All keys and sessions are not the whole store: what is hidden from a rule is in it too.
        ("all", b"Permission denied"),
        ("wrong", b"ACL not found"),
    ],
)
@pytest.mark.parametrize("default", [Level.DENY, Level.WRITE])
@pytest.mark.parametrize("target", ["/v1/snapshot", "/v1/snapshot?stale"])
async def test_it_takes_a_rule_for_the_operator(
    calls: Calls, token: str, body: bytes, default: Level, target: str
) -> None:
    """Neither is there without one, whatever the default."""
    guarded = Guarded(calls, table(default=default))
    for method in ("GET", "PUT"):
        response = await guarded(token, method, target, b"garbage")
        assert (response.status, response.body) == (403, body)


async def test_an_operator_saves_and_restores(calls: Calls) -> None:
    """The whole way, with a rule for it; another datacenter comes before rights."""
    await calls.put("a", b"1")
    guarded = Guarded(calls, table())
    saved = await guarded("operator", "GET", "/v1/snapshot")
    assert saved.status == 200
    await calls.put("a", b"2")
    assert await guarded.status("operator", "PUT", "/v1/snapshot", saved.body) == 200
    assert (await calls("GET", "/v1/kv/a?raw")).body == b"1"
    refused = await guarded("wrong", "GET", "/v1/snapshot?dc=x")
    assert refused.body == b"No path to datacenter"

"""The one check, by dispatch."""

import json
from typing import Any

import pytest

from .calls import Calls, head
from .guarded import Guarded, table


async def ask(calls: Calls, call: str) -> Any:
    """Return the JSON of an answer that must be a 200."""
    response = await calls("GET", f"/v1/{call}")
    assert response.status == 200, response
    return json.loads(response.body)


async def test_the_one_check(calls: Calls) -> None:
    """The server is alive, as sessions need it to be."""
    (check,) = await ask(calls, "health/state/passing")
    assert (check["CheckID"], check["Status"], check["Node"]) == ("serfHealth", "passing", "n1")
    assert await ask(calls, "health/state/any") == [check]
    assert await ask(calls, "health/node/N1") == [check]


async def test_health_agrees_with_the_catalog(calls: Calls) -> None:
    """The same node and service."""
    (health,) = await ask(calls, "health/service/Consul")
    assert list(health) == ["Node", "Service", "Checks"]
    described = await ask(calls, "catalog/node/n1")
    assert health["Node"] == described["Node"]
    assert health["Service"] == described["Services"]["consul"]
    assert health["Checks"] == await ask(calls, "health/node/n1")


@pytest.mark.parametrize(
    ("call", "index"),
    [
        ("node/nobody", "2"),
        ("checks/consul", "2"),
        ("state/critical", "2"),
        ("state/Passing", "2"),
        ("state/any?node-meta=rack:1", "2"),
        ("service/web", "2"),
        ("service/consul?tag=v1", "2"),
        ("service/consul?node-meta=rack:1", "2"),
        ("connect/consul", "2"),
        ("ingress/consul", "1"),
    ],
)
async def test_nothing_else_is_known(calls: Calls, call: str, index: str) -> None:
    """Unknown nodes, services and states are no error."""
    response = await calls("GET", f"/v1/health/{call}")
    assert (response.status, response.body) == (200, b"[]")
    assert head(response)["X-Consul-Index"] == index


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("node/", b"Missing node name"),
        ("checks/", b"Missing service name"),
        ("state/", b"Missing check state"),
        ("service/?passing=abc", b"Missing service name"),
        ("connect/", b"Missing service name"),
        ("ingress/", b"Missing service name"),
        ("service/consul?passing=maybe", b"Invalid value for ?passing"),
        ("connect/consul?passing=maybe", b"Invalid value for ?passing"),
        ("service/consul?passing=maybe&index=x", b"Invalid index"),
    ],
)
async def test_what_is_missing_or_wrong(calls: Calls, call: str, body: bytes) -> None:
    """Without a name, or with a choice that is none, it is a 400."""
    response = await calls("GET", f"/v1/health/{call}")
    assert (response.status, response.body) == (400, body)


@pytest.mark.parametrize("passing", ["", "=", "=1", "=true", "=0", "=False"])
async def test_passing_takes_gos_booleans(calls: Calls, passing: str) -> None:
    """The one instance passes, so it is shown whatever was asked."""
    assert len(await ask(calls, f"health/service/consul?passing{passing}")) == 1


@pytest.mark.parametrize("call", ["node/n1", "checks/x", "state/any", "service/consul"])
async def test_a_filter_is_refused(calls: Calls, call: str) -> None:
    """An answer that was not filtered would be taken for one that was."""
    assert (await calls("GET", f"/v1/health/{call}?filter=Status==passing")).status == 400


@pytest.mark.parametrize("call", ["node/n1", "state/any", "service/consul"])
async def test_without_rights_there_are_no_checks(calls: Calls, call: str) -> None:
    """Not refused (A4); an unknown token is (A2)."""
    guarded = Guarded(calls, table())
    response = await guarded("powerless", "GET", f"/v1/health/{call}")
    assert (response.status, response.body) == (200, b"[]")
    assert await guarded.status("nobody", "GET", f"/v1/health/{call}") == 403


async def test_an_unknown_token_before_a_wrong_passing(calls: Calls) -> None:
    """As in Consul."""
    target = "/v1/health/service/consul?passing=maybe"
    assert await Guarded(calls, table())("nobody", "GET", target) == await Guarded(calls, table())(
        "nobody", "GET", "/v1/health/service/consul"
    )

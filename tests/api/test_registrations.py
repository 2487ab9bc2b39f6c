"""Services and checks of the agent: there are none, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .calls import Calls, head
from .guarded import Guarded, table


@pytest.mark.parametrize("call", ["checks", "services"])
async def test_none_are_listed(calls: Calls, call: str) -> None:
    """As a map by id; a filter is refused, a namespace too."""
    response = await calls("GET", f"/v1/agent/{call}?index=x")
    assert (response.status, response.body) == (200, b"{}")
    assert set(head(response)) == {"Content-Type", "Vary"}
    assert (await calls("GET", f"/v1/agent/{call}?filter=x")).status == 400
    assert (await calls("GET", f"/v1/agent/{call}?ns=n")).status == 400


@pytest.mark.parametrize(
    ("method", "call", "status", "body"),
    [
        ("GET", "service/web", 404, "unknown service ID: web"),
        ("GET", "service/", 404, "unknown service ID: "),
        ("GET", "service/web?index=x", 400, "Invalid index"),
        ("GET", 'service/a"b', 404, 'unknown service ID: a"b'),
        ("PUT", "service/deregister/web", 200, ""),
        ("PUT", "service/deregister/", 500, "ServiceID missing"),
        ("PUT", "service/maintenance/web?enable=true", 404, 'No service registered with ID "web"'),
        ("PUT", "service/maintenance/web", 400, "Missing value for enable"),
        ("PUT", "service/maintenance/web?enable=x", 400, 'Invalid value for enable: "x"'),
        ("PUT", "service/maintenance/?enable=true", 400, "Missing service ID"),
        ("PUT", "check/deregister/web", 200, ""),
        ("PUT", "check/deregister/", 500, "CheckID missing"),
        ("PUT", "check/pass/web?note=x", 500, 'CheckID "web" does not have associated TTL'),
        ("PUT", "check/warn/a/b", 500, 'CheckID "a/b" does not have associated TTL'),
        ("PUT", "check/fail/%FF", 500, 'CheckID "\\xff" does not have associated TTL'),
    ],
)
async def test_O5_O6_every_name_is_unknown(
    calls: Calls, method: str, call: str, status: int, body: str
) -> None:
    """In Consul's words for one it does not know."""
    response = await calls(method, f"/v1/agent/{call}")
    assert (response.status, response.body.decode()) == (status, body)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"Status":"passing"}', 500, 'CheckID "web" does not have associated TTL'),
        (b'{"Status":"bad"}', 400, "Invalid check status: 'bad'"),
        (b"null", 400, "Invalid check status: ''"),
        (b"", 400, "Request decode failed: EOF"),
        (b'{"Foo":1}', 400, 'Request decode failed: json: unknown field "Foo"'),
    ],
)
async def test_O5_update(calls: Calls, body: bytes, status: int, reason: str) -> None:
    """The body is looked at first."""
    response = await calls("PUT", "/v1/agent/check/update/web", body)
    assert (response.status, response.body.decode()) == (status, reason)


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        (
            "id/web",
            '{"AggregatedStatus":"critical","Service":null,"Checks":null}',
            "ServiceId web not found",
        ),
        ("id/web?format=text", '"ServiceId web not found"', "ServiceId web not found"),
        ("name/web", "[]", "ServiceName web Not Found"),
        ("name/web?format=text", "ServiceName web Not Found", "ServiceName web Not Found"),
    ],
)
async def test_the_health_of_the_unknown(calls: Calls, call: str, body: str, reason: str) -> None:
    """A 404 with a body and the reason in a header."""
    response = await calls("GET", f"/v1/agent/health/service/{call}")
    assert (response.status, response.body.decode()) == (404, body)
    assert head(response)["X-Consul-Reason"] == reason


async def test_health_without_a_name(calls: Calls) -> None:
    """In Consul's two spellings."""
    response = await calls("GET", "/v1/agent/health/service/id/")
    assert (response.status, response.body) == (500, b"Bad request: Missing serviceID")
    response = await calls("GET", "/v1/agent/health/service/name/")
    assert (response.status, response.body) == (500, b"Bad request: Missing service Name")


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("GET", "checks"),
        ("GET", "services"),
        ("GET", "service/web"),
        ("PUT", "check/pass/web"),
        ("PUT", "service/deregister/web"),
    ],
)
async def test_A2_an_unknown_token(calls: Calls, method: str, call: str) -> None:
    """It gets no answer, not even that there is nothing."""
    response = await Guarded(calls, table())("nobody", method, f"/v1/agent/{call}")
    assert (response.status, response.body) == (403, b"ACL not found")

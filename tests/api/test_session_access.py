"""Who may do what with sessions: A2 to A5 and A7, and where rights stand among the checks."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json

import pytest

from .calls import Calls, head
from .guarded import Guarded, table

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def guarded(calls: Calls) -> Guarded:
    """Give a store with access control."""
    return Guarded(calls, table())


@pytest.mark.parametrize("token", ["", "reader", "powerless"])
@pytest.mark.parametrize("call", ["create", "destroy/ID", "renew/ID"])
async def test_A3_writing_a_session(calls: Calls, guarded: Guarded, token: str, call: str) -> None:
    """Seeing sessions is not enough to make, renew or end one; nothing happens then."""
    session = await calls.create_session()
    target = f"/v1/session/{call.replace('ID', session)}"
    response = await guarded(token, "PUT", target)
    assert (response.status, response.body) == (403, b"Permission denied")
    assert set(head(response)) == {"Content-Type", "Vary"}
    assert [one.id for one in calls.engine.state.list_sessions().value] == [session]


async def test_A3_a_session_with_the_right(calls: Calls, guarded: Guarded) -> None:
    """Who may write sessions makes, renews and ends them, and sees them."""
    created = await guarded("engine", "PUT", "/v1/session/create")
    assert created.status == 200
    session = json.loads(created.body)["ID"]
    assert await guarded.status("engine", "PUT", f"/v1/session/renew/{session}") == 200
    seen = await guarded("engine", "GET", f"/v1/session/info/{session}")
    assert json.loads(seen.body)[0]["ID"] == session
    assert await guarded.status("engine", "PUT", f"/v1/session/destroy/{session}") == 200
    assert calls.engine.state.session_count == 0


@pytest.mark.parametrize("call", ["list", "node/n1", "info/ID"])
async def test_A4_sessions_are_hidden(calls: Calls, guarded: Guarded, call: str) -> None:
    """Who may not see sessions sees an empty list, with everybody's index."""
    session = await calls.create_session()
    target = f"/v1/session/{call.replace('ID', session)}"
    shown, hidden = await guarded("reader", "GET", target), await guarded("", "GET", target)
    assert [one["ID"] for one in json.loads(shown.body)] == [session]
    assert (hidden.status, hidden.body) == (200, b"[]")
    assert hidden.headers == shown.headers


@pytest.mark.parametrize("token", ["", "powerless"])
async def test_A5_what_is_gone_takes_no_right(guarded: Guarded, token: str) -> None:
    """An unknown session is told of, and is destroyed already."""
    renewed = await guarded(token, "PUT", f"/v1/session/renew/{UNKNOWN}")
    assert (renewed.status, renewed.body) == (404, f"Session id '{UNKNOWN}' not found".encode())
    destroyed = await guarded(token, "PUT", f"/v1/session/destroy/{UNKNOWN}")
    assert (destroyed.status, destroyed.body) == (200, b"true")


@pytest.mark.parametrize("token", ["", "powerless", "engine"])
async def test_A5_what_is_gone_is_not_written(calls: Calls, guarded: Guarded, token: str) -> None:
    """Destroying an unknown session takes no right, so it takes no index either."""
    index = calls.engine.state.last_index
    assert await guarded.status(token, "PUT", f"/v1/session/destroy/{UNKNOWN}") == 200
    assert calls.engine.state.last_index == index


@pytest.mark.parametrize("call", ["list", "node/n1", f"info/{UNKNOWN}", "info/malformed"])
async def test_A7_a_refused_read_has_the_headers_of_no_look(guarded: Guarded, call: str) -> None:
    """A wrong token is a 403 with an index of 1 and no known leader."""
    response = await guarded("wrong", "GET", f"/v1/session/{call}")
    assert (response.status, response.body) == (403, b"ACL not found")
    headers = head(response)
    assert (headers["X-Consul-Index"], headers["X-Consul-Knownleader"]) == ("1", "false")


@pytest.mark.parametrize(
    ("token", "target", "body", "answer"),
    [
        ("wrong", "create", b"{", b"Request decode failed: unexpected EOF"),
        ("wrong", "create", b'{"Node":""}', b"Must provide Node"),
        ("wrong", "create?dc=x", b"", b"No path to datacenter"),
        ("wrong", "create", b'{"Behavior":"x"}', b"ACL not found"),
        ("reader", "create", b'{"Behavior":"x"}', b"Permission denied"),
        ("reader", "create", b'{"Node":"elsewhere"}', b"Permission denied"),
        ("engine", "create", b'{"Behavior":"x"}', b"Invalid Behavior setting 'x'"),
        ("engine", "create", b'{"Node":"elsewhere"}', b"Missing node registration"),
        ("wrong", "destroy/", b"", b"Missing session"),
        ("wrong", f"destroy/{UNKNOWN}?dc=x", b"", b"No path to datacenter"),
        ("wrong", f"destroy/{UNKNOWN}", b"", b"ACL not found"),
        ("wrong", "destroy/x", b"", b"ACL not found"),
        ("", "destroy/x", b"", b"Session lookup failed: failed session lookup: index error: UUID"),
        ("wrong", "renew/", b"", b"Missing session"),
        ("wrong", f"renew/{UNKNOWN}", b"", b"ACL not found"),
        ("wrong", "renew/x", b"", b"ACL not found"),
        ("", "renew/x", b"", b"failed session lookup: index error: UUID"),
    ],
)
async def test_A2_order_of_checks(
    guarded: Guarded, token: str, target: str, body: bytes, answer: bytes
) -> None:
    """What is wrong with a request comes before its token, the token before the session."""
    response = await guarded(token, "PUT", f"/v1/session/{target}", body)
    assert response.body.startswith(answer)


async def test_without_access_control_a_malformed_id_reads_as_ever(calls: Calls) -> None:
    """Consul words it otherwise only when it looks for the session's rights."""
    response = await calls("PUT", "/v1/session/destroy/x")
    assert response.body.startswith(b"failed session lookup: index error: UUID")

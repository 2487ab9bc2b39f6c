"""The endpoints of sessions, by dispatch."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json

import pytest

from kvstore.api.exchange import NeedBody, Response, Waiting
from kvstore.api.session import SESSION_BODY_BYTES_MAX

from .calls import Calls, head

UNKNOWN = "00000000-0000-0000-0000-000000000000"
INDEX_ERROR = b"failed session lookup: index error: "


async def test_S1_a_session_of_the_defaults(calls: Calls) -> None:
    """No body makes a session; its id is the answer."""
    response = await calls("PUT", "/v1/session/create")
    assert response.status == 200
    session = json.loads(response.body)["ID"]
    info = await calls("GET", f"/v1/session/info/{session}")
    (fields,) = json.loads(info.body)
    assert fields == {
        "ID": session,
        "Name": "",
        "Node": "n1",
        "LockDelay": 15_000_000_000,
        "Behavior": "release",
        "TTL": "",
        "NodeChecks": ["serfHealth"],
        "ServiceChecks": None,
        "CreateIndex": fields["CreateIndex"],
        "ModifyIndex": fields["CreateIndex"],
    }
    assert head(info)["X-Consul-Index"] == str(fields["CreateIndex"])


async def test_create_pretty(calls: Calls) -> None:
    """`pretty` is for people here too."""
    response = await calls("PUT", "/v1/session/create?pretty", b"{}")
    assert response.body.startswith(b'{\n    "ID": "')


@pytest.mark.parametrize(
    ("target", "body", "status", "answer"),
    [
        ("?ns=n", b"{", 400, b"Bad request: Invalid query"),
        ("?dc=other", b"{", 400, b"Request decode failed: unexpected EOF"),
        ("?dc=other", b"{}", 500, b"No path to datacenter"),
        ("", b'{"Name":1}', 400, b"Request decode failed: json: cannot unmarshal number"),
        ("", b'{"LockDelay":"15"}', 400, b"Request decode failed: time: missing unit"),
        ("", b'{"Node":""}', 500, b"Must provide Node"),
        ("", b'{"Node":"x","TTL":"5"}', 500, b"Session TTL '5' invalid: time: missing unit"),
        ("", b'{"Node":"x"}', 500, b"Missing node registration"),
        ("", b'{"TTL":"9s"}', 500, b"Invalid Session TTL '9000000000', must be between [10s="),
        ("", b'{"Behavior":"foo"}', 500, b"Invalid Behavior setting 'foo'"),
        ("", b'{"NodeChecks":["nope"]}', 500, b"Missing check 'nope' registration"),
    ],
)
async def test_S3_what_is_refused(
    calls: Calls, target: str, body: bytes, status: int, answer: bytes
) -> None:
    """What is no session is refused with Consul's status and text, and none is made."""
    response = await calls("PUT", f"/v1/session/create{target}", body)
    assert response.status == status
    assert response.body.startswith(answer)
    assert calls.engine.state.session_count == 0


async def test_H17_create_ignores_the_options_of_reads(calls: Calls) -> None:
    """An index that is none is nothing to a create or a destroy."""
    response = await calls("PUT", "/v1/session/create?index=x&wait=y")
    assert response.status == 200
    session = json.loads(response.body)["ID"]
    assert (await calls("PUT", f"/v1/session/destroy/{session}?index=x")).status == 200


async def test_a_body_has_its_limit(calls: Calls) -> None:
    """No session is half a megabyte long."""
    response = await calls("PUT", "/v1/session/create", b" " * (SESSION_BODY_BYTES_MAX + 1))
    assert response.status == 413
    assert response.body == (b"Request body(524289 bytes) too large, max size: 524288 bytes.")
    wanted = calls.dispatch("PUT", "/v1/session/create")
    assert isinstance(wanted, NeedBody)
    assert wanted.too_large(None).body == b"Request body too large, max size: 524288 bytes."


async def test_destroy_releases_what_was_held(calls: Calls) -> None:
    """A destroyed session holds nothing, and destroying it again is fine (S12)."""
    session = await calls.create_session()
    await calls.put(f"l?acquire={session}")
    for _ in range(2):
        response = await calls("PUT", f"/v1/session/destroy/{session}")
        assert (response.status, response.body) == (200, b"true")
    (fields,) = json.loads((await calls("GET", "/v1/kv/l")).body)
    assert "Session" not in fields


async def test_renew(calls: Calls) -> None:
    """A renewal answers the session as a list of one, whatever letter case the id has."""
    session = await calls.create_session(b'{"TTL":"10s"}')
    for spelling in (session, session.upper()):
        response = await calls("PUT", f"/v1/session/renew/{spelling}", b"ignored")
        (fields,) = json.loads(response.body)
        assert (fields["ID"], fields["TTL"]) == (session, "10s")
        assert "X-Consul-Index" not in head(response)


@pytest.mark.parametrize(
    ("method", "call", "status", "body"),
    [
        ("PUT", f"destroy/{UNKNOWN}", 200, b"true"),
        ("PUT", f"renew/{UNKNOWN}", 404, b"Session id '%s' not found" % UNKNOWN.encode()),
        ("GET", f"info/{UNKNOWN}", 200, b"[]"),
        ("GET", "node/nobody", 200, b"[]"),
        ("PUT", "destroy/abc", 500, INDEX_ERROR + b"UUID must be 36 characters"),
        ("PUT", "renew/abc", 500, INDEX_ERROR + b"UUID must be 36 characters"),
        ("GET", "info/abc", 500, INDEX_ERROR + b"UUID must be 36 characters"),
        ("GET", f"info/{UNKNOWN}/", 500, INDEX_ERROR + b"UUID must be 36 characters"),
        ("PUT", "destroy/", 400, b"Missing session"),
        ("PUT", "renew/", 400, b"Missing session"),
        ("GET", "info/", 400, b"Missing session"),
        ("GET", "node/", 400, b"Missing node name"),
        ("PUT", "renew/?index=x", 400, b"Invalid index"),
        ("GET", "info/?index=x&ns=n", 400, b"Invalid index"),
        ("GET", "info/?ns=n&dc=other", 400, b"Bad request: Invalid query"),
        ("GET", "info/?dc=other", 400, b"Missing session"),
        ("GET", "info/abc?dc=other", 500, b"No path to datacenter"),
        ("GET", "list?dc=other", 500, b"No path to datacenter"),
        ("GET", "node/n1?dc=other", 500, b"No path to datacenter"),
    ],
)
async def test_S9_ids_that_are_no_sessions(
    calls: Calls, method: str, call: str, status: int, body: bytes
) -> None:
    """Unknown, malformed and missing ids differ, and each call has its own answer."""
    response = await calls(method, f"/v1/session/{call}")
    assert response.status == status
    assert response.body.startswith(body)


@pytest.mark.parametrize("call", ["info/abc", "info/abc?dc=other", "list?dc=other"])
async def test_contract_1_4_errors_of_session_reads(calls: Calls, call: str) -> None:
    """They carry the headers of a read that never looked; other refusals do not."""
    assert head(await calls("GET", f"/v1/session/{call}"))["X-Consul-Knownleader"] == "false"
    assert "X-Consul-Index" not in head(await calls("GET", "/v1/session/info/"))


async def test_list_and_node(calls: Calls) -> None:
    """All sessions in the order of their ids, and those of a node in any letter case."""
    made = sorted([await calls.create_session() for _ in range(3)])
    for call in ("list", "node/n1", "node/N1"):
        response = await calls("GET", f"/v1/session/{call}")
        assert [one["ID"] for one in json.loads(response.body)] == made


@pytest.mark.parametrize("call", ["info/{}", "list", "node/n1"])
async def test_B10_session_reads_wait(calls: Calls, call: str) -> None:
    """Each kind of read parks until the session goes, and keys do not wake it."""
    session = await calls.create_session()
    target = f"/v1/session/{call.format(session)}"
    index = head(await calls("GET", target))["X-Consul-Index"]
    assert isinstance(calls.dispatch("GET", f"{target}?index={index}"), Waiting)
    await calls.put("a")
    await calls("PUT", f"/v1/session/renew/{session}")
    assert calls.engine.parked_count == 1
    await calls("PUT", f"/v1/session/destroy/{session}")
    assert calls.engine.parked_count == 0
    after = calls.dispatch("GET", f"{target}?index={index}")
    assert isinstance(after, Response)
    assert after.body == b"[]"

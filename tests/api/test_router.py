"""From a method and a target to an endpoint, without a socket."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.exchange import NeedBody, Response, Streaming, Waiting
from kvstore.api.router import BAD_REQUEST

from .calls import Calls, calling, head

METHODS = ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "POST", "CONNECT", "get", "", "É", "\udcff"]
WIRE_TEXT = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
# Targets that get somewhere: routes, keys, parameters, and what is between them.
PIECES = ["/v1/kv/", "/v1/session/", "create", "info/", "renew/", "destroy/", "node/", "list", "a"]
PIECES += ["/v1/", "status/leader", "agent/self", "catalog/", "health/", "nodes", "service/"]
PIECES += [
    "agent/",
    "members",
    "monitor",
    "check/",
    "pass/",
    "deregister/",
    "maintenance",
    "enable=",
]
PIECES += [
    "event/",
    "fire/",
    "operator/",
    "keyring",
    "raft/peer",
    "coordinate/",
    "query",
    "acl/token/",
]
PIECES += [
    "node-services/",
    "filter=",
    "passing=",
    "node-meta=",
    "tag=",
    "segment=",
    "loglevel=",
    "wan=",
]
PIECES += ["/", "..", "%2f", "%zz", "%00", "\udcff", "?", "&", ";", "=", "recurse", "keys", "raw"]
PIECES += ["index=", "wait=1ms", "cas=", "acquire=", "release=", "flags=", "dc=", "ns=", "7", "n1"]
PIECES += ["00000000-0000-0000-0000-000000000000", "separator=", "pretty", "passing=", "http://h"]
TARGETS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@given(
    method=st.sampled_from(METHODS) | WIRE_TEXT,
    target=WIRE_TEXT | TARGETS,
    body=st.sampled_from([b"", b"{}", b"{", b"\xff" * 9]),
)
async def test_no_request_raises(method: str, target: str, body: bytes) -> None:
    """Whatever a client can send has an answer, and every answer comes to a response."""
    async with calling() as calls:
        answer = calls.dispatch(method, target)
        if isinstance(answer, Waiting):
            answer.parked.cancel()
        elif isinstance(answer, Streaming):
            await answer.pieces.aclose()
        else:
            response = await calls.finish(answer, body)
            assert 200 <= response.status < 600
            head(response)
        assert calls.engine.parked_count == 0


KEYS = st.text("abc/-_.~!$&'()*+,;:=@ é").filter(
    lambda key: bool(key) and not key.startswith("/") and "//" not in key
)


@given(key=KEYS.filter(lambda key: not {".", ".."} & set(key.split("/"))))
async def test_a_key_is_the_same_however_it_is_escaped(key: str) -> None:
    """What was written under a key spelt out is read with every byte of it escaped."""
    escaped = "".join(f"%{byte:02x}" for byte in key.encode())
    spelt = key.replace(" ", "%20")
    async with calling() as calls:
        await calls.put(spelt, b"mine")
        response = await calls("GET", f"/v1/kv/{escaped}?raw")
        assert (response.status, response.body) == (200, b"mine")
        assert calls.engine.state.keys(b"").value == [key.encode()]


KV_ALLOW = "OPTIONS,GET,PUT,DELETE"


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/v1/kv/a", KV_ALLOW),
        ("get", "/v1/kv/a", KV_ALLOW),
        ("PATCH", "/v1/kv/%61", KV_ALLOW),
        ("GET", "/v1/session/create", "OPTIONS,PUT"),
        ("DELETE", "/v1/session/destroy/x", "OPTIONS,PUT"),
        ("PUT", "/v1/session/list", "OPTIONS,GET"),
        ("PUT", "/v1/status/leader", "OPTIONS,GET"),
        ("CONNECT", "/v1/kv//a", KV_ALLOW),
        ("POST", "/v1/kv/a?index=abc", KV_ALLOW),
    ],
)
async def test_H1_H4_H9_a_method_that_is_not_allowed(
    calls: Calls, method: str, target: str, allow: str
) -> None:
    """The method is echoed and compared as it was sent, before any parameter is read."""
    response = await calls(method, target)
    assert (response.status, response.body.decode()) == (405, f"method {method} not allowed")
    assert head(response)["Allow"] == allow


async def test_H3_options(calls: Calls) -> None:
    """OPTIONS says what is allowed, and for no route in particular nothing."""
    response = await calls("OPTIONS", "/v1/kv/a?index=abc")
    assert (response.status, response.body) == (200, b"")
    assert head(response)["Allow"] == KV_ALLOW
    everything = await calls("OPTIONS", "*")
    assert (everything.status, everything.body, everything.headers) == (200, b"", b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "target",
    [
        "/v1",
        "/v1/",
        "/ui",
        "/v1/session",
        "/v1/status/leader/",
        "/v1/txn/",
        "/V1/kv/a",
        "/kv/a",
        "/v1/agent",
        "/v1/catalog",
        "/v1/nope/a/b",
        "/ui/",
        "/debug",
    ],
)
async def test_H5_unknown_paths(calls: Calls, method: str, target: str) -> None:
    """What is not served is an empty 404 without any header, whatever the method."""
    response = await calls(method, target)
    assert (response.status, response.body, response.headers) == (404, b"", b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "FOO"])
async def test_H6_home(calls: Calls, method: str) -> None:
    """The root says what this is."""
    response = await calls(method, "/")
    assert (response.status, response.body) == (200, b"Consul Agent")


@pytest.mark.parametrize("target", ["", "v1/kv/a", "/v1/kv/%zz", "/v1/kv/%2", "*"])
async def test_contract_1_2_no_target(calls: Calls, target: str) -> None:
    """What is no target ends the connection."""
    assert await calls("GET", target) is BAD_REQUEST
    assert BAD_REQUEST.close


@pytest.mark.parametrize("target", ["/v1/kv/%00", "/v1/kv/a%0Ab", "/v1/kv//%C2%A0", "/%7f"])
async def test_contract_1_2_unprintable(calls: Calls, target: str) -> None:
    """An unprintable path is an empty 400, before it is cleaned or looked up."""
    response = await calls("PUT", target, b"v")
    assert (response.status, response.body, response.headers) == (400, b"", b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "OPTIONS"])
@pytest.mark.parametrize("target", ["/v1/kv/a?b=%zz", "/v1/kv/%61?%", "/v1/session/list?%2"])
async def test_H13_undecodable_query(calls: Calls, method: str, target: str) -> None:
    """A query that does not decode is an empty 500 on every known route."""
    response = await calls(method, target)
    assert (response.status, response.body) == (500, b"")
    assert head(response) == {"Vary": "Accept-Encoding"}


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/v1/kv//a", "/v1/kv/a"),
        ("/v1//kv/a?recurse&x=1", "/v1/kv/a?recurse&x=1"),
        ("/v1/kv/..", "/v1"),
        ("/v1/kv/%2e%2e/status/leader", "/v1/status/leader"),
        ("/v1/kv//x?a=%zz", "/v1/kv/x?a=%zz"),
        ("/v1/kv", "/v1/kv/"),
        ("/v1/kv/.", "/v1/kv/"),
        ("/v1/kv/a/..", "/v1/kv/"),
        ("/v1/kv?", "/v1/kv/"),
        ("/v1/kv/.?", "/v1/kv/"),
        ("/v1/kv//a?", "/v1/kv/a?"),
        ("/v1/session/info?x", "/v1/session/info/?x"),
    ],
)
async def test_H7_redirects(calls: Calls, target: str, location: str) -> None:
    """A read of an unclean path is sent to the clean one, with its query."""
    response = await calls("GET", target)
    assert response.status == 301
    assert head(response)["Location"] == location
    assert response.body.endswith(b"Moved Permanently</a>.\n\n")


async def test_H7_other_methods_get_no_page(calls: Calls) -> None:
    """Only reads are shown where to go."""
    response = await calls("POST", "/v1/kv//a")
    assert (response.status, response.body) == (301, b"")
    assert head(response) == {"Location": "/v1/kv/a"}


async def test_doubled_slashes_are_written_in_place(calls: Calls) -> None:
    """A write to a key with doubled slashes is no redirect, which clients follow with a read."""
    await calls.put("x//y///z", b"v")
    assert calls.engine.state.keys(b"").value == [b"x/y/z"]
    response = await calls("DELETE", "/v1/kv//x/y%2F%2Fz")
    assert (response.status, response.body) == (200, b"true")
    assert calls.engine.state.entry_count == 0


@pytest.mark.parametrize(
    "target",
    [
        "/v1/kv/other/..?recurse",
        "/v1/kv//?recurse",
        "/v1/kv/%2F?recurse",
        "/v1/kv/../kv/?recurse",
        "/v1/kv/x/../other",
        "/v1/kv/./other",
        "/v1/kv/%2e%2e/kv/other",
        "/v1//kv/./other",
    ],
)
async def test_no_unclean_delete_hits_what_was_not_named(calls: Calls, target: str) -> None:
    """Dot segments, and slashes that leave no key, are redirected and delete nothing."""
    await calls.put("other", b"v")
    assert (await calls("DELETE", target)).status == 301
    assert calls.engine.state.entry_count == 1


@pytest.mark.parametrize(
    "target",
    [
        "//v1/session/create",
        "/v1/kv/x/../../session/create",
        "/v1/kv",
        "/v1/kv//",
        "/v1/kv/..",
        "/v1/kv/x/./y",
    ],
)
async def test_other_unclean_writes_are_redirected(calls: Calls, target: str) -> None:
    """A write that does not name a key, or names it by dot segments, does nothing (H7)."""
    assert (await calls("PUT", target)).status == 301
    assert calls.engine.state.entry_count == 0
    assert calls.engine.state.session_count == 0


async def test_a_head_is_enough_to_refuse(calls: Calls) -> None:
    """What is wrong with the head is answered without a look at the body."""
    assert isinstance(calls.dispatch("PUT", "/v1/kv/a"), NeedBody)
    refused = calls.dispatch("PUT", "/v1/kv/a?cas=x")
    assert isinstance(refused, Response)
    assert refused.status == 500

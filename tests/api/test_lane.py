"""The lanes on a real socket: connections, their heads, and how they end.

Bodies are in test_lane_bodies.py, clients that leave in test_lane_leaving.py.
"""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import logging
from typing import NoReturn

import pytest

from kvstore.api.fast import FastLane
from kvstore.api.kv import VALUE_BYTES_MAX
from kvstore.api.lane import Lane
from kvstore.api.router import Router

from .calls import endpoints
from .wire import Served, connect, encode, listening


async def test_H39_a_connection_is_kept(served: Served) -> None:
    """One connection carries request after request."""
    client = await served.connect()
    for n in range(3):
        assert (await client.ask("PUT", f"/v1/kv/{n}", b"v")).body == b"true"
        answer = await client.ask("GET", f"/v1/kv/{n}?raw")
        assert (answer.status, answer.body) == (200, b"v")
        assert "Connection" not in answer.headers


async def test_H39_pipelined_requests_are_answered_in_order(served: Served) -> None:
    """Requests sent in one go are answered one after the other, reads after writes."""
    client = await served.connect()
    requests = [encode("PUT", f"/v1/kv/{n}", b"%d" % n) for n in range(20)]
    requests += [encode("GET", f"/v1/kv/{n}?raw") for n in range(20)]
    await client.send(b"".join(requests))
    answers = [await client.read() for _ in requests]
    assert [answer.body for answer in answers] == [b"true"] * 20 + [b"%d" % n for n in range(20)]


async def test_a_parked_query_holds_up_what_is_pipelined_behind_it(served: Served) -> None:
    """Answers come in the order of the requests, also when the first one waits."""
    client = await served.park("/v1/kv/a?index=99999")
    await client.send(encode("GET", "/v1/status/leader"))
    served.calls.engine.release_parked()
    assert (await client.read()).status == 404
    assert (await client.read()).status == 200


async def test_connection_close_is_heeded(served: Served) -> None:
    """A client that wants no more gets its answer and the end of the connection."""
    client = await served.connect()
    answer = await client.ask("GET", "/", None, "Connection: close")
    assert (answer.body, answer.closes) == (b"Consul Agent", True)
    assert await client.rest() == b""


@pytest.mark.parametrize(
    ("lines", "connection"), [((), "close"), (("Connection: keep-alive",), "keep-alive")]
)
async def test_http_1_0(served: Served, lines: tuple[str, ...], connection: str) -> None:
    """The old protocol is answered too; it keeps a connection only when asked to."""
    client = await served.connect()
    await client.send(encode("GET", "/", None, *lines, version="1.0"))
    answer = await client.read()
    assert (answer.status, answer.body) == (200, b"Consul Agent")
    assert answer.headers["Connection"] == connection
    if connection == "close":
        assert await client.rest() == b""
    else:
        assert (await client.ask("GET", "/")).status == 200


async def test_every_answer_is_dated(served: Served) -> None:
    """The Date header is there, in the form that HTTP wants, and no Server header is."""
    answer = await served.ask("GET", "/v1/kv/a")
    assert answer.headers["Date"].endswith(" GMT")
    assert "Server" not in answer.headers


async def test_H2_head_has_no_body(served: Served) -> None:
    """The length is that of the body that is left out, so the next answer can be found."""
    client = await served.connect()
    answer = await client.ask("HEAD", "/v1/kv/a")
    assert (answer.status, answer.headers["Content-Length"]) == (405, "23")
    assert (await client.ask("GET", "/")).body == b"Consul Agent"


@pytest.mark.parametrize("method", ["get", "FOO", "M-SEARCH", "BREW", "X"])
async def test_H1_strange_methods(served: Served, method: str) -> None:
    """A method that no parser knows is one that is not allowed."""
    answer = await served.ask(method, "/v1/kv/a")
    assert (answer.status, answer.body.decode()) == (405, f"method {method} not allowed")
    assert answer.headers["Allow"] == "OPTIONS,GET,PUT,DELETE"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\nrubbish\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/kv/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"FOO BAR\r\n\r\n",
        b"get /v1/kv/a b c HTTP/1.1\r\n\r\n",
        b"GET v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    ],
)
async def test_contract_1_2_what_is_no_request(served: Served, request_bytes: bytes) -> None:
    """It is answered with a 400 and the end of the connection, and the server goes on."""
    client = await served.connect()
    await client.send(request_bytes)
    answer = await client.read()
    assert (answer.status, answer.closes) == (400, True)
    assert answer.body.startswith(b"400 Bad Request")
    assert await client.rest() == b""
    assert (await served.ask("GET", "/")).status == 200


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_contract_1_2_no_host(served: Served, version: str) -> None:
    """HTTP/1.1 wants a Host header, HTTP/1.0 does not."""
    client = await served.connect()
    await client.send(f"GET / HTTP/{version}\r\n\r\n".encode())
    answer = await client.read()
    assert answer.closes
    if version == "1.1":
        assert answer.status == 400
        assert answer.body == b"400 Bad Request: missing required Host header"
    else:
        assert (answer.status, answer.body) == (200, b"Consul Agent")


async def test_H10_a_head_of_over_a_mebibyte(served: Served) -> None:
    """A line that is too long is a 431, and ends the connection."""
    client = await served.connect()
    await client.send(encode("GET", "/v1/kv/" + "x" * (1024 * 1024 + 1)))
    answer = await client.read()
    assert (answer.status, answer.closes) == (431, True)
    assert answer.body == b"431 Request Header Fields Too Large"


async def test_H10_a_long_key_is_fine(served: Served) -> None:
    """A key has no limit of its own."""
    key = "x" * 500_000
    client = await served.connect()
    assert (await client.ask("PUT", f"/v1/kv/{key}", b"v")).body == b"true"
    assert (await client.ask("GET", f"/v1/kv/{key}?raw")).body == b"v"


async def test_bytes_that_ought_to_be_escaped(served: Served) -> None:
    """A target with raw UTF-8, or with bytes of no encoding, is the one with escapes."""
    client = await served.connect()
    key = "é世".encode().decode("latin-1") + "\xff"
    assert (await client.ask("PUT", f"/v1/kv/{key}", b"v")).body == b"true"
    assert (await client.ask("GET", "/v1/kv/%C3%A9%E4%B8%96%FF?raw")).body == b"v"
    assert served.calls.engine.state.keys(b"").value == ["é世".encode() + b"\xff"]
    tree = await client.ask("GET", "/v1/kv/?keys&separator=\xff")
    assert tree.body == b'["\xc3\xa9\xe4\xb8\x96\\ufffd"]'


async def test_headers_are_found_in_any_letter_case(served: Served) -> None:
    """What a client spells differently is the same header."""
    answer = await served.ask("GET", "/v1/kv/a", None, "x-CONSUL-namespace: n")
    assert answer.status == 400
    answer = await served.ask("GET", "/v1/kv/a", None, "CACHE-control: max-age=x")
    assert answer.body == b"Invalid Cache-Control header."


async def test_H37_other_expectations(served: Served) -> None:
    """What is not 100-continue is a 417 and the end of the connection."""
    client = await served.connect()
    answer = await client.ask("PUT", "/v1/kv/a", b"v", "Expect: tea")
    assert (answer.status, answer.body, answer.closes) == (417, b"", True)
    assert served.calls.engine.state.entry_count == 0


async def test_H37_a_body_is_asked_for(served: Served) -> None:
    """A client that waits for 100 Continue is told to go on once its head is good."""
    client = await served.connect()
    head = encode("PUT", "/v1/kv/a", None, "Content-Length: 5", "Expect: 100-Continue")
    await client.send(head)
    assert await client.read_line() == b"HTTP/1.1 100 Continue"
    assert await client.read_line() == b""
    await client.send(b"value")
    assert (await client.read()).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"value"


@pytest.mark.parametrize(("version", "body"), [("1.0", b"v"), ("1.1", b"")])
async def test_H37_nobody_waits_for_a_continue(served: Served, version: str, body: bytes) -> None:
    """A client of HTTP/1.0 knows no interim answer, and one without a body needs none."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", body, "Expect: 100-continue", version=version))
    assert await client.read_line() == f"HTTP/{version} 200 OK".encode()


@pytest.mark.parametrize(
    ("target", "size", "status"),
    [
        ("/v1/kv/a?cas=1&acquire=x", 5, 400),
        ("/v1/kv/a", VALUE_BYTES_MAX + 1, 413),
        ("/v1/nope", 5, 404),
    ],
)
async def test_H37_a_body_that_is_not_asked_for(
    served: Served, target: str, size: int, status: int
) -> None:
    """A head that is refused is answered at once, and the connection ends."""
    client = await served.connect()
    head = encode("PUT", target, None, f"Content-Length: {size}", "Expect: 100-continue")
    await client.send(head)
    answer = await client.read()
    assert (answer.status, answer.closes) == (status, True)


class StumblingRouter(Router):
    """A router with a bug."""

    def dispatch(self, *_request: object) -> NoReturn:
        """Stumble."""
        raise ZeroDivisionError


async def test_a_bug_is_logged_and_answered(
    served: Served,
    fast: bool,  # noqa: FBT001 - a fixture
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug is a 500 without details, its traceback is in the log, its connection ends."""
    router = StumblingRouter(*endpoints(served.calls.engine))
    front = (FastLane if fast else Lane)(router, served.terms)
    async with listening(front) as port:
        client = await connect(port)
        answer = await client.ask("GET", "/v1/kv/a")
        assert (answer.status, answer.body, answer.closes) == (500, b"internal error", True)
        assert await client.rest() == b""
        await client.close()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_the_debug_log_hides_queries(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each request at the debug level, without what may be a token."""
    caplog.set_level(logging.DEBUG, logger="kvstore.api")
    await served.ask("GET", "/v1/kv/a?token=secret")
    assert caplog.messages == ["GET /v1/kv/a: 404"]

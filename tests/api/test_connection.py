"""Clients that close their sending side: what is under way is answered, what waits is given up."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .wire import Served, encode, until


async def test_a_write_is_answered(served: Served) -> None:
    """As `nc -N` sends it: the request, then the end."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", b"v"))
    client.end_sending()
    answer = await client.read("PUT")
    assert (answer.status, answer.body, answer.closes) == (200, b"true", True)
    assert await client.rest() == b""


async def test_all_pipelined_requests_are_answered(served: Served) -> None:
    """Those that came before the end, in their order; the last says that it is."""
    client = await served.connect()
    await client.send(
        encode("PUT", "/v1/kv/a", b"v") + encode("GET", "/v1/kv/a?raw") + encode("GET", "/v1/kv/b")
    )
    client.end_sending()
    assert (await client.read("PUT")).body == b"true"
    assert (await client.read()).body == b"v"
    last = await client.read()
    assert (last.status, last.closes) == (404, True)
    assert await client.rest() == b""


@pytest.mark.parametrize(
    "request_bytes",
    [
        encode("PUT", "/v1/kv/a", b"0123456789")[:-3],
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        encode("PUT", "/v1/session/create", b'{"Name":"n"}')[:-1],
    ],
)
async def test_H38_a_body_cut_short(served: Served, request_bytes: bytes) -> None:
    """It is an error and nothing is stored."""
    client = await served.connect()
    await client.send(request_bytes)
    client.end_sending()
    answer = await client.read("PUT")
    assert (answer.status, answer.body, answer.closes) == (500, b"unexpected EOF", True)
    assert served.calls.engine.state.entry_count == 0
    assert served.calls.engine.state.session_count == 0
    assert await client.rest() == b""


async def test_a_parked_query_is_given_up(served: Served) -> None:
    """From here a client that was killed looks the same; it must not be waited for."""
    client = await served.park("/v1/kv/a?index=99")
    client.end_sending()
    assert await client.rest() == b""
    await until(lambda: served.calls.engine.parked_count == 0)


async def test_a_query_that_would_park_is_given_up(served: Served) -> None:
    """Also when the end came together with the request."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", b"v") + encode("GET", "/v1/kv/a?index=99"))
    client.end_sending()
    assert (await client.read("PUT")).body == b"true"
    assert await client.rest() == b""
    await until(lambda: served.calls.engine.parked_count == 0)


async def test_an_idle_connection_ends(served: Served) -> None:
    """There is nothing to answer."""
    client = await served.connect()
    assert (await client.ask("GET", "/v1/kv/a")).status == 404
    client.end_sending()
    assert await client.rest() == b""

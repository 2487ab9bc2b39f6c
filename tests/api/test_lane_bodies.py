"""Bodies through the aiohttp lane: both ways, in pieces, compressed, too large, cut short."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
import random

import pytest

from kvstore.api.gzip import GZIP_BYTES_MIN
from kvstore.api.kv import VALUE_BYTES_MAX

from .wire import Client, Served, encode

GZIP = "Accept-Encoding: gzip"
BINARY = bytes(range(256))


def chunks(*pieces: bytes) -> bytes:
    """Return pieces in the chunked coding, end mark included."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


async def put_chunks(client: Client, target: str, body: bytes) -> None:
    """Send a PUT with a chunked body, which is coded already."""
    await client.send(encode("PUT", target, None, "Transfer-Encoding: chunked") + body)


async def test_every_byte_comes_back(served: Served) -> None:
    """A value is bytes: all of them, in and out."""
    client = await served.connect()
    assert (await client.ask("PUT", "/v1/kv/a", BINARY)).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == BINARY


async def test_a_value_in_segments_that_look_like_requests(served: Served) -> None:
    """However a body is cut on its way, it stays a body: nothing in it is taken for a head."""
    look_alike = b"PUT /v1/kv/\xc3\xa9\xff HTTP/1.1\r\nHost: test\r\n\r\n"
    filler = random.Random(7).randbytes(VALUE_BYTES_MAX // 8 - len(look_alike))
    segments = [look_alike + filler] * 8
    value = b"".join(segments)
    assert len(value) == VALUE_BYTES_MAX
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, f"Content-Length: {len(value)}"))
    for segment in segments:
        # An answer on another connection: the server has seen what was sent before.
        await served.ask("GET", "/")
        await client.send(segment)
    assert (await client.read()).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == value
    assert served.calls.engine.state.keys(b"").value == [b"a"]


async def test_a_head_in_pieces(served: Served) -> None:
    """A request that arrives byte by byte is the same request."""
    client = await served.connect()
    for byte in encode("PUT", "/v1/kv/a", b"\xff"):
        await client.send(bytes((byte,)))
        await served.ask("GET", "/")
    assert (await client.read()).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"\xff"


@pytest.mark.parametrize("pieces", [(), (b"value",), (b"va", b"lue"), (BINARY, BINARY)])
async def test_H36_chunked_values(served: Served, pieces: tuple[bytes, ...]) -> None:
    """A value may come in chunks, and the connection goes on after it."""
    client = await served.connect()
    await put_chunks(client, "/v1/kv/a", chunks(*pieces))
    assert (await client.read()).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"".join(pieces)


async def test_chunked_session_bodies_are_read(served: Served) -> None:
    """Consul ignores them (H36); no client relies on that, and a body is meant."""
    client = await served.connect()
    await put_chunks(client, "/v1/session/create", chunks(b'{"Na', b'me":"n"}'))
    assert (await client.read()).status == 200
    (session,) = served.calls.engine.state.list_sessions().value
    assert session.name == "n"


async def test_a_chunked_value_over_the_limit(served: Served) -> None:
    """The limit holds while reading: a body of unknown size cannot get round it."""
    client = await served.connect()
    await put_chunks(client, "/v1/kv/a", chunks(b"x" * VALUE_BYTES_MAX, b"y"))
    answer = await client.read()
    assert answer.status == 413
    assert answer.body.startswith(b"Request body too large, max size: 524288 bytes.")
    assert served.calls.engine.state.entry_count == 0


async def test_H39_after_a_413_the_connection_goes_on(served: Served) -> None:
    """What is left of a refused body is dropped, and the next request is found."""
    client = await served.connect()
    answer = await client.ask("PUT", "/v1/kv/a", b"x" * (VALUE_BYTES_MAX + 1))
    assert answer.status == 413
    assert (await client.ask("GET", "/v1/kv/a")).status == 404


@pytest.mark.parametrize(
    "cut",
    [
        encode("PUT", "/v1/kv/a", None, "Content-Length: 10") + b"12345",
        encode("PUT", "/v1/kv/a", None, "Transfer-Encoding: chunked") + b"a\r\n12345",
        encode("PUT", "/v1/kv/a", None, "Transfer-Encoding: chunked") + b"5\r\n12345\r\n",
        encode("PUT", "/v1/kv/a", None, "Transfer-Encoding: chunked") + b"zz\r\n12345\r\n",
    ],
)
async def test_H38_a_body_cut_short_is_not_stored(served: Served, cut: bytes) -> None:
    """A client that says less than it announced has written nothing."""
    client = await served.connect()
    await client.send(cut)
    client.end_sending()
    assert (await client.rest()).split(b" ")[1] in {b"400", b"500"}
    assert served.calls.engine.state.entry_count == 0


async def test_H35_bodies_nobody_asked_for(served: Served) -> None:
    """A read's body is dropped, and the next request on the connection is found."""
    client = await served.connect()
    assert (await client.ask("GET", "/v1/kv/a", b"x" * 100_000)).status == 404
    assert (await client.ask("DELETE", "/v1/kv/a", b"body")).body == b"true"
    assert (await client.ask("GET", "/")).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
async def test_H35_a_coded_body_is_stored_as_it_is(served: Served, coding: str) -> None:
    """What a client has packed is the value, packed."""
    client = await served.connect()
    answer = await client.ask("PUT", "/v1/kv/a", BINARY, f"Content-Encoding: {coding}")
    assert answer.body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == BINARY


async def test_an_empty_value(served: Served) -> None:
    """A write without a body, with or without its length, stores nothing under the key."""
    client = await served.connect()
    assert (await client.ask("PUT", "/v1/kv/a")).body == b"true"
    assert (await client.ask("PUT", "/v1/kv/b", b"")).body == b"true"
    listed = json.loads((await client.ask("GET", "/v1/kv/?recurse")).body)
    assert [one["Value"] for one in listed] == [None, None]


@pytest.mark.parametrize("size_bytes", [GZIP_BYTES_MIN, 100_000, VALUE_BYTES_MAX])
async def test_H32_large_bodies_are_compressed(served: Served, size_bytes: int) -> None:
    """A body worth it is packed for who accepts it, here or in a thread, and stays the same."""
    value = random.Random(7).randbytes(size_bytes)
    client = await served.connect()
    await client.ask("PUT", "/v1/kv/a", value)
    answer = await client.ask("GET", "/v1/kv/a?raw", None, GZIP)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.plain == value
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == value


async def test_H32_a_large_list(served: Served) -> None:
    """A list of entries is much smaller packed, and the same list."""
    for n in range(300):
        await served.calls.put(f"docker/nodes/{n}", b"192.0.2.7:2376")
    client = await served.connect()
    plain = await client.ask("GET", "/v1/kv/?recurse")
    packed = await client.ask("GET", "/v1/kv/?recurse", None, GZIP)
    assert packed.plain == plain.body
    assert len(packed.body) * 3 < len(plain.body)
    assert len(json.loads(plain.body)) == 300
    assert packed.headers["X-Consul-Index"] == plain.headers["X-Consul-Index"]


async def test_V4_small_bodies_stay_plain(served: Served) -> None:
    """One byte less than is worth it, and nothing is packed."""
    await served.calls.put("a", b"x" * (GZIP_BYTES_MIN - 1))
    answer = await served.ask("GET", "/v1/kv/a?raw", None, GZIP)
    assert "Content-Encoding" not in answer.headers

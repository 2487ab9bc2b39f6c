"""Requests that two parsers may take for different ones: refused with a 400 and the end.

Each is followed by a sound one, which must not be answered: whoever stands between might have
taken it for a part of the first. The list is of what is known as request smuggling; where Go's
server, and so a real Consul, takes one of them, it says so.
"""

import asyncio
import random

import pytest
from api.wire import Client, Served, encode

SOUND = encode("PUT", "/v1/kv/smuggled", b"v")
CHUNKED = "Transfer-Encoding: chunked"


def put(*lines: str, body: bytes = b"hello", version: str = "1.1") -> bytes:
    """Return a PUT of /v1/kv/a with these headers, and a body as it stands."""
    return encode("PUT", "/v1/kv/a", None, *lines, version=version) + body


def get(*lines: str) -> bytes:
    """Return a GET with these headers."""
    return encode("GET", "/v1/kv/a", None, *lines)


EMPTY_CHUNKS = b"0\r\n\r\n"

SHAPES = {
    # Go 1.15 takes the chunks and forgets the length.
    "a length and chunks": put("Content-Length: 5", CHUNKED, body=EMPTY_CHUNKS),
    "chunks and a length": put(CHUNKED, "Content-Length: 5", body=EMPTY_CHUNKS),
    "two lengths": put("Content-Length: 5", "Content-Length: 6"),
    # Go takes these two.
    "one length twice": put("Content-Length: 5", "Content-Length: 5"),
    "no length": put("Content-Length: "),
    "a list of lengths": put("Content-Length: 5, 5"),
    "two numbers": put("Content-Length: 5 5"),
    "a negative length": put("Content-Length: -5"),
    "a length with a plus": put("Content-Length: +5"),
    "a hexadecimal length": put("Content-Length: 0x5"),
    "a fraction": put("Content-Length: 5.0"),
    "a length over 63 bits": put("Content-Length: 9223372036854775808"),
    "a length of all 64 bits": put("Content-Length: 18446744073709551615"),
    "a length over 64 bits": put("Content-Length: 18446744073709551621"),
    "a length of a thousand digits": put(f"Content-Length: {'9' * 1000}"),
    "a read with a huge length": get("Content-Length: 18446744073709551615"),
    "an unknown coding": put("Transfer-Encoding: xchunked", body=EMPTY_CHUNKS),
    "no coding": put("Transfer-Encoding: ", body=EMPTY_CHUNKS),
    "identity": put("Transfer-Encoding: identity", body=EMPTY_CHUNKS),
    "chunks within identity": put("Transfer-Encoding: chunked, identity", body=EMPTY_CHUNKS),
    "packed chunks": put("Transfer-Encoding: gzip, chunked", body=EMPTY_CHUNKS),
    "chunks of chunks": put("Transfer-Encoding: chunked, chunked", body=EMPTY_CHUNKS),
    "chunks twice": put(CHUNKED, CHUNKED, body=EMPTY_CHUNKS),
    "chunks after identity": put("Transfer-Encoding: identity", CHUNKED, body=EMPTY_CHUNKS),
    "chunks in quotes": put('Transfer-Encoding: "chunked"', body=EMPTY_CHUNKS),
    "chunks with a parameter": put("Transfer-Encoding: chunked;q=1", body=EMPTY_CHUNKS),
    "a vertical tab": put("Transfer-Encoding: \x0bchunked", body=EMPTY_CHUNKS),
    # Go ignores the header, as it is not of that version.
    "chunks of the old protocol": put(
        CHUNKED, "Connection: keep-alive", body=EMPTY_CHUNKS, version="1.0"
    ),
    # Go unfolds these, and takes a line feed alone for the end of a line.
    "a folded header": get("X: a\r\n b"),
    "a folded length": put("Content-Length:\r\n 5"),
    "a fold before all headers": b"GET /v1/kv/a HTTP/1.1\r\n Host: test\r\n\r\n",
    "line feeds": get().replace(b"\r\n", b"\n"),
    "one line feed": b"GET /v1/kv/a HTTP/1.1\r\nHost: test\nX: y\r\n\r\n",
    "carriage returns": get().replace(b"\r\n", b"\r"),
    "a carriage return in a value": get("X: a\rb"),
    "a space before a colon": put("Content-Length : 5"),
    "a tab before a colon": put("Content-Length\t: 5"),
    "a header without a name": get(": a"),
    "a header without a colon": get("Xa"),
    "a name with a bracket": get("X(a): b"),
    "a name that is not ASCII": get("X\xff: a"),
    "a nul in a value": get("X: a\0b"),
    "a nul in a name": get("X\0: a"),
    "a control character in a value": get("X: a\x01b"),
    "a delete in a value": get("X: a\x7fb"),
    "two hosts": get("Host: other"),
    "one host twice": get("Host: test"),
    "a host with a space": b"GET /v1/kv/a HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a slash": b"GET /v1/kv/a HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a nul in the target": encode("GET", "/v1/kv/a\0b"),
    "a control character in the target": encode("GET", "/v1/kv/a\x01b"),
    "a tab in the target": encode("GET", "/v1/kv/a\tb"),
    "a space in the target": encode("GET", "/v1/kv/a b"),
    "tabs in the request line": get().replace(b" /v1/kv/a ", b"\t/v1/kv/a\t"),
    "a space behind the version": get().replace(b"HTTP/1.1\r", b"HTTP/1.1 \r"),
    "a space before the method": b" " + get(),
    "a method with a bracket": encode("GE(T", "/v1/kv/a"),
    # Found by the fuzzer: the query goes into the header of a redirect.
    "a line feed in the target of an odd method": encode("FOO", "/v1/kv//a?x\nX-Y: z"),
    "a carriage return in the target of an odd method": encode("FOO", "/v1/kv//a?x\rX-Y: z"),
    "a method that is not ASCII": encode("G\xe9T", "/v1/kv/a"),
}

BAD_CHUNKS = {
    "a size of 68 bits": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a letter": b"g\r\nhello\r\n0\r\n\r\n",
    "line feeds": b"5\nhello\n0\n\n",
    "a line feed behind an extension": b"5;a\nhello\r\n0\r\n\r\n",
    "a line end within quotes": b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
    "more than the size says": b"5\r\nhello!\r\n0\r\n\r\n",
    "less than the size says": b"5\r\nhell\r\n0\r\n\r\n",
    # Go drops these trailers.
    "a length behind the body": b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a coding behind the body": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a host behind the body": b"5\r\nhello\r\n0\r\nHost: other\r\n\r\n",
}

PLACES = random.Random(20)


async def is_refused(served: Served, client: Client) -> None:
    """Hold the one answer that there may be against what it must be."""
    answer = await client.read()
    assert (answer.status, answer.closes) == (400, True)
    assert answer.body.startswith(b"400 Bad Request")
    assert await client.rest() == b""
    assert served.calls.engine.state.entry_count == 0
    assert (await served.ask("GET", "/")).status == 200


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_shape_in_one_piece(served: Served, shape: bytes) -> None:
    """It is refused, and what follows it is not looked at."""
    client = await served.connect()
    await client.send(shape + SOUND)
    await is_refused(served, client)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_shape_in_two_pieces(served: Served, shape: bytes) -> None:
    """Wherever it is cut."""
    client = await served.connect()
    place = PLACES.randrange(1, len(shape))
    await client.send(shape[:place])
    await served.ask("GET", "/")  # the server has seen the first piece
    await client.send(shape[place:] + SOUND)
    await is_refused(served, client)


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
@pytest.mark.parametrize("place", [0, 1, None])
async def test_chunks_that_are_none(served: Served, chunks: bytes, place: int | None) -> None:
    """Refused at once, also when the body is being read already, and nothing is stored."""
    data = put(CHUNKED, body=chunks) + SOUND
    cut = len(data) if place is None else len(data) - len(SOUND) - len(chunks) + place
    client = await served.connect()
    await client.send(data[:cut])
    await served.ask("GET", "/")
    await client.send(data[cut:])
    await is_refused(served, client)


async def test_sound_chunks(served: Served) -> None:
    """Extensions and harmless trailers are dropped, as in Consul, and the connection goes on."""
    client = await served.connect()
    chunks = b'5;a=b;c="d"\r\nhello\r\n0;x\r\nX-Checksum: y\r\n\r\n'
    await client.send(
        put("transfer-encoding:\tChunked", body=chunks) + encode("GET", "/v1/kv/a?raw")
    )
    assert (await client.read()).body == b"true"
    assert (await client.read()).body == b"hello"


async def test_sound_lengths(served: Served) -> None:
    """Leading zeros and spaces around the number are harmless."""
    client = await served.connect()
    await client.send(put("Content-Length:  0005 ") + encode("GET", "/v1/kv/a?raw"))
    assert (await client.read()).body == b"true"
    assert (await client.read()).body == b"hello"


async def test_a_refused_body_behind_a_query(served: Served) -> None:
    """Answers stay in order: the query's first, when its time has come, then the refusal."""
    client = await served.park("/v1/kv/a?index=99999")
    await client.send(put(CHUNKED, body=b""))
    await served.ask("GET", "/")
    await client.send(b"zz\r\n" + SOUND)
    await asyncio.sleep(0)
    served.calls.engine.release_parked()
    assert (await client.read()).status == 404
    await is_refused(served, client)

"""Streams: pieces as they come, until there are no more, the client leaves or the server drains."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from api.calls import endpoints
from api.wire import Client, Served, connect, encode, listening, until

from kvstore.api.exchange import Answer, Streaming
from kvstore.api.lane import Lane
from kvstore.api.router import Router

HEADERS = b"Content-Type: text/plain; charset=utf-8\r\n"


class Source:
    """Pieces that the test makes, and what has become of who took them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.taken = 0
        self.ended = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what is put into the queue, up to None."""
        try:
            while (piece := await self.queue.get()) is not None:
                self.taken += 1
                yield piece
        finally:
            self.ended += 1


class StreamingRouter(Router):
    """A router whose only endpoint is a stream."""

    source: Source

    def dispatch(self, method: str, raw_target: str, headers: Mapping[str, str]) -> Answer:
        """Answer with the stream, but for the home page."""
        if raw_target == "/":
            return super().dispatch(method, raw_target, headers)
        return Streaming(HEADERS, self.source.pieces())


@asynccontextmanager
async def streaming(served: Served) -> AsyncIterator[tuple[Source, Lane, Client]]:
    """Serve a stream; give what it is made of, its lane and a client."""
    router = StreamingRouter(*endpoints(served.calls.engine))
    router.source = Source()
    lane = Lane(router, served.terms)
    async with listening(lane) as port:
        client = await connect(port)
        yield router.source, lane, client
        await client.close()


async def head(client: Client) -> list[bytes]:
    """Read the head of an answer, its date left out."""
    lines = []
    while line := await client.read_line():
        lines.append(line)
    return [line for line in lines if not line.startswith(b"Date: ")]


async def test_pieces_are_chunks(served: Served) -> None:
    """The head is there before any piece, each piece at once, and the connection goes on."""
    async with streaming(served) as (source, _, client):
        await client.send(encode("GET", "/v1/stream"))
        assert await head(client) == [
            b"HTTP/1.1 200 OK",
            HEADERS.strip(),
            b"Transfer-Encoding: chunked",
        ]
        for piece in (b"one\n", b"x" * 300):
            source.queue.put_nowait(piece)
            assert await client.read_line() == b"%x" % len(piece)
            assert await client.read_line() == piece.strip()
            if piece.endswith(b"\n"):
                assert await client.read_line() == b""
        source.queue.put_nowait(b"")
        source.queue.put_nowait(None)
        assert [await client.read_line() for _ in range(2)] == [b"0", b""]
        assert (await client.ask("GET", "/")).status == 200
        assert source.ended == 1


async def test_it_is_not_packed(served: Served) -> None:
    """A client that accepts gzip gets every piece when it comes, plain."""
    async with streaming(served) as (source, _, client):
        await client.send(encode("GET", "/v1/stream", None, "Accept-Encoding: gzip"))
        source.queue.put_nowait(b"x" * 5000)
        assert b"gzip" not in b"".join(await head(client))
        assert [await client.read_line() for _ in range(2)] == [b"1388", b"x" * 5000]


async def test_for_the_old_protocol(served: Served) -> None:
    """It knows no chunks: the body ends with the connection."""
    async with streaming(served) as (source, _, client):
        await client.send(
            encode("GET", "/v1/stream", None, "Connection: keep-alive", version="1.0")
        )
        for piece in (b"one\n", b"two\n", None):
            source.queue.put_nowait(piece)
        assert await head(client) == [b"HTTP/1.0 200 OK", HEADERS.strip(), b"Connection: close"]
        assert await client.rest() == b"one\ntwo\n"


@pytest.mark.parametrize("how", ["close", "abort", "end_sending"])
async def test_a_client_that_leaves(served: Served, how: str) -> None:
    """The source is closed, also while it waits for what to say."""
    async with streaming(served) as (source, _, client):
        await client.send(encode("GET", "/v1/stream"))
        await head(client)
        if how == "close":
            await client.close()
        elif how == "abort":
            client.abort()
        else:
            client.end_sending()
        await until(lambda: source.ended == 1)


async def test_a_server_that_drains(served: Served) -> None:
    """The stream ends as if it were over, and so does the connection."""
    async with streaming(served) as (source, lane, client):
        await client.send(encode("GET", "/v1/stream"))
        await head(client)
        lane.drain()
        assert await client.rest() == b"0\r\n\r\n"
        assert source.ended == 1


async def test_a_stream_that_begins_while_it_drains(served: Served) -> None:
    """It ends at once: the request had come before."""
    async with streaming(served) as (source, lane, client):
        await client.send(encode("GET", "/v1/stream") * 2)
        await head(client)
        lane.drain()
        rest = await client.rest()
        assert rest.startswith(b"0\r\n\r\n")
        assert source.ended in {1, 2}


async def test_a_client_that_does_not_read(served: Served) -> None:
    """No more is taken from the source than the client takes, and a few buffers."""
    async with streaming(served) as (source, _, client):
        await client.send(encode("GET", "/v1/stream"))
        for _ in range(1000):
            source.queue.put_nowait(b"x" * 100_000)
        await head(client)
        taken = -1
        while taken != source.taken:
            taken = source.taken
            await served.ask("GET", "/")
        assert source.taken < 500
        client.abort()
        await until(lambda: source.ended == 1)


async def test_a_stream_behind_a_body(served: Served) -> None:
    """The body of a request for a stream is dropped; the next request is found behind it."""
    async with streaming(served) as (source, _, client):
        await client.send(encode("GET", "/v1/stream", b"x" * 100_000) + encode("GET", "/"))
        await head(client)
        source.queue.put_nowait(None)
        assert [await client.read_line() for _ in range(2)] == [b"0", b""]
        assert (await client.read()).body == b"Consul Agent"

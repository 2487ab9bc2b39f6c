"""A server whose socket somebody else holds: what clients notice of its restarts."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kvstore.listening import Listener, TcpAddress, open_listener
from kvstore.server import Server
from kvstore.settings import Settings


@pytest.fixture
def holder() -> socket.socket:
    """Give a listening socket that outlives servers."""
    return open_listener("127.0.0.1", 0)


async def serve(holder: socket.socket, data_dir: Path | None = None) -> Server:
    """Start a server on its share of the socket."""
    address = TcpAddress(*holder.getsockname())
    server = Server(
        Settings(data_dir, node="n1"), [Listener(address, holder.dup(), inherited=True)]
    )
    await server.start()
    return server


@pytest.fixture
async def server(holder: socket.socket) -> AsyncIterator[Server]:
    """Give a server that the test stops."""
    with holder:
        yield await serve(holder)


class Client:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def ask(self, target: str, method: str = "GET", body: str = "") -> None:
        """Send a request."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{length}\r\n{body}".encode())

    async def answered(self) -> tuple[int, int]:
        """Wait for an answer and return its status and index."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        await self._reader.readexactly(int(headers["Content-Length"]))
        return int(head.split(" ")[1]), int(headers.get("X-Consul-Index", 0))

    async def close(self) -> None:
        """Close it."""
        self.writer.close()
        await self.writer.wait_closed()


async def waits_for_a_write(client: Client, writer: Client) -> None:
    """Have a client wait for index 3, see that it does, and write."""
    client.ask("/v1/kv/a?index=2&wait=15000ms")
    answered = asyncio.create_task(client.answered())
    writer.ask("/v1/status/leader")
    await writer.answered()
    assert not answered.done()
    writer.ask("/v1/kv/a", "PUT", "y")
    await writer.answered()
    assert await answered == (200, 3)


async def connect(holder: socket.socket) -> Client:
    """Return a new connection."""
    return Client(*await asyncio.open_connection(*holder.getsockname()))


async def test_the_first_query_of_a_connection_is_answered_at_once(
    server: Server, holder: socket.socket
) -> None:
    """The index is the one that the client has; the next query waits, as ever, for a write.

    A Docker engine that lost its connection begins like this, and is safe again with the answer.
    """
    client, writer = await connect(holder), await connect(holder)
    writer.ask("/v1/kv/a", "PUT", "x")
    assert await writer.answered() == (200, 0)
    client.ask("/v1/kv/a?index=2&wait=15000ms")
    assert await client.answered() == (200, 2)
    await waits_for_a_write(client, writer)
    await server.stop()
    for one in (client, writer):
        await one.close()


async def test_elsewhere_the_first_query_waits_too() -> None:
    """Where nobody holds the socket a restart refuses connections anyway."""
    with open_listener("127.0.0.1", 0) as listener:
        address = TcpAddress(*listener.getsockname())
        server = Server(Settings(None, node="n1"), [Listener(address, listener)])
        await server.start()
        client, writer = await connect(listener), await connect(listener)
        writer.ask("/v1/kv/a", "PUT", "x")
        await writer.answered()
        await waits_for_a_write(client, writer)
        await server.stop()
        for one in (client, writer):
            await one.close()


async def test_a_stop_answers_whom_it_has_accepted(server: Server, holder: socket.socket) -> None:
    """A request that comes on a new connection right after the stop has begun is answered."""
    client = await connect(holder)
    idle = await connect(holder)
    idle.ask("/v1/status/leader")
    assert (await idle.answered())[0] == 200  # so the one before it is accepted too
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    client.ask("/v1/status/leader")
    assert (await client.answered())[0] == 200
    await stopping
    for one in (client, idle):
        await one.close()


async def test_the_next_server_answers_who_came_after_the_stop(
    server: Server, holder: socket.socket
) -> None:
    """A connection that is not accepted any more waits, and is not refused."""
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    client = await connect(holder)
    client.ask("/v1/status/leader")
    await stopping
    again = await serve(holder)
    assert (await client.answered())[0] == 200
    await again.stop()
    await client.close()


async def test_a_write_that_hangs_is_seen(
    holder: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch stays under way until the disk is done; then none is."""
    goes_on = threading.Event()
    hangs = asyncio.Event()
    loop = asyncio.get_running_loop()
    sync = os.fdatasync

    def slow_sync(descriptor: int) -> None:
        loop.call_soon_threadsafe(hangs.set)
        goes_on.wait()
        sync(descriptor)

    with holder:
        server = await serve(holder, tmp_path / "data")
        assert server.batch_under_way is None
        monkeypatch.setattr(os, "fdatasync", slow_sync)
        client = await connect(holder)
        client.ask("/v1/kv/a", "PUT", "x")
        await hangs.wait()
        seen = server.batch_under_way
        assert seen is not None
        other = await connect(holder)
        other.ask("/v1/status/leader")
        assert (await other.answered())[0] == 200  # the loop goes on
        await other.close()
        assert server.batch_under_way == seen
        goes_on.set()
        assert (await client.answered())[0] == 200
        assert server.batch_under_way is None
        await server.stop()
        await client.close()


async def test_a_server_that_is_not_started_writes_nothing(holder: socket.socket) -> None:
    """There is no batch under way."""
    with holder:
        address = TcpAddress(*holder.getsockname())
        server = Server(Settings(None, node="n1"), [Listener(address, holder)])
        assert server.batch_under_way is None

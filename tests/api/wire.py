"""Both lanes, or aiohttp's alone, on a loopback port inside the test, and raw connections to it.

The client sends exact bytes and shows the answer as it came. Knows nothing of keys or sessions.
"""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from kvstore.api.fast import FastLane
from kvstore.api.lane import Lane
from kvstore.api.limits import DEFAULT_LIMITS, Limits, Terms
from kvstore.clock import Clock, SystemClock
from kvstore.journal.journal import Journal

from .calls import Calls, calling

__all__ = ["Client", "Received", "Served", "connect", "encode", "listening", "serving", "until"]

WITHIN_S = 10.0
"""Longest wait for what should come at once; generous, since cores are shared."""


@dataclass(frozen=True, slots=True)
class Received:
    """One response as it came."""

    status: int
    # By name, spelt as sent.
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends here."""
        return self.headers.get("Connection") == "close"

    @property
    def plain(self) -> bytes:
        """The body with gzip undone."""
        if self.headers.get("Content-Encoding") != "gzip":
            return self.body
        return zlib.decompress(self.body, wbits=31)


def encode(
    method: str, target: str, body: bytes | None = None, *lines: str, version: str = "1.1"
) -> bytes:
    """Return the bytes of a request; `lines` are more headers, each whole."""
    head = [f"{method} {target} HTTP/{version}", "Host: test", *lines]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


class Client:
    """One raw connection; answers are read in the order of the requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes; they are with the kernel when this returns."""
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, method: str = "GET") -> Received:
        """Read one answer, up to its Content-Length or the end of the connection."""
        async with asyncio.timeout(WITHIN_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head[:-4].split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            headers = dict(pairs)
            if "Content-Length" not in headers and headers.get("Connection") == "close":
                body = await self._reader.read()
            else:
                size_bytes = int(headers["Content-Length"]) if method != "HEAD" else 0
                body = await self._reader.readexactly(size_bytes)
        return Received(int(first.split(" ")[1]), headers, body)

    async def ask(
        self, method: str, target: str, body: bytes | None = None, *lines: str
    ) -> Received:
        """Send a request and read its answer."""
        await self.send(encode(method, target, body, *lines))
        return await self.read(method)

    async def read_line(self) -> bytes:
        """Read one line, its end left out."""
        async with asyncio.timeout(WITHIN_S):
            return (await self._reader.readline()).rstrip(b"\r\n")

    async def rest(self) -> bytes:
        """Read to the end of the connection."""
        async with asyncio.timeout(WITHIN_S):
            return await self._reader.read()

    def end_sending(self) -> None:
        """Tell the server that no more bytes will come."""
        self._writer.write_eof()

    def abort(self) -> None:
        """Tear the connection down: the server sees a reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(ConnectionError):  # the server was first
            await self._writer.wait_closed()


class Served:
    """A store behind its lanes."""

    def __init__(self, calls: Calls, terms: Terms, front: FastLane | Lane, port: int) -> None:
        self.calls = calls
        self.terms = terms
        # The lane that connections come to first.
        self.front = front
        self.port = port
        self._clients: list[Client] = []

    @property
    def is_fast(self) -> bool:
        """Whether no connection is in aiohttp's lane."""
        other = self.front.other if isinstance(self.front, FastLane) else self.front
        return other is None or not other.connections

    async def connect(self) -> Client:
        """Open a connection, which is closed with the lane at the latest."""
        client = await connect(self.port)
        self._clients.append(client)
        return client

    async def ask(
        self, method: str, target: str, body: bytes | None = None, *lines: str
    ) -> Received:
        """Send a request on a connection of its own and read its answer."""
        client = await self.connect()
        answer = await client.ask(method, target, body, *lines)
        await client.close()
        return answer

    async def park(self, target: str) -> Client:
        """Send a blocking query and return its connection once it waits."""
        parked = self.calls.engine.parked_count
        client = await self.connect()
        await client.send(encode("GET", target))
        await until(lambda: self.calls.engine.parked_count == parked + 1)
        return client

    async def close_clients(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.close()


async def connect(port: int) -> Client:
    """Open a connection to a port of this machine."""
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@asynccontextmanager
async def listening(front: FastLane | Lane) -> AsyncIterator[int]:
    """Have a lane listen on a free port until the block ends."""
    server = await asyncio.get_running_loop().create_server(front, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await front.shutdown(WITHIN_S)


@asynccontextmanager
async def serving(
    journal: Journal | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock | None = None,
    fast: bool = True,
) -> AsyncIterator[Served]:
    """Serve a store on a free port until the block ends; then nothing may be left of it."""
    earlier = asyncio.all_tasks()
    async with calling(journal) as calls:
        terms = Terms(limits, clock or SystemClock())
        front = (FastLane if fast else Lane)(calls.router, terms)
        async with listening(front) as port:
            served = Served(calls, terms, front, port)
            try:
                yield served
            finally:
                await served.close_clients()
        await until(lambda: calls.engine.parked_count == 0)
        await until(lambda: (terms.received.bytes, terms.answers.bytes) == (0, 0))
    await until(lambda: asyncio.all_tasks() - earlier <= {asyncio.current_task()})


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop work until the condition holds."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)

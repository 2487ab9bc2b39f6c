"""A TLS listener with a protocol above it that tests can look into."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority

from kvstore.listening import TcpAddress, open_listeners
from kvstore.transport.accepting import Acceptor
from kvstore.transport.credentials import Credentials, TlsFiles
from kvstore.transport.handshake import Handshakes


class Echo(asyncio.Protocol):
    """Sends back what comes, in upper case; notes what happens to it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = b""
        self.happened: list[str] = []
        # What `eof_received` answers: whether the connection stays open for writing.
        self.stays = False
        self.lost = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.happened.append("made")

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.received += data
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        """Note it."""
        self.happened.append("eof")
        if not self.ended.done():
            self.ended.set_result(None)
        return self.stays

    def pause_writing(self) -> None:
        """Note it."""
        self.happened.append("paused")

    def resume_writing(self) -> None:
        """Note it."""
        self.happened.append("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        self.happened.append("lost")
        self.lost.set_result(exc)


@dataclass
class Listening:
    """A TLS port, and the protocols that were made for its connections."""

    port: int
    handshakes: Handshakes
    made: list[Echo] = field(default_factory=list)
    # The clients' sides, closed at the end of the test.
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(
        self, context: ssl.SSLContext | None, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, under TLS or, with None, without it."""
        made = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, **options)
        self.clients.append(made[1])
        return made

    async def close(self) -> None:
        """Close what the clients have left open."""
        self.handshakes.close()
        for client in self.clients:
            if not client.transport.is_closing():  # Python 3.11.2 cannot abort what has ended
                client.transport.abort()
            with suppress(OSError):
                await client.wait_closed()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


Listen = Callable[..., Awaitable[Listening]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give the CA of servers and clients."""
    return Authority(tmp_path)


@pytest.fixture
async def listen(authority: Authority) -> AsyncIterator[Listen]:
    """Give a function that listens, with files and limits as told."""
    async with AsyncExitStack() as stack:

        async def start(files: TlsFiles | None = None, **limits: Any) -> Listening:
            if files is None:
                server = authority.server()
                files = TlsFiles(server.certificate, server.key, authority.file)
            made: list[Echo] = []

            def make() -> Echo:
                made.append(Echo())
                return made[-1]

            (listener,) = open_listeners([TcpAddress("127.0.0.1", 0)])
            stack.callback(listener.close)
            handshakes = Handshakes(Credentials(files), make, **limits)
            acceptor = Acceptor(listener.socket, handshakes, listener.url)
            acceptor.open()
            stack.callback(acceptor.close)
            listening = Listening(listener.socket.getsockname()[1], handshakes, made)
            stack.push_async_callback(listening.close)
            return listening

        yield start

"""Connections accepted: each gets its protocol, also after there were no descriptors."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kvstore.listening import Address, TcpAddress, UnixAddress, open_listeners
from kvstore.transport.accepting import Acceptor

from .conftest import Echo


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Give what closes things at the end."""
    with ExitStack() as opened:
        yield opened


def accept(stack: ExitStack, address: Address, made: list[Echo]) -> tuple[Acceptor, socket.socket]:
    """Accept on an address; the protocols are noted."""

    def make() -> Echo:
        made.append(Echo())
        return made[-1]

    (listener,) = open_listeners([address])
    stack.callback(listener.close)
    acceptor = Acceptor(listener.socket, make, "the test")
    return acceptor, listener.socket


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a word, return the answer, and close."""
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_connections(stack: ExitStack) -> None:
    """Those that came before it opened, and those that come together, all get a protocol."""
    made: list[Echo] = []
    acceptor, listener = accept(stack, TcpAddress("127.0.0.1", 0), made)
    host, port = listener.getsockname()
    early = await asyncio.open_connection(host, port)
    acceptor.open()
    stack.callback(acceptor.close)
    many = await asyncio.gather(*(asyncio.open_connection(host, port) for _ in range(300)))
    assert [await echoed(*one) for one in [early, *many]] == [b"HELLO"] * 301
    assert len(made) == 301
    assert {await one.lost for one in made} == {None}


async def test_unix_sockets(stack: ExitStack, tmp_path: Path) -> None:
    """They are accepted from like others."""
    made: list[Echo] = []
    acceptor, _ = accept(stack, UnixAddress(tmp_path / "s"), made)
    acceptor.open()
    stack.callback(acceptor.close)
    assert await echoed(*await asyncio.open_unix_connection(tmp_path / "s")) == b"HELLO"


async def test_closing(stack: ExitStack) -> None:
    """Nobody is accepted any more; connections that exist go on."""
    made: list[Echo] = []
    acceptor, listener = accept(stack, TcpAddress("127.0.0.1", 0), made)
    acceptor.open()
    host, port = listener.getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"X"
    acceptor.close()
    later = await asyncio.open_connection(host, port)  # waits in the backlog
    assert await echoed(reader, writer) == b"HELLO"
    assert len(made) == 1
    later[1].close()
    await later[1].wait_closed()


@contextmanager
def noticing(notice: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    """Have a function called with what is logged."""
    log = logging.getLogger("kvstore.transport.accepting")
    log.addFilter(notice)
    try:
        yield
    finally:
        log.removeFilter(notice)


def descriptors() -> set[int]:
    """Return those that this process has open."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


async def test_no_descriptors(stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """It says so once and rests; whoever waits is accepted when there are some again."""
    made: list[Echo] = []
    acceptor, listener = accept(stack, TcpAddress("127.0.0.1", 0), made)
    host, port = listener.getsockname()
    clients = [socket.create_connection((host, port)) for _ in range(3)]
    for client in clients:
        stack.callback(client.close)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = descriptors()
    acceptor.open()
    stack.callback(acceptor.close)
    failed = asyncio.Event()
    # An answer to each record: true, it is to be logged.
    stack.enter_context(noticing(lambda _record: failed.set() is None))
    # Every number below the limit is in use.
    fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(max(in_use) - len(in_use) + 4)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, hard))
    try:
        await failed.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    for client in clients:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"x")
        assert await loop.sock_recv(client, 1) == b"X"
        client.close()
    assert {await one.lost for one in made} == {None}
    assert [record.message for record in caplog.records] == [
        (
            "cannot accept connections to the test: Too many open files; they wait, it is tried "
            "again every second"
        ),
        "connections to the test are accepted again",
    ]


class Interrupted(socket.socket):
    """A listener that has something done right after each connection."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept, and have it done before anything that the caller starts."""
        accepted = super().accept()
        asyncio.get_running_loop().call_soon(self.afterwards)
        return accepted

    afterwards: Callable[[], None]


async def test_closing_in_the_middle(stack: ExitStack) -> None:
    """Who was accepted and has no protocol yet is not left hanging."""
    made: list[Echo] = []
    with socket.create_server(("127.0.0.1", 0)) as plain:
        listener = stack.enter_context(Interrupted(fileno=plain.detach()))
    acceptor = Acceptor(listener, lambda: made.append(Echo()) or made[-1], "the test")
    listener.afterwards = acceptor.close
    acceptor.open()
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    assert await reader.read() == b""
    assert not made
    writer.close()


async def test_a_bug_in_a_protocol(stack: ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    """Is logged, and its connection ends; others go on."""
    (listener,) = open_listeners([TcpAddress("127.0.0.1", 0)])
    stack.callback(listener.close)

    def make() -> asyncio.Protocol:
        raise ZeroDivisionError

    acceptor = Acceptor(listener.socket, make, "the test")
    acceptor.open()
    stack.callback(acceptor.close)
    for _ in range(2):
        reader, writer = await asyncio.open_connection(*listener.socket.getsockname())
        assert await reader.read() == b""
        writer.close()
    assert [record.message for record in caplog.records] == [
        "a bug: a connection to the test has no protocol"
    ] * 2

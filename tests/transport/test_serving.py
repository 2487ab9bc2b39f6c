"""All listeners of a server together: opened, and closed without a trace."""

import asyncio
from pathlib import Path

import pytest
from certificates import Authority

from kvstore.errors import TlsUnusable
from kvstore.listening import (
    Address,
    Listener,
    TcpAddress,
    UnixAddress,
    open_listener,
    open_listeners,
)
from kvstore.transport.credentials import TlsFiles
from kvstore.transport.door import Door
from kvstore.transport.serving import Serving

from .conftest import Echo, until


def addresses(tmp_path: Path) -> list[Address]:
    """Return one of each kind."""
    loopback = "127.0.0.1"
    return [TcpAddress(loopback, 0), TcpAddress(loopback, 0, tls=True), UnixAddress(tmp_path / "s")]


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send a word, and tell whether it came back; close."""
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer == b"HELLO"


async def test_all_kinds_together(tmp_path: Path, authority: Authority) -> None:
    """Each kind leads to the same protocol, until all are closed."""
    server = authority.server()
    listeners = open_listeners(addresses(tmp_path))
    serving = Serving(listeners, TlsFiles(server.certificate, server.key))
    serving.open(Echo)
    plain, secured, _ = listeners
    assert await echoed(*await asyncio.open_connection(*plain.socket.getsockname()))
    context = authority.client_context()
    assert await echoed(*await asyncio.open_connection(*secured.socket.getsockname(), ssl=context))
    assert await echoed(*await asyncio.open_unix_connection(tmp_path / "s"))
    ports = [one.socket.getsockname() for one in (plain, secured)]
    unfinished = await asyncio.open_connection(*ports[1])
    serving.close()
    serving.close()
    assert await unfinished[0].read() == b""
    unfinished[1].close()
    for host, port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
    assert not (tmp_path / "s").exists()


async def test_what_is_open_is_counted(tmp_path: Path, authority: Authority) -> None:
    """A connection counts from its handshake on, and a handshake until it has ended."""
    server = authority.server()
    listeners = open_listeners(addresses(tmp_path))
    serving = Serving(listeners, TlsFiles(server.certificate, server.key), Door(10))
    assert (serving.connections_count, serving.handshakes_count) == (0, 0)
    serving.open(Echo)
    plain, secured, _ = (one.socket.getsockname() for one in listeners)
    reader, writer = await asyncio.open_connection(*plain)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    _, unfinished = await asyncio.open_connection(*secured)
    await until(lambda: serving.handshakes_count == 1)
    assert serving.connections_count == 2
    for one in (writer, unfinished):
        one.close()
        await one.wait_closed()
    await until(lambda: (serving.connections_count, serving.handshakes_count) == (0, 0))
    serving.close()


async def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """Then no socket stays open."""
    listeners = open_listeners(addresses(tmp_path))
    with pytest.raises(TlsUnusable):
        Serving(listeners, TlsFiles(tmp_path / "nope.pem", tmp_path / "nope-key.pem"))
    assert {one.socket.fileno() for one in listeners} == {-1}
    assert not (tmp_path / "s").exists()


async def test_without_tls(tmp_path: Path) -> None:
    """There is nothing to read, and nothing to read again."""
    serving = Serving(open_listeners([TcpAddress("127.0.0.1", 0)]), None)
    assert serving.credentials is None
    assert (serving.connections_count, serving.handshakes_count) == (0, 0)
    serving.open(Echo)
    serving.close()


@pytest.mark.parametrize("inherited", [False, True])
async def test_a_pause(*, inherited: bool) -> None:
    """Nobody is accepted, and connections go on; who comes waits for who else has the socket."""
    with open_listener("127.0.0.1", 0) as holder:
        address = TcpAddress(*holder.getsockname())
        serving = Serving([Listener(address, holder.dup(), inherited=inherited)], None)
        serving.open(Echo)
        before = await asyncio.open_connection(*holder.getsockname())
        before[1].write(b"x")
        assert await before[0].readexactly(1) == b"X"
        assert serving.pause() is inherited
        later = await asyncio.open_connection(*holder.getsockname())
        assert await echoed(*before)
        serving.close()
        waited, _ = holder.accept()
        waited.close()
        assert await later[0].read() == b""
        later[1].close()
        await later[1].wait_closed()

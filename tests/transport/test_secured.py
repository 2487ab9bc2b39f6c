"""Connections under TLS: what the protocol above sees of them, and what clients get."""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable

import pytest
from certificates import Authority

from .conftest import Echo, Listen, Listening, until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def context(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext:
    """Give what a client uses, of each version."""
    context = authority.client_context(authority.issue("client"))
    context.minimum_version = context.maximum_version = request.param
    return context


async def talk(
    server: Listening, context: ssl.SSLContext, work: Callable[[ssl.SSLSocket], bytes]
) -> bytes:
    """Connect with the blocking client of the standard library, and return what `work` does.

    It can do what asyncio's cannot: close one side only.
    """
    # Older versions of Python 3.11 take an end that was not said for one that was.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)

    def run() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return work(secured)

    return await asyncio.to_thread(run)


def read_all(secured: ssl.SSLSocket) -> bytes:
    """Read to the end that the server said by TLS; raises SSLError without it."""
    secured.suppress_ragged_eofs = False
    received = b""
    while piece := secured.recv():
        received += piece
    return received


async def test_bytes_of_every_length(listen: Listen, context: ssl.SSLContext) -> None:
    """From none to more than all buffers hold: each arrives as it was sent, both ways."""
    server = await listen()
    reader, writer = await server.connect(context)
    chance = random.Random(1)
    lengths = (1, 2, 16_383, 16_384, 16_385, 32_768, 32_769, 300_000, 5_000_000)
    for length in lengths:
        data = bytes(chance.choices(range(256), k=length))
        writer.write(data)
        answer = asyncio.create_task(reader.readexactly(length))
        await writer.drain()
        assert await answer == data.upper()
    assert len(server.made[0].received) == sum(lengths)


async def test_what_comes_with_the_handshake(listen: Listen, authority: Authority) -> None:
    """A request in the same packet as the end of the handshake is not lost."""
    server = await listen()
    context = authority.client_context(authority.issue("client"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await server.connect(None)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
    tls.write(b"early")
    tls.write(b"bird")
    writer.write(outgoing.read())
    answer = b""
    while len(answer) < 9:
        try:
            answer += tls.read()
        except ssl.SSLWantReadError:
            incoming.write(await reader.read(65536))
    assert answer == b"EARLYBIRD"
    assert server.made[0].happened == ["made"]


async def test_one_byte_at_a_time(listen: Listen, authority: Authority) -> None:
    """Records may come in any pieces."""
    server = await listen()
    context = authority.client_context(authority.issue("client"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await server.connect(None)

    async def send_bytewise() -> None:
        for byte in outgoing.read():
            writer.write(bytes([byte]))
            await writer.drain()

    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await send_bytewise()
            incoming.write(await reader.read(65536))
    tls.write(b"slow")
    await send_bytewise()
    answer = b""
    while len(answer) < 4:
        try:
            answer += tls.read()
        except ssl.SSLWantReadError:
            incoming.write(await reader.read(65536))
    assert answer == b"SLOW"


async def test_the_end_is_said(listen: Listen, context: ssl.SSLContext) -> None:
    """When the protocol closes, the client can tell the end from a connection that was cut."""
    server = await listen()

    def work(secured: ssl.SSLSocket) -> bytes:
        secured.sendall(b"bye")
        assert secured.recv() == b"BYE"
        loop.call_soon_threadsafe(server.made[0].transport.close)
        return read_all(secured)

    loop = asyncio.get_running_loop()
    assert await talk(server, context, work) == b""
    assert await server.made[0].lost is None
    assert server.made[0].happened == ["made", "lost"]


async def test_an_abort_is_not_an_end(listen: Listen, context: ssl.SSLContext) -> None:
    """What is cut off does not look complete."""
    server = await listen()

    def work(secured: ssl.SSLSocket) -> bytes:
        secured.sendall(b"x")
        assert secured.recv() == b"X"
        loop.call_soon_threadsafe(server.made[0].transport.abort)
        return read_all(secured)

    loop = asyncio.get_running_loop()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await talk(server, context, work)


async def test_a_client_that_says_the_end(listen: Listen, context: ssl.SSLContext) -> None:
    """Gets our end in return, and the protocol is told of one end."""
    server = await listen()

    def work(secured: ssl.SSLSocket) -> bytes:
        secured.sendall(b"x")
        assert secured.recv() == b"X"
        secured.unwrap().close()  # waits for the server's
        return b"said"

    assert await talk(server, context, work) == b"said"
    await server.made[0].lost
    assert server.made[0].happened == ["made", "eof", "lost"]


@pytest.mark.parametrize("how", ["by TLS", "by TCP"])
async def test_a_client_that_still_reads(listen: Listen, context: ssl.SSLContext, how: str) -> None:
    """A protocol that wants to can answer a client that has closed its sending side."""
    server = await listen()
    loop = asyncio.get_running_loop()

    def stay() -> None:
        server.made[0].stays = True

    async def answer() -> None:
        (echo,) = server.made
        await echo.ended
        echo.transport.write(b"later")
        echo.transport.close()

    def work(secured: ssl.SSLSocket) -> bytes:
        secured.sendall(b"x")
        assert secured.recv() == b"X"
        loop.call_soon_threadsafe(stay)
        answered = asyncio.run_coroutine_threadsafe(answer(), loop)
        if how == "by TCP":
            secured.shutdown(socket.SHUT_WR)  # forgets TLS on this object, but not on the wire
            answered.result(20)
            assert secured.recv(), "the answer, of which only TLS could tell more"
            return b"later"
        secured.settimeout(20)
        received = half_close(secured)
        answered.result(20)
        return received

    assert await talk(server, context, work) == b"later"
    assert await server.made[0].lost is None
    assert server.made[0].happened == ["made", "eof", "lost"]


def half_close(secured: ssl.SSLSocket) -> bytes:
    """Say the end by TLS and read on: `unwrap` meets what the server still has to say."""
    with pytest.raises(ssl.SSLError) as caught:
        secured.unwrap()
    assert caught.value.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
    return b"later"


async def test_garbage_ends_it(listen: Listen, context: ssl.SSLContext) -> None:
    """Bytes that are no record end the connection with an alert, and nothing else."""
    server = await listen()

    def work(secured: ssl.SSLSocket) -> bytes:
        secured.sendall(b"x")
        assert secured.recv() == b"X"
        socket.socket.sendall(secured, b"\x17\x03\x03\x00\x20" + b"garbage." * 4)
        return secured.recv()

    with pytest.raises(ssl.SSLError) as caught:
        await talk(server, context, work)
    assert "ALERT" in caught.value.reason
    await server.made[0].lost
    assert server.made[0].received == b"x"


async def test_writing_after_the_end(listen: Listen, context: ssl.SSLContext) -> None:
    """Does nothing, as on any transport; nor does closing twice."""
    server = await listen()
    reader, writer = await server.connect(context)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"X"
    transport = server.made[0].transport
    assert not transport.is_closing()
    transport.close()
    transport.close()
    assert transport.is_closing()
    transport.write(b"too late")
    assert await reader.read() == b""
    await server.made[0].lost
    transport.abort()


async def test_a_client_that_does_not_read(listen: Listen, context: ssl.SSLContext) -> None:
    """The protocol is told to pause, how much waits is known, and all arrives in the end."""
    server = await listen()
    reader, writer = await server.connect(context, limit=1024)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"X"
    echo: Echo = server.made[0]
    echo.transport.set_write_buffer_limits(high=1000, low=10)
    size = 20_000_000
    echo.transport.write(b"y" * size)
    assert echo.happened == ["made", "paused"]
    assert echo.transport.get_write_buffer_size() > 1000
    assert await reader.readexactly(size) == b"y" * size
    await until(lambda: not echo.transport.get_write_buffer_size())
    assert echo.happened == ["made", "paused", "resumed"]


async def test_reading_can_pause(listen: Listen, context: ssl.SSLContext) -> None:
    """What a client sends meanwhile waits, and comes when reading goes on."""
    server = await listen()
    reader, writer = await server.connect(context)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"X"
    transport = server.made[0].transport
    assert transport.is_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    writer.write(b"meanwhile")
    await writer.drain()
    assert server.made[0].received == b"x"
    transport.resume_reading()
    assert await reader.readexactly(9) == b"MEANWHILE"


async def test_what_is_known_of_a_connection(listen: Listen, authority: Authority) -> None:
    """Where it comes from, and what was agreed on."""
    server = await listen()
    client = authority.issue("client", "someone.example")
    reader, writer = await server.connect(authority.client_context(client))
    writer.write(b"x")
    assert await reader.readexactly(1) == b"X"
    transport = server.made[0].transport
    assert transport.get_extra_info("peername") == writer.get_extra_info("sockname")
    assert transport.get_extra_info("sslcontext") is server.handshakes.credentials.context
    names = transport.get_extra_info("ssl_object").getpeercert()["subjectAltName"]
    assert names == (("DNS", "someone.example"),)
    assert transport.get_extra_info("nothing", "default") == "default"
    assert not transport.can_write_eof()


async def test_a_change_of_keys(listen: Listen, authority: Authority) -> None:
    """TLS 1.3's KeyUpdate, which OpenSSL's client makes by "K", is answered and goes unnoticed."""
    server = await listen()
    client = authority.issue("client")
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3"),
        *("-CAfile", str(authority.file), "-cert", str(client.certificate)),
        *("-key", str(client.key)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"before\n")
    await process.stdout.readuntil(b"BEFORE\n")
    process.stdin.write(b"K\n")
    await process.stdout.readuntil(b"KEYUPDATE\n")
    process.stdin.write(b"after\n")
    await process.stdout.readuntil(b"AFTER\n")
    process.stdin.write(b"Q\n")
    await process.communicate()
    assert server.made[0].received == b"before\nafter\n"

"""Handshakes: a connection, or one line in the log that says who and why."""

import asyncio
import logging
import random
import socket
import ssl
import struct
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import DAY, Authority

from kvstore.transport.credentials import TlsFiles

from .conftest import Listen, Listening, until


async def greeted(server: Listening, context: ssl.SSLContext) -> str:
    """Send a word, see it answered, and return the version of TLS."""
    reader, writer = await server.connect(context)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    return str(version)


async def until_under_way(server: Listening, count: int) -> None:
    """Wait until so many handshakes are under way."""
    await until(lambda: server.handshakes.under_way == count)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the reasons that were logged, each for a client of this machine."""
    reasons = []
    for record in caplog.records:
        assert record.levelno == logging.WARNING
        client, _, reason = record.message.partition(": ")
        assert client.startswith("no TLS connection with 127.0.0.1:")
        reasons.append(reason)
    return reasons


async def refused(server: Listening, context: ssl.SSLContext) -> ssl.SSLError | None:
    """Try to connect and talk; return what the client was told, None for an end without words."""
    try:
        reader, writer = await server.connect(context)
    except ssl.SSLError as error:
        return error
    writer.write(b"hello")
    try:
        assert await reader.read() == b""
    except ssl.SSLError as error:
        return error
    finally:
        writer.close()
    return None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_with_a_certificate(
    listen: Listen,
    authority: Authority,
    version: ssl.TLSVersion,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Connects under each version, and there is nothing to log."""
    server = await listen()
    context = authority.client_context(authority.issue("client"))
    context.minimum_version = context.maximum_version = version
    assert await greeted(server, context) == version.name.replace("_", ".")
    assert server.handshakes.under_way == 0
    assert not caplog.records


async def test_nobody_is_asked_without_a_ca(listen: Listen, authority: Authority) -> None:
    """A client without a certificate connects where none is required."""
    own = authority.server()
    server = await listen(TlsFiles(own.certificate, own.key))
    assert await greeted(server, authority.client_context()) == "TLSv1.3"


async def test_the_protocol_is_agreed_on(listen: Listen, authority: Authority) -> None:
    """Of those that a client offers it is HTTP/1.1; one that offers only others connects too."""
    server = await listen()
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], None)):
        context = authority.client_context(authority.issue("client"))
        context.set_alpn_protocols(offered)
        _, writer = await server.connect(context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_client_certificate(
    listen: Listen,
    authority: Authority,
    version: ssl.TLSVersion,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Is logged, and the client is told, too."""
    server = await listen()
    context = authority.client_context()
    context.maximum_version = version
    told = await refused(server, context)
    assert told is not None
    assert "ALERT" in told.reason
    assert refusals(caplog) == ["it sent no client certificate"]
    assert not server.made


async def test_a_certificate_of_another_ca(
    listen: Listen, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Is logged as what it is."""
    server = await listen()
    stranger = Authority(tmp_path, "other").issue("stranger")
    told = await refused(server, authority.client_context(stranger))
    assert told is not None
    assert told.reason == "TLSV1_ALERT_UNKNOWN_CA"
    assert refusals(caplog) == [
        "its certificate is signed by a CA that is not in --tls-client-ca-file"
    ]


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [
        (-2 * DAY, -DAY, "its certificate has expired"),
        (DAY, 2 * DAY, "its certificate is not yet valid; look at both clocks"),
    ],
)
async def test_a_certificate_out_of_date(
    listen: Listen,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    begins: timedelta,
    ends: timedelta,
    reason: str,
) -> None:
    """Is logged as what it is."""
    server = await listen()
    client = authority.issue("client", begins=begins, ends=ends)
    told = await refused(server, authority.client_context(client))
    assert told is not None
    assert "ALERT" in told.reason
    assert refusals(caplog) == [reason]


async def test_a_client_that_does_not_trust_us(
    listen: Listen, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Says so by an alert, which is logged."""
    server = await listen()
    stranger = Authority(tmp_path, "other").client_context(authority.issue("client"))

    def connect() -> None:  # asyncio's client would keep its alert to itself
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            stranger.wrap_socket(plain, server_hostname="127.0.0.1")

    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(connect)
    await until_under_way(server, 0)
    assert refusals(caplog) == [
        "it does not trust the certificate of this server: the CA is unknown to it"
    ]


async def test_an_old_version(
    listen: Listen, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A client of TLS 1.2 where 1.3 is the oldest."""
    own = authority.server()
    server = await listen(TlsFiles(own.certificate, own.key, min_version="1.3"))
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    told = await refused(server, context)
    assert told is not None
    assert told.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert refusals(caplog) == [
        "its TLS version is too old; --tls-min-version is the oldest accepted"
    ]


async def test_no_common_cipher(
    listen: Listen, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that knows only what is not safe any more."""
    server = await listen()
    context = authority.client_context(authority.issue("client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")
    assert await refused(server, context) is not None
    assert refusals(caplog) == ["it has no cipher in common with this server"]


@pytest.mark.parametrize(
    "request_line", [b"GET /v1/kv/a HTTP/1.1", b"PUT / HTTP/1.1", b"DELETE /v1/kv/a HTTP/1.1"]
)
async def test_plain_http(
    listen: Listen, request_line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Gets the answer of Go's server, to its end, and is logged with what an engine lacks."""
    server = await listen()
    reader, writer = await server.connect(None)
    writer.write(request_line + b"\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    assert await reader.read() == (
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    )
    writer.close()
    assert refusals(caplog) == [
        (
            "it speaks plain HTTP; a Docker engine does unless it has all three of "
            "kv.cacertfile, kv.certfile and kv.keyfile"
        )
    ]
    await until_under_way(server, 0)


async def test_noise(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    """What is neither TLS nor HTTP gets no answer; what only begins like TLS gets an alert."""
    server = await listen()
    for noise, answer in (
        (b"\x00\x01\x02", b""),
        (b"\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff", b"\x15"),
    ):
        reader, writer = await server.connect(None)
        writer.write(noise)
        assert (await reader.read())[:1] == answer
        writer.close()
    first, second = refusals(caplog)
    assert first == "it speaks neither TLS nor HTTP"
    assert second.startswith("the handshake failed: ")
    await until_under_way(server, 0)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "it sent nothing within 0.01 s"),
        (b"\x16\x03\x01", "it did not finish its handshake within 0.01 s"),
    ],
)
async def test_a_slow_client(
    listen: Listen, sent: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Is given up."""
    server = await listen(within_s=0.01)
    reader, writer = await server.connect(None)
    writer.write(sent)
    assert await is_ended(reader)
    assert refusals(caplog) in ([reason], ["it sent nothing within 0.01 s"])
    assert server.handshakes.under_way == 0


async def test_the_oldest_makes_room(
    listen: Listen, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow clients push out each other, and not one that is quick."""
    server = await listen(at_once_max=3)
    slow = [await server.connect(None) for _ in range(3)]
    await until_under_way(server, 3)
    assert await greeted(server, authority.client_context(authority.issue("client")))
    assert await is_ended(slow[0][0])
    assert server.handshakes.under_way == 2
    assert refusals(caplog) == ["too many handshakes at once"]
    server.handshakes.close()
    assert server.handshakes.under_way == 0
    assert await is_ended(slow[1][0])
    assert await is_ended(slow[2][0])


async def is_ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection, and tell whether it came without a word."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_client_that_leaves(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of a handshake is logged; before it, as load balancers do, is not."""
    server = await listen()
    for sent in (b"", b"\x16\x03\x01"):
        _, writer = await server.connect(None)
        writer.write(sent)
        await until_under_way(server, 1)
        writer.close()
        await until_under_way(server, 0)
    assert refusals(caplog) == ["it broke off the handshake; perhaps it does not trust this server"]


async def test_a_client_that_resets(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    """Is no error of ours, at whatever moment."""
    server = await listen()
    for sent in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
        _, writer = await server.connect(None)
        writer.write(sent)
        await until_under_way(server, 1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until_under_way(server, 0)
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


async def test_a_ca_between(listen: Listen, authority: Authority, tmp_path: Path) -> None:
    """A CA that another has signed can be the one for clients, without that other."""
    between = Authority(tmp_path, "between", of=authority)
    own = authority.server()
    server = await listen(TlsFiles(own.certificate, own.key, between.file))
    client = between.issue("client")
    assert await greeted(server, authority.client_context(client))
    assert await refused(server, authority.client_context(authority.issue("other"))) is not None


async def test_a_server_certificate_with_those_between(
    listen: Listen, authority: Authority, tmp_path: Path
) -> None:
    """Clients that know the root only are sent what is between."""
    own = Authority(tmp_path, "between", of=authority).server()
    server = await listen(TlsFiles(own.certificate, own.key))
    assert await greeted(server, authority.client_context())


async def test_noise_in_a_first_flight(
    listen: Listen, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with what a client says first, it is refused and nothing else happens."""
    server = await listen(within_s=0.5)
    hello = ssl.MemoryBIO()
    tls = authority.client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    sound = hello.read()
    chance = random.Random(7)
    for _ in range(300):
        noisy = bytearray(sound)
        for _ in range(chance.randint(1, 8)):
            noisy[chance.randrange(1, len(noisy))] = chance.randrange(256)
        _, writer = await server.connect(None)
        writer.write(noisy)
        writer.write_eof()
    await until_under_way(server, 0)
    assert not server.made
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


async def test_a_flood_is_few_lines(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    """The same mistake of the same client is logged once a minute."""
    server = await listen()
    for _ in range(20):
        reader, writer = await server.connect(None)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read()
        writer.close()
    assert len(refusals(caplog)) == 1
    await until_under_way(server, 0)


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        (("192.0.2.1", 4000), "192.0.2.1:4000"),
        (("2001:db8::1", 4000, 0, 0), "[2001:db8::1]:4000"),
        ("", "a unix socket"),
        (None, "a client that has left"),
    ],
)
async def test_who_it_was(
    listen: Listen, peer: object, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the client, also one that has no address."""
    server = await listen()
    server.handshakes.refused(peer, "why")
    assert caplog.messages == [f"no TLS connection with {shown}: why"]


async def test_new_files_are_for_new_handshakes(
    listen: Listen, authority: Authority, tmp_path: Path
) -> None:
    """A connection that exists goes on with the old ones."""
    server = await listen()
    client = authority.issue("client")
    reader, writer = await server.connect(authority.client_context(client))
    renewed = Authority(tmp_path)  # writes over the old CA
    renewed.server()
    server.handshakes.credentials.reload()
    assert await refused(server, authority.client_context(client)) is not None
    assert await greeted(server, renewed.client_context(renewed.issue("client")))
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"STILL HERE"

"""The whole server over TLS and unix sockets, beside plain listeners."""

import asyncio
import http.client
import json
import logging
import socket
import ssl
from pathlib import Path

import pytest
from certificates import DAY, Authority, Issued
from running import WITHIN_S, InProcess, Start, call

from kvstore.errors import TlsUnusable
from kvstore.listening import TcpAddress, UnixAddress, open_listeners
from kvstore.server import Server
from kvstore.settings import Settings
from kvstore.transport.credentials import TlsFiles

LOOPBACK = "127.0.0.1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give the CA of servers and clients."""
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    """Give the server's files, which ask for client certificates."""
    server = authority.server()
    return TlsFiles(server.certificate, server.key, authority.file)


@pytest.fixture
async def secured(start: Start, files: TlsFiles) -> InProcess:
    """Give a server in memory with one TLS listener."""
    return await start(listen=[TcpAddress(LOOPBACK, 0, tls=True)], tls=files)


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    """Give what a client with a certificate uses."""
    return authority.client_context(authority.issue("client"))


class UnixConnection(http.client.HTTPConnection):
    """The standard library's client, on a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WITHIN_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WITHIN_S)
        self.sock.connect(str(self._path))


def ask(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Send a request and return status and body; the connection stays open."""
    connection.request(method, target, body)
    response = connection.getresponse()
    return response.status, response.read()


def tls_connection(port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    """Return a connection that is not made yet."""
    return http.client.HTTPSConnection(LOOPBACK, port, timeout=WITHIN_S, context=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_requests(
    secured: InProcess, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """Writes and reads, small and large, on one connection; an engine knows 1.2 or 1.3."""
    context.minimum_version = context.maximum_version = version
    value = bytes(range(256)) * 2048

    def talk() -> None:
        connection = tls_connection(secured.port, context)
        assert ask(connection, "PUT", "/v1/kv/a", value) == (200, b"true")
        first = connection.sock
        assert ask(connection, "GET", "/v1/kv/a?raw") == (200, value)
        assert ask(connection, "GET", "/v1/kv/b") == (404, b"")
        assert connection.sock is first
        connection.close()

    await asyncio.to_thread(talk)


async def test_side_by_side(
    start: Start, files: TlsFiles, context: ssl.SSLContext, tmp_path: Path
) -> None:
    """One store behind all listeners; the first TCP listener is the address it tells."""
    path = tmp_path / "kvstore.sock"
    listen = [UnixAddress(path), TcpAddress(LOOPBACK, 0, tls=True), TcpAddress(LOOPBACK, 0)]
    listeners = open_listeners(listen)
    ports = [one.socket.getsockname()[1] for one in listeners[1:]]
    server = Server(Settings(None, node="n1", tls=files), listeners)
    await server.start()

    def talk() -> None:
        by_path, by_tls = UnixConnection(path), tls_connection(ports[0], context)
        assert ask(by_path, "PUT", "/v1/kv/a", b"v") == (200, b"true")
        assert ask(by_tls, "GET", "/v1/kv/a?raw") == (200, b"v")
        assert call(ports[1], "GET", "/v1/kv/a?raw").body == b"v"
        leader = f'"{LOOPBACK}:{ports[0]}"\n'.encode()
        assert ask(by_path, "GET", "/v1/status/leader")[1].strip() == leader.strip()
        by_path.close()
        by_tls.close()

    await asyncio.to_thread(talk)
    await server.stop()
    assert not path.exists()


async def test_a_unix_socket_alone(start: Start, tmp_path: Path) -> None:
    """Such a server has no port to tell."""
    path = tmp_path / "kvstore.sock"
    server = await start(listen=[UnixAddress(path)])
    assert (server.server.host, server.port) == (LOOPBACK, 0)

    def talk() -> None:
        connection = UnixConnection(path)
        assert ask(connection, "GET", "/v1/kv/?keys") == (200, b"[]")
        connection.close()

    await asyncio.to_thread(talk)


async def parked(server: InProcess, count: int, context: ssl.SSLContext) -> None:
    """Wait until so many queries are parked."""
    connection = tls_connection(server.port, context)

    def look() -> None:
        text = f'"parked_queries":"{count}"'.encode()
        while text not in ask(connection, "GET", "/v1/agent/self")[1].replace(b" ", b""):
            pass
        connection.close()

    await asyncio.to_thread(look)


async def test_a_reload_while_a_query_is_parked(
    secured: InProcess,
    authority: Authority,
    context: ssl.SSLContext,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The query goes on under the old files; new connections need what the new ones say."""
    waiting = tls_connection(secured.port, context)
    assert await asyncio.to_thread(ask, waiting, "PUT", "/v1/kv/a", b"1") == (200, b"true")
    (entry,) = json.loads((await asyncio.to_thread(ask, waiting, "GET", "/v1/kv/a"))[1])
    waiting.request("GET", f"/v1/kv/a?raw&index={entry['ModifyIndex']}")
    await parked(secured, 1, context)
    renewed = Authority(tmp_path)  # writes over the old CA
    renewed.server()
    with caplog.at_level(logging.INFO):
        secured.server.reload()
    assert "the certificate was read again" in caplog.text

    def write() -> None:
        old = tls_connection(secured.port, context)
        with pytest.raises(ssl.SSLCertVerificationError):
            old.connect()
        new = tls_connection(secured.port, renewed.client_context(renewed.issue("client")))
        assert ask(new, "PUT", "/v1/kv/a", b"2") == (200, b"true")
        new.close()
        response = waiting.getresponse()
        assert (response.status, response.read()) == (200, b"2")
        assert ask(waiting, "GET", "/v1/kv/a?raw") == (200, b"2")
        waiting.close()

    await asyncio.to_thread(write)


async def test_a_bad_reload(
    secured: InProcess,
    files: TlsFiles,
    context: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Is logged with the reason, and all goes on as before."""
    files.key.write_text("garbage")
    secured.server.reload()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.message.startswith(f"{files.key}: has none; expected a private key in PEM")
    assert record.message.endswith("; what was read before stays in force")
    connection = tls_connection(secured.port, context)
    assert (await asyncio.to_thread(ask, connection, "GET", "/"))[0] == 200
    connection.close()


async def test_a_reload_without_anything(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Is no error."""
    server = await start()
    with caplog.at_level(logging.INFO):
        server.server.reload()
    assert "there is nothing to read again" in caplog.text


async def test_stopping_answers_parked_queries(secured: InProcess, context: ssl.SSLContext) -> None:
    """Over TLS, too: the answer comes, and then the end, said by TLS."""
    connection = tls_connection(secured.port, context)
    assert await asyncio.to_thread(ask, connection, "PUT", "/v1/kv/a", b"v") == (200, b"true")
    connection.request("GET", "/v1/kv/a?raw&index=99999")
    await parked(secured, 1, context)
    await secured.stop()

    def finish() -> None:
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"v")
        assert response.headers["Connection"] == "close"

    await asyncio.to_thread(finish)
    connection.close()


async def test_stopping_does_not_wait(secured: InProcess, context: ssl.SSLContext) -> None:
    """Neither for idle connections nor for handshakes that do not go on."""
    idle = tls_connection(secured.port, context)
    assert (await asyncio.to_thread(ask, idle, "GET", "/"))[0] == 200
    with socket.create_connection((LOOPBACK, secured.port)) as unfinished:
        unfinished.sendall(b"\x16\x03\x01")
        async with asyncio.timeout(5):
            await secured.stop()
        assert await asyncio.to_thread(read_to_end, unfinished) == b""
    idle.close()


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side ends it, in whichever way."""
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


async def test_a_client_that_closes_its_sending_side(
    secured: InProcess, context: ssl.SSLContext
) -> None:
    """Is answered as on a plain connection, and leaves nothing behind."""

    def talk() -> bytes:
        with (
            socket.create_connection((LOOPBACK, secured.port), timeout=WITHIN_S) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK, suppress_ragged_eofs=False) as tls,
        ):
            tls.sendall(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nv")
            # Only the sending side of TCP: the answer is still read, through TLS.
            socket.socket.shutdown(tls, socket.SHUT_WR)
            received = b""
            while piece := tls.recv():
                received += piece
            return received

    answer = await asyncio.to_thread(talk)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"true")


async def test_a_client_that_leaves_a_parked_query(
    secured: InProcess, context: ssl.SSLContext
) -> None:
    """Leaves nothing behind, whether it says the end or not."""
    for how in ("say", "cut"):
        leaving = tls_connection(secured.port, context)
        await asyncio.to_thread(leaving.request, "GET", f"/v1/kv/{how}?index=99999")
        await parked(secured, 1, context)
        assert isinstance(leaving.sock, ssl.SSLSocket)
        if how == "say":
            await asyncio.to_thread(leaving.sock.unwrap)
        leaving.close()
        await parked(secured, 0, context)


async def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """The server does not start, and touches no data folder."""
    listeners = open_listeners([TcpAddress(LOOPBACK, 0, tls=True)])
    tls = TlsFiles(tmp_path / "nope.pem", tmp_path / "nope-key.pem")
    server = Server(Settings(tmp_path / "data", node="n1", tls=tls), listeners)
    with pytest.raises(TlsUnusable):
        await server.start()
    assert listeners[0].socket.fileno() == -1
    assert not (tmp_path / "data").exists()


async def test_an_expired_certificate_serves(
    start: Start, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients that were told not to look can still be served; the log warns."""
    old: Issued = authority.server(begins=-2 * DAY, ends=-DAY)
    server = await start(
        listen=[TcpAddress(LOOPBACK, 0, tls=True)], tls=TlsFiles(old.certificate, old.key)
    )
    assert "a certificate has expired on" in caplog.text
    careless = ssl.create_default_context()
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    connection = tls_connection(server.port, careless)
    assert (await asyncio.to_thread(ask, connection, "GET", "/"))[0] == 200
    connection.close()

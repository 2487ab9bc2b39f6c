"""`kvstore health`: where it asks, what it says, and what it returns."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import Authority
from click.testing import CliRunner
from running import Launch

from kvstore.cli import main
from kvstore.cli.health import own_address
from kvstore.errors import CallFailed

HEALTHY, UNHEALTHY = 0, 1
SETTINGS = ("URL", "CONFIG", "HOST", "PORT", "LISTEN", "CACERT", "CLIENT_CERT", "CLIENT_KEY")


def health(*flags: str, **settings: str | int | Path) -> tuple[int, str]:
    """Run the command with these settings alone; return its exit code and all it prints."""
    environment: dict[str, str | None] = {f"KVSTORE_{name}": None for name in SETTINGS}
    environment |= {f"KVSTORE_{name.upper()}": str(value) for name, value in settings.items()}
    result = CliRunner().invoke(main, ["health", *flags], env=environment)
    return result.exit_code, result.output


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Give the port of a server that answers one request so, and leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_server_that_leads(launch: Launch) -> None:
    """Asked by its port, as in a container, or by its address."""
    port = launch("--dev").wait_until_ready().port
    assert health(port=port) == (HEALTHY, f"healthy: the leader is 127.0.0.1:{port}\n")
    assert health(host="0.0.0.0", port=port)[0] == HEALTHY
    assert health(listen=f"http://0.0.0.0:{port}", port=1)[0] == HEALTHY
    assert health("--url", f"localhost:{port}", port=1)[0] == HEALTHY
    assert health(url=f"http://127.0.0.1:{port}", port=1)[0] == HEALTHY


def test_nobody_there() -> None:
    """One sentence with the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    said = f"kvstore: http://127.0.0.1:{port} does not answer: Connection refused\n"
    assert health(port=port) == (UNHEALTHY, said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n""', "has no leader"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "has no leader"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nfull\n", "answered 503: full"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>", "does not answer: Expecting value"),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer: SSH-2.0"),
        (b"", "does not answer: Remote end closed connection"),
    ],
)
def test_what_is_no_leader(answer: bytes, said: str) -> None:
    """Whatever answers there, it is a sentence and not a traceback."""
    with answering(answer) as port:
        code, output = health(port=port)
    assert code == UNHEALTHY
    assert output.startswith(f"kvstore: http://127.0.0.1:{port} {said}")


def test_a_unix_socket(launch: Launch, tmp_path: Path) -> None:
    """By its file, also when that has to be quoted."""
    listen = f"unix://{tmp_path}/a%20b"
    launch("--dev", "--listen", listen).wait_until_printed("unix socket")
    assert health(listen=listen)[0] == HEALTHY
    assert health("--url", listen)[0] == HEALTHY


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give a CA that has issued a certificate for a host of another name."""
    authority = Authority(tmp_path)
    authority.issue("server", "keystore.example")
    return authority


def secured(authority: Authority, launch: Launch, *flags: str) -> int:
    """Run a server with that certificate, and return its port."""
    files = [f"--tls-cert-file={authority.folder}/server.pem"]
    files += [f"--tls-key-file={authority.folder}/server-key.pem"]
    process = launch("--dev", "--listen", "https://127.0.0.1:0", *files, *flags)
    return process.wait_until_ready().port_of("https")


def test_tls(authority: Authority, launch: Launch) -> None:
    """This machine's own certificate is not looked at; one of a named server is."""
    port = secured(authority, launch)
    assert health(listen=f"https://0.0.0.0:{port}")[0] == HEALTHY
    code, output = health("--url", f"https://127.0.0.1:{port}", cacert=authority.file)
    assert code == UNHEALTHY
    assert "IP address mismatch" in output


def test_a_client_certificate(authority: Authority, launch: Launch) -> None:
    """Without one the sentence says how to do without; with one it is used."""
    port = secured(authority, launch, f"--tls-client-ca-file={authority.file}")
    listen = f"https://127.0.0.1:{port}"
    code, output = health(listen=listen)
    assert code == UNHEALTHY
    assert "add a listener for this machine alone" in output
    client = authority.issue("client")
    assert health(listen=listen, client_cert=client.certificate, client_key=client.key)[0] == 0


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://127.0.0.1:8500"),
        ({"KVSTORE_HOST": "0.0.0.0", "KVSTORE_PORT": "80"}, "http://127.0.0.1:80"),
        ({"KVSTORE_HOST": "::"}, "http://[::1]:8500"),
        ({"KVSTORE_HOST": "kv.example"}, "http://kv.example:8500"),
        ({"KVSTORE_LISTEN": "https://[::]:1", "KVSTORE_PORT": "2"}, "https://[::1]:1"),
        ({"KVSTORE_LISTEN": "https://h:1 http://h:2"}, "http://h:2"),
        ({"KVSTORE_LISTEN": "https://h:1 http://h:2 unix:///s?mode=0600"}, "unix:///s"),
    ],
)
def test_where_it_asks(environ: Mapping[str, str], address: str) -> None:
    """What the server's own settings say, as this machine reaches it; the easiest of several."""
    assert str(own_address(environ)) == address


@pytest.mark.parametrize(
    ("lines", "environ", "address"),
    [
        ('host = "0.0.0.0"\nport = 1', {}, "http://127.0.0.1:1"),
        ("port = 1", {"KVSTORE_HOST": "h"}, "http://h:1"),
        ("port = 1", {"KVSTORE_PORT": "2"}, "http://127.0.0.1:2"),
        ('host = "h"', {"KVSTORE_LISTEN": "http://k:2"}, "http://k:2"),
        ('listen = ["http://h:1"]', {}, "http://h:1"),
        ('listen = ["http://h:1"]', {"KVSTORE_PORT": "2"}, "http://127.0.0.1:2"),
        ('listen = ["http://h:1"]', {"KVSTORE_LISTEN": "http://k:2"}, "http://k:2"),
    ],
)
def test_a_file_of_settings(
    tmp_path: Path, lines: str, environ: dict[str, str], address: str
) -> None:
    """It counts as for the server: less than the environment."""
    file = tmp_path / "kvstore.toml"
    file.write_text(lines, encoding="utf-8")
    assert str(own_address({"KVSTORE_CONFIG": str(file), **environ})) == address


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"KVSTORE_LISTEN": "8500"}, "where to listen are wrong: '8500' is nothing to listen on"),
        ({"KVSTORE_PORT": "http"}, "where to listen are wrong: invalid literal"),
        ({"KVSTORE_CONFIG": "/no/such"}, r"cannot read /no/such \(KVSTORE_CONFIG\)"),
    ],
)
def test_settings_that_are_wrong(environ: Mapping[str, str], said: str) -> None:
    """They are named."""
    with pytest.raises(CallFailed, match=said):
        own_address(environ)


def test_nothing_slow_is_loaded() -> None:
    """It runs every few seconds: neither aiohttp nor the server comes with it."""
    loaded = "import sys, kvstore.cli.health; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert not {"aiohttp", "asyncio", "rich", "kvstore.server"} & set(done.stdout.split())

"""Addresses of stores, and talking to one over a unix socket and TLS."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from conformance.suite.address import Address, AddressInvalid
from conformance.suite.store import Store
from conformance.suite.wire import NotAnswered

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:1", "http://h:1"),
        ("http://h/", "http://h:8500"),
        ("https://h", "https://h:8501"),
        ("http://[::1]:8500", "http://[::1]:8500"),
        ("unix:///run/kv.sock", "unix:///run/kv.sock"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    """A URL is read, ports have Consul's defaults, and the address shows as one."""
    assert str(Address.parse(url)) == shown
    assert Store(Address.parse(url)).url == shown


@pytest.mark.parametrize(
    "url", ["", "h:8500", "ftp://h:1", "http://:1", "http://h:x", "http://h:1/v1", "unix://h/x"]
)
def test_what_is_no_address(url: str) -> None:
    """The text says what to write."""
    with pytest.raises(AddressInvalid, match="is no address of a store: write http://HOST:PORT"):
        Address.parse(url)


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    """The file is named."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(AddressInvalid, match=r"cannot use .*ca\.pem"):
        Address.parse("https://h", ca_file=file)


def test_a_unix_socket(tmp_path: Path) -> None:
    """A store behind a file is asked like any other."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(ANSWER)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert Store(Address.parse(f"unix://{path}")).ask("GET", "/").body == b"true"
        thread.join(10)


def test_tls(tmp_path: Path) -> None:
    """With the CA the server is trusted, silence and answers are told apart as without TLS."""
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    go_on = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1000)
                go_on.wait(10)
                secured.sendall(ANSWER)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        address = Address.parse(f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem")
        with Store(address).park("/v1/kv/k?index=1") as query:
            with pytest.raises(NotAnswered):
                query.answer(within_s=0.01)
            go_on.set()
            assert query.answer().body == b"true"
        thread.join(10)

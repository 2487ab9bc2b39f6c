"""The proxy: it passes everything on, remembers it, and breaks what it is told to."""

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.overlay.proxy import Exchange, Fault, Proxy
from conformance.overlay.relay import dial

ENTRY = json.dumps([{"Key": "k", "ModifyIndex": 42}]).encode()


class Store(BaseHTTPRequestHandler):
    """Answers GET with one entry (gzip, or chunked), and PUT with the length of its body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with index 42."""
        self.send_response(200)
        self.send_header("X-Consul-Index", "42")
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = len(ENTRY) // 2
            for chunk in (ENTRY[:half], ENTRY[half:], b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            return
        body = gzip.compress(ENTRY)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        """Answer with what came in."""
        length = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(str(length))))
        self.end_headers()
        self.wfile.write(str(length).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Run a proxy on a free port of loopback, before a store that is always the same."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        serve = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serve.start()
        listener = socket.create_server(("127.0.0.1", 0))
        with Proxy(listener, dial("127.0.0.1", server.server_port)) as made:
            yield made
        server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    """One connection through the proxy."""
    host, port = proxy.listener.getsockname()
    connection = http.client.HTTPConnection(host, port, timeout=5)
    yield connection
    connection.close()


def ask(client: http.client.HTTPConnection) -> int:
    """Read a key and return the status."""
    client.request("GET", "/v1/kv/k")
    answer = client.getresponse()
    answer.read()
    return answer.status


@pytest.mark.parametrize("target", ["/v1/kv/k", "/v1/kv/k?chunked"])
def test_reads_pass_unchanged(
    proxy: Proxy, client: http.client.HTTPConnection, target: str
) -> None:
    """Body and headers arrive as sent, and the record knows both indexes."""
    client.request("GET", target)
    answer = client.getresponse()
    body = answer.read()

    assert (gzip.decompress(body) if answer.getheader("Content-Encoding") else body) == ENTRY
    (seen,) = proxy.since(0)
    assert (seen.method, seen.target, seen.status) == ("GET", target, 200)
    assert (seen.index, seen.modify_index) == ("42", 42)


def test_one_connection_stays_one(proxy: Proxy, client: http.client.HTTPConnection) -> None:
    """Requests of one connection are counted on it, bodies included."""
    for size in (0, 70_000):
        client.request("PUT", "/v1/kv/k", body=bytes(size))
        assert client.getresponse().read() == str(size).encode()

    assert proxy.connections == 1
    assert [one.method for one in proxy.exchanges] == ["PUT", "PUT"]


def test_a_fault_refuses_rewrites_and_hides(
    proxy: Proxy, client: http.client.HTTPConnection
) -> None:
    """Each of the three ways to break an exchange does just that."""

    class Broken(Fault):
        def refuse(self, exchange: Exchange) -> int | None:
            return 500 if "refuse" in exchange.target else None

        def index(self, exchange: Exchange, value: str) -> str | None:
            return None if "hide" in exchange.target else f"{value}0"

    proxy.fault = Broken()
    seen = []
    for target in ("/v1/kv/refuse", "/v1/kv/hide", "/v1/kv/foreign"):
        client.request("GET", target)
        answer = client.getresponse()
        answer.read()
        seen.append((answer.status, answer.getheader("X-Consul-Index")))

    assert seen == [(500, None), (200, None), (200, "420")]


def test_break_connections_resets_them(proxy: Proxy, client: http.client.HTTPConnection) -> None:
    """A connection that was reset can be made again."""
    assert ask(client) == 200
    assert proxy.break_connections() == 1
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(client)
    client.close()
    assert ask(client) == 200

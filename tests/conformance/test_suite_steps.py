"""Steps of scripts against a small server: exchanges, headers, waiting, bytes, sessions."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from conformance.suite.address import Address
from conformance.suite.case import Ground
from conformance.suite.expectation import Failed
from conformance.suite.script.parser import parse
from conformance.suite.store import Store

SESSION = "01234567-89ab-cdef-0123-456789abcdef"
ANSWERS = {
    "/ok": b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nVary: a\r\nContent-Length: 4\r\n\r\ntrue",
    "/none": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "/v1/session/create": b'HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n{"ID":"%s"}'
    % SESSION.encode(),
    "/end": b"",
}


class Small:
    """Answers by target, never answers `/quiet`, and keeps the heads of all requests."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                buffer += data
                while b"\r\n\r\n" in buffer:
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    self.heads.append(head.decode())
                    target = head.split(b" ")[1].decode()
                    if target == "/end":
                        return
                    connection.sendall(ANSWERS.get(target, ANSWERS["/none"] * (target != "/quiet")))


@pytest.fixture
def small() -> Iterator[Small]:
    """Run the server."""
    server = Small()
    yield server
    server.close()


def play(small: Small, *lines: str, token: str | None = None) -> Store:
    """Play these lines as a case; return the store as the case left it."""
    text = "\n".join(["# Title", "## H1 A case", *lines])
    (case,) = parse("x.txt", text, chapter="x").cases
    store = Store(Address.loopback(small.port), token=token)
    case.run(store, Ground(store, "run/", timeout_s=5.0))
    return store


def test_an_exchange(small: Small) -> None:
    """Status, headers and body are as written; names are bound and used."""
    play(
        small,
        *("> GET /ok", "< 200 true", "< X-Consul-Index: $i1", "< no ETag", "where $i1 = 7"),
        *("> GET /ok", "< ...", "let $i2 be the index of /ok", "where $i2 = $i1"),
    )


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (["< 404 true"], "status 200 instead of 404"),
        (["< 200 false"], "the body: “true” instead of “false”"),
        (["< 200"], "the body: “true” instead of nothing"),
        (["< 200 true", "< Vary: b"], "header Vary: “a” instead of “b”"),
        (["< 200 true", "< vary: a"], "header vary: missing, instead of “a”"),
        (["< 200 true", "< no Vary"], "header Vary, which must not be there"),
        (["< 200 true", "< Vary: a", "< no other headers"], "header X-Consul-Index, which must"),
    ],
)
def test_what_differs_is_told(small: Small, expected: list[str], difference: str) -> None:
    """A failure has the request, what was expected, what came, and where it stands."""
    with pytest.raises(Failed) as caught:
        play(small, "> GET /ok", *expected)
    assert caught.value.where == "x.txt:4"
    assert caught.value.asked == "GET /ok"
    assert difference in caught.value.differs


def test_connections_with_names(small: Small) -> None:
    """Requests are sent ahead; silence and the end of a connection can be expected."""
    play(
        small,
        *("c> GET /ok", "c> GET /none", "c< 200 true", "c< 404"),
        *("q> GET /quiet", "q waits 0.05 s", "e> GET /end", "e closes"),
    )
    with pytest.raises(Failed, match="the query waits"):
        play(small, "q> GET /ok", "q waits")
    with pytest.raises(Failed, match="closed by the store"):
        play(small, "q> GET /ok", "q closes")
    with pytest.raises(Failed, match="expected 3 s or more"):
        play(small, "q> GET /ok", "q answers after 3 s within 4 s", "q< 200 true")
    with pytest.raises(Failed, match="no answer in time"):
        play(small, "q> GET /quiet", "q answers within 0.05 s", "q< 200 true")


def test_eventually(small: Small) -> None:
    """A request is sent again until its time is up; an early answer can be wrong too."""
    with pytest.raises(Failed, match=r"eventually, within 0\.1 s"):
        play(small, "eventually within 0.1 s", "> GET /none", "< 200 true")
    assert len(small.heads) > 1
    with pytest.raises(Failed, match="too soon"):
        play(small, "the clock starts", "eventually after 9 s within 10 s", "> GET /ok", "< ...")


def test_headers_bodies_and_tokens(small: Small) -> None:
    """A request has the script's headers, one length, and the token unless it says another."""
    play(
        small,
        *("> PUT /a", "> X-One: $p", ">", "> two", ">   lines", "< 404"),
        *("> PUT /b body", "> Content-Length: 4", "> X-Consul-Token:", "< 404"),
        *("c! GET /c HTTP/1.1\\r\\n$auth\\r\\n", "c< 404"),
        token="secret",
    )
    first, second, third = small.heads
    assert "X-One: run/1\r\n" in first
    assert "X-Consul-Token: secret" in first
    assert "Content-Length: 8" in first
    assert second.count("Content-Length") == 1
    assert second.endswith("X-Consul-Token: ")
    assert third == "GET /c HTTP/1.1\r\nX-Consul-Token: secret"


def test_sessions_are_remembered(small: Small) -> None:
    """Every session that a script makes is destroyed at the end of the ground."""
    lines = ["> PUT /v1/session/create", '< 200 {"ID":"$s1"}']
    store = play(small, *lines)
    assert store.sessions == [SESSION]
    with Ground(store, "run/"):
        pass
    assert f"PUT /v1/session/destroy/{SESSION} HTTP/1.1" in small.heads[-3]
    assert "DELETE /v1/kv/run/?recurse HTTP/1.1" in small.heads[-2]

"""Which bytes are an ordinary request, and what is read out of them."""

import tracemalloc

import pytest

from kvstore.api.ordinary import Ordinary, Recogniser

GO = ("Host: h:8500", "User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
CURL = ("Host: h:8500", "User-Agent: curl/7.88.1", "Accept: */*")
PYTHON = ("Host: h", "User-Agent: python-requests/2.31.0", "Connection: keep-alive")
ENGINE = ("Host: 10.0.0.5:8500", "User-Agent: Go-http-client/1.1", "X-Consul-Token: s3cret")


def raw(line: str, *lines: str, body: bytes = b"") -> bytes:
    """Return a request; without header lines it has a Host."""
    head = "\r\n".join([line, *(lines or ("Host: h",)), "", ""])
    return head.encode("latin-1") + body


def get(*lines: str, body: bytes = b"") -> bytes:
    """Return a read with these header lines."""
    return raw("GET /v1/kv/a HTTP/1.1", *lines, body=body)


def put(*lines: str, body: bytes = b"hello") -> bytes:
    """Return a write with these header lines besides its Host."""
    return raw("PUT /v1/kv/a HTTP/1.1", "Host: h", *lines, body=body)


ORDINARY = {
    "a read of Go's": get(*GO),
    "a read of curl's": get(*CURL),
    "a read of Python's": get(*PYTHON),
    "an engine's": get(*ENGINE),
    "a write": put("Content-Length: 5"),
    "an empty write": put("Content-Length: 0", body=b""),
    "a write without a length": put(body=b""),
    "a health check": raw("GET /v1/status/leader HTTP/1.1", "Host: h", "Accept-Encoding: identity"),
    "a delete": raw("DELETE /v1/kv/a?recurse HTTP/1.1"),
    "a session": raw("PUT /v1/session/create HTTP/1.1"),
    "a transaction": raw("PUT /v1/txn HTTP/1.1", "Host: h", "Content-Length: 2", body=b"[]"),
    "escapes": raw("GET /v1/kv/%C3%A9%20?separator=%2F HTTP/1.1"),
    "dots and slashes": raw("GET /v1/kv//a/../b HTTP/1.1"),
    "every letter of a target": raw("GET /v1/kv/Az09!$%&'()*+,-./:;=?@_~ HTTP/1.1"),
    "a host in brackets": get("Host: [::1]:8500"),
    "a header without a space": get("Host:h"),
    "an empty header": get("Host: h", "X-Consul-Token:"),
    "a header in other letters": get("HOST: h", "accept-ENCODING: GZIP"),
    "keep-alive in other letters": get("Host: h", "Connection: Keep-Alive"),
    "a read of no length": get("Host: h", "Content-Length: 0"),
    "a body that looks like a request": put("Content-Length: 9", body=b"GET /\r\n\r\n"),
    "a body of line ends": put("Content-Length: 4", body=b"\r\n\r\n"),
    "as many headers as clients have": get("Host: h", *(f"X-{n}: {n}" for n in range(31))),
}

OTHERS = {
    "nothing": b"",
    "a method": raw("POST /v1/kv/a HTTP/1.1"),
    "a method in other letters": raw("get /v1/kv/a HTTP/1.1"),
    "a read of the head only": raw("HEAD /v1/kv/a HTTP/1.1"),
    "another route": raw("GET /v1/agent/self HTTP/1.1"),
    "a snapshot": raw("GET /v1/snapshot HTTP/1.1"),
    "a whole address": raw("GET http://h/v1/kv/a HTTP/1.1"),
    "the old protocol": raw("GET /v1/kv/a HTTP/1.0"),
    "a newer one": raw("GET /v1/kv/a HTTP/1.2"),
    "two spaces": raw("GET  /v1/kv/a HTTP/1.1"),
    "a space behind the version": raw("GET /v1/kv/a HTTP/1.1 "),
    "a space in the target": raw("GET /v1/kv/a b HTTP/1.1"),
    "bytes that are not escaped": raw("GET /v1/kv/\xe9 HTTP/1.1"),
    "a quote in the target": raw('GET /v1/kv/a" HTTP/1.1'),
    "a fragment": raw("GET /v1/kv/a#b HTTP/1.1"),
    "a nul in the target": raw("GET /v1/kv/a\0 HTTP/1.1"),
    "a line end before the request": b"\r\n" + get(),
    "line feeds": get().replace(b"\r\n", b"\n"),
    "a line feed within": get("Host: h\nX: y"),
    "a carriage return within": get("Host: h", "X: a\rb"),
    "no host": get("X: y"),
    "no headers": b"GET /v1/kv/a HTTP/1.1\r\n\r\n",
    "an empty host": get("Host:"),
    "a host that is none": get("Host: a/b"),
    "two hosts": get("Host: h", "host: h"),
    "a header twice": get("Host: h", "Accept: a", "ACCEPT: b"),
    "a folded header": get("Host: h", "X: a", " b"),
    "a space before the colon": get("Host: h", "X : a"),
    "a space behind a value": get("Host: h", "X: a "),
    "two spaces before a value": get("Host: h", "X:  a"),
    "a tab before a value": get("Host: h", "X:\ta"),
    "a tab in a value": get("Host: h", "X: a\tb"),
    "a value that is not ASCII": get("Host: h", "X: \xe9"),
    "a control character": get("Host: h", "X: a\x7f"),
    "a name of other letters": get("Host: h", "X_Y: a"),
    "a header without a name": get("Host: h", ": a"),
    "a header without a colon": get("Host: h", "X"),
    "the end of the connection": get("Host: h", "Connection: close"),
    "several connections": get("Host: h", "Connection: keep-alive, TE"),
    "no connection": get("Host: h", "Connection:"),
    "the end by a proxy's name": get("Host: h", "Proxy-Connection: close"),
    "another protocol": get("Host: h", "Upgrade: h2c"),
    "an expectation": put("Content-Length: 5", "Expect: 100-continue"),
    "chunks": put("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "trailers": put("Content-Length: 5", "Trailer: X"),
    "codings of a transfer": get("Host: h", "TE: trailers"),
    "a body that is not whole": put("Content-Length: 6"),
    "more than the body": put("Content-Length: 4"),
    "a body without a length": put(),
    "a body of a read": get("Host: h", "Content-Length: 5", body=b"hello"),
    "a body of a delete": raw(
        "DELETE /v1/kv/a HTTP/1.1", "Host: h", "Content-Length: 1", body=b"x"
    ),
    "an empty length": put("Content-Length:", body=b""),
    "a length with a plus": put("Content-Length: +5"),
    "a length with a zero": put("Content-Length: 05"),
    "a hexadecimal length": put("Content-Length: 0x5"),
    "a negative length": put("Content-Length: -5"),
    "two lengths in one": put("Content-Length: 5, 5"),
    "two lengths": put("Content-Length: 5", "Content-Length: 5"),
    "a huge length": put("Content-Length: 99999999999999999999"),
    "a request behind it": get() + get(),
    "a line end behind it": get() + b"\r\n",
    "a long header": get("Host: h", "X: " + "x" * 2048),
    "many headers": get("Host: h", *(f"X-{n}: {n}" for n in range(32))),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_requests(kind: str) -> None:
    """What clients of the KV API send is recognised, and again when it has been seen before."""
    recogniser = Recogniser()
    first, again = (recogniser.recognise(ORDINARY[kind]) for _ in range(2))
    assert first is not None
    assert again == first


@pytest.mark.parametrize("kind", OTHERS)
def test_other_requests(kind: str) -> None:
    """What is anything else is not, and not when it has been seen before either."""
    recogniser = Recogniser()
    assert [recogniser.recognise(OTHERS[kind]) for _ in range(2)] == [None, None]
    assert recogniser.recognise(get(*GO)) is not None


@pytest.mark.parametrize("kind", ORDINARY)
def test_requests_that_are_not_whole(kind: str) -> None:
    """No beginning of a request is one, unless its end says nothing: a body has a length."""
    data = ORDINARY[kind]
    recogniser = Recogniser()
    assert recogniser.recognise(data) is not None
    for size in range(len(data)):
        assert recogniser.recognise(data[:size]) is None


def test_what_is_read() -> None:
    """Method, target and body as they were sent; headers in any letter case."""
    lines = ("Host: h", "Content-Length: 3", "x-consul-TOKEN: s")
    data = raw("PUT /v1/kv/a%20b//?cas=1&x HTTP/1.1", *lines, body=b"\0\r\n")
    request = Recogniser().recognise(data)
    assert request is not None
    assert (request.method, request.target) == ("PUT", "/v1/kv/a%20b//?cas=1&x")
    assert request.body == b"\0\r\n"
    assert request.headers["X-Consul-Token"] == "s"
    assert not request.accepts_gzip


CONCERNS = ["x-consul-token", "authorization", "x-consul-namespace", "cache-control", "referer"]


@pytest.mark.parametrize("name", CONCERNS)
def test_headers_that_endpoints_look_at_are_there(name: str) -> None:
    """Beside those that are about the message only, which alone are none."""
    plain = ("Host: h", "User-Agent: a", "Accept-Encoding: gzip", "Connection: keep-alive")
    without, with_it = (
        Recogniser().recognise(get(*plain, *more)) for more in ((), (f"{name}: v",))
    )
    assert without is not None
    assert with_it is not None
    assert without.headers.get(name.title()) is None
    assert with_it.headers.get(name.title()) == "v"


@pytest.mark.parametrize(
    ("line", "accepts"),
    [
        ("Accept-Encoding: gzip", True),
        ("accept-encoding: deflate, GZIP;q=0.5", True),
        ("Accept-Encoding: gzip;q=0", False),
        ("Accept-Encoding: br", False),
        ("Accept-Encoding:", False),
        ("X: gzip", False),
    ],
)
def test_who_takes_packed_answers(line: str, accepts: bool) -> None:  # noqa: FBT001 - a parameter
    """Who says so."""
    request = Recogniser().recognise(get("Host: h", line))
    assert request is not None
    assert request.accepts_gzip is accepts


def test_requests_with_the_same_headers() -> None:
    """What is remembered are the header lines: method, target and body are each request's own."""
    recogniser = Recogniser()
    for method, target, body in (("PUT", "a", b"one"), ("PUT", "b", b"two"), ("PUT", "a", b"one")):
        data = raw(f"{method} /v1/kv/{target} HTTP/1.1", "Host: h", "Content-Length: 3", body=body)
        request = recogniser.recognise(data)
        assert isinstance(request, Ordinary)
        assert (request.target, request.body) == (f"/v1/kv/{target}", body)
    assert (
        recogniser.recognise(raw("GET /v1/kv/a HTTP/1.1", "Host: h", "Content-Length: 3")) is None
    )


@pytest.mark.parametrize("remembered_max", [1, 2, 1024])
def test_what_is_remembered_changes_no_answer(remembered_max: int) -> None:
    """However little is remembered, and whatever came before."""
    recogniser = Recogniser(remembered_max)
    requests = [*ORDINARY.values(), *OTHERS.values()]
    expected = [Recogniser().recognise(data) for data in requests]
    for _ in range(3):
        assert [recogniser.recognise(data) for data in requests] == expected


def test_what_is_remembered_is_bounded() -> None:
    """Header lines without end, ordinary ones and others, take no memory without end."""
    recogniser = Recogniser(100)

    def send(count: int) -> None:
        for n in range(count):
            assert recogniser.recognise(get("Host: h", f"X: {n}{'x' * 1900}")) is not None
            assert recogniser.recognise(get("Host: h", f"X: \xe9{n}{'x' * 1900}")) is None

    send(500)
    tracemalloc.start()
    try:
        before_bytes, _ = tracemalloc.get_traced_memory()
        send(5000)
        after_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_bytes - before_bytes < 100 * 10_000

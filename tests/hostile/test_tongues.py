"""Clients that speak something else, or HTTP in odd ways: clear answers, and no second reading."""

import pytest
from api.wire import Received, Served, encode

from kvstore.api.kv import VALUE_BYTES_MAX

SOUND = encode("PUT", "/v1/kv/smuggled", b"v")
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(500)


async def only_answer(served: Served, data: bytes) -> Received:
    """Send something with a write behind it; return the one answer, after which all ends."""
    client = await served.connect()
    await client.send(data + SOUND)
    answer = await client.read()
    assert await client.rest() == b""
    assert served.calls.engine.state.get(b"smuggled").value is None
    return answer


async def test_tls_on_the_plain_port(served: Served) -> None:
    """The answer says what was wrong; whoever has curl at hand sees it."""
    answer = await only_answer(served, CLIENT_HELLO)
    assert answer.status == 400
    assert answer.body == b"400 Bad Request: this port speaks plain HTTP, and that was TLS"


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        encode("PRI", "/v1/kv/a"),
        encode("GET", "/v1/kv/a", version="2.0"),
        encode("GET", "/v1/kv/a", version="0.9"),
        encode("GET", "/v1/kv/a", version="1.2"),
        b"GET /v1/kv/a\r\n\r\n",
        b"GET /v1/kv/a\r\n",
        b"HELO mail\r\n",
        b"\x00" * 20,
        b"\xff" * 20,
        b"*1\r\n$4\r\nPING\r\n",
        encode("GET", "h:80"),
        encode("GET", "mailto:x"),
        encode("GET", "*"),
        encode("GET", "http://h:port/v1/kv/a"),
        encode("GET", "http://[::1/v1/kv/a"),
        encode("CONNECT", "h:80"),
        encode("GET", "/", None, "Sec-WebSocket-Key1: x"),
    ],
)
async def test_what_is_not_our_http(served: Served, data: bytes) -> None:
    """A 400 and the end."""
    answer = await only_answer(served, data)
    assert (answer.status, answer.body) == (400, b"400 Bad Request")


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"),
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    ],
    ids=["websocket", "h2c"],
)
@pytest.mark.parametrize("body", [None, b"v", b"v" * 100_000], ids=["none", "small", "large"])
async def test_upgrades(served: Served, lines: tuple[str, ...], body: bytes | None) -> None:
    """They are not taken up: the request is answered, and what follows is not ours to read."""
    answer = await only_answer(served, encode("PUT", "/v1/kv/a", body, *lines))
    assert (answer.status, answer.body, answer.closes) == (200, b"true", True)
    entry = served.calls.engine.state.get(b"a").value
    assert entry is not None
    assert entry.value == (body or b"")


async def test_connect(served: Served) -> None:
    """Of a key it is a method that is not allowed (H9), and the end all the same."""
    answer = await only_answer(served, encode("CONNECT", "/v1/kv/a"))
    assert (answer.status, answer.closes) == (405, True)


@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
async def test_absolute_targets(served: Served, scheme: str) -> None:
    """Scheme and host are dropped (H9), whatever they are."""
    await served.calls.put("a")
    answer = await served.ask("GET", f"{scheme}://user:pw@other:1/v1/kv/a?raw")
    assert (answer.status, answer.body) == (200, b"v")


async def test_escapes_of_escapes(served: Served) -> None:
    """A target is decoded once: what comes out may look like an escape and is none."""
    client = await served.connect()
    key = "%" + "25" * 1000 + "41"
    assert (await client.ask("PUT", f"/v1/kv/{key}", b"v")).body == b"true"
    assert served.calls.engine.state.keys(b"").value == [b"%" + b"25" * 999 + b"41"]


@pytest.mark.parametrize("target", ["/v1/kv/" + "%41" * 300_000, "/v1/kv/a?x=" + "%2541" * 200_000])
async def test_a_megabyte_of_escapes(served: Served, target: str) -> None:
    """It is a target like another."""
    assert (await served.ask("GET", target)).status == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/kv/%ff%fe?raw", 404),
        ("/v1/kv/\xff\xfe?raw", 404),
        ("/v1/kv/%ed%a0%80?raw", 404),
        ("/v1/kv/%c0%af?raw", 404),
        ("/v1/kv/%00", 400),
        ("/v1/kv/%0d%0aX:%20y", 400),
        ("/v1/kv/a?index=%ff", 400),
        ("/v1/kv/a?dc=%ff%0d%0aX:y", 500),
        ("/v1/kv/a?%ff=%ff&raw", 404),
        ("/v1/kv//a?x=%0d%0aX:y", 301),
        ("/v1/session/info/%ff", 500),
        ("/v1/kv/a?wait=" + "1ns" * 300_000, 400),
        ("/v1/kv/a?index=" + "9" * 1_000_000, 400),
        ("/v1/kv/a?" + "a&" * 500_000, 500),
        ("/v1/kv/" + "../" * 300_000, 301),
        ("/v1/kv/" + "a/" * 500_000, 404),
        ("/v1/kv/a" + "/" * 1_000_000, 301),
    ],
)
async def test_odd_targets(served: Served, target: str, status: int) -> None:
    """Each has an answer of the contract, soon; none finds its way into a header."""
    answer = await served.ask("GET", target)
    assert answer.status == status
    assert "X" not in answer.headers


@pytest.mark.parametrize(
    "line",
    [
        "Accept-Encoding: gzip;q=nan",
        "Accept-Encoding: " + "gzip;q=0," * 100_000,
        "Accept-Encoding: gzip;" + "q=1;" * 200_000,
        "Cache-Control: " + "max-age=1," * 100_000,
        "Cache-Control: max-age=" + "9" * 1_000_000,
        "Referer: \xff\xfe//%zz",
        "Referer: http://h/v1/kv//a",
        "X-Consul-Token: \xff",
        "Authorization: Bearer " + "x" * 1_000_000,
        "Expect: 100-continue",
        "Connection: " + "close," * 100_000,
        "Range: bytes=-1",
        "Content-Encoding: \xff",
        "Content-Type: multipart/form-data",
        "Cookie: " + "a=b;" * 100_000,
    ],
    ids=lambda line: line[:30],
)
async def test_odd_headers(served: Served, line: str) -> None:
    """They change nothing about a read."""
    await served.calls.put("a", b"value")
    answer = await served.ask("GET", "/v1/kv/a?raw", None, line)
    assert (answer.status, answer.plain) == (200, b"value")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff" * 1000,
        b"[" * 500_000,
        b'{"Name":' * 60_000,
        b'{"TTL":' + b"9" * 500_000 + b"}",
        b'{"Name":"' + b"\\ud800" * 80_000 + b'"}',
        b'{"LockDelay":1e999999}',
        b'{"LockDelay":"' + b"1h" * 200_000 + b'"}',
        b'{"Checks":[' + b"null," * 100_000 + b"null]}",
        b"\x00",
        b" " * 500_000,
    ],
    ids=lambda body: str(body[:20]),
)
@pytest.mark.parametrize("target", ["/v1/session/create", "/v1/txn"])
async def test_odd_json(served: Served, target: str, body: bytes) -> None:
    """It is refused with a reason, or taken as Consul takes it."""
    answer = await served.ask("PUT", target, body)
    assert answer.status in {200, 400, 413, 500}
    assert answer.body
    assert b"internal error" not in answer.body


async def test_values_are_bytes(served: Served) -> None:
    """Nothing in a value means anything, at its largest either."""
    client = await served.connect()
    value = (b"0\r\n\r\n" + SOUND) * (VALUE_BYTES_MAX // (len(SOUND) + 5))
    assert (await client.ask("PUT", "/v1/kv/a", value)).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == value
    assert served.calls.engine.state.keys(b"").value == [b"a"]

"""Responses as bytes."""

import asyncio
import re

import pytest

from kvstore.api.exchange import Response
from kvstore.api.outgoing import BAD_REQUEST, HEAD_TOO_LARGE, NO_HOST, encode, packed_aside

TRUE = Response(200, b"Content-Type: application/json\r\n", b"true")


def without_date(data: bytes) -> bytes:
    """Return a response without its date, which it must have."""
    dates = re.compile(rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n")
    rest, found = dates.subn(b"", data)
    assert found == 1
    return rest


@pytest.mark.parametrize(
    ("is_old", "keep_alive", "version", "connection"),
    [
        (False, True, b"1.1", b""),
        (False, False, b"1.1", b"Connection: close\r\n"),
        (True, True, b"1.0", b"Connection: keep-alive\r\n"),
        (True, False, b"1.0", b"Connection: close\r\n"),
    ],
)
def test_a_response(*, is_old: bool, keep_alive: bool, version: bytes, connection: bytes) -> None:
    """It has the client's version, and says of the connection what the client cannot assume."""
    assert without_date(encode(TRUE, is_head=False, is_old=is_old, keep_alive=keep_alive)) == (
        b"HTTP/" + version + b" 200 OK\r\nContent-Type: application/json\r\n"
        + connection + b"Content-Length: 4\r\n\r\ntrue"
    )  # fmt: skip


def test_the_response_to_a_head() -> None:
    """It has the length of the body and no body."""
    data = encode(TRUE, is_head=True, is_old=False, keep_alive=True)
    assert without_date(data).endswith(b"Content-Length: 4\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (BAD_REQUEST, b"400 Bad Request"),
        (NO_HOST, b"400 Bad Request: missing required Host header"),
        (HEAD_TOO_LARGE, b"431 Request Header Fields Too Large"),
    ],
)
def test_what_is_no_request(data: bytes, text: bytes) -> None:
    """The text is the status and the body, as Go's server has it; the connection ends there."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == text
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 " + text,
        b"Content-Type: text/plain; charset=utf-8",
        b"Connection: close",
    ]


async def test_a_large_body_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for it at once, and though one of them leaves meanwhile."""
    compressed: list[int] = []

    def compress(body: bytes) -> bytes:
        compressed.append(len(body))
        return b"packed"

    monkeypatch.setattr("kvstore.api.outgoing.compress", compress)
    response = Response(200, b"X: 1\r\n", b"x" * (1 << 20))
    waiting = [asyncio.create_task(packed_aside(response)) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    answers = await asyncio.gather(*waiting[1:])
    assert compressed == [1 << 20]
    assert {id(one) for one in answers} == {id(await packed_aside(response))}
    assert answers[0].headers == b"X: 1\r\nContent-Encoding: gzip\r\n"
    assert (answers[0].body, response.body) == (b"packed", b"x" * (1 << 20))

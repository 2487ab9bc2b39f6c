"""Requests whose body comes behind their head: the fast lane waits a moment for it."""

from collections.abc import AsyncIterator

import pytest
from fake_clock import FakeClock

from kvstore.api.fast import FastLane
from kvstore.api.limits import Limits

from .calls import endpoints
from .test_lane import StumblingRouter
from .wire import Client, Served, connect, encode, listening, serving, until

HEAD = encode("PUT", "/v1/kv/a", None, "Content-Length: 10")


@pytest.fixture
def clock() -> FakeClock:
    """Give the clock of the deadlines, which stands still unless a test moves it."""
    return FakeClock()


@pytest.fixture
async def served(clock: FakeClock) -> AsyncIterator[Served]:
    """Give an empty store behind the fast lane."""
    async with serving(clock=clock) as served:
        yield served


async def begun(served: Served, *pieces: bytes) -> Client:
    """Send the pieces of a request one by one, and return its connection."""
    client = await served.connect()
    size_bytes = served.terms.received.bytes
    for piece in pieces:
        size_bytes += len(piece)
        await client.send(piece)
        await until(lambda: served.terms.received.bytes == size_bytes)  # noqa: B023 - at once
    return client


async def test_a_body_behind_its_head(served: Served, clock: FakeClock) -> None:
    """It is answered when it is whole, as often as the client likes, and nothing runs on."""
    client = await served.connect()
    for value in (b"0123456789", b"9876543210"):
        await client.send(HEAD)
        await until(lambda: clock.pending_count == 1)
        await client.send(value[:4])
        await until(lambda: served.terms.received.bytes == len(HEAD) + 4)
        await client.send(value[4:])
        assert (await client.read()).body == b"true"
        assert (await client.ask("GET", "/v1/kv/a?raw")).body == value
        assert (served.terms.received.bytes, clock.pending_count) == (0, 0)
    assert served.is_fast


@pytest.mark.parametrize(
    ("behind", "status", "body"),
    [
        (encode("GET", "/v1/kv/a?raw"), 200, b"0123456789"),
        (b"\0\r\n\r\n", 400, b"400 Bad Request"),
    ],
    ids=["a request", "no request"],
)
async def test_what_comes_behind_the_body(
    served: Served, behind: bytes, status: int, body: bytes
) -> None:
    """The request is done, whatever comes behind it in the same packet, as Go's server does."""
    client = await begun(served, HEAD)
    await client.send(b"0123456789" + behind)
    assert (await client.read()).body == b"true"
    answer = await client.read()
    assert (answer.status, answer.body) == (status, body)
    assert served.calls.engine.state.entry_count == 1


async def test_a_refusal_behind_which_more_comes(served: Served) -> None:
    """What is answered at once is answered before what comes behind it."""
    head = encode("PUT", "/v1/kv/", None, "Content-Length: 10")
    client = await begun(served, head)
    await client.send(b"0123456789" + encode("GET", "/v1/kv/a"))
    assert [(await client.read()).status for _ in range(2)] == [400, 404]


async def test_an_end_of_the_connection_before_what_comes_behind(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is done of a request that comes behind one with which the connection ends."""
    front = FastLane(StumblingRouter(*endpoints(served.calls.engine)), served.terms)
    await front.load_other()
    async with listening(front) as port:
        client = await connect(port)
        await client.send(HEAD)
        await until(lambda: served.terms.received.bytes == len(HEAD))
        await client.send(b"0123456789" + encode("PUT", "/v1/kv/b", b"v"))
        answer = await client.read()
        assert (answer.status, answer.closes) == (500, True)
        assert await client.rest() == b""
        await client.close()
    assert len(caplog.records) == 1


async def test_a_body_that_does_not_come_at_once(served: Served, clock: FakeClock) -> None:
    """After a second the other lane waits for it, and takes it when it comes."""
    client = await begun(served, HEAD, b"01234")
    clock.advance(1.0)
    await until(lambda: not served.is_fast)
    await client.send(b"56789")
    assert (await client.read()).body == b"true"
    assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"0123456789"


async def test_a_body_in_very_many_pieces(served: Served) -> None:
    """Their number is bounded; the other lane takes the rest."""
    head = encode("PUT", "/v1/kv/a", None, "Content-Length: 100")
    client = await begun(served, head, *[b"x"] * 62)
    assert served.is_fast
    await client.send(b"x")
    await until(lambda: not served.is_fast)
    await client.send(b"x" * 37)
    assert (await client.read()).body == b"true"


@pytest.mark.parametrize(("size_bytes", "is_fast"), [(500_000, True), (1_100_000, False)])
async def test_large_bodies(served: Served, size_bytes: int, is_fast: bool) -> None:  # noqa: FBT001
    """One that is larger than any that is taken is for the other lane, which refuses it at once."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, f"Content-Length: {size_bytes}"))
    if is_fast:
        await until(lambda: served.terms.received.bytes > 0)
        await client.send(b"x" * size_bytes)
    assert (await client.read()).status == (200 if is_fast else 413)
    assert served.is_fast == is_fast


async def test_a_client_that_sends_no_more(served: Served, clock: FakeClock) -> None:
    """It is told that its body was cut short, nothing is stored, and the connection ends."""
    client = await begun(served, HEAD, b"01234")
    client.end_sending()
    answer = await client.read()
    assert (answer.status, answer.body) == (500, b"unexpected EOF")
    assert await client.rest() == b""
    assert (served.calls.engine.state.entry_count, clock.pending_count) == (0, 0)


async def test_a_client_that_leaves(served: Served, clock: FakeClock) -> None:
    """Nothing of its request is kept."""
    client = await begun(served, HEAD, b"01234")
    client.abort()
    await until(lambda: (served.terms.received.bytes, clock.pending_count) == (0, 0))
    assert served.calls.engine.state.entry_count == 0


async def test_a_server_that_drains(served: Served) -> None:
    """The body may still come; then the connection ends."""
    client = await begun(served, HEAD, b"01234")
    served.front.drain()
    await until(lambda: not served.is_fast)
    await client.send(b"56789")
    answer = await client.read()
    assert (answer.body, answer.closes) == (b"true", True)
    assert await client.rest() == b""


async def test_too_much_of_all() -> None:
    """What is waited for is counted; when it is too much the request is refused, and no other."""
    async with serving(limits=Limits(received_bytes=20_000)) as served:
        head = encode("PUT", "/v1/kv/a", None, "Content-Length: 50000")
        client = await begun(served, head, b"x" * 15_000)
        await client.send(b"x" * 15_000)
        assert (await client.read()).status == 503
        assert (await served.ask("GET", "/v1/kv/a")).status == 404

"""Clients that take their time: what they may take, and what they are told when it is over.

The clock of the deadlines stands still unless a test moves it.
"""

import asyncio

import pytest
from api.wire import Client, Served, encode, serving, until
from fake_clock import FakeClock

from kvstore.api.limits import DEFAULT_LIMITS

HEAD_S, BODY_S, ANSWER_S = DEFAULT_LIMITS.head_s, DEFAULT_LIMITS.body_s, DEFAULT_LIMITS.answer_s
RATE_BYTES = DEFAULT_LIMITS.rate_bytes
DAY_S = 24 * 3600.0


async def late(client: Client, what: bytes) -> None:
    """Read the answer to one that is late, and the end of its connection."""
    answer = await client.read()
    assert (answer.status, answer.closes) == (408, True)
    assert what in answer.body
    assert await client.rest() == b""


async def waited_for(served: Served, clock: FakeClock) -> None:
    """Let the time pass in which the rest of a body is expected at once; from now on it is late."""
    await until(lambda: clock.pending_count == 1)
    clock.advance(1.0)
    await until(lambda: clock.pending_count == 1 and not served.is_fast)


async def test_a_connection_that_never_says_anything(served: Served, clock: FakeClock) -> None:
    """It is only idle, and idle connections stay: an engine dials ahead, too."""
    client = await served.connect()
    await served.ask("GET", "/")
    clock.advance(DAY_S)
    assert (await client.ask("GET", "/")).status == 200


async def test_a_connection_between_two_requests(served: Served, clock: FakeClock) -> None:
    """It stays as it is, also when stray line ends came behind the last request."""
    client = await served.connect()
    for _ in range(3):
        await client.send(encode("GET", "/") + b"\r\n\r\n")
        assert (await client.read()).status == 200
        await client.send(b"\r\n")
        await served.ask("GET", "/")
        assert clock.pending_count == 0
        clock.advance(DAY_S)
    assert (await client.ask("GET", "/")).status == 200


@pytest.mark.parametrize(
    ("first", "more"), [(b"G", b"E"), (b"GET /v1/kv/a", b"b"), (encode("GET", "/")[:-2], b"X")]
)
async def test_a_head_that_does_not_end(
    served: Served, clock: FakeClock, first: bytes, more: bytes
) -> None:
    """Its time runs from its first byte, and further bytes do not give it more."""
    client = await served.connect()
    await client.send(first)
    await until(lambda: clock.pending_count == 1)
    clock.advance(HEAD_S - 1)
    await client.send(more)
    await until(lambda: served.terms.received.bytes == len(first) + 1)
    clock.advance(0.9)
    await served.ask("GET", "/")
    assert clock.pending_count == 1
    clock.advance(0.1)
    await late(client, b"the head of the request did not come in time")


async def test_a_head_that_ends_in_time(served: Served, clock: FakeClock) -> None:
    """Once it is whole nothing runs any more, and the next head has its own time."""
    client = await served.connect()
    request = encode("GET", "/")
    for _ in range(3):
        await client.send(request[:10])
        await until(lambda: clock.pending_count == 1)
        clock.advance(HEAD_S - 1)
        await client.send(request[10:])
        assert (await client.read()).status == 200
        assert (clock.pending_count, served.terms.received.bytes) == (0, 0)


async def test_a_head_behind_a_query_that_waits(served: Served, clock: FakeClock) -> None:
    """Its time runs once what came before it is answered, however long that takes."""
    client = await served.park("/v1/kv/a?index=99999")
    await client.send(b"GET /")
    await until(lambda: served.terms.received.bytes == len(b"GET /"))
    clock.advance(HEAD_S)
    served.calls.engine.release_parked()
    assert (await client.read()).status == 404
    await until(lambda: clock.pending_count == 1)
    clock.advance(HEAD_S)
    await late(client, b"the head of the request")


async def test_a_head_behind_a_query_in_the_other_lane(clock: FakeClock) -> None:
    """There its time runs from its first byte, and it is refused in its turn."""
    async with serving(clock=clock, fast=False) as served:
        client = await served.park("/v1/kv/a?index=99999")
        await client.send(b"GET /")
        await until(lambda: clock.pending_count == 1)
        clock.advance(HEAD_S)
        served.calls.engine.release_parked()
        assert (await client.read()).status == 404
        await late(client, b"the head of the request")


async def test_a_body_that_does_not_come(served: Served, clock: FakeClock) -> None:
    """It is given up after a while, and nothing is stored."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, "Content-Length: 10") + b"12345")
    await waited_for(served, clock)
    clock.advance(BODY_S)
    assert clock.pending_count == 1  # five bytes are worth half a millisecond
    clock.advance(1)
    await late(client, b"the body of the request did not come in time")
    assert served.calls.engine.state.entry_count == 0


async def test_a_body_that_comes_slowly(served: Served, clock: FakeClock) -> None:
    """As long as it is not slower than any line in use, it may take its time."""
    client = await served.connect()
    size_bytes = 50 * RATE_BYTES
    await client.send(encode("PUT", "/v1/kv/a", None, f"Content-Length: {size_bytes}"))
    await until(lambda: clock.pending_count == 1)
    for sent in range(RATE_BYTES, size_bytes + 1, RATE_BYTES):
        clock.advance(1.5)
        await client.send(b"x" * RATE_BYTES)
        await until(lambda: not 0 < served.terms.received.bytes < sent)  # noqa: B023 - at once
    assert (await client.read()).body == b"true"
    assert clock.pending_count == 0


async def test_a_body_that_comes_in_drops(served: Served, clock: FakeClock) -> None:
    """A byte now and then does not count as coming."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, "Content-Length: 1000"))
    await waited_for(served, clock)
    for sent in range(1, 8):
        clock.advance(BODY_S / 6)
        if served.terms.received.bytes < sent - 1 or not clock.pending_count:
            break
        await client.send(b"x")
        await served.ask("GET", "/")
    await late(client, b"the body of the request")


async def test_a_body_nobody_reads(served: Served, clock: FakeClock) -> None:
    """A read with an endless body is answered; what is left of it is dropped with its end."""
    client = await served.connect()
    await client.send(encode("GET", "/v1/kv/a", None, "Content-Length: 1000000") + b"12345")
    assert (await client.read()).status == 404
    await client.close()
    assert clock.pending_count == 0


async def fill(client: Client, served: Served) -> None:
    """Ask for more than the system's buffers hold, and read nothing."""
    await client.send(encode("GET", "/v1/kv/big?raw") * 20)
    await until(lambda: served.terms.answers.bytes > 0)


async def test_an_answer_that_is_not_read(served: Served, clock: FakeClock) -> None:
    """The client is cut off after a while; nobody else notices."""
    await served.calls.put("big", b"x" * 500_000)
    client = await served.connect()
    await fill(client, served)
    clock.advance(ANSWER_S - 1)
    await served.ask("GET", "/")
    assert served.terms.answers.bytes > 0
    clock.advance(RATE_BYTES)  # more than all that the client can have taken is worth
    await until(lambda: served.terms.answers.bytes == 0)
    assert len(await client.rest()) < 20 * 500_000
    assert (await served.ask("GET", "/")).status == 200


async def test_an_answer_that_is_read_slowly(served: Served, clock: FakeClock) -> None:
    """A client that reads gets everything, though each time it took almost too long."""
    await served.calls.put("big", b"x" * 500_000)
    client = await served.connect()
    await fill(client, served)
    for _ in range(20):
        clock.advance(20)  # 25 kB/s
        assert len((await client.read()).body) == 500_000
    await until(lambda: clock.pending_count == 0)
    assert (await client.ask("GET", "/")).status == 200


@pytest.mark.parametrize("body", [None, b"v"])
async def test_an_end_at_any_moment(served: Served, body: bytes | None) -> None:
    """A client may close its sending side when it likes: the connection ends all the same."""
    for turns in range(40):
        client = await served.connect()
        await client.send(encode("PUT", "/v1/kv/a", body))
        for _ in range(turns):
            await asyncio.sleep(0)
        client.end_sending()
        assert (await client.rest()).endswith(b"true")


async def test_parked_queries_have_no_deadline(served: Served, clock: FakeClock) -> None:
    """However long they wait: an engine loses a watch for good when one is ended for it."""
    client = await served.park("/v1/kv/a?index=99999")
    clock.advance(DAY_S)
    await asyncio.sleep(0)
    assert served.calls.engine.parked_count == 1
    served.calls.engine.release_parked()
    assert (await client.read()).status == 404

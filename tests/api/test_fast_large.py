"""Large answers in the fast lane: counted, waited for, never held up by who does not read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fake_clock import FakeClock

from kvstore.api.limits import DEFAULT_LIMITS, Limits

from .wire import Client, Received, Served, encode, serving, until

MIB = 1024 * 1024
# More than the system's buffers take of one answer; and what asks for it.
LARGE = [b"x" * 500_000] * 26
ASK_LARGE = encode("GET", "/v1/kv/large/?recurse")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Give an empty store behind the fast lane."""
    async with serving() as served:
        yield served


async def large(served: Served) -> Client:
    """Return a client that has asked for a large answer and reads nothing of it."""
    for n, value in enumerate(LARGE):
        await served.calls.put(f"large/{n}", value)
    client = await served.connect()
    await client.send(ASK_LARGE)
    await until(lambda: served.terms.answers.bytes > 0)
    return client


async def read_large(client: Client) -> Received:
    """Read the large answer, which must be whole."""
    answer = await client.read()
    assert (answer.status, answer.body.count(b'"Key"')) == (200, len(LARGE))
    return answer


async def test_a_large_answer_is_counted_until_it_is_read(served: Served) -> None:
    """And the connection goes on behind it, in this lane."""
    client = await large(served)
    assert served.terms.answers.bytes == len((await read_large(client)).body)
    await until(lambda: served.terms.answers.bytes == 0)
    assert (await client.ask("GET", "/v1/kv/a")).status == 404
    assert served.is_fast


async def test_a_large_answer_that_is_not_read() -> None:
    """Its client is cut off when its time is up; nobody else notices."""
    clock = FakeClock()
    async with serving(clock=clock) as served:
        client = await large(served)
        clock.advance(DEFAULT_LIMITS.answer_s - 1)
        assert (await served.ask("GET", "/v1/kv/a")).status == 404
        assert served.terms.answers.bytes > 0
        clock.advance(1 + len(LARGE) * len(LARGE[0]) / DEFAULT_LIMITS.rate_bytes)
        await until(lambda: served.terms.answers.bytes == 0)
        with pytest.raises(asyncio.IncompleteReadError):
            await client.read()
        assert served.is_fast
    assert clock.pending_count == 0


async def test_no_room_for_large_answers() -> None:
    """A read is refused as long as others have not read theirs, and its connection goes on."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        slow = await large(served)
        client = await served.connect()
        for _ in range(2):
            answer = await client.ask("GET", "/v1/kv/large/1")
            assert (answer.status, answer.closes) == (503, False)
            assert answer.body.startswith(b"too many large answers wait for clients to read them")
        assert (await client.ask("GET", "/v1/kv/a")).status == 404
        await read_large(slow)
        await until(lambda: served.terms.answers.bytes == 0)
        assert (await client.ask("GET", "/v1/kv/large/1")).status == 200
        assert served.is_fast


async def test_queries_that_were_parked_wait_for_room() -> None:
    """They are never failed, however many one write wakes and however little room there is."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        slow = await large(served)
        index = served.calls.engine.state.last_index
        target = f"/v1/kv/large/?recurse&index={index}"
        watchers = [await served.park(target) for _ in range(3)]
        await slow.close()
        await until(lambda: served.terms.answers.bytes == 0)
        await served.calls.put("large/0", b"y" * 500_000)
        for watcher in watchers:
            await read_large(watcher)
        assert served.is_fast


async def test_a_client_that_leaves_while_it_waits_for_room() -> None:
    """It is forgotten, and the one behind it gets the room."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        slow = await large(served)
        index = served.calls.engine.state.last_index
        watchers = [await served.park(f"/v1/kv/a?index={index}") for _ in range(3)]
        await served.calls.put("a", b"news")
        await watchers[1].close()
        await served.ask("GET", "/v1/kv/b")
        await slow.close()
        for watcher in (watchers[0], watchers[2]):
            assert (await watcher.read()).status == 200


async def test_a_query_that_runs_out_is_of_its_moment() -> None:
    """It shows the old index and the old content, though a write comes before it is sent."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        await served.calls.put("a", b"old")
        index = served.calls.engine.state.last_index
        targets = (f"/v1/kv/a?raw&index={index}", f"/v1/kv/a?recurse&index={index}")
        watchers = [await served.park(target) for target in targets]
        slow = await large(served)
        served.calls.engine.release_parked()
        await served.calls.put("a", b"new")
        await slow.close()
        for watcher, shown in zip(watchers, (b"old", b'"Value":"b2xk"'), strict=True):
            answer = await watcher.read()
            assert shown in answer.body
            assert answer.headers["X-Consul-Index"] == str(index)
            assert (await watcher.ask("GET", "/v1/kv/a?raw")).body == b"new"


async def test_a_client_that_sends_and_never_reads(served: Served) -> None:
    """What it has sent and what it is owed are both bounded; others are served."""
    client = await large(served)
    sending = asyncio.create_task(client.send(ASK_LARGE * 200_000))
    for _ in range(30):
        await served.ask("GET", "/v1/kv/a")
        assert served.terms.received.bytes < MIB
        assert served.terms.answers.bytes < 2 * len(LARGE) * len(LARGE[0])
    assert not sending.done()
    sending.cancel()
    client.abort()

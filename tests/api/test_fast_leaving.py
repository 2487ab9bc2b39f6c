"""The fast lane at the end of connections: clients that send no more, a server that drains."""

import asyncio
from contextlib import suppress
from random import Random

import pytest

from kvstore.api.limits import Limits

from .test_fast_large import large, read_large
from .test_lane_leaving import GatedJournal
from .wire import Served, encode, serving, until


@pytest.fixture
def fast() -> bool:
    """Have connections come to the fast lane, and stay there."""
    return True


async def test_an_end_while_a_large_answer_is_read(served: Served) -> None:
    """A client that says it sends no more, half-way through its answer, gets all and the end."""
    client = await large(served)
    client.end_sending()
    await served.ask("GET", "/v1/kv/a")
    await read_large(client)
    assert await client.rest() == b""


async def test_too_much_behind_a_large_answer() -> None:
    """The connection ends behind the answer."""
    async with serving(limits=Limits(received_bytes=10_000)) as served:
        client = await large(served)
        await client.send(encode("PUT", "/v1/kv/b", b"x" * 20_000))
        await served.ask("GET", "/v1/kv/a")
        await read_large(client)
        assert await client.rest() == b""


async def test_requests_and_an_end_behind_a_large_answer(served: Served) -> None:
    """What came behind is answered in the other lane, and then the connection ends."""
    client = await large(served)
    await client.send(encode("PUT", "/v1/kv/b", b"v") + encode("GET", "/v1/kv/b?raw"))
    client.end_sending()
    await served.ask("GET", "/v1/kv/a")
    await read_large(client)
    assert (await client.read()).body == b"true"
    answer = await client.read()
    assert (answer.body, answer.closes) == (b"v", True)
    assert await client.rest() == b""


async def test_draining() -> None:
    """Idle connections end at once; others with what is under way, all of it whole."""
    journal = GatedJournal()
    async with serving(journal) as served:
        reading = await large(served)
        idle, writing = await served.connect(), await served.connect()
        assert (await idle.ask("GET", "/v1/kv/a")).status == 404
        parked = await served.park("/v1/kv/a?index=99999")
        journal.open.clear()
        await writing.send(encode("PUT", "/v1/kv/a", b"v"))
        await until(lambda: journal.waiting == 1)
        served.front.drain()
        shutdown = asyncio.create_task(served.front.shutdown(60))
        assert await idle.rest() == b""
        served.calls.engine.release_parked()
        answer = await parked.read()
        assert (answer.status, answer.closes) == (404, True)
        journal.open.set()
        answer = await writing.read()
        assert (answer.body, answer.closes) == (b"true", True)
        await read_large(reading)
        assert await reading.rest() == b""
        await shutdown


async def test_shutting_down_waits_no_longer_than_it_is_told(served: Served) -> None:
    """A client that does not read its answer is cut off."""
    client = await large(served)
    parked = await served.park("/v1/kv/a?index=99999")
    served.front.drain()
    await served.front.shutdown(0)
    assert await parked.rest() == b""
    with pytest.raises(asyncio.IncompleteReadError):
        await client.read()


async def test_a_connection_that_comes_while_it_drains(served: Served) -> None:
    """One that was accepted a moment ago ends like those that are idle."""
    served.front.drain()
    client = await served.connect()
    assert await client.rest() == b""


async def test_anything_at_any_moment() -> None:
    """Clients that ask, write, wait, send more, and leave in every way: nothing is left of them.

    `serving` sees that nothing is counted, parked or running at its end.
    """
    seed = Random().randrange(1 << 31)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    chance = Random(seed)
    limits = Limits(received_bytes=400_000, answers_bytes=2_000_000)
    async with serving(limits=limits) as served:
        await (await large(served)).close()
        async with asyncio.TaskGroup() as group:
            for _ in range(150):
                group.create_task(act(served, Random(chance.random())))
                await turns(chance.randrange(10))
                if chance.random() < 0.2:
                    await served.calls.put("large/0", chance.randbytes(10))
                    await served.calls.put("a", chance.randbytes(10))
        assert (await served.ask("GET", "/v1/kv/a")).status == 200


async def act(served: Served, chance: Random) -> None:
    """Be one client."""
    client = await served.connect()
    index = served.calls.engine.state.last_index
    asked = [
        encode("GET", "/v1/kv/a"),
        encode("GET", f"/v1/kv/a?index={index}&wait=20ms"),
        encode("GET", f"/v1/kv/large/?recurse&index={index}&wait=20ms"),
        encode("GET", "/v1/kv/large/1", None, "Accept-Encoding: gzip"),
        encode("GET", "/v1/kv/large/?recurse"),
        encode("PUT", "/v1/kv/b", b"v"),
        encode("PUT", "/v1/kv/b", chance.randbytes(100_000)),
        encode("GET", "/v1/kv/a")[:20],
    ]
    with suppress(OSError):  # the server was first
        for _ in range(chance.randrange(1, 4)):
            await client.send(chance.choice(asked))
            await turns(chance.randrange(12))
        way = chance.randrange(3)
        if way == 0:
            client.abort()
        elif way == 1:
            await client.close()
        else:
            client.end_sending()
            await client.rest()


async def turns(count: int) -> None:
    """Let the event loop turn so often."""
    for _ in range(count):
        await asyncio.sleep(0)

"""Connections of the fast lane that go over to aiohttp's while that is still being loaded."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import Launch, Process

from kvstore.api.fast import FastLane
from kvstore.api.lane import Lane

from .wire import Client, Received, Served, connect, encode, listening, serving, until

# Not ordinary, since engines do not ask for it.
OTHER = encode("GET", "/v1/agent/members")


class Loading:
    """Loads aiohttp's lane when the test says so, and counts how often."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.finish = threading.Event()
        self.error: Exception | None = None
        self.count = 0
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> type[Lane]:
        """Load, in a thread."""
        self.count += 1
        self._loop.call_soon_threadsafe(self.begun.set)
        self.finish.wait()
        if self.error is not None:
            raise self.error
        return Lane


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Give an empty store."""
    async with serving() as served:
        yield served


@dataclass(frozen=True, slots=True)
class Scene:
    """A lane, what loads the other one, and a client that waits for it."""

    lane: FastLane
    loading: Loading
    waiting: Client
    port: int

    async def ask(self, method: str, target: str, body: bytes | None = None) -> Received:
        """Send a request on a connection of its own and read its answer."""
        client = await connect(self.port)
        try:
            return await client.ask(method, target, body)
        finally:
            await client.close()


@asynccontextmanager
async def handing_over(served: Served) -> AsyncIterator[Scene]:
    """Have a client wait for the lane that is being loaded, until the block ends at the latest."""
    loading = Loading()
    lane = FastLane(served.calls.router, served.terms, load=loading)
    async with listening(lane) as port:
        client = await connect(port)
        await client.send(OTHER)
        await loading.begun.wait()
        try:
            yield Scene(lane, loading, client, port)
        finally:
            loading.finish.set()
            await client.close()


async def test_it_is_loaded_once(served: Served) -> None:
    """All who come meanwhile wait for it, ordinary requests do not, and later ones find it."""
    async with handing_over(served) as scene:
        other = await connect(scene.port)
        await other.send(OTHER)
        assert (await scene.ask("PUT", "/v1/kv/a", b"v")).body == b"true"
        scene.loading.finish.set()
        assert [(await one.read()).status for one in (scene.waiting, other)] == [200, 200]
        assert (await scene.ask("GET", "/v1/agent/members")).status == 200
        assert scene.loading.count == 1
        await other.close()


async def test_what_comes_meanwhile_is_read_later(served: Served) -> None:
    """The rest of a request and what is behind it are answered in their order."""
    async with handing_over(served) as scene:
        client = await connect(scene.port)
        whole = encode("PUT", "/v1/kv/a", b"value") + encode("GET", "/v1/kv/a?raw")
        await client.send(whole[:30])
        assert (await scene.ask("GET", "/v1/kv/a")).status == 404
        await client.send(whole[30:])
        client.end_sending()
        assert (await scene.ask("GET", "/v1/kv/a")).status == 404
        scene.loading.finish.set()
        assert [(await client.read()).body for _ in range(2)] == [b"true", b"value"]
        assert await client.rest() == b""
        await client.close()


async def test_a_client_that_leaves_meanwhile(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left of it, and nothing is logged."""
    async with handing_over(served) as scene:
        scene.waiting.abort()
        scene.loading.finish.set()
        assert (await scene.ask("GET", "/v1/agent/members")).status == 200
        other = scene.lane.other
        assert other is not None
        await until(lambda: not other.connections)
    assert caplog.records == []


async def test_a_server_that_drains_meanwhile(served: Served) -> None:
    """The request is answered, and then the connection ends."""
    async with handing_over(served) as scene:
        scene.lane.drain()
        scene.loading.finish.set()
        answer = await scene.waiting.read()
        assert (answer.status, answer.closes) == (200, True)
        assert await scene.waiting.rest() == b""


async def test_a_server_that_stops_meanwhile(served: Served) -> None:
    """The connection ends when its time is up, however long the loading takes."""
    async with handing_over(served) as scene:
        scene.lane.drain()
        ending = asyncio.ensure_future(scene.lane.shutdown(0.0))
        assert await scene.waiting.rest() == b""
        scene.loading.finish.set()
        await ending


async def test_a_lane_that_cannot_be_loaded(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever needs it is cut off, and the log says why; ordinary requests are answered."""
    async with handing_over(served) as scene:
        scene.loading.error = ImportError("no aiohttp here")
        scene.loading.finish.set()
        assert await scene.waiting.rest() == b""
        assert (await scene.ask("GET", "/v1/kv/a")).status == 404
    (record,) = caplog.records
    assert "no aiohttp here" in caplog.text
    assert record.exc_info is not None


def has_loaded(process: Process) -> bool:
    """Tell whether a process has loaded aiohttp's parser."""
    return "/aiohttp/" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")


def test_a_server_loads_it_when_it_needs_it(launch: Launch, tmp_path: Path) -> None:
    """What engines send, and health checks, is answered without it."""
    process = launch("--data-dir", str(tmp_path / "data")).wait_until_ready()
    process.call("PUT", "/v1/kv/a", b"v")
    process.call("PUT", "/v1/session/create", b'{"TTL": "20s"}')
    process.call("GET", "/v1/kv/?recurse")
    process.call("GET", "/v1/status/leader")
    assert not has_loaded(process)
    assert process.call("GET", "/v1/agent/members").status == 200
    assert has_loaded(process)

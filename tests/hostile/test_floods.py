"""Floods against a whole server: connections, watchers, sessions."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from api.wire import Client, Served, connect, encode
from running import InProcess, Launch, Process, Start

TOO_MANY = b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
# As many as one process may have in CI; the long form is in docs/limits.md.
CONNECTIONS = int(os.environ.get("KVSTORE_HOSTILE_CONNECTIONS", "500"))


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Client]]:
    """Open connections, and close them at the end."""
    async with AsyncExitStack() as stack:
        clients = [await connect(port) for _ in range(count)]
        for client in clients:
            stack.push_async_callback(client.close)
        yield clients


async def served_again(server: InProcess) -> None:
    """Wait until a new connection is answered."""
    while True:
        async with connected(server.port, 1) as (client,):
            try:
                if (await client.ask("GET", "/")).status == 200:
                    return
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # turned away


async def test_too_many_connections_of_one_client(start: Start) -> None:
    """One more is told so and closed; those that are there go on; one that leaves makes room."""
    server = await start(client_connections_max=20)
    async with connected(server.port, 20) as clients:
        for client in clients:
            assert (await client.ask("GET", "/")).status == 200
        async with connected(server.port, 3) as refused:
            for client in refused:
                answer = await client.read()
                assert (answer.status, answer.body, answer.closes) == (429, TOO_MANY, True)
                assert await client.rest() == b""
        for client in clients:
            assert (await client.ask("GET", "/")).status == 200
        await clients[0].close()
        await served_again(server)


async def test_too_many_connections_in_all(start: Start) -> None:
    """The same for all together, with a 503; parked queries do not notice."""
    server = await start(connections_max=20, client_connections_max=20)
    async with connected(server.port, 20) as clients:
        for client in clients:
            await client.send(encode("GET", "/v1/kv/a?index=99999"))
        async with connected(server.port, 5) as refused:
            for client in refused:
                assert (await client.read()).status == 503
        await clients.pop().close()
        await served_again(server)
        async with connected(server.port, 1) as (client,):
            await client.ask("PUT", "/v1/kv/b", b"v")
            body = (await client.ask("GET", "/v1/agent/metrics")).body
        gauges = {one["Name"]: one["Value"] for one in json.loads(body)["Gauges"]}
        assert gauges["kvstore.parked_queries"] == 19


async def test_a_flood_of_sessions(start: Start) -> None:
    """There is an end to them, with a reason; what is there can be renewed and destroyed."""
    server = await start(sessions_max=50)
    async with connected(server.port, 1) as (client,):
        created = [await client.ask("PUT", "/v1/session/create") for _ in range(50)]
        ids = [json.loads(one.body)["ID"] for one in created]
        answer = await client.ask("PUT", "/v1/session/create")
        assert answer.status == 503
        assert answer.body.startswith(b"there are 50 sessions, which is the limit")
        assert (await client.ask("PUT", "/v1/session/create", b"{")).status == 400
        assert (await client.ask("PUT", f"/v1/session/renew/{ids[0]}")).status == 200
        assert (await client.ask("PUT", f"/v1/session/destroy/{ids[0]}")).body == b"true"
        assert (await client.ask("PUT", "/v1/session/create")).status == 200


async def test_watchers_of_a_large_tree(served: Served) -> None:
    """A parked query keeps nothing of what it read; all are answered when something changes."""
    for n in range(2000):
        await served.calls.put(f"tree/{n}")
    index = served.calls.engine.state.last_index
    before = sum(isinstance(one, list) and len(one) == 2000 for one in gc.get_objects())
    watchers = [await served.park(f"/v1/kv/tree/?recurse&index={index}") for _ in range(50)]
    after = sum(isinstance(one, list) and len(one) == 2000 for one in gc.get_objects())
    assert after == before
    await served.calls.put("tree/0", b"changed")
    for watcher in watchers:
        answer = await watcher.read()
        assert answer.status == 200
        assert len(json.loads(answer.body)) == 2000


def rss_kib(process: Process) -> int:
    """Return how much memory a process holds."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def gauge(process: Process, name: str) -> float:
    """Return one of the server's figures."""
    gauges = process.call("GET", "/v1/agent/metrics").json["Gauges"]
    (value,) = [one["Value"] for one in gauges if one["Name"] == f"kvstore.{name}"]
    return float(value)


QUERY = b"GET /v1/kv/a?index=99999 HTTP/1.1\r\nHost: test\r\nUser-Agent: Go-http-client/1.1\r\n"


@dataclass(frozen=True, slots=True)
class Flood:
    """What each of many connections sends."""

    data: bytes
    # Whether it parks a query.
    parks: bool = False
    # How much memory it may take at most.
    kib_max: float = 24.0


FLOODS = {
    "idle": Flood(b""),
    "answered": Flood(encode("GET", "/v1/kv/a")),
    "parked": Flood(QUERY + b"Accept-Encoding: gzip\r\n\r\n", parks=True),
    "slow heads": Flood(QUERY + b"Accept-Enc"),
    "slow bodies": Flood(encode("PUT", "/v1/kv/a", None, "Content-Length: 9") + b"body"),
    "many headers": Flood(
        QUERY + b"".join(b"a%d:\r\n" % n for n in range(100)) + b"\r\n", parks=True, kib_max=64.0
    ),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_what_a_connection_takes(
    launch: Launch, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """A server with many connections of one kind serves others, and forgets those that leave."""
    flood = FLOODS[kind]
    process = await asyncio.to_thread(launch("--dev").wait_until_ready)
    async with connected(process.port, 10) as clients:
        for client in clients:
            await client.ask("GET", "/v1/kv/a")
    await until_parked(process, 0)  # loads what is loaded once
    before_kib = rss_kib(process)
    async with connected(process.port, CONNECTIONS) as clients:
        for client in clients:
            await client.send(flood.data)
        await until_parked(process, CONNECTIONS if flood.parks else 0)
        each_kib = (rss_kib(process) - before_kib) / CONNECTIONS
    await until_parked(process, 0)
    left_kib = (rss_kib(process) - before_kib) / CONNECTIONS
    record_property(
        "figures",
        f"{kind}: {CONNECTIONS} connections of {each_kib:.1f} KiB each, "
        f"{left_kib:.1f} KiB each when they are gone",
    )
    assert each_kib < flood.kib_max


async def until_parked(process: Process, count: int) -> None:
    """Wait until so many queries wait; each answer says that the server has had a turn."""
    while await asyncio.to_thread(gauge, process, "parked_queries") != count:
        pass

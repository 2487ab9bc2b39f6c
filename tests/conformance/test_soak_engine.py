"""Simulated engines against a running kvstore: their requests, their records, their watches."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from aiohttp import ClientSession
from running import InProcess, Start, in_process

from conformance.overlay import invariants
from conformance.overlay.records import View, parse
from conformance.soak.engine import Engine
from conformance.soak.libnetwork import Network
from conformance.soak.meter import Meter
from conformance.soak.news import News
from conformance.soak.plan import Plan
from conformance.soak.wire import Answer

# Engines that live a hundred times faster: no pause of theirs is longer than 0.2 s.
SPEED = 100.0


@dataclass
class Rig:
    """A store, what measures it, and engines that talk to it."""

    server: InProcess
    meter: Meter
    news: News
    engines: list[Engine]

    async def view(self) -> View:
        """Return all that Docker keeps in the store."""
        url = f"http://127.0.0.1:{self.server.port}/v1/kv/docker/?recurse="
        async with ClientSession() as session, session.get(url) as response:
            answer = Answer(response.status, 1, await response.read(), gzipped=False)
        return parse(answer.entries())

    async def network(self) -> Network:
        """Create a network on the first engine."""
        network = await self.engines[0].create_network("net")
        assert network is not None
        return network

    async def put(self, target: str) -> None:
        """Do something to the store that no engine does."""
        url = f"http://127.0.0.1:{self.server.port}{target}"
        async with ClientSession() as session, session.put(url) as response:
            assert response.status == 200

    async def asked(self, action: Awaitable[object]) -> int:
        """Return how many requests the engines send while one of them acts."""
        before = self.meter.requests_total
        await action
        return self.meter.requests_total - before


async def until(happened: Callable[[], bool]) -> None:
    """Let the engines go on until something has happened; the test's time limit is the end."""
    while not happened():  # noqa: ASYNC110 - there is no event: it happens in the store
        await asyncio.sleep(0)


@asynccontextmanager
async def rig(count: int, speed: float = SPEED) -> AsyncIterator[Rig]:
    """Give a store in memory and engines on it, started; all of them crash at the end."""
    plan = Plan(engines=count, seconds=60.0, speed=speed, seed=7, ttl_min_s=10.0)
    meter = Meter()
    news = News(meter, monotonic)
    async with in_process(None) as server, asyncio.TaskGroup() as group:
        url = f"http://127.0.0.1:{server.port}"
        engines = [
            Engine(number, plan, url, meter, news, group.create_task) for number in range(count)
        ]
        await asyncio.gather(*(engine.start() for engine in engines))
        yield Rig(server, meter, news, engines)
        await asyncio.gather(*(engine.crash() for engine in engines if engine.alive))


async def test_engines_register_with_sessions() -> None:
    """Each has its own address, held by a session."""
    async with rig(3) as it:
        view = await it.view()

    assert view.engines == {f"192.168.0.{number}:2376": True for number in (1, 2, 3)}
    assert it.meter.faults == {}


async def test_a_network_and_a_container_are_the_requests_of_a_real_engine() -> None:
    """As many as recorded: 26 for a network, 110 for a first container, 39 for its removal.

    Watches and heartbeats come on top, whenever they come: the engine lives slowly here.
    """
    async with rig(1, speed=5.0) as it:
        engine = it.engines[0]
        await it.network()
        created = await it.asked(engine.create_network("second"))
        network = await engine.create_network("third")
        assert network is not None
        run = await it.asked(engine.run_container(network))
        removed = await it.asked(engine.remove_container(engine.endpoints[0]))

    assert 26 <= created <= 30
    assert 100 <= run <= 120
    assert 36 <= removed <= 48
    assert it.meter.faults == {}


async def test_a_container_is_in_the_records_and_gone_from_them() -> None:
    """The network gets its VXLAN id with the first container, and everything is freed again."""
    async with rig(2) as it:
        network = await it.network()
        for engine in it.engines:
            await engine.run_container(network)
        running = await it.view()
        for engine in it.engines:
            await engine.remove_container(engine.endpoints[0])
        removed = await it.engines[1].remove_network(network, [network])
        after = await it.view()

    assert invariants.check(running) == []
    assert running.counts == {network.id: 2}
    assert {one.locator for one in running.endpoints.values()} == {"192.168.0.1", "192.168.0.2"}
    assert [one.vni for one in running.overlays[network.id]] == [256]
    assert removed
    assert (after.networks, after.endpoints, after.pools, after.bitmaps) == ({}, {}, {}, {})
    assert after.vnis is not None
    assert list(after.vnis.ordinals()) == []
    assert it.meter.faults == {}


async def test_engines_that_want_the_same_records_get_there() -> None:
    """Ten at once on one network, and ten networks at once: each refused write is done again."""
    async with rig(10) as it:
        network = await it.network()
        await asyncio.gather(*(engine.run_container(network) for engine in it.engines))
        made = await asyncio.gather(
            *(engine.create_network(f"n{engine.number}") for engine in it.engines)
        )
        view = await it.view()

    assert it.meter.cas_refused > 0
    assert it.meter.faults == {}
    assert invariants.check(view) == []
    assert view.counts[network.id] == 10
    assert len({one.subnet for one in made if one}) == 10


async def test_watchers_hear_of_every_container() -> None:
    """Whoever has a container on the network knows the newest count."""
    async with rig(3) as it:
        network = await it.network()
        for engine in it.engines:
            await engine.run_container(network)
        await until(lambda: it.news.owing() == 0)
        cut = it.meter.cut()

    assert cut.late == 0
    assert cut.kinds["watch"].count > 0
    assert it.meter.faults == {}


async def test_a_crash_leaves_the_store_as_it_is() -> None:
    """The endpoint stays, parked queries go; the engine cleans up when it is back."""
    async with rig(2) as it:
        network = await it.network()
        crashed, other = it.engines
        await crashed.run_container(network)
        await other.run_container(network)
        key, renewed_at = await crashed.crash()
        left = await it.view()
        await crashed.run_container(network)  # nobody is there to do it
        await crashed.start()
        back = await it.view()

    assert key == "docker/nodes/192.168.0.1:2376"
    assert 0 < renewed_at < monotonic()
    assert left.counts == {network.id: 2}
    assert back.counts == {network.id: 1}
    assert invariants.check(back) == []
    assert crashed.endpoints == []
    assert it.meter.faults == {}


async def test_engines_that_left_leave_no_query_parked() -> None:
    """Connections are closed, and the store has noticed."""
    async with rig(3) as it:
        network = await it.network()
        for engine in it.engines:
            await engine.run_container(network)
        for engine in it.engines:
            await engine.crash()
        url = f"http://127.0.0.1:{it.server.port}/v1/agent/self"
        parked = ""
        async with ClientSession() as session:
            while parked != "0":
                async with session.get(url) as response:
                    told = json.loads(await response.read())
                parked = told["Stats"]["kvstore"]["parked_queries"]

    assert it.meter.faults == {}


async def test_a_session_that_the_store_lost_is_a_fault() -> None:
    """The heartbeat sees it, and the engine registers again."""
    async with rig(1) as it:
        url = f"http://127.0.0.1:{it.server.port}/v1/session/list"
        async with ClientSession() as client, client.get(url) as response:
            (session,) = json.loads(await response.read())
        await it.put(f"/v1/session/destroy/{session['ID']}")
        await until(lambda: "session lost" in it.meter.faults)
        view = View()
        while not view.engines:
            view = await it.view()

    assert session["ID"] in it.meter.faults["session lost"].examples[0]
    assert view.engines == {"192.168.0.1:2376": True}


async def test_a_store_that_goes_away_is_told_and_survived(start: Start) -> None:
    """Every request is a fault then, and no task of the engine ends with an error."""
    server = await start()
    meter = Meter()
    plan = Plan(engines=1, seconds=60.0, speed=SPEED)
    async with asyncio.TaskGroup() as group:
        url = f"http://127.0.0.1:{server.port}"
        engine = Engine(0, plan, url, meter, News(meter, monotonic), group.create_task)
        await engine.start()
        await server.stop()
        assert await engine.create_network("n") is None
        await until(lambda: meter.fault_count > 5)
        await engine.crash()

    assert "connection" in meter.faults

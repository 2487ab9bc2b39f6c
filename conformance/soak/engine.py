"""One simulated engine: started, used, crashed, started again.

What runs by itself (heartbeat, monitor, watches) are tasks of the engine; what its user does are
methods, one at a time. A crash ends the tasks and the connections, and tells the store nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from time import monotonic

from conformance.soak.discovery import Discovery
from conformance.soak.errors import Broken
from conformance.soak.libkv import Libkv
from conformance.soak.libnetwork import Endpoint, Libnetwork, Network, count_key, new_id
from conformance.soak.meter import Meter
from conformance.soak.news import News, Watch
from conformance.soak.plan import Plan
from conformance.soak.wire import Wire

# Starts a task that belongs to the whole soak: an error in it that nobody caught ends the soak.
Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]

_PORT = 2376
_ENGINES_PER_SUBNET = 250
# From an engine's start to its first heartbeat, and from a container's start to its interface.
_FIRST_HEARTBEAT_S = 0.5
_INTERFACE_UP_S = 1.0


@dataclass(slots=True, eq=False)
class _CountWatch:
    """The watch of one network's endpoint_count."""

    network: Network
    # Set with the first answer.
    watch: Watch | None = None
    # The poll that is under way then is answered like any other, and dropped.
    stopped: bool = False


class Engine:
    """One engine, whose number gives it an address and, with the plan's seed, its ids."""

    def __init__(
        self, number: int, plan: Plan, url: str, meter: Meter, news: News, spawn: Spawn
    ) -> None:
        self.number = number
        self.alive = False
        self.endpoints: list[Endpoint] = []
        self.locator = f"192.168.{number // _ENGINES_PER_SUBNET}.{number % _ENGINES_PER_SUBNET + 1}"
        self._plan = plan
        self._url = url
        self._meter = meter
        self._news = news
        self._spawn_in_soak = spawn
        self._chance = Random(f"{plan.seed}/{number}")  # noqa: S311 - to be repeatable
        self._bridge = new_id(self._chance)
        self._containers = 0
        # Held by whoever acts, so that a crash comes between two actions: one in the middle leaks
        # records, as it does with real engines, and the live set would grow.
        self._acting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: dict[str, _CountWatch] = {}
        self._wire: Wire | None = None
        self._discovery: Discovery
        self._network: Libnetwork

    async def start(self) -> None:
        """Start, register, and remove what an earlier life left behind."""
        async with self._acting:
            self._wire = Wire(self._url, self._meter)
            kv = Libkv(self._wire, self._meter, self._news, self._plan.prefix)
            self._discovery = Discovery(kv, self._plan, f"{self.locator}:{_PORT}")
            self._network = Libnetwork(kv, self._chance, self.locator, self._bridge)
            self._kv = kv
            self.alive = True
            with suppress(Broken):
                await self._network.start()
            self._spawn(self._discovery.watch_nodes())
            await asyncio.sleep(self._plan.scaled(_FIRST_HEARTBEAT_S))
            await self._heartbeat()
            self._spawn(self._heartbeats())
        for stale in list(self.endpoints):
            await self.remove_container(stale)

    async def crash(self) -> tuple[str, float]:
        """End as by SIGKILL; return the key that the store must now delete, and the last renewal.

        Endpoints stay in the store until the engine starts again.
        """
        async with self._acting:
            self.alive = False
            for watch in list(self._watches.values()):
                self._unwatch(watch)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()
            return self._discovery.key, self._discovery.renewed_at

    async def close(self) -> None:
        """Close its connections, whatever is under way; a second call does nothing."""
        if self._wire is not None:
            await self._wire.close()

    async def run_container(self, network: Network) -> None:
        """Start a container on a network; does nothing on an engine that is down."""
        async with self._acting:
            if not self.alive:
                return
            self._containers += 1
            name = f"c{self.number}-{self._containers}"
            with suppress(Broken):
                endpoint = await self._network.create_endpoint(network, name)
                self.endpoints.append(endpoint)
                if network.id not in self._watches:
                    self._watch(network)
                await self._network.count(network, +1)
                await self._network.join(endpoint)
                await asyncio.sleep(self._plan.scaled(_INTERFACE_UP_S))
                await self._network.come_up(endpoint)

    async def remove_container(self, endpoint: Endpoint) -> None:
        """Remove a container; does nothing if it is gone, or on an engine that is down."""
        async with self._acting:
            if not self.alive or endpoint not in self.endpoints:
                return
            self.endpoints.remove(endpoint)
            network = endpoint.network
            with suppress(Broken):
                await self._network.remove_endpoint(endpoint)
                watch = self._watches.get(network.id)
                if watch and all(other.network is not network for other in self.endpoints):
                    self._unwatch(watch)
                await self._network.count(network, -1)

    async def create_network(self, name: str) -> Network | None:
        """Create a network; None if that did not work, or if the engine is down."""
        async with self._acting:
            if not self.alive:
                return None
            try:
                return await self._network.create_network(name)
            except Broken:
                return None

    async def remove_network(self, network: Network, known: Iterable[Network]) -> bool:
        """Remove a network that has no endpoints; return False on an engine that is down."""
        async with self._acting:
            if not self.alive:
                return False
            with suppress(Broken):
                await self._network.remove_network(network, known)
            return True

    async def _heartbeats(self) -> None:
        """Send a heartbeat whenever it is time, as Go's ticker would."""
        period_s = self._plan.heartbeat_s
        due = monotonic() + period_s
        while True:
            await asyncio.sleep(max(0.0, due - monotonic()))
            due = max(due + period_s, monotonic())
            await self._heartbeat()

    async def _heartbeat(self) -> None:
        with suppress(Broken):
            if await self._discovery.heartbeat():
                self._spawn(self._discovery.monitor())

    def _watch(self, network: Network) -> None:
        watch = _CountWatch(network)
        self._watches[network.id] = watch
        self._spawn(self._follow_count(watch))

    def _unwatch(self, watch: _CountWatch) -> None:
        self._watches.pop(watch.network.id, None)
        watch.stopped = True
        if watch.watch is not None:
            self._news.leave(watch.watch)

    async def _follow_count(self, watch: _CountWatch) -> None:
        """Follow one network's endpoint_count until the watch is stopped.

        A real engine gives up such a watch for good after one error; here it is a fault already,
        and the load goes on.
        """
        while not watch.stopped:
            with suppress(Broken):
                await self._follow(watch)
            if not watch.stopped:
                await asyncio.sleep(self._plan.heartbeat_s)

    async def _follow(self, watch: _CountWatch) -> None:
        key, wait_ms = count_key(watch.network), self._plan.wait_ms
        index = 0
        while True:
            query = f"{f'index={index}&' if index else ''}wait={wait_ms}ms"
            seen = (await self._kv.poll(key, query, index, wait_ms / 1000)).index
            if watch.stopped:
                return
            if watch.watch is None:
                watch.watch = self._news.join(key, seen)
            self._news.deliver(watch.watch, seen)
            if seen != index:
                index = seen
                self._spawn(self._network.list_endpoints(watch.network.id))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._spawn_in_soak(_unless_broken(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _unless_broken(work: Coroutine[None, None, None]) -> None:
    """Do the work to its end or to its first fault, which the meter knows."""
    with suppress(Broken):
        await work

"""All engines and what happens to them: they come, are used, crash, come back, and leave.

What is alive is bounded: each engine has at most three containers, and networks that are no longer
wanted drain and are removed. So a store that grows, grows for no reason of ours.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from time import monotonic

from conformance.overlay import invariants
from conformance.overlay.kv import Entry
from conformance.overlay.records import parse
from conformance.soak.discovery import NODES, NODES_TOPIC, TTL_GRACE
from conformance.soak.engine import Engine
from conformance.soak.errors import Broken
from conformance.soak.libkv import Libkv
from conformance.soak.libnetwork import Endpoint, Network
from conformance.soak.meter import Meter
from conformance.soak.news import LOST_S, News
from conformance.soak.plan import Plan
from conformance.soak.wire import Wire

# With a coin thrown between none and three, this is how many containers engines have in the long
# run; they begin with it, so that the live set does not have to grow there first.
_AT_FIRST = (0, 1, 1, 2, 2, 3)
_CONTAINERS_MAX = 3
_COIN = 0.5
# First containers are started from the end of the ramp to this part of the warm-up.
_FILLED_AT = 0.75
# A crashed engine is back after this, or after its session has run out.
_REBOOT_S = 2.0
# How much later than at twice its TTL a session may end on a busy machine.
_EXPIRY_SLACK_S = 30.0
_LOOK_AGAIN_S = 1.0


class Fleet:
    """The engines of one soak. Its tasks are in `group`."""

    def __init__(
        self, plan: Plan, url: str, meter: Meter, news: News, group: asyncio.TaskGroup
    ) -> None:
        self._plan = plan
        self._meter = meter
        self._news = news
        self._group = group
        self._chance = Random(plan.seed)  # noqa: S311 - to be repeatable
        self.engines = [
            Engine(number, plan, url, meter, news, self._group.create_task)
            for number in range(plan.engines)
        ]
        self._networks: list[Network] = []
        # Networks that get no more containers, until the last one has gone.
        self._retiring: list[Network] = []
        self._networks_made = 0
        # Network id → containers that are being started on it.
        self._starting = Counter[str]()
        self._slots = asyncio.Semaphore(plan.actions_max)
        # Engines that have had their first containers.
        self._filled = 0
        self._stop = asyncio.Event()
        self._began = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._observer = Wire(url, meter)
        self._kv = Libkv(self._observer, meter, news, plan.prefix)

    def begin(self) -> None:
        """Let the engines come, and everything happen to them."""
        self._began = monotonic()
        gap_s = self._plan.ramp_s / self._plan.engines
        for engine in self.engines:
            self._spawn(self._live(engine, engine.number * gap_s))
        self._spawn(self._replace_networks())
        self._spawn(self._crash_engines())

    @property
    def filled(self) -> bool:
        """Whether every engine has come and has had its first containers."""
        return self._filled == len(self.engines)

    async def quiet(self) -> None:
        """Let users end what they are doing, and crashed engines come back."""
        self._stop.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def settle(self) -> None:
        """Wait until every watcher has heard of everything, or is lost."""
        deadline = monotonic() + LOST_S + _LOOK_AGAIN_S
        while self._news.owing():
            if monotonic() > deadline:
                self._news.sweep()
                return
            await asyncio.sleep(_LOOK_AGAIN_S / 10)

    async def audit(self) -> None:
        """Look for records that contradict each other: updates that were lost, or came twice.

        Call it when all is quiet.
        """
        try:
            listed = (await self._kv.list("docker/")).entries()
        except Broken:
            return
        start = len(self._plan.prefix)
        entries = [
            Entry(one.key[start:], one.value, one.modify_index, one.session) for one in listed
        ]
        for finding in invariants.check(parse(entries)):
            self._meter.fault("records", str(finding))

    async def leave(self) -> None:
        """Let all engines end at once, as by a power cut."""
        await asyncio.gather(*(engine.crash() for engine in self.engines if engine.alive))
        await self._observer.close()

    async def close(self) -> None:
        """Close every connection; for the end of a soak that ends early, too."""
        for engine in self.engines:
            await engine.close()
        await self._observer.close()

    async def _live(self, engine: Engine, delay_s: float) -> None:
        """Start one engine and be its user until the end."""
        if await self._stopped_within(delay_s):
            return
        await engine.start()
        if engine.number < self._plan.networks:
            await self._create_network(engine)
        count = self._chance.choice(_AT_FIRST)
        fill = (self._plan.ramp_s, self._plan.warm_up_s * _FILLED_AT)
        for at_s in sorted(self._chance.uniform(*fill) for _ in range(count)):
            if await self._stopped_within(self._began + at_s - monotonic()):
                return
            await self._take_turn(self._run_container, engine)
        self._filled += 1
        pause_s = self._chance.uniform(0, self._plan.pace_s)
        while not await self._stopped_within(pause_s):
            await self._take_turn(self._act, engine)
            pause_s = self._plan.pace_s * self._chance.uniform(0.5, 1.5)

    async def _take_turn(self, do: Callable[[Engine], Awaitable[None]], engine: Engine) -> None:
        """Do something when few enough others are at it, unless the end has come by then."""
        async with self._slots:
            if not self._stop.is_set():
                await do(engine)

    async def _act(self, engine: Engine) -> None:
        """Do one thing that users do: start a container or remove one."""
        have = engine.endpoints
        unwanted = [one for one in have if one.network in self._retiring]
        if unwanted:
            await engine.remove_container(self._chance.choice(unwanted))
        elif not have or (len(have) < _CONTAINERS_MAX and self._chance.random() < _COIN):
            await self._run_container(engine)
        else:
            await engine.remove_container(self._chance.choice(have))

    async def _run_container(self, engine: Engine) -> None:
        if not self._networks:
            return
        network = self._chance.choice(self._networks)
        self._starting[network.id] += 1
        try:
            await engine.run_container(network)
        finally:
            self._starting[network.id] -= 1
            if not self._starting[network.id]:
                del self._starting[network.id]

    async def _create_network(self, engine: Engine) -> None:
        self._networks_made += 1
        network = await engine.create_network(f"net{self._networks_made}")
        if network is not None:
            self._networks.append(network)

    async def _replace_networks(self) -> None:
        """Now and then create a network, give up another, and remove those that are empty."""
        while not await self._stopped_within(self._plan.retire_s):
            if len(self._networks) >= self._plan.networks:
                oldest = self._networks.pop(0)
                self._retiring.append(oldest)
            await self._create_network(self._chance.choice(self.engines))
            for network in list(self._retiring):
                if not self._in_use(network):
                    await self._remove_network(network)

    async def _remove_network(self, network: Network) -> None:
        engine = self._chance.choice(self.engines)
        if await engine.remove_network(network, list(self._networks)):
            self._retiring.remove(network)

    def _in_use(self, network: Network) -> bool:
        ends: list[Endpoint] = [one for engine in self.engines for one in engine.endpoints]
        return network.id in self._starting or any(one.network == network for one in ends)

    async def _crash_engines(self) -> None:
        """Now and then crash an engine; every other one stays away until its session is gone."""
        reboot = True
        while not await self._stopped_within(self._plan.crash_s):
            engine = self._chance.choice(self.engines)
            if not engine.alive:
                continue
            key, renewed_at = await engine.crash()
            if reboot:
                self._spawn(self._reboot(engine))
            else:
                self._spawn(self._return_when_forgotten(engine, key, renewed_at))
            reboot = not reboot

    async def _reboot(self, engine: Engine) -> None:
        await self._stopped_within(self._plan.scaled(_REBOOT_S))
        await engine.start()

    async def _return_when_forgotten(self, engine: Engine, key: str, renewed_at: float) -> None:
        """See that a dead engine's key goes with its session, then start the engine again."""
        gone_at = renewed_at + self._plan.session_ttl_s * TTL_GRACE
        pause_s = gone_at - monotonic()
        try:
            while not await self._stopped_within(max(_LOOK_AGAIN_S, pause_s)):
                pause_s = 0.0
                if await self._kv.get(key, consistent=False) is None:
                    index = (await self._kv.list(NODES)).index
                    self._news.announce(NODES_TOPIC, index, monotonic())
                    break
                if monotonic() > gone_at + _EXPIRY_SLACK_S:
                    ttl_s = self._plan.session_ttl_s
                    self._meter.fault(
                        "expiry",
                        f"{key} is there {_EXPIRY_SLACK_S:g} s after twice its TTL of {ttl_s:g} s",
                    )
                    break
        except Broken:
            pass  # the meter has it; the engine comes back all the same
        await engine.start()

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait so long, or until the fleet is to be quiet; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return self._stop.is_set()
        return True

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

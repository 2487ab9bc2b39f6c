"""`swarm manage --replication`: a manager that knows the nodes and stands for election.

Source: spec/old-clients.md, section 5; spec/docker-cluster-store.md, section 1.10.
"""

import asyncio
from contextlib import suppress

from conformance.clients.golock import LOCK_FLAGS
from conformance.clients.line import Line, Trouble, create_session, renew_session
from conformance.clients.role import Role
from conformance.clients.swarm import LEADER
from conformance.clients.swarm_join import HEARTBEAT_S, NODES
from conformance.clients.ttl import parse_s
from conformance.suite.case import Store

TTL = "10s"
"""Of a candidate's session, without options: half of `--replication-ttl 20s`."""

RECOVER_S = 10.0
"""How long a manager waits after an error before it stands for election again, or follows it."""

DESTROY_TRIES = 6


class Manage(Role):
    """A manager at `address`, whose sessions have this TTL; `begin_managing` starts it."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        address: str,
        *,
        ttl: str = TTL,
        heartbeat_s: float = HEARTBEAT_S,
        recover_s: float = RECOVER_S,
        calm: bool = True,
    ) -> None:
        super().__init__(store, f"the manager {address}", calm=calm)
        self.address = address
        # What it knows of the nodes, and how often it was told; None before the first time.
        self.nodes: set[str] | None = None
        self.told = 0
        # Whether it leads, and who does as far as it knows.
        self.leads = False
        self.leader = ""
        # The session with which it stands for election, and how many it has made so far.
        self.session = ""
        self.made = 0
        self._nodes = f"/v1/kv/{prefix}{NODES}"
        self._leader = f"/v1/kv/{prefix}{LEADER}"
        self._ttl = ttl
        self._heartbeat_s = heartbeat_s
        self._recover_s = recover_s
        self._renewing: asyncio.Task[None] | None = None
        self._standing: asyncio.Task[None] | None = None

    def begin_managing(self) -> None:
        """Watch the nodes, stand for election and follow it, until it is killed."""
        self.begin(self._discover())
        self._standing = self.begin(self._run())
        self.begin(self._follow())

    async def stop(self) -> None:
        """Leave in good order: release the key and destroy the session, both at once."""
        if self._standing is not None:
            self._standing.cancel()
        self.leads = False
        line = self.line()
        destroyed = self._end_session()
        release = f"{self._leader}?flags={LOCK_FLAGS}&release={self.session}"
        await line.true(release, self.address.encode())
        if destroyed is not None:
            await destroyed
        await self.kill()

    async def _discover(self) -> None:
        """Watch the nodes; after an error begin again at the next heartbeat."""
        line = self.line()
        while True:
            try:
                await self._watch_nodes(line)
            except Trouble as trouble:
                self.troubles.append(str(trouble))
            await self.pause(self._heartbeat_s)

    async def _watch_nodes(self, line: Line) -> None:
        """Make the directory if need be, and take every change below it for the list of nodes."""
        _, found = await line.read(f"{self._nodes}?consistent=")
        if not found and not await line.true(f"{self._nodes}?flags={LOCK_FLAGS}"):
            raise Trouble(f"PUT {self._nodes}: not true")
        index = 0
        while True:
            now, found = await self.look(line, self._nodes, index, "recurse=&")
            if now != index:
                self.nodes = {entry.value.decode() for entry in found if entry.value}
                self.told += 1
            index = now

    async def _follow(self) -> None:
        """Follow the election; after an error begin again a while later."""
        line = self.line()
        while True:
            index, self.leader = 0, ""
            try:
                while True:
                    index, found = await self.look(line, self._leader, index)
                    self.leader = found[0].value.decode() if found else self.leader
            except Trouble as trouble:
                self.troubles.append(str(trouble))
            await self.pause(self._recover_s)

    async def _run(self) -> None:
        """Stand for election; after an error stand again a while later."""
        line = self.line()
        while True:
            try:
                await self._campaign(line)
            except Trouble as trouble:
                self.troubles.append(str(trouble))
            await self.pause(self._recover_s)

    async def _campaign(self, line: Line) -> None:
        """Be a replica, then the leader, then a replica again, each time with a new session."""
        while True:
            self.leads = False
            await self._new_session(line)
            await self.lock(line, self._leader, self.session, self.address.encode())
            self.leads = True
            await self.monitor(self.line(), self._leader, self.session)

    async def _new_session(self, line: Line) -> None:
        """Give up the session of the last campaign, and make another that is renewed."""
        self._end_session()
        renewed_at = asyncio.get_running_loop().time()
        self.session = await create_session(line, "release", self._ttl)
        self.renewed_at = renewed_at
        self.made += 1
        self._renewing = self.begin(self._renew(self.session))

    def _end_session(self) -> "asyncio.Task[None] | None":
        """End the renewals; what renewed the session destroys it, unless it knows it is gone."""
        renewing, self._renewing = self._renewing, None
        if renewing is None or renewing.done():
            return None
        renewing.cancel()
        return self.begin(self._destroy(self.session))

    async def _renew(self, session: str) -> None:
        """Renew at half of the TTL that the store says, until there is no such session."""
        line, ttl_s = self.line(), parse_s(self._ttl)
        while True:
            await self.pause(ttl_s / 2)
            renewed_at = asyncio.get_running_loop().time()
            try:
                ttl = await renew_session(line, session)
            except Trouble as trouble:
                self.troubles.append(str(trouble))
                continue
            if not ttl:
                return
            self.renewed_at, ttl_s = renewed_at, parse_s(ttl)

    async def _destroy(self, session: str) -> None:
        """Destroy a session; try again for a while where the store does not answer."""
        line = self.line()
        for _ in range(DESTROY_TRIES):
            with suppress(Trouble):
                await line.ask("PUT", f"/v1/session/destroy/{session}")
                return
            await self.pause(parse_s(self._ttl) / 2)

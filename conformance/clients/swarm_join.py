"""`swarm join`: an agent that keeps its node on the list of a Swarm.

Source: spec/old-clients.md, section 5.1; spec/docker-cluster-store.md, section 1.4.
"""

import asyncio

from conformance.clients.golock import LOCK_FLAGS
from conformance.clients.line import Line, Trouble, create_session, renew_session
from conformance.clients.role import Role
from conformance.suite.case import Store

NODES = "docker/swarm/nodes"

TTL = "1m30s"
"""Of an agent's session, without options: half of `--ttl 180s`, since a Consul doubles it."""

HEARTBEAT_S = 60.0
BEATS_PER_LIFE = 3
"""How many heartbeats there are to a `--ttl`, without options."""

TRIES = 5


class Join(Role):
    """An agent for the node at `address`, whose sessions have this TTL; `begin_joining` starts it.

    Agents of Swarm 1.0 send `flags` with an acquire only.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        address: str,
        *,
        ttl: str = TTL,
        heartbeat_s: float = HEARTBEAT_S,
        flags: bool = True,
        calm: bool = True,
    ) -> None:
        super().__init__(store, f"the agent of {address}", calm=calm)
        self.address = address
        self.heartbeat_s = heartbeat_s
        self.key = f"{prefix}{NODES}/{address}"
        # The session that holds the node's key, and how many it has made so far.
        self.session = ""
        self.made = 0
        # How often it has said that its node is alive.
        self.beats = 0
        self._node = f"/v1/kv/{self.key}"
        self._ttl = ttl
        self._put = f"{self._node}?flags={LOCK_FLAGS}" if flags else self._node

    def begin_joining(self) -> None:
        """Register, and again at every heartbeat, until it is killed."""
        self.begin(self._join())

    async def _join(self) -> None:
        line = self.line()
        while True:
            try:
                await self._register(line)
            except Trouble as trouble:
                self.troubles.append(str(trouble))
            await self.pause(self.heartbeat_s)

    async def _register(self, line: Line) -> None:
        """Write the key under a session that lives: libkv's Put with a TTL."""
        for tries_left in reversed(range(TRIES)):
            try:
                await self._keep_session(line)
                break
            except Trouble:
                if not tries_left:
                    raise
        if not await line.true(self._put, self.address.encode()):
            raise Trouble(f"PUT {self._put}: not true")
        self.beats += 1

    async def _keep_session(self, line: Line) -> None:
        """Renew the session that holds the key; make one when none does."""
        _, found = await line.read(self._node)
        self.session = found[0].session if found else ""
        if not self.session:
            self.session = await create_session(line, "delete", self._ttl)
            self.made += 1
            await self.lock(line, self._node, self.session)
            self.begin(self.monitor(self.line(), self._node, self.session))
        renewed_at = asyncio.get_running_loop().time()
        if await renew_session(line, self.session):
            self.renewed_at = renewed_at

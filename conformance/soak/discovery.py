"""How one engine stays known to the others: registration, heartbeat, lock monitor, nodes watch.

Each is a coroutine that the engine runs as a task; cancelled, it leaves nothing behind here.

Source: spec/docker-cluster-store.md, sections 1.4 and 1.5.
"""

import asyncio
import json
from time import monotonic

from conformance.soak.errors import Broken
from conformance.soak.libkv import Libkv
from conformance.soak.meter import Kind
from conformance.soak.plan import Plan
from conformance.soak.wire import NOT_FOUND, OK

NODES = "docker/nodes"
# What the nodes watch watches: the index of all keys below, which is not that of the key itself.
NODES_TOPIC = f"{NODES}?recurse"

# The monitor polls without `wait`, so the store's default holds.
_DEFAULT_WAIT_S = 300.0
# A store may keep a session for twice its TTL, and engines count on that.
TTL_GRACE = 2.0


class Discovery:
    """One life of one engine, from its start to its end."""

    def __init__(self, kv: Libkv, plan: Plan, advertise: str) -> None:
        self._kv = kv
        self._plan = plan
        self._advertise = advertise
        self._session = ""
        # When the session was renewed last, on the monotonic clock; set when `_session` is.
        self.renewed_at = 0.0

    @property
    def key(self) -> str:
        """The key that says that this engine is alive."""
        return f"{NODES}/{self._advertise}"

    async def heartbeat(self) -> bool:
        """Register or renew; return whether a session was made, which needs a `monitor`."""
        found = await self._kv.get(self.key, consistent=False)
        session = found.session if found else ""
        if self._session and session != self._session:
            self._judge_loss(f"the key names {session or 'none'}")
        registers = not session
        if registers:
            session = await self._register()
        if not await self._renew(session):
            if self._session:
                self._judge_loss("renewing it was a 404")
            registers, session = True, await self._register()
        self._session, self.renewed_at = session, monotonic()
        await self._kv.put(self.key, self._advertise.encode())
        return registers

    async def monitor(self) -> None:
        """Watch the own key for as long as the session holds it, as libkv's lock does."""
        try:
            found = await self._kv.get(self.key)
            session = found.session if found else ""
            while found is not None and found.session == session:
                index = found.modify_index
                self._kv.news.announce(NODES_TOPIC, index, monotonic())
                query = f"consistent=&index={index}"
                answer = await self._kv.poll(self.key, query, index, _DEFAULT_WAIT_S)
                found = next(iter(answer.entries()), None)
        except Broken:
            return  # the lock is given up; the heartbeat goes on

    async def watch_nodes(self) -> None:
        """Follow the list of engines for ever; begin again after an error."""
        while True:
            try:
                await self._watch_nodes()
            except Broken:
                await asyncio.sleep(self._plan.heartbeat_s)

    async def _watch_nodes(self) -> None:
        kv = self._kv
        if await kv.get(NODES) is None:
            await kv.put(NODES, b"")
        wait = f"recurse=&wait={self._plan.wait_ms}ms"
        wait_s = self._plan.wait_ms / 1000
        index = (await kv.poll(NODES, wait, 0, wait_s)).index
        watch = kv.news.join(NODES_TOPIC, index)
        try:
            while True:
                index = (await kv.poll(NODES, f"index={index}&{wait}", index, wait_s)).index
                kv.news.deliver(watch, index)
        finally:
            kv.news.leave(watch)

    async def _register(self) -> str:
        """Make a session that holds our key, and return its id."""
        wish = {"Behavior": "delete", "LockDelay": "1ms", "TTL": f"{self._plan.session_ttl_s:g}s"}
        body = json.dumps(wish, separators=(",", ":")).encode() + b"\n"
        wire = self._kv.wire
        answer = await wire.ask(Kind.SESSION, "PUT", "/v1/session/create", body)
        session = str(json.loads(answer.body)["ID"])
        wait_ms = self._plan.wait_ms
        await self._kv.poll(self.key, f"wait={wait_ms}ms", 0, wait_ms / 1000)
        if not await self._kv.put(self.key, b"", f"acquire={session}"):
            raise wire.fault("acquire", f"{self.key}: refused, though no session held it")
        return session

    async def _renew(self, session: str) -> bool:
        """Return whether the session is still there."""
        target = f"/v1/session/renew/{session}"
        answer = await self._kv.wire.ask(Kind.SESSION, "PUT", target, b"", expect=(OK, NOT_FOUND))
        return answer.status == OK

    def _judge_loss(self, seen: str) -> None:
        """Say whose fault it is that the session is gone."""
        idle_s = monotonic() - self.renewed_at
        ttl_s = self._plan.session_ttl_s
        if idle_s > ttl_s * TTL_GRACE:
            self._kv.meter.late_heartbeats += 1
            return
        self._kv.meter.fault(
            "session lost",
            f"{self.key}: {seen}, {idle_s:.1f} s after session {self._session} was renewed; "
            f"its TTL is {ttl_s:g} s, doubled",
        )

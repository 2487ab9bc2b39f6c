"""Requests to a router without a socket: whoever brings answers to responses, in its smallest form.

What the aiohttp lane does and any other lane has to do, so these tests hold for every lane.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from kvstore.api.absent import AbsentEndpoints
from kvstore.api.acl import ACLEndpoints
from kvstore.api.agent import AgentEndpoints
from kvstore.api.catalog import CatalogEndpoints
from kvstore.api.cluster import ClusterEndpoints
from kvstore.api.event import EventEndpoints
from kvstore.api.exchange import Answer, NeedBody, Response, Waiting, Working, Writing
from kvstore.api.health import HealthEndpoints
from kvstore.api.identity import Identity
from kvstore.api.kv import KVEndpoints
from kvstore.api.monitor import MonitorEndpoints
from kvstore.api.prepared import PreparedEndpoints
from kvstore.api.query import parse_query
from kvstore.api.refusals import guarded, refusal
from kvstore.api.registrations import RegistrationEndpoints
from kvstore.api.router import Family, Router
from kvstore.api.session import SessionEndpoints
from kvstore.api.snapshot import SnapshotEndpoints
from kvstore.api.status import StatusEndpoints
from kvstore.api.txn import TxnEndpoints
from kvstore.api.unchanging import Unchanging
from kvstore.api.upkeep import Load, UpkeepEndpoints
from kvstore.clock import SystemClock
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.engine.events import Events
from kvstore.errors import KVStoreError
from kvstore.journal.journal import Journal
from kvstore.journal.memory import MemoryJournal
from kvstore.state.applied import Read

__all__ = ["IDENTITY", "LOAD", "Calls", "calling", "endpoints", "head", "read_query"]

IDENTITY = Identity("n1", "b0a1c2d3-0000-1111-2222-333344445555", "dc1", "10.0.0.5", 8500, "0.1.0")
# What clients are said to take.
LOAD = Load(connections=7, handshakes=2, received_bytes=3000, unread_bytes=70_000)


def endpoints(engine: Engine, *, adopt_lost_cas: bool = False) -> tuple[Family, ...]:
    """Return what a router routes to, over an engine; the last is UpkeepEndpoints."""
    datacenter = IDENTITY.datacenter
    reads, events = Unchanging(engine, datacenter), Events(SystemClock())
    return (
        KVEndpoints(engine, datacenter, adopt_lost_cas=adopt_lost_cas),
        SessionEndpoints(engine, datacenter),
        TxnEndpoints(engine, datacenter),
        StatusEndpoints(IDENTITY),
        AgentEndpoints(engine, events, IDENTITY, None),
        RegistrationEndpoints(),
        CatalogEndpoints(reads, IDENTITY),
        HealthEndpoints(reads, IDENTITY),
        ClusterEndpoints(engine, reads, IDENTITY, SystemClock()),
        PreparedEndpoints(reads, datacenter),
        EventEndpoints(events, IDENTITY.node, datacenter),
        MonitorEndpoints(),
        ACLEndpoints(),
        AbsentEndpoints(),
        SnapshotEndpoints(engine, datacenter, SystemClock()),
        UpkeepEndpoints(engine, events, SystemClock(), None, lambda: LOAD),
    )


def head(response: Response) -> dict[str, str]:
    """Return a response's headers by name; each may stand there once."""
    lines = response.headers.decode("latin-1").split("\r\n")
    assert lines.pop() == "", "the last line has its CR LF too"
    pairs = [line.split(": ", 1) for line in lines]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    return headers


def read_query(raw: str) -> Any:
    """Return the parameters of a query that decodes."""
    query = parse_query(raw)
    assert query is not None
    return query


@dataclass(frozen=True)
class Calls:
    """Requests to one router over one engine."""

    engine: Engine
    router: Router

    def dispatch(self, method: str, target: str, **headers: str) -> Answer:
        """Return the answer to a request's head; names of headers have "_" for "-"."""
        named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
        return self.router.dispatch(method, target, named)

    async def __call__(
        self, method: str, target: str, body: bytes = b"", **headers: str
    ) -> Response:
        """Return the response to a request."""
        return await self.finish(self.dispatch(method, target, **headers), body)

    async def finish(self, answer: Answer, body: bytes = b"") -> Response:
        """Bring an answer to its response, as `exchange.py` says."""
        if isinstance(answer, NeedBody):
            if len(body) > answer.limit_bytes:
                return answer.too_large(len(body))
            answer = guarded(answer.then, body)
        if isinstance(answer, Waiting):
            done: asyncio.Future[Read[Any]] = asyncio.get_running_loop().create_future()
            answer.parked.on_done(done.set_result)
            return answer.render(await done)
        if isinstance(answer, Writing | Working):
            try:
                if isinstance(answer, Working):
                    return await answer.response
                return answer.render(await answer.outcome)
            except KVStoreError as error:
                return refusal(error)
        assert isinstance(answer, Response)
        return answer

    async def put(self, key: str, value: bytes = b"v") -> None:
        """Write a key, which must succeed."""
        response = await self("PUT", f"/v1/kv/{key}", value)
        assert (response.status, response.body) == (200, b"true")

    async def create_session(self, body: bytes = b'{"LockDelay":0}') -> str:
        """Make a session and return its id."""
        response = await self("PUT", "/v1/session/create", body)
        assert response.status == 200, response
        return response.body.decode()[len('{"ID":"') : -len('"}')]


@asynccontextmanager
async def calling(
    journal: Journal | None = None, *, adopt_lost_cas: bool = False
) -> AsyncIterator[Calls]:
    """Run an engine on a journal (a new one in memory) and call it until the block ends."""
    rules = SessionRules(IDENTITY.node, 10 * NS_PER_S)
    engine = Engine(journal or MemoryJournal(), SystemClock(), rules)
    await engine.start()
    try:
        yield Calls(engine, Router(*endpoints(engine, adopt_lost_cas=adopt_lost_cas)))
    finally:
        await engine.close()
        engine.state.check()

"""The composition root: open the journal, replay, serve, drain, close, in that order and back.

The only module that knows every floor.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kvstore import __version__
from kvstore.api.absent import AbsentEndpoints
from kvstore.api.acl import ACLEndpoints
from kvstore.api.agent import AgentEndpoints
from kvstore.api.catalog import CatalogEndpoints
from kvstore.api.cluster import ClusterEndpoints
from kvstore.api.event import EventEndpoints
from kvstore.api.fast import FastLane
from kvstore.api.health import HealthEndpoints
from kvstore.api.identity import Identity
from kvstore.api.kv import KVEndpoints
from kvstore.api.limits import Terms
from kvstore.api.monitor import MonitorEndpoints
from kvstore.api.prepared import PreparedEndpoints
from kvstore.api.registrations import RegistrationEndpoints
from kvstore.api.router import Router
from kvstore.api.session import SessionEndpoints
from kvstore.api.snapshot import SnapshotEndpoints
from kvstore.api.status import StatusEndpoints
from kvstore.api.txn import TxnEndpoints
from kvstore.api.unchanging import Unchanging
from kvstore.api.upkeep import Load, UpkeepEndpoints
from kvstore.clock import Clock, SystemClock
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.engine.events import Events
from kvstore.errors import JournalUnwritable, KVStoreError
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import ROOM_BYTES, FileJournal
from kvstore.journal.journal import Journal
from kvstore.journal.memory import MemoryJournal
from kvstore.listening import Listener, TcpAddress, reachable_host
from kvstore.maintenance.compactor import Compactor, build_in_process
from kvstore.process import loading, settle_memory
from kvstore.settings import Settings
from kvstore.transport.credentials import Credentials
from kvstore.transport.door import Door, connections_within
from kvstore.transport.serving import Serving

if TYPE_CHECKING:
    from kvstore.access.files import TokenSource

__all__ = ["Server"]

log = logging.getLogger(__name__)

# Is told how many more entries and records were taken, and how many bytes of how many were read.
Replayed = Callable[[int, int, int], None]

# How long requests under way may take to end when the server stops: those that wait have been
# answered, so it is the ones whose body does not come. Docker kills after 10 s, we are done before.
_DRAIN_S = 3.0
# How long connections that were accepted last may take to send their first request, where those
# that come later are another server's. Clients do not repeat a request whose new connection was
# closed, and a Docker engine then gives up a watch.
_LAST_REQUESTS_S = 0.1
# How long after a start clients of the server before come back: Docker engines do at once, or with
# the next turn of their discovery, 20 s later.
_SETTLES_S = 30.0


class Server:
    """One store on its listening sockets, which it owns from now on."""

    def __init__(
        self, settings: Settings, listeners: Sequence[Listener], clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._clock = clock
        self._events = Events(clock or SystemClock())
        # Set by `start`.
        self._serving: Serving | None = None
        self._tokens: TokenSource | None = None
        self._engine: Engine | None = None
        self._compactor: Compactor | None = None
        self._terms = Terms(settings.limits, clock or SystemClock())
        self._lane: FastLane | None = None

    @property
    def host(self) -> str:
        """The address under which clients reach the first TCP listener; else this machine's own."""
        listener = self._first_tcp()
        return "127.0.0.1" if listener is None else reachable_host(listener.socket)

    @property
    def port(self) -> int:
        """The port of the first TCP listener; 0 when there is none."""
        listener = self._first_tcp()
        return 0 if listener is None else int(listener.socket.getsockname()[1])

    def _first_tcp(self) -> Listener | None:
        tcp = (one for one in self._listeners if isinstance(one.address, TcpAddress))
        return next(tcp, None)

    async def start(self, replayed: Replayed = lambda _count, _read, _total: None) -> None:
        """Read certificates and tokens, open and replay the journal, then serve.

        `replayed` is told now and then how far the reading of the journal has come. Raises
        TlsUnusable, TokensUnusable, JournalError, and OSError when the folder cannot be made; then
        nothing was served, and sockets and folder are given up.
        """
        settings = self._settings
        door = Door(connections_within(settings.connections_max), settings.client_connections_max)
        self._serving = Serving(self._listeners, settings.tls, door)
        try:
            if settings.tokens is not None:
                self._tokens = _token_source(settings.tokens)
            self._engine = await self._start_engine(replayed)
        except BaseException:
            self._serving.close()
            raise
        held = any(listener.inherited for listener in self._listeners)
        router = self._router(self._engine)
        self._lane = FastLane(router, self._terms, _SETTLES_S if held else 0.0)
        settle_memory()
        self._serving.open(self._lane)

    def reload(self) -> None:
        """Read certificates and tokens again, for new connections and new requests.

        What cannot be read is logged with the reason, and what was read before stays in force.
        """
        if not self._sources:
            log.info("there is nothing to read again: neither certificates nor tokens are set")
        self._reload()

    @property
    def _sources(self) -> "list[Credentials | TokenSource]":
        """What can be read again."""
        assert self._serving is not None
        both = (self._serving.credentials, self._tokens)
        return [source for source in both if source is not None]

    def _reload(self) -> list[KVStoreError]:
        """Read each source again; log and return the errors of those that stay as they were."""
        errors = []
        for source in self._sources:
            try:
                source.reload()
            except KVStoreError as error:
                log.error("%s; what was read before stays in force", error)  # noqa: TRY400
                errors.append(error)
        return errors

    def _reload_or_raise(self) -> None:
        """Read each source again; raises the first error, when all were tried."""
        errors = self._reload()
        if errors:
            raise errors[0]

    async def _start_engine(self, replayed: Replayed) -> Engine:
        began = time.monotonic()
        settings = self._settings
        clock = self._clock or SystemClock()
        journal = self._open_journal()
        rules = SessionRules(
            settings.node, settings.session_ttl_min_ns, sessions_max=settings.sessions_max
        )
        engine = Engine(journal, clock, rules)
        try:
            with loading():
                if isinstance(journal, FileJournal):
                    await engine.start(lambda count: replayed(count, *journal.replay_progress()))
                    self._compactor = self._open_compactor(journal, clock)
                else:
                    await engine.start()
        except BaseException:
            with suppress(JournalUnwritable):  # what is on its way says more
                await engine.close()
            raise
        state = engine.state
        log.info(
            "the store has %d keys and %d sessions at index %d; ready after %.3f s",
            state.entry_count,
            state.session_count,
            state.last_index,
            time.monotonic() - began,
        )
        return engine

    def _open_journal(self) -> Journal:
        settings = self._settings
        if settings.data_dir is None:
            return MemoryJournal(keep=False)
        disk = FolderDisk(settings.data_dir)
        return FileJournal(disk, sync=settings.sync, room_bytes=ROOM_BYTES, space=settings.space)

    def _open_compactor(self, journal: FileJournal, clock: Clock) -> Compactor:
        settings = self._settings
        return Compactor(
            journal,
            clock,
            settings.compaction,
            settings.history,
            settings.space,
            build_in_process,
        )

    def _router(self, engine: Engine) -> Router:
        settings = self._settings
        clock = self._clock or SystemClock()
        identity = Identity(
            node=settings.node,
            node_id=engine.state.store_id,
            datacenter=settings.datacenter,
            host=self.host,
            port=self.port,
            version=__version__,
        )
        reads = Unchanging(engine, settings.datacenter)
        return Router(
            KVEndpoints(engine, settings.datacenter, adopt_lost_cas=settings.adopt_lost_cas),
            SessionEndpoints(engine, settings.datacenter),
            StatusEndpoints(identity),
            AgentEndpoints(
                engine, self._events, identity, self._reload_or_raise if self._sources else None
            ),
            RegistrationEndpoints(),
            CatalogEndpoints(reads, identity),
            HealthEndpoints(reads, identity),
            ClusterEndpoints(engine, reads, identity, clock),
            PreparedEndpoints(reads, settings.datacenter),
            EventEndpoints(self._events, settings.node, settings.datacenter),
            MonitorEndpoints(),
            ACLEndpoints(),
            AbsentEndpoints(),
            SnapshotEndpoints(engine, settings.datacenter, clock),
            UpkeepEndpoints(engine, self._events, clock, self._compactor, self._load),
            TxnEndpoints(engine, settings.datacenter),
            tokens=self._tokens,
        )

    def _load(self) -> Load:
        """Return what clients take at the moment."""
        assert self._serving is not None
        return Load(
            self._serving.connections_count,
            self._serving.handshakes_count,
            self._terms.received.bytes,
            self._terms.answers.bytes,
        )

    @property
    def batch_under_way(self) -> int | None:
        """Number of the batch of writes that is being made to last; None while there is none."""
        return None if self._engine is None else self._engine.batch_under_way

    async def wait_failed(self) -> None:
        """Wait for the engine to stop by itself; raises the bug that stopped it."""
        assert self._engine is not None
        await self._engine.wait_failed()

    async def stop(self) -> None:
        """Drain and close: parked queries get what is there, writes under way are finished.

        Raises JournalUnwritable when the journal failed, now or before.
        """
        assert self._engine is not None
        assert self._lane is not None
        assert self._serving is not None
        began = time.monotonic()
        if self._serving.pause():
            await asyncio.sleep(_LAST_REQUESTS_S)
        self._serving.close()
        self._lane.drain()
        parked = self._engine.parked_count + self._events.parked_count
        self._engine.release_parked()
        self._events.close()
        await self._lane.shutdown(_DRAIN_S)
        if self._compactor is not None:
            await self._compactor.close()
        try:
            await self._engine.close()
        except JournalUnwritable as failure:
            log.critical("%s: not every write may have lasted", failure)
            raise
        finally:
            log.info(
                "stopped at index %d: %d parked queries answered, %.3f s",
                self._engine.state.last_index,
                parked,
                time.monotonic() - began,
            )


def _token_source(path: Path) -> "TokenSource":
    from kvstore.access.files import TokenSource  # noqa: PLC0415 - most servers have no tokens

    return TokenSource(path)

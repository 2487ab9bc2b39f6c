"""The composition root: open the journal, replay, serve, drain, close, in that order and back.

The only module that knows every floor.
"""

import asyncio
import gc
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kvstore import __version__
from kvstore.api.identity import Identity
from kvstore.api.kv import KVEndpoints
from kvstore.api.lane import Lane
from kvstore.api.router import Router
from kvstore.api.session import SessionEndpoints
from kvstore.api.snapshot import SnapshotEndpoints
from kvstore.api.status import StatusEndpoints
from kvstore.api.upkeep import UpkeepEndpoints
from kvstore.clock import Clock, SystemClock
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.errors import JournalUnwritable
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.journal import Journal
from kvstore.journal.memory import MemoryJournal
from kvstore.listening import BACKLOG, reachable_host
from kvstore.maintenance.compactor import Compactor, build_in_process
from kvstore.settings import Settings

__all__ = ["Server"]

log = logging.getLogger(__name__)

# Is told how many more entries and records were taken, and how many bytes of how many were read.
Replayed = Callable[[int, int, int], None]

# How long requests under way may take to end when the server stops: those that wait have been
# answered, so it is the ones whose body does not come. Docker kills after 10 s, we are done before.
_DRAIN_S = 3.0


@contextmanager
def _without_collector() -> Iterator[None]:
    """Read a journal without looking for cycles: there are none, and millions of values to search.

    What was read is not searched later either.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class Server:
    """One store on one listening socket, which it owns from now on."""

    def __init__(
        self, settings: Settings, listener: socket.socket, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._clock = clock
        # Set by `start`.
        self._engine: Engine | None = None
        self._compactor: Compactor | None = None
        self._lane: Lane | None = None
        self._serving: asyncio.Server | None = None

    @property
    def host(self) -> str:
        """The address under which clients reach the server."""
        return reachable_host(self._listener)

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self, replayed: Replayed = lambda _count, _read, _total: None) -> None:
        """Open and replay the journal, then serve.

        `replayed` is told now and then how far the reading of the journal has come. Raises
        JournalError, and OSError when the folder cannot be made; then nothing was served, and
        socket and folder are given up.
        """
        try:
            self._engine = await self._start_engine(replayed)
        except BaseException:
            self._listener.close()
            raise
        self._lane = Lane(self._router(self._engine))
        self._serving = await asyncio.get_running_loop().create_server(
            self._lane, sock=self._listener, backlog=BACKLOG
        )

    async def _start_engine(self, replayed: Replayed) -> Engine:
        began = time.monotonic()
        settings = self._settings
        clock = self._clock or SystemClock()
        journal = self._open_journal()
        rules = SessionRules(settings.node, settings.session_ttl_min_ns)
        engine = Engine(journal, clock, rules)
        try:
            with _without_collector():
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
        return FileJournal(disk, sync=settings.sync, space=settings.space)

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
        return Router(
            KVEndpoints(engine, settings.datacenter, adopt_lost_cas=settings.adopt_lost_cas),
            SessionEndpoints(engine, settings.datacenter),
            StatusEndpoints(engine, identity),
            SnapshotEndpoints(engine, settings.datacenter, clock),
            UpkeepEndpoints(engine, clock, self._compactor),
        )

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
        self._serving.close()
        self._lane.drain()
        parked = self._engine.parked_count
        self._engine.release_parked()
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

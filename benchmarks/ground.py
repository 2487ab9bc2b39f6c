"""What a scenario stands on: one store on a folder of its own, the load generator, a size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.server import Server
from benchmarks.stores import Store
from benchmarks.wrk import Load, Wrk

__all__ = ["Ground", "Tell"]

Tell = Callable[[str], None]

_US_PER_S = 1e6


@dataclass(slots=True)
class Ground:
    """One store in one round.

    `short` asks for small sizes; `tell` shows a line of progress.
    """

    store: Store
    folder: Path
    wrk: Wrk
    short: bool
    tell: Tell
    # How long each load is put on, in whole seconds, since wrk knows no parts of them.
    load_s: int
    _server: Server | None = None
    _started: int = 0

    @property
    def server(self) -> Server:
        """The store's server, started at the first use, running until `close`."""
        if self._server is None:
            self._server = self._start()
        return self._server

    @contextmanager
    def fresh(self) -> Iterator[Server]:
        """Give one more server, on a folder that is empty, and end it."""
        server = self._start()
        try:
            yield server
        finally:
            server.stop()

    def close(self) -> None:
        """End the server, if there is one."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def load(
        self,
        script: str,
        arguments: list[str],
        *,
        connections: int,
        threads: int = 1,
    ) -> tuple[Load, list[Figure]]:
        """Put load on the server; return what came of it, also as figures.

        Raises WrongAnswer when an answer was not what it must be.
        """
        server = self.server
        before = server.look().cpu_s
        load = self.wrk.run(
            script,
            arguments,
            port=server.port,
            connections=connections,
            seconds=self.load_s,
            threads=threads,
        )
        cpu_s = server.look().cpu_s - before
        if load.errors:
            raise WrongAnswer(
                f"{self.store.name}: {load.errors} of {load.requests} answers were wrong "
                f"or did not come"
            )
        return load, [
            Figure("rate", "/s", load.rate),
            Figure("p50", "ms", load.p50_ms),
            Figure("p99", "ms", load.p99_ms),
            Figure("CPU", "µs", cpu_s / load.requests * _US_PER_S),
            Figure("memory", "MB", server.look().rss_bytes / 1e6),
        ]

    def _start(self) -> Server:
        self._started += 1
        return Server(self.store, self.folder / str(self._started))

"""Filling a store with very many entries, by several clients at once."""

import threading
from collections.abc import Iterator, Sequence
from itertools import islice

from benchmarks.client import Client
from benchmarks.dialect import Dialect, Pair
from benchmarks.errors import WrongAnswer
from benchmarks.ground import Tell

__all__ = ["load"]

_TXN_MAX = 64
_CLIENTS = 8
_TOLD_EVERY = 1000


def load(port: int, dialect: Dialect, pairs: Sequence[Pair], tell: Tell) -> None:
    """Write all pairs in transactions of 64. Raises WrongAnswer when one is refused."""
    _Loading(port, dialect, pairs, tell).run()


class _Loading:
    """What the clients share."""

    def __init__(self, port: int, dialect: Dialect, pairs: Sequence[Pair], tell: Tell) -> None:
        self._port = port
        self._dialect = dialect
        self._total = len(pairs)
        self._tell = tell
        self._batches = self._cut(iter(pairs))
        self._next = threading.Lock()
        self._trouble: list[WrongAnswer] = []

    def run(self) -> None:
        """Write with several clients, to the end or to the first trouble."""
        clients = [threading.Thread(target=self._write, daemon=True) for _ in range(_CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if self._trouble:
            raise self._trouble[0]

    def _cut(self, pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
        done = 0
        while batch := list(islice(pairs, _TXN_MAX)):
            yield batch
            done += 1
            if done % _TOLD_EVERY == 0:
                self._tell(f"loading, {done * _TXN_MAX} of {self._total} entries")

    def _write(self) -> None:
        with Client(self._port) as client:
            while not self._trouble:
                with self._next:
                    batch = next(self._batches, None)
                if batch is None:
                    return
                try:
                    self._send(client, batch)
                except WrongAnswer as wrong:
                    self._trouble.append(wrong)

    def _send(self, client: Client, batch: list[Pair]) -> None:
        if not self._dialect.wrote(client.ask(self._dialect.transaction(batch))):
            raise WrongAnswer(f"the transaction with {batch[0][0]} was refused")

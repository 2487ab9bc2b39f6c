"""Filling a store with very many entries, by several clients at once."""

import threading
import time
from collections.abc import Sequence

from benchmarks.client import Call, Client
from benchmarks.dialect import Dialect, Pair
from benchmarks.errors import WrongAnswer
from benchmarks.ground import Tell

__all__ = ["load"]

_TXN_MAX = 64
_CLIENTS = 8
_TOLD_EVERY = 1000


def load(port: int, dialect: Dialect, pairs: Sequence[Pair], tell: Tell) -> float:
    """Write all pairs in transactions of 64; return how many seconds the writing took.

    The requests are made before the time is taken: making them in Python takes a core as long as
    the store takes to do them. Raises WrongAnswer when one is refused.
    """
    starts = range(0, len(pairs), _TXN_MAX)
    if len(starts) > _TOLD_EVERY:
        tell(f"making the requests for {len(pairs)} entries")
    requests = [dialect.transaction(pairs[start : start + _TXN_MAX]) for start in starts]
    return _Loading(port, dialect, requests, tell).run()


class _Loading:
    """What the clients share."""

    def __init__(self, port: int, dialect: Dialect, requests: Sequence[Call], tell: Tell) -> None:
        self._port = port
        self._dialect = dialect
        self._requests = requests
        self._tell = tell
        self._taken = iter(enumerate(requests))
        self._next = threading.Lock()
        self._trouble: list[WrongAnswer] = []

    def run(self) -> float:
        """Write with several clients, to the end or to the first trouble."""
        clients = [threading.Thread(target=self._write, daemon=True) for _ in range(_CLIENTS)]
        began = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if self._trouble:
            raise self._trouble[0]
        return time.monotonic() - began

    def _write(self) -> None:
        with Client(self._port) as client:
            while not self._trouble:
                with self._next:
                    number, request = next(self._taken, (0, None))
                if request is None:
                    return
                if number and number % _TOLD_EVERY == 0:
                    self._tell(f"loading, {number} of {len(self._requests)} transactions")
                try:
                    self._send(client, request, number)
                except WrongAnswer as wrong:
                    self._trouble.append(wrong)

    def _send(self, client: Client, request: Call, number: int) -> None:
        if not self._dialect.wrote(client.ask(request)):
            raise WrongAnswer(f"transaction {number} of the load was refused")

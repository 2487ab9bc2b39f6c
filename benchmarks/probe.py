"""What one more client notices while a server is busy with others."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.client import Call, Client
from benchmarks.errors import WrongAnswer

__all__ = ["Probe", "percentile"]

_PAUSE_S = 0.002


class Probe:
    """Asks one thing again and again, with a short pause, and notes how long answers take."""

    def __init__(self, port: int, call: Call) -> None:
        self._port = port
        self._call = call
        self.times_s: list[float] = []
        self._wrong: WrongAnswer | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while the block runs, beginning anew. Raises WrongAnswer at its end."""
        self.times_s = []
        end = threading.Event()
        thread = threading.Thread(target=self._ask, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        if self._wrong is not None:
            raise self._wrong

    def ms(self, part: float) -> float:
        """Return the time that `part` of all answers did not exceed, in milliseconds."""
        return percentile(self.times_s, part) * 1000

    def _ask(self, end: threading.Event) -> None:
        with Client(self._port) as client:
            while not end.wait(_PAUSE_S):
                began = time.monotonic()
                try:
                    client.ask(self._call)
                except WrongAnswer as wrong:
                    self._wrong = wrong
                    return
                self.times_s.append(time.monotonic() - began)


def percentile(values: list[float], part: float) -> float:
    """Return the smallest value that `part` of all do not exceed. Raises WrongAnswer for none."""
    if not values:
        raise WrongAnswer("nothing was answered in time to be measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

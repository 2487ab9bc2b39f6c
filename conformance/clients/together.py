"""Running clients side by side."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from conformance.suite.case import Failed

T = TypeVar("T")


def together(*runs: Callable[[], T]) -> list[T]:
    """Run all at once and return what they return, in their order.

    Raises what the first of them raises to fail, when all have ended.
    """
    if not runs:
        return []
    with ThreadPoolExecutor(len(runs)) as pool:
        futures = [pool.submit(run) for run in runs]
        first: BaseException | None = None
        for future in as_completed(futures):
            first = first or future.exception()
    if first is not None:
        raise first
    return [future.result() for future in futures]


def each(run: Callable[[T], object], several: Iterable[T]) -> None:
    """Run with each of several at once. Raises as `together` does."""

    def call(one: T) -> Callable[[], object]:
        return lambda: run(one)

    together(*(call(one) for one in several))


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago it was made."""
        return time.monotonic() - self._began

    def check(self, what: str, least_s: float, most_s: float) -> None:
        """Raise Failed unless between so many seconds have passed."""
        took_s = self.seconds
        if not least_s <= took_s <= most_s:
            expected = f"after {least_s:.2f} to {most_s:.2f} s"
            raise Failed(what, expected, f"after {took_s:.2f} s")

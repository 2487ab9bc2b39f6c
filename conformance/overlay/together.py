"""Several calls at once, each in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def together(*calls: Callable[[], T]) -> list[T]:
    """Run all calls at the same time and return their results in order.

    Waits for all of them; then raises the first exception, if there was one.
    """
    if not calls:
        return []
    pool = ThreadPoolExecutor(max_workers=len(calls))
    try:
        futures = [pool.submit(call) for call in calls]
        wait(futures)
    finally:
        # Ctrl-C does not wait for the calls: they end when the lab's hosts do.
        pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]

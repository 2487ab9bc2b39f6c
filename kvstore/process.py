"""What the process asks of the system and of Python once, so that it stays as it began for months.

Memory: bodies and compressed answers are large, short-lived and of every size. glibc keeps such
blocks in its heap once it has seen some freed, and the heap breaks up: with 500 simulated engines
it grew by 5 MiB a minute with the memory in use unchanged. Blocks that are mapped go back when they
are freed.

Garbage: Python searches all values for unreachable cycles, again and again as they become more.
What a server loads, modules and the store, stays as long as it does and is not worth a search:
without one a start takes a tenth less, and no request waits for one of 15 ms and more, by the size
of the store. And it searches the newest of them with every 700 that stay, as a parked query's do: a
burst of thousands of queries, answered and sent again, spent a fifth of its time on searches.

Descriptors: each client has a connection, or five, and a shell's usual limit is 1,024.
"""

import ctypes
import gc
import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "allow_descriptors",
    "loading",
    "map_large_blocks",
    "search_seldom",
    "settle_after_long_searches",
    "settle_memory",
]

log = logging.getLogger(__name__)

# Source: malloc.h of glibc. Setting it also ends its growing by itself.
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 64 * 1024

# So many new values before they are searched, and so many searches of these before one that goes
# further: with ten thousand parked queries answered and sent again, a third of the time that the
# defaults (700 and 10) take. Unreachable cycles are kept up to some megabytes longer.
_NEW_VALUES = 10_000
_SEARCHES_OF_NEW = 30

# As long as a request may wait for a search for garbage.
_LONG_SEARCH_S = 0.02
# The generation of a search of everything.
_ALL = 2


def map_large_blocks() -> None:
    """Have blocks of 64 KiB and more mapped; without effect where the C library is not glibc."""
    try:
        done = ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
    except (AttributeError, OSError):  # no mallopt, musl for one
        done = 0
    if not done:
        log.debug("the C library keeps large blocks as it likes")


def allow_descriptors() -> None:
    """Raise the limit of open descriptors as far as this user may, as Go programs do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        log.debug("the limit of open descriptors is %d, it was %d", hard, soft)


@contextmanager
def loading() -> Iterator[None]:
    """Load in the block what stays, modules or a store, without a search for garbage in it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def search_seldom() -> None:
    """Search new values for garbage when there are ten thousand of them, not 700."""
    gc.set_threshold(_NEW_VALUES, _SEARCHES_OF_NEW)


def settle_memory() -> None:
    """Take all that is in memory now for what stays: it is never searched for garbage again."""
    gc.freeze()


def settle_after_long_searches(long_s: float = _LONG_SEARCH_S) -> None:
    """From now on, settle memory whenever all of it was searched and that took longer.

    A store that grows is searched again with every quarter that it grows by, for half a second at
    a million keys. The price: what was alive then and becomes part of a cycle is not found later;
    a connection may be, some kilobytes.
    """
    began = 0.0

    def on_search(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        elif info["generation"] == _ALL and time.perf_counter() - began > long_s:
            settle_memory()

    gc.callbacks.append(on_search)

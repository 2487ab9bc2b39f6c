"""What the process asks of the system once, so that it stays as it began for months.

Memory: bodies and compressed answers are large, short-lived and of every size. glibc keeps such
blocks in its heap once it has seen some freed, and the heap breaks up: with 500 simulated engines
it grew by 5 MiB a minute with the memory in use unchanged. Blocks that are mapped go back when they
are freed.

Descriptors: each client has a connection, or five, and a shell's usual limit is 1,024.
"""

import ctypes
import logging
import resource

__all__ = ["allow_descriptors", "map_large_blocks"]

log = logging.getLogger(__name__)

# Source: malloc.h of glibc. Setting it also ends its growing by itself.
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 64 * 1024


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

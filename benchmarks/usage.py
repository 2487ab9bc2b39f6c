"""What the kernel counts for a server: processor time and memory of it and all its children.

Source: proc(5), clock_getcpuclockid(3).
"""

import ctypes
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "folder_bytes", "look", "reaped_ticks"]

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# cutime and cstime: counted from what follows the program's name in /proc/PID/stat.
_REAPED = slice(13, 15)
_RESIDENT = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at a server: what it has used since its start, and what it holds now."""

    cpu_s: float
    rss_bytes: int


def look(pid: int) -> Usage:
    """Look at a process and its descendants; a process that has ended counts as nothing.

    User and system time, to the nanosecond; of children that have ended, in clock ticks.
    """
    cpu_s, pages = 0.0, 0
    for one in _tree(pid):
        try:
            stat = (_PROC / str(one) / "stat").read_text(errors="replace")
            resident = (_PROC / str(one) / "statm").read_text().split()[_RESIDENT]
            cpu_s += _cpu_s(one) + reaped_ticks(stat) / _TICKS_PER_S
        except (FileNotFoundError, ProcessLookupError):
            continue
        pages += int(resident)
    return Usage(cpu_s=cpu_s, rss_bytes=pages * _PAGE_BYTES)


def reaped_ticks(text: str) -> int:
    """Return the clock ticks of waited-for children in a /proc/PID/stat.

    The program's name may hold spaces and brackets, so that the last bracket ends it.
    """
    _, _, rest = text.rpartition(")")
    return sum(map(int, rest.split()[_REAPED]))


def _cpu_s(pid: int) -> float:
    """Return what all threads of a process have used. Raises ProcessLookupError."""
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(pid)
    return time.clock_gettime(clock.value)


def folder_bytes(folder: Path) -> int:
    """Return what the files of a folder take on the disk, whatever their sizes say."""
    block_bytes = 512  # of st_blocks, whatever the file system's own are; see stat(2)
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * block_bytes
        except FileNotFoundError:
            continue  # it was compacted away meanwhile
    return total


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            found = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in found:
            yield from _tree(int(child))

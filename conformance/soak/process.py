"""What the kernel tells about a process: memory, descriptors, threads, processor time.

Source: proc(5).
"""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Places in /proc/PID/stat, counted from what follows the process's state.
_UTIME, _STIME, _THREADS = 10, 11, 16


class ProcessGone(Exception):
    """There is no such process any more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process; `cpu_s` is what it has used since its start."""

    rss_bytes: int
    fds: int
    threads: int
    cpu_s: float


def sample(pid: int) -> Sample:
    """Look at a process. Raises ProcessGone, and PermissionError for one of another user."""
    folder = Path("/proc") / str(pid)
    try:
        text = (folder / "stat").read_text(encoding="ascii", errors="replace")
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        fds = len(os.listdir(folder / "fd"))  # noqa: PTH208 - thousands of names, once a second
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessGone(f"process {pid} has ended") from error
    state, *words = text.rpartition(")")[2].split()
    if state == "Z":
        raise ProcessGone(f"process {pid} has ended")
    return Sample(
        rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
        fds=fds,
        threads=int(words[_THREADS]),
        cpu_s=(int(words[_UTIME]) + int(words[_STIME])) / _TICKS_PER_S,
    )

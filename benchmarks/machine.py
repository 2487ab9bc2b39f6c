"""What the figures were measured on."""

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["Machine", "describe", "disk_of"]

# From this part of all cores on, other work shows in rates.
_BUSY_SHARE = 0.25
_SYNCS = 100
_BLOCK_BYTES = 4096
_IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, in words for a report. `load` is what else ran at the start, of all cores."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    file_system: str
    # The median of some syncs of one block in place, which no durable write can beat.
    sync_ms: float
    load: float

    @property
    def durable(self) -> bool:
        """Whether a sync reaches a disk."""
        return self.file_system not in _IN_MEMORY

    @property
    def busy(self) -> str:
        """A sentence about other work at the start; nothing when there was little."""
        if self.load < self.cores * _BUSY_SHARE:
            return ""
        return (
            f"The machine was busy with other work (load average {self.load:.1f} at the start): "
            "rates and times are of what was left of it."
        )

    @property
    def text(self) -> str:
        """One line."""
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gb:.0f} GB, {self.system}, "
            f"{self.file_system} (a sync takes {self.sync_ms:.2f} ms), {self.python}"
        )


def describe(folder: Path) -> Machine:
    """Describe this machine, with the file system of a folder."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=pages / 1e9,
        system=f"Linux {platform.release().split('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        file_system=disk_of(folder, Path("/proc/self/mounts").read_text(encoding="utf-8")),
        sync_ms=_sync_ms(folder),
        load=os.getloadavg()[0],
    )


def disk_of(folder: Path, mounts: str) -> str:
    """Return the kind of file system a folder lies on: that of the longest mount above it."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        _, point, found, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _sync_ms(folder: Path) -> float:
    took_s = []
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS + 1):
            began = time.monotonic()
            file.seek(0)
            file.write(os.urandom(_BLOCK_BYTES))
            os.fdatasync(file.fileno())
            took_s.append(time.monotonic() - began)
    return median(took_s[1:]) * 1000  # the first makes the file longer


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

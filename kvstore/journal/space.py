"""How much a data folder may hold; pure arithmetic.

A write that fails for want of space ends the journal for this process, so the server refuses
writes before that happens, and takes them again by itself when there is room.
"""

from dataclasses import dataclass

__all__ = ["DEFAULT_SPACE", "MIB", "Space", "Usage", "format_bytes"]

MIB = 1024 * 1024

_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"]
_UNIT_STEP = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What the bytes of a data folder are for."""

    # Of the newest snapshot; 0 without one.
    base_index: int
    snapshot_bytes: int
    # Segments behind the newest snapshot: what a start replays.
    tail_bytes: int
    folder_bytes: int

    @property
    def history_bytes(self) -> int:
        """What is only there to look back."""
        return self.folder_bytes - self.snapshot_bytes - self.tail_bytes


@dataclass(frozen=True, slots=True)
class Space:
    """Limits of a data folder; 0 is no limit."""

    folder_bytes_max: int = 0
    # What must stay free on the file system.
    free_bytes_min: int = 0

    def shortage(self, folder_bytes: int, free_bytes: int) -> str | None:
        """Say why there is no room for more data, as a clause; None when there is."""
        if self.folder_bytes_max and folder_bytes >= self.folder_bytes_max:
            held, limit = format_bytes(folder_bytes), format_bytes(self.folder_bytes_max)
            return f"the data folder holds {held}, its limit is {limit}"
        if free_bytes < self.free_bytes_min:
            free, least = format_bytes(free_bytes), format_bytes(self.free_bytes_min)
            return f"the disk has {free} left, at least {least} must stay free"
        return None


# Enough for the snapshot that makes room again.
DEFAULT_SPACE = Space(folder_bytes_max=0, free_bytes_min=64 * MIB)


def format_bytes(count: int) -> str:
    """Return a number of bytes as people read it: '1.5 MiB', '12 bytes'."""
    size = float(count)
    for unit in _UNITS:
        if size < _UNIT_STEP or unit == _UNITS[-1]:
            break
        size /= _UNIT_STEP
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"

"""Where the commands of a random life last: in memory, or in files that may lose power."""

from collections.abc import Callable
from typing import Protocol

from journal.fake_disk import FakeDisk

from kvstore.journal.file import FileJournal
from kvstore.journal.journal import Journal
from kvstore.journal.memory import MemoryJournal

from .model_choices import Pick

__all__ = ["STORAGES", "Files", "Memory", "Storage"]

# Small, so that a life has several segments.
SEGMENT_BYTES_MAX = 4096


class Storage(Protocol):
    """What outlives an engine."""

    def open(self) -> Journal:
        """Return the journal for the next engine."""

    def lose_power(self, pick: Pick) -> None:
        """Keep for the next engine what is there now and not what this one still writes."""


class Memory:
    """One journal in memory for all engines of a life."""

    def __init__(self) -> None:
        self._journal = MemoryJournal()

    def open(self) -> Journal:
        """Return the same journal again."""
        return self._journal

    def lose_power(self, pick: Pick) -> None:
        """Do nothing: an engine that ends writes nothing more."""


class Files:
    """Files on a disk in memory."""

    def __init__(self) -> None:
        self._disk = FakeDisk()

    def open(self) -> Journal:
        """Return a new journal on the files that are there."""
        self._disk = self._disk.fork()
        return FileJournal(self._disk, segment_bytes_max=SEGMENT_BYTES_MAX)

    def lose_power(self, pick: Pick) -> None:
        """Go on with one of the states that a loss of power may leave."""
        self._disk = FakeDisk(pick(self._disk.crash_images()))


STORAGES: dict[str, Callable[[], Storage]] = {"memory": Memory, "files": Files}

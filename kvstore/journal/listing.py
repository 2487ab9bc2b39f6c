"""The names in a data folder, and which files together hold the store at an index; pure.

A snapshot is named after the last record whose outcome it holds, a segment after its first one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Chain", "Listing", "segment_name", "snapshot_name", "unfinished_name"]

_NAME = re.compile(r"([0-9]{20})\.(journal|snapshot)")
_UNFINISHED = ".unfinished"


def segment_name(first_index: int) -> str:
    """Return the name of the segment that begins with this record."""
    return f"{first_index:020d}.journal"


def snapshot_name(last_index: int) -> str:
    """Return the name of the snapshot that holds the store after this record."""
    return f"{last_index:020d}.snapshot"


def unfinished_name(last_index: int) -> str:
    """Return the name that a snapshot has until it is whole, synced and verified."""
    return snapshot_name(last_index) + _UNFINISHED


@dataclass(frozen=True, slots=True)
class Chain:
    """The files that hold a store, in the order in which they are read."""

    # 0 for a chain that begins with the first record and has no snapshot.
    base_index: int
    # First indexes of the segments behind the snapshot.
    segments: tuple[int, ...]

    @property
    def snapshot(self) -> str | None:
        """The name of the snapshot that the chain begins with."""
        return snapshot_name(self.base_index) if self.base_index else None

    @property
    def names(self) -> list[str]:
        """The names of all its files."""
        first = [self.snapshot] if self.snapshot else []
        return first + [segment_name(index) for index in self.segments]


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder, each kind in ascending order; other files do not count."""

    # Last indexes.
    snapshots: tuple[int, ...]
    # First indexes.
    segments: tuple[int, ...]
    # Names of snapshots whose making was cut short.
    unfinished: tuple[str, ...]

    @staticmethod
    def of(names: Iterable[str]) -> "Listing":
        """Sort the names of a folder."""
        found: dict[str, list[int]] = {"journal": [], "snapshot": []}
        unfinished = []
        for name in sorted(names):
            match = _NAME.fullmatch(name)
            if match:
                found[match[2]].append(int(match[1]))
            elif name.endswith(_UNFINISHED) and _NAME.fullmatch(name.removesuffix(_UNFINISHED)):
                unfinished.append(name)
        return Listing(tuple(found["snapshot"]), tuple(found["journal"]), tuple(unfinished))

    @property
    def is_empty(self) -> bool:
        """Whether there is no store here."""
        return not self.snapshots and not self.segments

    def bases(self) -> tuple[int, ...]:
        """Return the indexes that a chain can begin after: of each snapshot, and 0 if it can."""
        beginning = (0,) if self.segments[:1] == (1,) else ()
        return beginning + self.snapshots

    def chain(self, base_index: int | None = None) -> Chain:
        """Return the chain that begins with a snapshot: the newest, if none is named."""
        if base_index is None:
            base_index = self.snapshots[-1] if self.snapshots else 0
        return Chain(base_index, tuple(one for one in self.segments if one > base_index))

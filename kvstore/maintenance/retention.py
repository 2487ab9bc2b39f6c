"""When a snapshot is due, which files are history, and which of it may go; pure.

What a start needs, the newest snapshot and the segments behind it, never goes. Older files let
one look back: an older snapshot and everything behind it. History is given up from its oldest end,
a snapshot and the segments up to the next one at a time.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kvstore.journal.listing import Listing, segment_name, snapshot_name
from kvstore.journal.space import MIB

__all__ = ["DEFAULT_RETENTION", "DEFAULT_RULE", "CompactionRule", "Retention", "needless"]


@dataclass(frozen=True, slots=True)
class CompactionRule:
    """When a snapshot is due: the journal behind the last one is larger than both."""

    bytes_min: int
    # Times the size of the last snapshot.
    ratio: float

    def due_bytes(self, snapshot_bytes: int) -> int:
        """Return how large the journal behind a snapshot of this size may grow."""
        return max(self.bytes_min, int(self.ratio * snapshot_bytes))


@dataclass(frozen=True, slots=True)
class Retention:
    """How far back history goes: as far as both limits allow; 0 keeps none."""

    age_ms: int
    bytes_max: int


# A week, as far as half a gigabyte goes.
DEFAULT_RETENTION = Retention(age_ms=7 * 24 * 3600 * 1000, bytes_max=512 * MIB)
DEFAULT_RULE = CompactionRule(bytes_min=64 * MIB, ratio=1.0)


def needless(
    listing: Listing,
    sizes: Mapping[str, int],
    begun_ms: Mapping[int, int],
    retention: Retention,
    now_ms: int,
) -> list[str]:
    """Return the names of the files that may go, oldest first.

    `sizes` has each file's; `begun_ms` says of segments, by their first index, when they were
    begun: everything before them is that old. A segment that it does not know counts as new.
    """
    if not listing.snapshots:
        return []
    steps = list(_steps(listing))
    kept_bytes = sum(sizes[name] for names, _ in steps for name in names)
    doomed: list[str] = []
    for names, next_base in steps:
        old = begun_ms.get(next_base + 1, now_ms) <= now_ms - retention.age_ms
        if not old and kept_bytes <= retention.bytes_max:
            break
        doomed += names
        kept_bytes -= sum(sizes[name] for name in names)
    return doomed


def _steps(listing: Listing) -> Iterator[tuple[list[str], int]]:
    """Yield the files between two points that one can look back to, and the later point."""
    points = [0, *listing.snapshots]
    for base, next_base in itertools.pairwise(points):
        names = [snapshot_name(base)] if base else []
        names += [segment_name(one) for one in listing.segments if base < one <= next_base]
        if names:
            yield names, next_base

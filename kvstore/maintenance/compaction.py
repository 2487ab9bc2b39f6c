"""A snapshot from closed files: what the newest snapshot and the segments behind it come to.

A pure function of files that do not change any more, so it can run anywhere, beside the server
that writes on, and be killed at any moment: its work has another name until it is adopted.
"""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from kvstore.errors import InvariantBroken
from kvstore.journal.disk import Files
from kvstore.journal.listing import unfinished_name
from kvstore.journal.snapshot import read_snapshot, write_snapshot
from kvstore.maintenance.rebuild import rebuild
from kvstore.state.image import Image
from kvstore.state.store import State

__all__ = ["Built", "build_snapshot", "write_verified"]


@dataclass(frozen=True, slots=True)
class Built:
    """What a new snapshot holds."""

    last_index: int
    entry_count: int
    size_bytes: int


def build_snapshot(
    files: Files, last_index: int, now_ms: int, progress: Callable[[int], None] = lambda _: None
) -> Built:
    """Write the unfinished snapshot of an index, synced, and verified from the disk.

    `last_index` is the last record of a closed segment. `progress` is told how many bytes were
    read, then how many entries written and how many verified, since the last time. Raises
    JournalCorrupt when a file it reads is damaged, JournalUnreadable, OSError when it cannot write,
    and InvariantBroken when what it has written is not the store.
    """
    state = rebuild(files, upto=last_index, progress=progress)
    if state.last_index != last_index:
        raise InvariantBroken(f"expected a store at {last_index}, found {state.last_index}")
    return write_verified(files, state, now_ms, progress)


def write_verified(
    files: Files, state: State, now_ms: int, progress: Callable[[int], None] = lambda _: None
) -> Built:
    """Write the unfinished snapshot of a store, and verify it; see `build_snapshot`."""
    name = unfinished_name(state.last_index)
    file = files.create(name)
    try:
        write_snapshot(state.image(), file, secrets.randbits(32), now_ms, progress)
    finally:
        file.close()
    files.evict(name)
    written = read_snapshot(files, name, state.last_index, lambda _: None)
    _require_equal(written, state.image(), progress)
    return Built(state.last_index, state.entry_count, files.size(name))


def _require_equal(written: Image, meant: Image, progress: Callable[[int], None]) -> None:
    differ = InvariantBroken(f"the snapshot of {meant.facts.last_index} is not what was written")
    heads = (written.facts, written.sessions, written.tombstones)
    if heads != (meant.facts, meant.sessions, meant.tombstones):
        raise differ
    for one, other in itertools.zip_longest(written.entries, meant.entries):
        if one != other:
            raise differ
        progress(1)

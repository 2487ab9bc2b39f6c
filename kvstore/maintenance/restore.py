"""Bringing a store back: into a new folder, or as one more write of the store it was.

A restored store must never hand out an index that a client may know from the store that was lost:
a check-and-set could hit a value its client has never seen, and a watch would wait for good. So a
new folder goes on some way behind the last index it knows, and answers whoever waits at once.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kvstore.errors import InvariantBroken, JournalCorrupt, JournalUnwritable
from kvstore.journal.disk import Disk, Files, FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import snapshot_name, unfinished_name
from kvstore.journal.reader import JournalReader, read_listing
from kvstore.maintenance.compaction import Built, write_verified
from kvstore.maintenance.point import Moment, Point, require_store, store_at
from kvstore.maintenance.rebuild import begun_with
from kvstore.state.command import RestoreStore
from kvstore.state.image import Image
from kvstore.state.store import State

__all__ = ["BUMP", "INDEX_MAX", "Recovered", "Undone", "new_store", "recover", "undo"]

# What a store may have written between its last backup and its loss: a hundred writes a second for
# nearly three hours, or an idle engine's for a year.
BUMP = 1_000_000

# Clients read indexes as signed 64-bit numbers.
INDEX_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a damaged folder still has."""

    state: State
    # What ended it; None when the end was reached.
    damage: JournalCorrupt | None


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of bringing a folder's own past back."""

    # The point whose content is there again.
    moment: Moment
    # The record that brought it back, and how many keys it changed.
    index: int
    changed_count: int
    state: State


def new_store(
    folder: Path,
    image: Image,
    bump: int,
    now_ms: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Built:
    """Make a data folder of a store, which goes on `bump` behind its last index.

    Entries and sessions keep their indexes. `progress` is told how many entries were written, then
    how many verified, since the last time. Raises FileExistsError when the folder has a store,
    JournalLocked when it is in use, JournalUnwritable, and InvariantBroken when the image
    contradicts itself or an index would become larger than INDEX_MAX.
    """
    state = begun_with(_moved_on(image, bump))
    state.check()
    try:
        disk = FolderDisk(folder)
    except OSError as error:
        raise JournalUnwritable(folder, error) from error
    try:
        if not read_listing(disk).is_empty:
            raise FileExistsError(f"{folder} has a store")
        return _write_store(disk, state, now_ms, progress)
    finally:
        disk.close()


def _moved_on(image: Image, bump: int) -> Image:
    """Return an image whose store goes on later, and tells everybody who waits to look again."""
    last_index = image.facts.last_index + bump
    if last_index > INDEX_MAX:
        raise InvariantBroken(f"index {last_index} is larger than {INDEX_MAX}")
    facts = replace(
        image.facts,
        last_index=last_index,
        kv_index=last_index,
        session_index=last_index,
        tombstone_floor=last_index,
    )
    return replace(image, facts=facts)


def _write_store(disk: Disk, state: State, now_ms: int, progress: Callable[[int], None]) -> Built:
    unfinished = unfinished_name(state.last_index)
    try:
        for name in read_listing(disk).unfinished:
            disk.remove(name)
        built = write_verified(disk, state, now_ms, progress)
        disk.rename(unfinished, snapshot_name(state.last_index))
        disk.sync_folder()
    except OSError as error:
        with suppress(OSError):
            disk.remove(unfinished)
        raise JournalUnwritable(disk.folder / unfinished, error) from error
    return built


def recover(files: Files, upto: int | None = None) -> Recovered:
    """Return the latest store that a damaged folder still holds, not later than record `upto`.

    Every snapshot, and the beginning, is tried as a base. Raises NoStore, JournalUnreadable, and
    JournalCorrupt when no base can be read.
    """
    listing = require_store(files)
    best: Recovered | None = None
    damage = JournalCorrupt(
        files.folder, 0, "the files have no beginning, and there is no snapshot"
    )
    for base in reversed(listing.bases()):
        if upto is not None and base > upto:
            continue
        reader = JournalReader(files, listing, listing.chain(base), upto=upto)
        try:
            state = begun_with(reader.base())
        except JournalCorrupt as corrupt:
            damage = corrupt
            continue
        found = Recovered(state, _replay(state, reader))
        if best is None or found.state.last_index > best.state.last_index:
            best = found
        if found.damage is None:
            break
    if best is None:
        raise damage
    return best


def _replay(state: State, reader: JournalReader) -> JournalCorrupt | None:
    """Apply what can be read, and return what ended it."""
    try:
        for record in reader.records():
            state.apply(record.index, record.command)
    except JournalCorrupt as corrupt:
        return corrupt
    return None


async def undo(folder: Path, point: Point, now_ms: int) -> Undone:
    """Make a store's content what it was at a point, as one new record of its journal.

    The folder must not be in use. Raises NoStore, NotKept, JournalLocked, JournalCorrupt,
    JournalUnreadable and JournalUnwritable.
    """
    try:
        disk = FolderDisk(folder)
    except OSError as error:
        raise JournalUnwritable(folder, error) from error
    try:
        past, moment = store_at(disk, point)
        image = past.image()
        command = RestoreStore(tuple(image.sessions), tuple(image.entries))
        journal = FileJournal(disk)
        state = begun_with(journal.base())
        for record in journal.replay():
            state.apply(record.index, record.command)
        try:
            index = await journal.append([command], now_ms)
            applied = state.apply(index, command)
        finally:
            await journal.close()
    finally:
        disk.close()
    return Undone(moment, index, len(applied.changed_keys), state)

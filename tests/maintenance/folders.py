"""Folders with history: batches of commands, and snapshots between them."""

from collections.abc import Collection, Sequence

from journal.batches import WRITTEN_MS, Batch
from journal.fake_disk import FakeDisk

from kvstore.journal.file import FileJournal
from kvstore.maintenance.compaction import build_snapshot
from kvstore.state.store import State

__all__ = ["folder", "replayed", "values"]


async def folder(
    batches: Sequence[Batch], *, compact_after: Collection[int] = (), segment_bytes_max: int = 200
) -> FakeDisk:
    """Return the files of a journal with a snapshot after each of some counts of batches.

    Nothing is removed. The journal was closed.
    """
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=segment_bytes_max)
    assert journal.base() is None
    assert list(journal.replay()) == []
    for count, batch in enumerate(batches, 1):
        await journal.append(batch, WRITTEN_MS + count)
        if count in compact_after:
            last_index = await journal.rotate(WRITTEN_MS + count)
            build_snapshot(disk, last_index, WRITTEN_MS + count)
            await journal.adopt_snapshot(last_index)
    await journal.close()
    return FakeDisk(disk.image())


def replayed(batches: Sequence[Batch]) -> State:
    """Return the store that the commands alone come to."""
    state = State()
    for batch in batches:
        for command in batch:
            state.apply(state.last_index + 1, command)
    return state


def values(state: State) -> tuple[object, ...]:
    """Return all that a store holds, to compare it."""
    image = state.image()
    return (image.facts, image.sessions, image.tombstones, list(image.entries))

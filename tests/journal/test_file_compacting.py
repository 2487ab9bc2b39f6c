"""What the journal has to do with snapshots: begin a segment, adopt one, let old files go."""

import logging

import pytest

from kvstore.errors import InvariantBroken, JournalUnreadable, JournalUnwritable
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import segment_name, snapshot_name, unfinished_name
from kvstore.journal.space import Space, Usage
from kvstore.maintenance.compaction import build_snapshot

from .batches import FIRST, WRITTEN_MS, flat, small_batches, write
from .fake_disk import FakeDisk, Fault

BATCHES = small_batches(6)
COMMANDS = flat(BATCHES)
# The first four batches have six commands.
LAST = 6
SNAPSHOT, SECOND = snapshot_name(LAST), segment_name(LAST + 1)


def opened(disk: FakeDisk, space: Space | None = None) -> FileJournal:
    """Return a journal that was replayed, its base included."""
    journal = FileJournal(disk, space=space)
    base = journal.base()
    if base is not None:
        list(base.entries)
    list(journal.replay())
    return journal


async def compacted(disk: FakeDisk, *, space: Space | None = None) -> FileJournal:
    """Return a journal with four batches in a snapshot and two behind it; the old file is there."""
    journal = opened(disk, space)
    await write(journal, BATCHES[:4])
    assert await journal.rotate(WRITTEN_MS) == LAST
    build_snapshot(disk, LAST, WRITTEN_MS)
    await journal.adopt_snapshot(LAST)
    await write(journal, BATCHES[4:])
    return journal


async def test_rotation_closes_all_segments_but_an_empty_one() -> None:
    """What was written so far is in files that do not change any more, and it lasts."""
    disk = FakeDisk()
    journal = opened(disk)
    await write(journal, BATCHES[:4])
    before = disk.read(FIRST)
    assert await journal.rotate(WRITTEN_MS) == LAST
    await write(journal, BATCHES[4:])
    assert disk.names() == [FIRST, SECOND]
    assert disk.read(FIRST) == before
    await journal.close()


async def test_rotation_without_new_records_changes_nothing() -> None:
    """There is nothing to close; the answer is the same."""
    disk = FakeDisk()
    journal = opened(disk)
    assert await journal.rotate(WRITTEN_MS) == 0
    await write(journal, BATCHES[:4])
    assert await journal.rotate(WRITTEN_MS) == LAST
    calls = list(disk.calls)
    assert await journal.rotate(WRITTEN_MS) == LAST
    assert disk.calls == calls
    await journal.close()


async def test_rotation_makes_unsynced_batches_last() -> None:
    """A snapshot is made of closed files, so they must not lose their ends."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False)
    assert journal.base() is None
    list(journal.replay())
    await write(journal, BATCHES[:4])
    await journal.rotate(WRITTEN_MS)
    assert {image[FIRST] for image in disk.crash_images()} == {disk.read(FIRST)}
    await journal.close()


async def test_next_start_begins_with_the_adopted_snapshot() -> None:
    """And continues with the records behind it."""
    disk = FakeDisk()
    await (await compacted(disk)).close()
    journal = FileJournal(disk)
    base = journal.base()
    assert base is not None
    assert base.facts.last_index == LAST
    assert len(list(base.entries)) == 4
    records = list(journal.replay())
    assert [record.index for record in records] == list(range(LAST + 1, len(COMMANDS) + 1))
    assert [record.command for record in records] == COMMANDS[LAST:]
    assert await write(journal, BATCHES[:1]) == [len(COMMANDS) + 1]
    await journal.close()


async def test_adopted_snapshot_lasts() -> None:
    """Its name is synced when it was adopted; no old file is needed from then on."""
    disk = FakeDisk()
    journal = await compacted(disk)
    assert all(SNAPSHOT in image for image in disk.crash_images())
    await journal.remove([FIRST])
    assert [set(image) for image in disk.crash_images()] == [{SNAPSHOT, SECOND}]
    await journal.close()


async def test_needed_files_are_not_removed() -> None:
    """Neither the snapshot nor what is behind it, and no file before such a name."""
    disk = FakeDisk()
    journal = await compacted(disk)
    await journal.rotate(WRITTEN_MS)
    for name in (SNAPSHOT, SECOND):
        with pytest.raises(InvariantBroken, match=f"{name} is still needed"):
            await journal.remove([name])
    assert {SNAPSHOT, SECOND} <= set(disk.names())
    await journal.close()


async def test_segments_are_needed_until_a_snapshot_is_adopted() -> None:
    """One that was only built does not count."""
    disk = FakeDisk()
    journal = opened(disk)
    await write(journal, BATCHES[:4])
    await journal.rotate(WRITTEN_MS)
    build_snapshot(disk, LAST, WRITTEN_MS)
    with pytest.raises(InvariantBroken, match=f"{FIRST} is still needed"):
        await journal.remove([FIRST])
    await journal.close()


async def test_names_that_do_not_last_are_the_end() -> None:
    """The system tells of a folder's failed sync once, so nobody else may rely on the next one."""
    counted = FakeDisk()
    await (await compacted(counted)).close()
    disk = FakeDisk(fault=Fault(len(counted.calls), 5))
    journal = await compacted(disk)
    with pytest.raises(JournalUnwritable, match=f"{FIRST}: Input/output error"):
        await journal.remove([FIRST])
    assert disk.calls[-2:] == [f"remove {FIRST}", "sync_folder"]
    with pytest.raises(JournalUnwritable):
        await write(journal, BATCHES[:1])
    await journal.close()


async def test_removal_that_fails_leaves_the_journal_usable() -> None:
    """Old files are no harm; the system's error is said."""
    calls = FakeDisk()
    journal = await compacted(calls)
    await journal.close()
    disk = FakeDisk(fault=Fault(len(calls.calls) - 1, 5))
    journal = await compacted(disk)
    with pytest.raises(OSError, match="Input/output error"):
        await journal.remove([FIRST])
    await write(journal, BATCHES[:1])
    await journal.close()


async def test_snapshot_that_cannot_be_adopted_ends_the_journal() -> None:
    """A folder that cannot be synced cannot be trusted with the next segment."""
    good = FakeDisk()
    await (await compacted(good)).close()
    rename = next(n for n, call in enumerate(good.calls, 1) if call.startswith("rename"))
    for call in (rename, rename + 1):
        with pytest.raises(JournalUnwritable, match=SNAPSHOT):
            await compacted(FakeDisk(fault=Fault(call, 5)))


async def test_snapshot_that_is_not_there_is_not_adopted() -> None:
    """The journal names it and takes no more, since this cannot be."""
    journal = opened(FakeDisk())
    with pytest.raises(JournalUnwritable, match=SNAPSHOT):
        await journal.adopt_snapshot(LAST)
    await journal.close()


async def test_unfinished_snapshot_is_taken_away_by_the_next_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And it is said; files of others stay."""
    caplog.set_level(logging.INFO, "kvstore")
    disk = FakeDisk({unfinished_name(9): b"half", "notes.unfinished": b""})
    await opened(disk).close()
    assert disk.names() == [FIRST, "notes.unfinished"]
    assert f"removed {unfinished_name(9)}: a snapshot that was not finished" in caplog.text
    assert all(unfinished_name(9) not in image for image in disk.crash_images())


async def test_usage_says_what_the_bytes_are_for() -> None:
    """Before and after a compaction, with and without history, and after a restart."""
    disk = FakeDisk()
    journal = opened(disk)
    await write(journal, BATCHES[:4])
    whole = disk.size(FIRST)
    assert journal.usage == Usage(0, 0, whole, whole)
    await journal.close()
    journal = await compacted(disk := FakeDisk())
    sizes = {name: disk.size(name) for name in disk.names()}
    expected = Usage(LAST, sizes[SNAPSHOT], sizes[SECOND], sum(sizes.values()))
    assert journal.usage == expected
    assert journal.usage.history_bytes == sizes[FIRST]
    again = opened(disk.fork())
    assert again.usage == expected
    await again.close()
    await journal.remove([FIRST])
    assert journal.usage.history_bytes == 0
    await journal.close()


async def test_folder_is_full_from_its_limit_on_and_no_longer_when_files_went() -> None:
    """It is only said: whoever appends decides what may still be written."""
    sizes = FakeDisk()
    await (await compacted(sizes)).close()
    limit = sum(map(sizes.size, sizes.names())) - 100
    journal = await compacted(FakeDisk(), space=Space(folder_bytes_max=limit))
    assert journal.full is not None
    assert journal.full.startswith("the data folder holds")
    await write(journal, BATCHES[:1])
    await journal.remove([FIRST])
    assert journal.full is None
    await journal.close()


class SmallDisk(FakeDisk):
    """A disk that gets fuller."""

    free = 1000

    def free_bytes(self) -> int:
        """Return what a test says."""
        return self.free


async def test_room_is_looked_for_after_each_batch_and_while_there_is_none() -> None:
    """So that a disk that somebody else fills is seen, and one that was cleaned too."""
    disk = SmallDisk()
    journal = opened(disk, Space(free_bytes_min=500))
    assert journal.full is None
    disk.free = 499
    assert journal.full is None
    await write(journal, BATCHES[:1])
    assert journal.full == "the disk has 499 bytes left, at least 500 bytes must stay free"
    disk.free = 500
    assert journal.full is None
    await journal.close()


async def test_progress_of_a_start_goes_from_nothing_to_all() -> None:
    """In bytes of the snapshot and what is behind it; for whoever waits for the server."""
    disk = FakeDisk()
    await (await compacted(disk)).close()
    journal = FileJournal(disk)
    assert journal.replay_progress() == (0, 0)
    base = journal.base()
    assert base is not None
    total = disk.size(SNAPSHOT) + disk.size(SECOND)
    assert journal.replay_progress()[1] == total
    list(base.entries)
    assert journal.replay_progress() == (disk.size(SNAPSHOT), total)
    list(journal.replay())
    assert journal.replay_progress() == (total, total)
    await journal.close()


async def test_replay_before_the_base_is_a_mistake() -> None:
    """Half of the store would be missing."""
    journal = FileJournal(FakeDisk())
    with pytest.raises(InvariantBroken, match="before its base"):
        list(journal.replay())
    await journal.close()


async def test_start_that_cannot_see_how_large_its_files_are_says_so() -> None:
    """With the path and the reason, as for every read."""
    disk = FakeDisk()
    await (await compacted(disk)).close()
    good = FakeDisk(disk.image())
    await opened(good).close()
    sizes = [n for n, call in enumerate(good.reads, 1) if call.startswith("size ")]
    assert len(sizes) == 5
    for call in sizes:
        with pytest.raises(JournalUnreadable, match=r"/fake/0.*: Input/output error"):
            opened(FakeDisk(disk.image(), fault=Fault(call, 5, reads=True)))

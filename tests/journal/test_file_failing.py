"""Disks that fail: nothing is acknowledged that could be lost, for good.

The failure of each call of a whole life is in tests/proof.
"""

import errno
from pathlib import Path

import pytest

from kvstore.errors import JournalUnwritable
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal

from .batches import SEGMENT_BYTES, WRITTEN_MS, flat, recover, replayed, small_batches, write
from .fake_disk import FakeDisk, Fault

MORE = small_batches(1)


@pytest.mark.parametrize("call", [5, 6])
async def test_failure_is_final(call: int) -> None:
    """Every later append raises the same, and the disk, though well again, is not touched."""
    disk = FakeDisk(fault=Fault(call, errno.EIO))
    journal = FileJournal(disk)
    replayed(journal)
    with pytest.raises(JournalUnwritable) as first:
        await write(journal, MORE)
    for _ in range(2):
        with pytest.raises(JournalUnwritable) as later:
            await write(journal, MORE)
        assert later.value is first.value
    await journal.close()
    assert len(disk.calls) == call


async def test_failed_seal_is_said_by_close() -> None:
    """The batches are safe; that they are sealed is not. The folder is given up."""
    for call in (7, 8):
        disk = FakeDisk(fault=Fault(call, errno.EIO))
        journal = FileJournal(disk)
        replayed(journal)
        await write(journal, MORE)
        with pytest.raises(JournalUnwritable):
            await journal.close()
        assert disk.is_closed
        assert all(recover(left) == flat(MORE) for left in disk.crash_images())
        await journal.close()


async def test_journal_that_could_not_begin_a_segment_can_be_closed(tmp_path: Path) -> None:
    """A full disk at the moment of a new segment: append says so, and close gives up the folder."""
    (tmp_path / "00000000000000000004.journal").mkdir()
    journal = FileJournal(FolderDisk(tmp_path), segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    await write(journal, small_batches(2))
    with pytest.raises(JournalUnwritable, match="File exists"):
        await write(journal, [flat(small_batches(9))])
    await journal.close()
    FolderDisk(tmp_path).close()


async def test_journal_that_failed_is_replayed_by_the_next_start() -> None:
    """Once the disk is well, a new start has everything acknowledged and goes on."""
    disk = FakeDisk(fault=Fault(7, errno.ENOSPC, written_bytes=30))
    journal = FileJournal(disk)
    replayed(journal)
    assert await write(journal, MORE) == [1]
    with pytest.raises(JournalUnwritable):
        await journal.append(flat(small_batches(4)), WRITTEN_MS)
    await journal.close()
    journal = FileJournal(disk)
    found = replayed(journal)
    assert found[:1] == flat(MORE)
    assert await write(journal, MORE) == [len(found) + 1]
    await journal.close()

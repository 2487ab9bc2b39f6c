"""Disks that fail at their n-th call: nothing is acknowledged that could be lost, for good."""

import errno
from pathlib import Path

import pytest

from kvstore.errors import JournalUnwritable
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal

from .batches import SEGMENT_BYTES, WRITTEN_MS, flat, recover, replayed, small_batches, write
from .crashes import Life, complaints, live
from .fake_disk import FakeDisk, Fault

MORE = small_batches(1)


async def life_with(fault: Fault | None, *, sync: bool = True) -> Life:
    """Return a life on a disk that fails as told; it ends where the failure stops it."""
    return await live(
        lambda after_call: FakeDisk(fault=fault, after_call=after_call), closed_after=2, sync=sync
    )


async def calls_of_a_life() -> list[str]:
    """Return the calls of a life on a disk that never fails."""
    return (await life_with(None)).disk.calls


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("written_bytes", [0, 1, 20, 45, 1000])
async def test_nothing_acknowledged_is_lost_whichever_call_fails(
    number: int, written_bytes: int
) -> None:
    """For every call of a life: a failure, or a short write and a failure, then a loss of power."""
    for call in range(1, len(await calls_of_a_life()) + 1):
        life = await life_with(Fault(call, number, written_bytes))
        assert life.failure is not None
        assert list(complaints(life)) == []
        # The last moment is before the failed call; what that left counts too.
        for left in life.disk.crash_images():
            found = recover(left)
            assert found[: len(life.acknowledged)] == life.acknowledged
            assert found == flat(life.batches)[: len(found)]


@pytest.mark.slow
@pytest.mark.parametrize("written_bytes", [0, 45])
async def test_journal_without_sync_loses_nothing_it_has_closed_whichever_call_fails(
    written_bytes: int,
) -> None:
    """The same with `sync=False`: the start never refuses, and what was closed is there."""
    calls = (await life_with(None, sync=False)).disk.calls
    for call in range(1, len(calls) + 1):
        life = await life_with(Fault(call, errno.EIO, written_bytes), sync=False)
        assert life.failure is not None
        assert list(complaints(life)) == []


async def test_failure_names_the_file_and_the_reason() -> None:
    """In words that a person can act on."""
    calls = await calls_of_a_life()
    for call, what in enumerate(calls, 1):
        life = await life_with(Fault(call, errno.ENOSPC))
        assert life.failure is not None
        assert life.failure.reason == "No space left on device"
        assert life.failure.path.parent == Path("/fake")
        assert life.failure.path.name.endswith(".journal")
        assert what.split()[-1] in (life.failure.path.name, "sync_folder")


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

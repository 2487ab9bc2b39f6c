"""What a journal in files writes, and when it syncs; starts, damage and failure are elsewhere."""

from pathlib import Path

import pytest

from kvstore.errors import InvariantBroken
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal

from .batches import FIRST, SEGMENT_BYTES, flat, recover, replayed, small_batches, write
from .fake_disk import FakeDisk


async def test_one_batch_is_one_write_and_one_sync() -> None:
    """However many commands it has; and nothing else is done to the disk."""
    disk = FakeDisk()
    journal = FileJournal(disk)
    replayed(journal)
    disk.calls.clear()
    await write(journal, [flat(small_batches(50)), flat(small_batches(1))])
    assert disk.calls == [f"write {FIRST}", f"sync {FIRST}"] * 2
    await journal.close()


async def test_segment_is_ready_before_it_is_used() -> None:
    """Its header is synced, then its name, and only then are batches written to it."""
    disk = FakeDisk()
    journal = FileJournal(disk)
    replayed(journal)
    assert disk.calls == [f"create {FIRST}", f"write {FIRST}", f"sync {FIRST}", "sync_folder"]
    await journal.close()


async def test_journal_without_sync_leaves_the_sync_to_the_system() -> None:
    """A batch is written only; the close syncs before its seal, which says so, and after it."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False)
    replayed(journal)
    disk.calls.clear()
    await write(journal, small_batches(2))
    assert disk.calls == [f"write {FIRST}"] * 2
    disk.calls.clear()
    await journal.close()
    assert disk.calls == [f"sync {FIRST}", f"write {FIRST}", f"sync {FIRST}"]
    assert disk.crash_images() == [disk.image()]


async def test_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    """Each is named after its first index, so their names sort as their records do."""
    disk = FolderDisk(tmp_path)
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    firsts = await write(journal, small_batches(9))
    await journal.close()
    segments = [name for name in disk.names() if name != "LOCK"]
    assert len(segments) > 3
    assert segments[0] == FIRST
    assert {int(name.removesuffix(".journal")) for name in segments} <= {*firsts, firsts[-1] + 1}
    journal = FileJournal(FolderDisk(tmp_path), segment_bytes_max=SEGMENT_BYTES)
    assert replayed(journal) == flat(small_batches(9))
    await journal.close()


async def test_batch_larger_than_a_segment_has_one_of_its_own() -> None:
    """The limit makes segments, it refuses nothing."""
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    batches = [small_batches(1)[0], flat(small_batches(30)), small_batches(1)[0]]
    await write(journal, batches)
    await journal.close()
    assert [name[18:20] for name in disk.names()] == ["01", "02", "47"]
    assert recover(disk.image()) == flat(batches)


@pytest.mark.parametrize("segment_bytes_max", [SEGMENT_BYTES, 1 << 20])
async def test_restarts_leave_nothing_behind(segment_bytes_max: int) -> None:
    """Starts without writes make the files no larger and no more, from the second on."""
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=segment_bytes_max)
    replayed(journal)
    await write(journal, small_batches(5))
    await journal.close()
    image = disk.image()
    for _ in range(20):
        journal = FileJournal(disk, segment_bytes_max=segment_bytes_max)
        assert replayed(journal) == flat(small_batches(5))
        await journal.close()
    assert disk.image() == image


async def test_restarts_of_an_empty_store_leave_nothing_behind() -> None:
    """The same before anything was written."""
    disk = FakeDisk()
    sizes = set()
    for _ in range(5):
        journal = FileJournal(disk)
        assert replayed(journal) == []
        await journal.close()
        sizes.add(len(disk.read(FIRST)))
    assert len(sizes) == 1
    assert disk.names() == [FIRST]


async def test_segment_that_has_only_its_seal_is_gone_on_with() -> None:
    """A first batch that does not fit beside the seal of an empty segment is written all the same.

    A segment of its own would have the same name. With segments of 64 MiB and batches of 4 MiB
    this is out of reach.
    """
    disk = FakeDisk()
    await _open_and_close(disk)
    journal = FileJournal(disk, segment_bytes_max=60)
    replayed(journal)
    await write(journal, small_batches(2))
    await journal.close()
    assert [name[18:20] for name in disk.names()] == ["01", "02"]
    assert recover(disk.image()) == flat(small_batches(2))


@pytest.mark.parametrize("sync", [True, False])
async def test_seal_begins_no_segment(*, sync: bool) -> None:
    """However full the last one is, its seal is in it, and it is synced."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=sync, segment_bytes_max=60)
    replayed(journal)
    await write(journal, small_batches(1))
    assert len(disk.read(FIRST)) > 60
    await journal.close()
    assert disk.names() == [FIRST]
    assert disk.crash_images() == [disk.image()]


async def test_closed_journal_is_not_written() -> None:
    """A mistake of the engine's, and it shows; nothing is written behind the seal."""
    disk = FakeDisk()
    journal = FileJournal(disk)
    replayed(journal)
    await journal.close()
    disk.calls.clear()
    with pytest.raises(InvariantBroken, match="closed"):
        await write(journal, small_batches(1))
    assert disk.calls == []


async def _open_and_close(disk: FakeDisk) -> None:
    journal = FileJournal(disk)
    replayed(journal)
    await journal.close()

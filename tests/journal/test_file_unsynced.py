"""Without a sync after each batch: what a loss of power takes is the end, and never more.

All crashes of whole lives, synced or not, are in tests/proof.
"""

from kvstore.journal.file import FileJournal

from .batches import (
    SEGMENT_BYTES,
    flat,
    recover,
    replayed,
    small_batches,
    whole_batches,
    write,
)
from .fake_disk import FakeDisk


async def test_holes_in_what_was_never_synced_are_survived() -> None:
    """Eight batches in one segment, none of them synced: a hole may be anywhere in it."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False)
    replayed(journal)
    await write(journal, small_batches(8))
    counts = {whole_batches(small_batches(8), recover(left)) for left in disk.crash_images()}
    assert counts == set(range(9))
    await journal.close()


async def test_kill_without_sync_then_a_start_with_it_loses_nothing() -> None:
    """What the journal without sync left in the kernel lasts before the next one goes on."""
    killed = FakeDisk()
    journal = FileJournal(killed, sync=False)
    replayed(journal)
    await write(journal, small_batches(3))
    disk = killed.fork()
    again = FileJournal(disk)
    assert replayed(again) == flat(small_batches(3))
    assert all(recover(left) == flat(small_batches(3)) for left in disk.crash_images())
    await write(again, small_batches(2))
    expected = flat(small_batches(3)) + flat(small_batches(2))
    assert all(recover(left) == expected for left in disk.crash_images())
    await again.close()
    await journal.close()


async def test_full_segment_is_synced_before_the_next_is_begun() -> None:
    """Also with `sync=False`: one sync in 64 MiB, and only the newest segment can be torn."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    await write(journal, small_batches(4))
    full, _ = disk.names()
    for left in disk.crash_images():
        assert left[full] == disk.read(full)
    await journal.close()

"""Room: zeros written ahead of batches in the newest segment, and nowhere else.

All crashes of whole lives with room are in tests/proof.
"""

import errno
from collections.abc import Iterator, Sequence

import pytest

from kvstore.errors import JournalUnwritable
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    Damage,
    FileHeader,
    FileKind,
    Frame,
    TornTail,
    encode_file_header,
)
from kvstore.journal.reader import settled_frames
from kvstore.journal.space import Space

from .batches import FIRST, SEGMENT_BYTES, flat, recover, replayed, small_batches, write
from .encoded import encode_frame
from .fake_disk import FakeDisk, Fault

ROOM_BYTES = 1000


def opened(disk: FakeDisk, *, sync: bool = True) -> FileJournal:
    """Return a journal with room, and small segments, that can be written."""
    journal = FileJournal(disk, sync=sync, segment_bytes_max=SEGMENT_BYTES, room_bytes=ROOM_BYTES)
    replayed(journal)
    return journal


async def test_room_is_reserved_when_there_is_none_left() -> None:
    """Not for each batch, and never twice for one."""
    disk = FakeDisk()
    journal = FileJournal(disk, room_bytes=ROOM_BYTES)
    replayed(journal)
    await write(journal, small_batches(40))
    written = disk.size(FIRST) - ROOM_BYTES
    reserved = disk.calls.count(f"reserve {FIRST}")
    assert 1 < reserved <= written // ROOM_BYTES + 1
    await journal.close()


async def test_room_is_no_part_of_what_is_told() -> None:
    """Sizes are those of the batches, with room as without."""
    usages = []
    for room_bytes in (0, ROOM_BYTES):
        journal = FileJournal(FakeDisk(), room_bytes=room_bytes)
        replayed(journal)
        await write(journal, small_batches(5))
        usages.append(journal.usage)
        await journal.close()
    assert usages[0] == usages[1]


async def test_closed_segments_have_no_room() -> None:
    """Neither full ones nor the newest after a close; so zeros at their ends are damage."""
    disk = FakeDisk()
    journal = opened(disk)
    await write(journal, small_batches(9))
    *full, newest = disk.names()
    assert full
    assert disk.read(newest).endswith(bytes(ROOM_BYTES // 2))
    assert not any(disk.read(name).endswith(bytes(8)) for name in full)
    await journal.close()
    assert not disk.read(newest).endswith(bytes(8))
    assert all(recover(left) == flat(small_batches(9)) for left in disk.crash_images())


async def test_killed_journal_goes_on_behind_its_last_batch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Room that was left is cut without a word: it is no write that was lost."""
    disk = FakeDisk()
    killed = FileJournal(disk, room_bytes=ROOM_BYTES)
    replayed(killed)
    await write(killed, small_batches(3))
    size_bytes = disk.size(FIRST)
    after = disk.fork()
    again = FileJournal(after)
    assert replayed(again) == flat(small_batches(3))
    assert after.size(FIRST) < size_bytes - ROOM_BYTES // 2
    assert not caplog.records
    await write(again, small_batches(2))
    expected = flat(small_batches(3)) + flat(small_batches(2))
    assert all(recover(left) == expected for left in after.crash_images())
    await again.close()
    await killed.close()


async def test_journal_that_does_not_sync_has_no_room() -> None:
    """It has nothing to gain from it."""
    disk = FakeDisk()
    journal = opened(disk, sync=False)
    await write(journal, small_batches(9))
    assert not any(call.startswith(("reserve", "trim")) for call in disk.calls)
    await journal.close()


async def test_room_that_cannot_be_had_is_a_failed_write() -> None:
    """Final, like any other; what was acknowledged before is there."""
    good = FakeDisk()
    journal = FileJournal(good, room_bytes=ROOM_BYTES)
    replayed(journal)
    await write(journal, small_batches(40))
    await journal.close()
    calls = [number for number, call in enumerate(good.calls, 1) if call.startswith("reserve")]
    for written_bytes in (0, ROOM_BYTES // 2):
        disk = FakeDisk(fault=Fault(calls[1], errno.ENOSPC, written_bytes=written_bytes))
        journal = FileJournal(disk, room_bytes=ROOM_BYTES)
        replayed(journal)
        with pytest.raises(JournalUnwritable, match="No space left on device"):
            await write(journal, small_batches(40))
        count = disk.calls.count(f"sync {FIRST}") - 1  # one is of the header
        for left in disk.crash_images():
            assert flat(small_batches(40))[:count] == recover(left)[:count]
        await journal.close()


HEADER = FileHeader(index=1, created_ms=0, salt=7)


def a_segment(*shown: int) -> bytes:
    """Return a segment of frames of one record each, with zeros for those that are not shown."""
    data = encode_file_header(FileKind.SEGMENT, HEADER)
    for index, is_shown in enumerate(shown, 1):
        frame = encode_frame(HEADER.salt, index, 0, 1, b"body", synced_before=True)
        data += frame if is_shown else bytes(len(frame))
    return data + bytes(ROOM_BYTES)


def read_one_after_the_other(
    reads: Sequence[bytes],
) -> tuple[list[Frame | TornTail | Damage], int]:
    """Return what is found in a file that is another one at each read, and how many are left."""
    rest: Iterator[bytes] = iter(reads)
    found = list(settled_frames(next(rest), HEADER, lambda: next(rest)))
    return found, len(list(rest))


def test_frame_that_was_written_while_the_file_was_read_is_no_damage() -> None:
    """What came after it is there too, each once and in order, however often that happens."""
    reads = [
        a_segment(1, 0, 1, 0),
        a_segment(1, 1, 1, 0, 1),
        a_segment(1, 1, 1, 1, 1),
    ]
    found, left = read_one_after_the_other(reads)
    assert [one.first_index for one in found if isinstance(one, Frame)] == [1, 2, 3, 4, 5]
    assert isinstance(found[-1], TornTail)
    assert found[-1].size_bytes == 0
    assert left == 0


def test_frame_that_stays_unreadable_is_damage() -> None:
    """It is told once, at its place, when the file was read a second time; what was behind goes."""
    damaged = a_segment(1, 0, 1)
    found, left = read_one_after_the_other([damaged, damaged, damaged])
    assert [type(one) for one in found] == [Frame, Damage]
    assert (
        found[-1].offset == FILE_HEADER_BYTES + (len(damaged) - FILE_HEADER_BYTES - ROOM_BYTES) // 3
    )
    assert left == 1


def test_file_without_damage_is_read_once() -> None:
    """Also when it ends in room."""
    found, left = read_one_after_the_other([a_segment(1, 1), b""])
    assert [type(one) for one in found] == [Frame, Frame, TornTail]
    assert left == 1


@pytest.mark.parametrize(
    ("space", "left_bytes"),
    [
        (Space(), 2 * ROOM_BYTES - 1),
        (Space(free_bytes_min=5000), 5000 + 2 * ROOM_BYTES - 1),
        (Space(folder_bytes_max=2 * ROOM_BYTES), 1 << 30),
    ],
)
async def test_no_room_where_space_is_short(
    monkeypatch: pytest.MonkeyPatch, space: Space, left_bytes: int
) -> None:
    """Room is never what fills a disk or a folder: batches go on without it."""
    disk = FakeDisk()
    monkeypatch.setattr(disk, "free_bytes", lambda: left_bytes)
    journal = FileJournal(disk, room_bytes=ROOM_BYTES, space=space)
    replayed(journal)
    await write(journal, small_batches(3))
    assert f"reserve {FIRST}" not in disk.calls
    assert journal.full is None
    await journal.close()

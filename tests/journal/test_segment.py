"""The segment that is being written: what it asks of the disk, and in what order."""

import errno

import pytest

from kvstore.journal.frame import FILE_HEADER_BYTES, Frame, TornTail, scan_frames
from kvstore.journal.reader import JournalEnd
from kvstore.journal.segment import Segment

from .batches import FIRST, WRITTEN_MS
from .fake_disk import FakeDisk, Fault


def begun(disk: FakeDisk) -> Segment:
    """Return a new segment of which nothing has been asked yet."""
    segment = Segment.begin(disk, 1, WRITTEN_MS)
    disk.calls.clear()
    return segment


def frames(disk: FakeDisk, segment: Segment) -> list[Frame]:
    """Return what the segment's file holds."""
    found = list(scan_frames(disk.read(FIRST), end_of(segment).header))
    return [part for part in found if isinstance(part, Frame)]


def end_of(segment: Segment) -> JournalEnd:
    """Return what a reader says of the end of a segment."""
    return JournalEnd(segment.name, segment.header, segment.size_bytes, segment.sealed)


def test_a_new_one_is_there_before_it_is_written() -> None:
    """Header and name are synced."""
    disk = FakeDisk()
    segment = Segment.begin(disk, 1, WRITTEN_MS)
    assert disk.calls == [f"create {FIRST}", f"write {FIRST}", f"sync {FIRST}", "sync_folder"]
    assert (segment.first_index, segment.size_bytes) == (1, FILE_HEADER_BYTES)


def test_frames_say_whether_all_before_was_synced() -> None:
    """The first does, behind the header; one behind a frame that was not synced does not."""
    disk = FakeDisk()
    segment = begun(disk)
    for index, synced in enumerate((False, True, False), start=1):
        segment.write(index, WRITTEN_MS, 1, b"body")
        if synced:
            segment.sync()
    found = frames(disk, segment)
    assert [one.synced_before for one in found] == [True, False, True]
    assert found[-1].end == segment.size_bytes


def test_room_is_taken_when_it_is_used_up_and_given_up_at_the_end() -> None:
    """It counts for nothing, and a second trim has nothing to do."""
    disk = FakeDisk()
    segment = begun(disk)
    for index in (1, 2):
        segment.write(index, WRITTEN_MS, 1, b"body")
        segment.reserve(1000)
    assert disk.calls.count(f"reserve {FIRST}") == 1
    assert disk.size(FIRST) > segment.size_bytes
    segment.trim()
    segment.trim()
    assert disk.calls.count(f"trim {FIRST}") == 1
    assert disk.size(FIRST) == segment.size_bytes


def test_a_seal_comes_behind_what_is_synced_and_lasts() -> None:
    """So that it says so, and nothing of the room is left behind it."""
    disk = FakeDisk()
    segment = begun(disk)
    segment.write(1, WRITTEN_MS, 1, b"body")
    segment.reserve(1000)
    disk.calls.clear()
    segment.seal(2)
    assert segment.sealed
    asked = ["sync", "write", "trim", "sync"]
    assert disk.calls == [f"{call} {FIRST}" for call in asked]
    last = frames(disk, segment)[-1]
    assert (last.first_index, last.command_count, last.synced_before) == (2, 0, True)


def test_one_is_gone_on_with_where_it_ended() -> None:
    """What was found is synced before anything is written behind it; then no seal is its end."""
    disk = FakeDisk()
    first = begun(disk)
    first.seal(1)
    first.close()
    disk.calls.clear()
    segment = Segment.go_on(disk, end_of(first))
    assert segment.sealed
    assert disk.calls[-2:] == [f"sync {FIRST}", "sync_folder"]
    segment.write(1, WRITTEN_MS, 1, b"body")
    assert not segment.sealed
    assert [one.command_count for one in frames(disk, segment)] == [0, 1]


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_one_that_cannot_be_made_is_not_tried_again(call: int) -> None:
    """Whichever call fails: the error is the system's, and nothing follows."""
    disk = FakeDisk(fault=Fault(call, errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        Segment.begin(disk, 1, WRITTEN_MS)
    assert len(disk.calls) == call


def test_what_is_behind_the_last_frame_is_no_frame() -> None:
    """A reader of the file meanwhile sees the frames, and room."""
    disk = FakeDisk()
    segment = begun(disk)
    segment.write(1, WRITTEN_MS, 1, b"body")
    segment.reserve(1000)
    *_, tail = scan_frames(disk.read(FIRST), end_of(segment).header)
    assert tail == TornTail(segment.size_bytes, 0)

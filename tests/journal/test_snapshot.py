"""An image as a file: what is written comes back, piece by piece, or is refused in place."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given

from kvstore.errors import JournalCorrupt, JournalUnreadable
from kvstore.journal.codec import entry_fields
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FileHeader,
    FileKind,
    encode_file_header,
)
from kvstore.journal.snapshot import read_snapshot, write_snapshot
from kvstore.state.entry import Entry
from kvstore.state.image import Facts, Image, Tombstone

from .batches import an_image
from .encoded import encode_frame
from .fake_disk import FakeDisk, Fault

NAME = "a snapshot"
SALT = 7
FACTS = Facts("store", 5, 5, 4, 0)
EMPTY = Image(FACTS, [], [], [])

# Kinds of a frame's items (docs/journal-format.md).
K_FACTS, K_SESSIONS, K_TOMBSTONES, K_ENTRIES = 1, 2, 3, 4
FACTS_ITEM = ("store", 5, 5, 4, 0)


def ignore(_: int) -> None:
    """Take no interest in progress."""


def written(image: Image, progress: Callable[[int], None] = ignore) -> FakeDisk:
    """Return a disk with the snapshot of an image."""
    disk = FakeDisk()
    file = disk.create(NAME)
    write_snapshot(image, file, SALT, 1, progress)
    file.close()
    disk.sync_folder()
    return disk


def read(disk: FakeDisk, last_index: int, progress: Callable[[int], None] = ignore) -> Image:
    """Return the whole image in the snapshot."""
    image = read_snapshot(disk, NAME, last_index, progress)
    return replace(image, entries=list(image.entries))


def entries_of(*sizes: int) -> list[Entry]:
    """Return entries with values of these sizes."""
    return [Entry(b"%d" % n, bytes(size), 0, "", 0, 1, 1) for n, size in enumerate(sizes)]


def snapshot_of(*frames: tuple[int, int, object]) -> FakeDisk:
    """Return a disk with a snapshot of frames: first item, count, and what the body says."""
    data = encode_file_header(FileKind.SNAPSHOT, FileHeader(5, 1, SALT))
    for first, count, packed in frames:
        body = msgpack.packb(packed) if packed is not None else b""
        data += encode_frame(SALT, first, 0, count, body, synced_before=True)
    return FakeDisk({NAME: data})


@given(an_image)
def test_image_comes_back(image: Image) -> None:
    """Whatever is in it, and after a loss of power too."""
    disk = written(image)
    assert read(disk, image.facts.last_index) == image
    assert disk.crash_images() == [disk.image()]


def test_store_without_anything_comes_back() -> None:
    """Its facts alone make a snapshot."""
    assert read(written(EMPTY), 5) == EMPTY


def test_large_image_is_written_and_synced_piece_by_piece() -> None:
    """So that no sync is of much at once; a value may still be larger than a piece."""
    entries = entries_of(200_000, 100_000, 0, 900_000, 1, 2)
    counts: list[int] = []
    disk = written(replace(EMPTY, entries=entries), counts.append)
    assert counts == [2, 2, 2]
    assert [call.split()[0] for call in disk.calls] == [
        "create",
        "write",
        *["write", "sync"] * 5,
        "sync_folder",
    ]
    assert read(disk, 5).entries == entries


def test_entries_are_read_as_they_are_taken() -> None:
    """A store need not be in memory twice; progress adds up to the size of the file."""
    disk = written(replace(EMPTY, entries=entries_of(300_000, 300_000, 300_000)))
    seen: list[int] = []
    image = read_snapshot(disk, NAME, 5, seen.append)
    assert 300_000 < sum(seen) < 400_000
    entries = iter(image.entries)
    next(entries)
    next(entries)
    assert 600_000 < sum(seen) < 700_000
    assert len(list(entries)) == 1
    assert sum(seen) == disk.size(NAME)


def test_entries_that_are_damaged_are_refused_when_they_are_taken() -> None:
    """The head is good, and nobody may think that the rest is."""
    disk = written(replace(EMPTY, entries=entries_of(300_000, 300_000)))
    data = bytearray(disk.read(NAME))
    data[-1000] ^= 1
    image = read_snapshot(FakeDisk({NAME: bytes(data)}), NAME, 5, ignore)
    with pytest.raises(JournalCorrupt, match="the frame's body does not match its checksum"):
        list(image.entries)


def test_snapshot_of_another_index_is_refused() -> None:
    """A file that was given the wrong name."""
    with pytest.raises(JournalCorrupt, match="expected index 6, found 5") as caught:
        read(written(EMPTY), 6)
    assert caught.value.path.name == NAME
    assert caught.value.offset == 0


GOOD = (0, 1, (K_FACTS, [FACTS_ITEM]))
ENTRY = entry_fields(*entries_of(0))


@pytest.mark.parametrize(
    ("frames", "position", "reason"),
    [
        ([(0, 0, None)], 0, "the snapshot holds nothing"),
        ([GOOD], 1, "the frame's header is incomplete"),
        ([GOOD, (0, 0, None)], 1, "expected item 1, found 0"),
        ([GOOD, (2, 1, (K_ENTRIES, [ENTRY])), (3, 0, None)], 1, "expected item 1, found 2"),
        ([GOOD, (1, 0, None), (1, 0, None)], 2, "something follows the end of the snapshot"),
        ([GOOD, (1, 2, (K_ENTRIES, [ENTRY])), (3, 0, None)], 1, "expected 2 items, found 1"),
        ([(0, 1, (K_ENTRIES, [ENTRY])), (1, 0, None)], 0, "kind 4 is out of order"),
        ([GOOD, (1, 1, (K_FACTS, [FACTS_ITEM])), (2, 0, None)], 1, "kind 1 is out of order"),
        (
            [GOOD, (1, 1, (K_ENTRIES, [ENTRY])), (2, 1, (K_TOMBSTONES, [(b"", 1, False)]))],
            2,
            "kind 3 is out of order",
        ),
        ([GOOD, (1, 1, (5, [()])), (2, 0, None)], 1, "is unknown to this version: KeyError"),
        ([GOOD, (1, 1, (K_ENTRIES, [(1,)])), (2, 0, None)], 1, "is unknown to this version: Val"),
        ([GOOD, (1, 2, (K_ENTRIES, [ENTRY, ENTRY[1:]])), (3, 0, None)], 1, "this version: Val"),
        ([GOOD, (1, 1, (K_ENTRIES, [(*ENTRY, 1)])), (2, 0, None)], 1, "this version: Type"),
        ([GOOD, (1, 1, (K_ENTRIES, 3)), (2, 0, None)], 1, "is unknown to this version: Type"),
        ([GOOD, (1, 1, K_ENTRIES), (2, 0, None)], 1, "is unknown to this version: Type"),
        ([GOOD, (1, 1, (K_ENTRIES, [], 1)), (2, 0, None)], 1, "is unknown to this version: Val"),
        ([GOOD, (1, 1, (K_SESSIONS, [(1,)])), (2, 0, None)], 1, "is unknown to this version"),
    ],
)
def test_sound_frames_that_make_no_snapshot_are_refused(
    frames: Sequence[tuple[int, int, object]], position: int, reason: str
) -> None:
    """Their checksums are right, so this is a bug or a later version: it is named all the same."""
    disk = snapshot_of(*frames)
    with pytest.raises(JournalCorrupt) as caught:
        read(disk, 5)
    assert reason in caught.value.reason
    assert caught.value.offset == snapshot_of(*frames[:position]).size(NAME)


def test_sound_frames_that_make_a_snapshot_are_read() -> None:
    """The counterpart; parts of one kind may be several frames."""
    image = read(
        snapshot_of(
            GOOD,
            (1, 1, (K_TOMBSTONES, [(b"a", 1, True)])),
            (2, 1, (K_ENTRIES, [ENTRY])),
            (3, 1, (K_ENTRIES, [ENTRY])),
            (4, 0, None),
        ),
        5,
    )
    assert image == Image(FACTS, [], [Tombstone(b"a", 1, True)], entries_of(0) * 2)


def test_segment_is_no_snapshot() -> None:
    """The two have frames alike and headers that differ."""
    header = encode_file_header(FileKind.SEGMENT, FileHeader(5, 1, SALT))
    data = header + snapshot_of(GOOD).read(NAME)[FILE_HEADER_BYTES:]
    with pytest.raises(JournalCorrupt, match="this is not a journal's snapshot"):
        read(FakeDisk({NAME: data}), 5)


def test_every_read_that_fails_says_which_file_and_why() -> None:
    """The opening, and each piece."""
    image = replace(EMPTY, entries=entries_of(300_000, 300_000))
    files = written(image).image()
    reads = FakeDisk(files)
    read(reads, 5)
    assert len(reads.reads) > 8
    for call in range(1, len(reads.reads) + 1):
        with pytest.raises(JournalUnreadable, match=f"{NAME}: Input/output error"):
            read(FakeDisk(files, fault=Fault(call, 5, reads=True)), 5)


def test_every_write_that_fails_is_the_system_s_error() -> None:
    """Whoever makes a snapshot has nothing to stop, and tries again later."""
    calls = written(EMPTY).calls[1:-1]
    for call in range(2, len(calls) + 2):
        disk = FakeDisk(fault=Fault(call, 28))
        file = disk.create(NAME)
        with pytest.raises(OSError, match="No space left on device"):
            write_snapshot(EMPTY, file, SALT, 1, ignore)

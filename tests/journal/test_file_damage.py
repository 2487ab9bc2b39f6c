"""Files cut at every byte and with every bit flipped: the truth or a refusal, never other data."""

from collections.abc import Iterator

import pytest

from kvstore.errors import JournalCorrupt
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    BadHeader,
    FileKind,
    Frame,
    decode_file_header,
    scan_frames,
)
from kvstore.state.command import Command, SetKey

from .batches import (
    SEGMENT_BYTES,
    flat,
    recover,
    replayed,
    small_batches,
    whole_batches,
    write,
)
from .encoded import encode_frame
from .fake_disk import FakeDisk, Image

BATCHES = small_batches(7)
MORE = small_batches(9)[-2:]


async def lay_out(*, sealed: bool) -> Image:
    """Return the files of a journal with BATCHES, closed or not."""
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    await write(journal, BATCHES)
    image = disk.image()
    await journal.close()
    assert len(image) == 3
    return disk.image() if sealed else image


def frames_of(data: bytes) -> list[Frame]:
    """Return the sound frames of a segment."""
    header = decode_file_header(FileKind.SEGMENT, data)
    assert not isinstance(header, BadHeader)
    return [frame for frame in scan_frames(data, header) if isinstance(frame, Frame)]


def flips(image: Image) -> Iterator[tuple[str, int, Image]]:
    """Yield the files with each bit of each byte flipped in turn, and where that was."""
    for name, data in image.items():
        for place in range(len(data)):
            for bit in range(8):
                flipped = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
                yield name, place, {**image, name: flipped}


async def test_newest_segment_cut_at_every_byte() -> None:
    """Exactly the batches that end before the cut are there; then the journal goes on."""
    image = await lay_out(sealed=False)
    *_, newest = sorted(image)
    data = image[newest]
    ends = [frame.end for frame in frames_of(data)]
    older = len(BATCHES) - len(ends)
    for size in range(len(data) + 1):
        expected = flat(BATCHES[: older + sum(end <= size for end in ends)])
        disk = FakeDisk({**image, newest: data[:size]})
        journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
        assert replayed(journal) == expected
        assert await write(journal, MORE) == [len(expected) + 1, len(expected) + 3]
        await journal.close()
        assert recover(disk.image()) == expected + flat(MORE)


async def test_older_segment_cut_at_every_byte_is_corrupt() -> None:
    """What was synced before a later segment was begun is missing: its file and place are named."""
    image = await lay_out(sealed=False)
    for name, after in zip(sorted(image)[:-1], sorted(image)[1:], strict=True):
        data = image[name]
        ends = [FILE_HEADER_BYTES, *(frame.end for frame in frames_of(data))]
        for size in range(len(data)):
            with pytest.raises(JournalCorrupt) as caught:
                recover({**image, name: data[:size]})
            # A cut between two frames is only seen by what the next segment begins with.
            expected = (after, 0) if size in ends else (name, max((0, *_upto(ends, size))))
            assert (caught.value.path.name, caught.value.offset) == expected


def _upto(ends: list[int], size: int) -> list[int]:
    return [end for end in ends if end < size]


async def test_every_bit_flipped_in_a_journal_that_was_not_closed() -> None:
    """Only the newest frame can be taken for a torn tail; everything else is refused, in place."""
    image = await lay_out(sealed=False)
    *_, newest = sorted(image)
    last = frames_of(image[newest])[-1].offset
    for name, place, flipped in flips(image):
        if name == newest and place >= last:
            assert recover(flipped) == flat(BATCHES[:-1])
            continue
        with pytest.raises(JournalCorrupt) as caught:
            recover(flipped)
        assert caught.value.path.name == name
        assert caught.value.offset <= place
        assert str(caught.value.offset) in str(caught.value)


async def test_every_bit_flipped_in_a_journal_that_was_closed() -> None:
    """Behind a seal nothing passes for a torn tail: all batches come back, or it is refused."""
    image = await lay_out(sealed=True)
    *_, newest = sorted(image)
    seal = frames_of(image[newest])[-1]
    assert seal.command_count == 0
    for name, place, flipped in flips(image):
        if name == newest and place >= seal.offset:
            assert recover(flipped) == flat(BATCHES)
            continue
        with pytest.raises(JournalCorrupt) as caught:
            recover(flipped)
        assert caught.value.path.name == name
        assert caught.value.offset <= place


@pytest.mark.parametrize("sealed", [False, True])
async def test_every_byte_range_zeroed(*, sealed: bool) -> None:
    """Lost sectors of any place and size: a prefix of whole batches, or a refusal."""
    image = await lay_out(sealed=sealed)
    older = len(BATCHES) - len([one for one in frames_of(image[max(image)]) if one.command_count])
    for name, data in image.items():
        for start in range(0, len(data), 4):
            for size in (4, 16, 64, 512):
                end = min(start + size, len(data))
                zeroed = data[:start] + bytes(end - start) + data[end:]
                _prefix_or_refusal({**image, name: zeroed}, older if name == max(image) else 99)


def _prefix_or_refusal(image: Image, at_least: int) -> None:
    try:
        found = recover(image)
    except JournalCorrupt:
        return
    count = whole_batches(BATCHES, found)
    assert count is not None
    assert count >= min(at_least, len(BATCHES))


async def test_refusal_changes_nothing() -> None:
    """The files are as they were found, so that they can be examined and repaired."""
    image = await lay_out(sealed=True)
    for position, (_, place, flipped) in enumerate(flips(image)):
        if position % 7 == 0 and place < FILE_HEADER_BYTES:
            disk = FakeDisk(flipped)
            with pytest.raises(JournalCorrupt):
                replayed(FileJournal(disk))
            assert disk.calls == []
            assert disk.image() == flipped


async def torn_inside_a_value(value: bytes, keep: int) -> tuple[list[Command], Image]:
    """Store a value behind BATCHES and tear its write off, `keep` bytes behind the value's start.

    Returns what was there before, and the files.
    """
    disk = FakeDisk(await lay_out(sealed=False))
    journal = FileJournal(disk)
    before = replayed(journal)
    await write(journal, [[SetKey(b"k", value, 0)]])
    await journal.close()
    *_, newest = disk.names()
    data = disk.read(newest)
    cut = data.index(value) + keep
    return before, {**disk.image(), newest: data[:cut]}


async def salt_of_newest() -> tuple[int, Image]:
    """Return the salt of the newest segment of a journal that was not closed, and its files."""
    image = await lay_out(sealed=False)
    header = decode_file_header(FileKind.SEGMENT, image[max(image)])
    assert not isinstance(header, BadHeader)
    return header.salt, image


@pytest.mark.parametrize("first_index", [0, 1, 11, 12, 2**64 - 1])
async def test_value_that_looks_like_a_frame_does_not_stop_the_start(first_index: int) -> None:
    """A client that stores whole frames of any salt it can think of, in a write that was torn."""
    lookalikes = [
        encode_frame(salt, first_index, 0, 1, b"\xc0", synced_before=True)
        for salt in (0, 1, 0xFFFFFFFF)
    ]
    value = b"".join(lookalikes) + b"the rest"
    before, image = await torn_inside_a_value(value, len(value) - 2)
    assert recover(image) == before


async def test_value_that_copies_the_journal_does_not_stop_the_start() -> None:
    """Frames of other segments, as a client may have them from a backup, have another salt."""
    older = await lay_out(sealed=True)
    value = b"".join(older.values())
    before, image = await torn_inside_a_value(value, len(value))
    assert recover(image) == before


async def test_sound_frame_behind_a_bad_one_is_why_damage_is_seen() -> None:
    """The counterpart: with the segment's own salt the same bytes are proof of damage."""
    salt, image = await salt_of_newest()
    *_, newest = sorted(image)
    torn = b"KVBt, then " + encode_frame(salt, 12, 0, 1, b"\xc0", synced_before=True)
    with pytest.raises(JournalCorrupt) as caught:
        recover({**image, newest: image[newest] + torn})
    assert caught.value.offset == len(image[newest])

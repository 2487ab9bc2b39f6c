"""Every bit and every byte of a folder with a snapshot: the truth, or a refusal that names it."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from random import Random
from zlib import crc32

import pytest
from journal.fake_disk import FakeDisk, Image

from kvstore.errors import JournalCorrupt
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    BadHeader,
    FileKind,
    Frame,
    FrameHeader,
    decode_file_header,
    decode_frame_header,
    scan_frames,
)
from kvstore.journal.listing import Listing, segment_name
from kvstore.maintenance.rebuild import rebuild
from kvstore.state.store import State

from .conftest import Tell
from .judge import Values, values
from .life import Life, Plan, start, the_plan

# Brings a store back from files, or raises.
Read = Callable[[FakeDisk], State]


def by_a_start(disk: FakeDisk) -> State:
    """Bring a store back as a server does."""
    return start(FileJournal(disk))


READS: list[Read] = [by_a_start, rebuild]


class Folder:
    """The files of a life with a snapshot, two closed segments behind it, and the newest one."""

    def __init__(self, image: Image, batches: Plan) -> None:
        listing = Listing.of(image)
        ((base,), segments) = (listing.snapshots, listing.segments)
        self.image = image
        self.snapshot = listing.chain().names[0]
        self.older = [segment_name(one) for one in segments[:-1]]
        self.newest = segment_name(segments[-1])
        # What the store holds after each command.
        self.after = {0: values(State())}
        state = State()
        for batch in batches.batches:
            for command in batch:
                state.apply(state.last_index + 1, command)
                self.after[state.last_index] = values(state)
        # Where the batches of the newest segment end, and the last index then.
        frames = frames_of(image[self.newest])
        self.ends = [FILE_HEADER_BYTES, *(one.end for one in frames)]
        first = segments[-1] - 1
        self.indexes = [first, *(one.first_index + one.command_count - 1 for one in frames)]
        assert base < segments[0] <= first

    def upto(self, place: int) -> Values:
        """Return the store after the last batch of the newest segment that ends at a place."""
        return self.after[self.indexes[max(0, bisect_right(self.ends, place) - 1)]]


def frames_of(data: bytes) -> list[Frame]:
    """Return the sound frames of a segment."""
    header = decode_file_header(FileKind.SEGMENT, data)
    assert not isinstance(header, BadHeader)
    return [frame for frame in scan_frames(data, header) if isinstance(frame, Frame)]


async def lay_out(*, closed: bool = False) -> Folder:
    """Live until there are enough files: a snapshot with all kinds of things, three segments."""
    plan = Plan(the_plan().batches[:15], "aaaaaaaacaaaaaa", segment_bytes_max=300, room_bytes=0)
    life = Life(plan)
    await life.run()
    image = life.disk.image()
    await life.journal.close()
    return Folder(life.disk.image() if closed else image, plan)


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a file with each bit of each byte flipped in turn, and where that was."""
    for place in range(len(data)):
        for bit in range(8):
            yield place, data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def require_refused(read: Read, image: Image, name: str, place: int) -> JournalCorrupt:
    """Require a refusal that names the file, and an offset not behind the damage."""
    disk = FakeDisk(image)
    with pytest.raises(JournalCorrupt) as caught:
        read(disk)
    assert caught.value.path.name == name, caught.value
    assert caught.value.offset <= place
    assert f"{name} at offset {caught.value.offset}" in str(caught.value)
    assert disk.calls == []
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("closed", [False, True])
async def test_every_bit_flipped(read: Read, *, closed: bool, chance: Random, tell: Tell) -> None:
    """Refused in place; only the last frame of the newest segment can pass for a torn one."""
    folder = await lay_out(closed=closed)
    torn, count = folder.ends[-2], 0
    for name, data in folder.image.items():
        for place, flipped in flips(data):
            count += 1
            image = {**folder.image, name: flipped}
            if name == folder.newest and place >= torn:
                assert values(read(FakeDisk(image))) == folder.upto(torn)
            else:
                require_refused(read, image, name, place)
    tell(f"flipped bits: {count} in {len(folder.image)} files, read by {read.__name__}")


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_newest_segment_cut_at_every_byte(read: Read, chance: Random) -> None:
    """Exactly the batches that end before the cut are there."""
    folder = await lay_out()
    data = folder.image[folder.newest]
    for size in range(len(data) + 1):
        image = {**folder.image, folder.newest: data[:size]}
        assert values(read(FakeDisk(image))) == folder.upto(size)


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_older_segment_cut_at_every_byte(read: Read, chance: Random) -> None:
    """Refused; a cut between two frames is seen by what the next segment begins with."""
    folder = await lay_out()
    for name, after in zip(folder.older, [*folder.older[1:], folder.newest], strict=True):
        data = folder.image[name]
        ends = [FILE_HEADER_BYTES, *(frame.end for frame in frames_of(data))]
        for size in range(len(data)):
            seen_in = after if size in ends else name
            require_refused(read, {**folder.image, name: data[:size]}, seen_in, size)


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_snapshot_cut_at_every_byte(read: Read, chance: Random) -> None:
    """Refused, also between two frames: what is missing then is the seal."""
    folder = await lay_out()
    data = folder.image[folder.snapshot]
    for size in range(len(data)):
        require_refused(read, {**folder.image, folder.snapshot: data[:size]}, folder.snapshot, size)


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_snapshot_with_something_behind_its_seal(read: Read, chance: Random) -> None:
    """Refused, be it zeros or one frame more."""
    folder = await lay_out()
    data = folder.image[folder.snapshot]
    for more in (b"\0", bytes(4096), data[FILE_HEADER_BYTES:], data):
        image = {**folder.image, folder.snapshot: data + more}
        require_refused(read, image, folder.snapshot, len(data))


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_any_file_of_the_chain_missing(read: Read, chance: Random) -> None:
    """Refused, but for the newest segment: nothing that is left shows that it was there."""
    folder = await lay_out()
    for name in (folder.snapshot, *folder.older):
        image = {other: data for other, data in folder.image.items() if other != name}
        with pytest.raises(JournalCorrupt, match="missing"):
            read(FakeDisk(image))


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_any_file_in_the_place_of_another(read: Read, chance: Random) -> None:
    """Refused: a file says itself what it is and where it belongs."""
    folder = await lay_out()
    for name in folder.image:
        for other in folder.image.keys() - {name}:
            image = {**folder.image, name: folder.image[other]}
            require_refused(read, image, name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
async def test_any_frames_of_a_snapshot_in_another_order(read: Read, chance: Random) -> None:
    """Refused: a frame left out, one that is there twice, two that changed places."""
    folder = await lay_out()
    data = folder.image[folder.snapshot]
    head, frames = data[:FILE_HEADER_BYTES], split_snapshot(data)
    assert len(frames) == 5
    for first in range(len(frames)):
        for second in range(len(frames)):
            changed = list(frames)
            changed[first] = frames[second]
            swapped = list(changed)
            swapped[second] = frames[first]
            for order in (changed, swapped, frames[:first] + frames[first + 1 :]):
                if order != frames:
                    image = {**folder.image, folder.snapshot: b"".join((head, *order))}
                    require_refused(read, image, folder.snapshot, len(data))


def split_snapshot(data: bytes) -> list[bytes]:
    """Return the frames of a snapshot."""
    head = decode_file_header(FileKind.SNAPSHOT, data)
    assert not isinstance(head, BadHeader)
    frames, offset = [], FILE_HEADER_BYTES
    while offset < len(data):
        header = decode_frame_header(data[offset : offset + FRAME_HEADER_BYTES], head.salt)
        assert not isinstance(header, str)
        end = offset + FRAME_HEADER_BYTES + header.body_bytes
        frames.append(data[offset:end])
        offset = end
    return frames


# --- readers that check less; the proof must notice ----------------------------------------------


class Whatever(int):
    """A number that no other differs from."""

    __hash__ = int.__hash__

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False


def unchecked_frame(
    header: FrameHeader, body: bytes | memoryview, _: int, offset: int
) -> Frame | str:
    """Stand for a frame_of that does not look at the checksum."""
    end = offset + FRAME_HEADER_BYTES + len(body)
    fields = (header.first_index, header.written_ms, header.command_count, header.synced_before)
    return Frame(*fields, bytes(body), offset, end)


def end_is_a_seal(data: bytes | memoryview, salt: int) -> FrameHeader | str:
    """Stand for a decode_frame_header that takes the end of the file for a seal."""
    if not data:
        return FrameHeader(Whatever(), 0, 0, True, 0, crc32(b"", salt))
    return decode_frame_header(data, salt)


def torn_is_the_end(*args: object, **options: object) -> Iterator[object]:
    """Stand for a scan_frames that takes all damage for a torn tail."""
    for part in scan_frames(*args, **options):
        if not isinstance(part, Frame):
            return
        yield part


MUTANTS = [
    ("snapshot's checksum not checked", "snapshot.frame_of", unchecked_frame, "flip snapshot"),
    ("frame's checksum not checked", "frame.frame_of", unchecked_frame, "flip newest"),
    ("short snapshot accepted", "snapshot.decode_frame_header", end_is_a_seal, "cut snapshot"),
    ("damage taken for a torn tail", "reader.scan_frames", torn_is_the_end, "flip newest"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "function", "mutant", "notices"), MUTANTS)
async def test_reader_that_checks_less_is_found_out(
    name: str,
    function: str,
    mutant: Callable[..., object],
    notices: str,
    chance: Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It reads something out of damaged files that the real one refuses or knows to be less."""
    folder = await lay_out()
    how, which = notices.split()
    file = folder.snapshot if which == "snapshot" else folder.newest
    data = folder.image[file]
    changed = [one for _, one in flips(data)] if how == "flip" else cuts(data)
    images = [{**folder.image, file: one} for one in changed]
    truth = [outcome(image) for image in images]
    assert all(one == "JournalCorrupt" or one in folder.after.values() for one in truth)
    monkeypatch.setattr(f"kvstore.journal.{function}", mutant)
    found = [outcome(image) for image in images]
    assert any(one not in ("JournalCorrupt", true) for one, true in zip(found, truth, strict=True))


def cuts(data: bytes) -> list[bytes]:
    """Return a file cut at every byte."""
    return [data[:size] for size in range(len(data))]


def outcome(image: Image) -> Values | str:
    """Return what a start finds; the name of what it raises."""
    try:
        return values(by_a_start(FakeDisk(image)))
    except Exception as error:  # noqa: BLE001 - a mutant may raise anything
        return type(error).__name__

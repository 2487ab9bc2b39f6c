"""What a start makes of the files it finds: cut, removed, refused, or left to whom they belong."""

import logging
from collections.abc import Callable
from zlib import crc32

import pytest

from kvstore.errors import InvariantBroken, JournalCorrupt, JournalUnwritable
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FileHeader,
    FileKind,
    encode_file_header,
)
from kvstore.state.command import DeleteKey

from .batches import FIRST, SEGMENT_BYTES, WRITTEN_MS, flat, recover, replayed, small_batches, write
from .encoded import encode_commands, encode_frame
from .fake_disk import FakeDisk, Fault, Image

SECOND = "00000000000000000002.journal"


async def one_batch(*, closed: bool = True) -> Image:
    """Return the files of a journal with one batch of one command."""
    disk = FakeDisk()
    journal = FileJournal(disk)
    replayed(journal)
    await write(journal, small_batches(1))
    image = disk.image()
    await journal.close()
    return disk.image() if closed else image


@pytest.mark.parametrize("closed", [True, False])
async def test_what_is_replayed_is_synced_before_anybody_can_read_it(*, closed: bool) -> None:
    """The newest segment and the names: the process before may have been killed before a sync."""
    disk = FakeDisk(await one_batch(closed=closed))
    journal = FileJournal(disk)
    assert replayed(journal) == flat(small_batches(1))
    assert disk.calls == [f"append_to {FIRST}", f"sync {FIRST}", "sync_folder"]
    await journal.close()


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_start_that_cannot_sync_what_it_replayed_says_so(call: int) -> None:
    """What may be lost by the next loss of power must not be served."""
    journal = FileJournal(FakeDisk(await one_batch(), fault=Fault(call, 5)))
    with pytest.raises(JournalUnwritable, match="Input/output error") as caught:
        replayed(journal)
    assert caught.value.path.name == FIRST
    await journal.close()


async def test_files_of_others_are_left_alone() -> None:
    """Only names of twenty digits and .journal are read, whatever else an operator keeps there."""
    others = {
        "LOCK": b"1\n",
        "README": b"of the operator's",
        "a.journal.bak": b"x",
        "a.journal": b"x",
        "1.journal": b"x",
        ".00000000000000000002.journal": b"x",
        "000000000000000000002.journal": b"x",
        "0000000000000000000\u0662.journal": b"x",
        f"{SECOND}.old": b"x",
        f"{SECOND}\n": b"x",
        f"copy of {FIRST}": b"x",
    }
    disk = FakeDisk({**others, **await one_batch()})
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    assert replayed(journal) == flat(small_batches(1))
    await write(journal, small_batches(3))
    await journal.close()
    assert {name: disk.read(name) for name in others} == others
    assert recover(disk.image()) == flat(small_batches(1)) + flat(small_batches(3))


@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_missing_segment_is_corrupt(missing: int) -> None:
    """A gap in the indexes names the segment after it."""
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    await write(journal, small_batches(9))
    image = disk.image()
    names = sorted(image)
    del image[names[missing]]
    with pytest.raises(JournalCorrupt, match="a segment is missing") as caught:
        recover(image)
    assert (caught.value.path.name, caught.value.offset) == (names[missing + 1], 0)
    await journal.close()


@pytest.mark.parametrize(
    ("body", "count", "reason"),
    [
        (b"\x91\x91\x63", 1, "opcode 99 is unknown to this version"),
        (b"\xc1", 1, "not a list of commands"),
        (encode_commands([DeleteKey(b"k")]), 2, "expected 2 commands, found 1"),
        (encode_commands([DeleteKey(b"k")] * 2), 1, "expected 1 commands, found 2"),
        (encode_commands([DeleteKey(b"k")]), 0, "expected 0 commands, found 1"),
        (b"", 1, "expected 1 commands, found 0"),
        (encode_commands([DeleteKey(b"k")])[:-2], 1, "not a list of commands"),
    ],
)
def test_sound_frame_with_an_unreadable_body_is_corrupt(
    body: bytes, count: int, reason: str
) -> None:
    """A later version's commands, or a bug: never cut off as a torn tail."""
    start = encode_file_header(FileKind.SEGMENT, FileHeader(1, 0, 5))
    frame = encode_frame(5, 1, 0, count, body, synced_before=True)
    with pytest.raises(JournalCorrupt, match=reason) as caught:
        recover({FIRST: start + frame})
    assert (caught.value.path.name, caught.value.offset) == (FIRST, FILE_HEADER_BYTES)


def of_another_version(segment: bytes) -> bytes:
    """Return a segment that is sound but for its version, which is 2."""
    fields = segment[:8] + b"\2" + segment[9:32]
    return fields + crc32(fields).to_bytes(4, "little") + segment[36:]


def of_another_program(segment: bytes) -> bytes:
    """Return a segment whose header is sound but for its magic."""
    fields = b"\x89PNG\r\n\x1a\n" + segment[8:32]
    return fields + crc32(fields).to_bytes(4, "little") + segment[36:]


@pytest.mark.parametrize("behind", [b"", bytes(400), b"frames"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (of_another_version, "format version 2 is not known here, expected 1"),
        (of_another_program, "this is not a journal's segment"),
    ],
)
@pytest.mark.parametrize("with_first", [True, False])
async def test_whole_header_of_somebody_else_is_refused_and_kept(
    make: Callable[[bytes], bytes], reason: str, behind: bytes, *, with_first: bool
) -> None:
    """Also with nothing behind it: a later version began this segment, no crash cut it short."""
    segment = (
        encode_file_header(FileKind.SEGMENT, FileHeader(2 if with_first else 1, 0, 5)) + behind
    )
    before = await one_batch() if with_first else {}
    name = SECOND if with_first else FIRST
    disk = FakeDisk({**before, name: make(segment)})
    with pytest.raises(JournalCorrupt, match=reason) as caught:
        replayed(FileJournal(disk))
    assert (caught.value.path.name, caught.value.offset) == (name, 0)
    assert disk.calls == []


@pytest.mark.parametrize("left", [b"", b"\x89kvj", bytes(36), bytes(400)])
async def test_segment_whose_making_was_cut_short_is_made_again(
    left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A header that never got to the disk has nothing behind it; that is said in the log."""
    with caplog.at_level(logging.WARNING):
        disk = FakeDisk({**await one_batch(), SECOND: left})
        journal = FileJournal(disk)
        assert replayed(journal) == flat(small_batches(1))
    assert f"{len(left)} bytes are no header yet" in caplog.text
    assert disk.names() == [FIRST]
    await write(journal, small_batches(1))
    await journal.close()
    assert recover(disk.image()) == flat(small_batches(1)) * 2


async def test_torn_tail_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the file, the offset and the size; the file is shorter afterwards."""
    sound = (await one_batch(closed=False))[FIRST]
    torn = FakeDisk({FIRST: sound + b"KVBt torn"})
    with caplog.at_level(logging.WARNING):
        assert replayed(FileJournal(torn)) == flat(small_batches(1))
    assert (
        f"cut 9 bytes off {FIRST} at offset {len(sound)}: a write that was never synced"
        in caplog.text
    )
    assert torn.read(FIRST) == sound


@pytest.mark.parametrize("call", [1, 2, 3, 4])
async def test_start_that_cannot_repair_says_so(call: int) -> None:
    """A tail that cannot be cut, a segment that cannot be opened or synced: JournalUnwritable."""
    image = await one_batch()
    torn = FakeDisk({FIRST: image[FIRST] + b"torn"}, fault=Fault(call, 30))
    journal = FileJournal(torn)
    with pytest.raises(JournalUnwritable, match="Read-only file system"):
        replayed(journal)
    with pytest.raises(JournalUnwritable):
        await journal.append([DeleteKey(b"k")], WRITTEN_MS)
    await journal.close()


@pytest.mark.parametrize("call", [1, 2])
def test_start_that_cannot_remove_an_unfinished_segment_says_so(call: int) -> None:
    """Neither the removal nor its sync may fail unnoticed: the name would be in the way later."""
    disk = FakeDisk({FIRST: b"\x89kvj"}, fault=Fault(call, 5))
    with pytest.raises(JournalUnwritable, match="Input/output error") as caught:
        replayed(FileJournal(disk))
    assert caught.value.path.name == FIRST
    assert recover(disk.image()) == []


async def unsynced(batches: int) -> bytes:
    """Return a segment of the small batches, written without sync by a journal that was killed."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False)
    replayed(journal)
    await write(journal, small_batches(batches))
    segment = disk.read(FIRST)
    await journal.close()
    return segment


async def test_hole_in_what_was_never_synced_is_cut_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With `sync=False` a loss of power may keep a frame and lose one before it."""
    segment = await unsynced(4)
    one = len(await unsynced(1))
    holed = segment[:one] + bytes(20) + segment[one + 20 :]
    disk = FakeDisk({FIRST: holed})
    journal = FileJournal(disk, sync=False)
    with caplog.at_level(logging.WARNING):
        assert replayed(journal) == flat(small_batches(1))
    assert f"cut {len(segment) - one} bytes off {FIRST} at offset {one}" in caplog.text
    assert "a write that was never synced" in caplog.text
    assert disk.read(FIRST) == segment[:one]
    assert await write(journal, small_batches(2)) == [2, 3]
    await journal.close()
    assert recover(disk.image()) == flat(small_batches(1)) + flat(small_batches(2))


async def test_torn_end_of_what_was_never_synced_is_not_called_unacknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With `sync=False` its client has had the answer; the log must not deny it."""
    segment = await unsynced(2)
    with caplog.at_level(logging.WARNING):
        assert replayed(FileJournal(FakeDisk({FIRST: segment[:-3]}), sync=False)) == flat(
            small_batches(1)
        )
    assert "never acknowledged" not in caplog.text


async def test_hole_before_the_seal_is_refused() -> None:
    """A clean close syncs first and says so, also with `sync=False`."""
    disk = FakeDisk({FIRST: await unsynced(3)})
    journal = FileJournal(disk, sync=False)
    replayed(journal)
    await journal.close()
    await refused_with_a_hole(disk.read(FIRST))


async def test_hole_before_a_batch_of_a_journal_that_syncs_is_refused() -> None:
    """It was written after the start had synced what the journal without sync had left."""
    disk = FakeDisk({FIRST: await unsynced(3)})
    journal = FileJournal(disk)
    replayed(journal)
    await write(journal, small_batches(1))
    await refused_with_a_hole(disk.read(FIRST))
    await journal.close()


async def test_hole_in_the_last_synced_batch_is_refused_though_syncing_ended_there() -> None:
    """The first batch of a journal without sync is written after the start's sync, and says so."""
    disk = FakeDisk()
    syncing = FileJournal(disk)
    replayed(syncing)
    await write(syncing, small_batches(2))
    disk = FakeDisk(disk.image())
    not_syncing = FileJournal(disk, sync=False)
    replayed(not_syncing)
    await write(not_syncing, small_batches(1))
    await refused_with_a_hole(disk.read(FIRST))
    await syncing.close()
    await not_syncing.close()


async def test_empty_batch_is_no_batch() -> None:
    """It would be a seal, which promises that everything before it is synced."""
    journal = FileJournal(FakeDisk())
    replayed(journal)
    with pytest.raises(InvariantBroken, match="empty batch"):
        await journal.append([], 0)
    await journal.close()


async def refused_with_a_hole(segment: bytes) -> None:
    """Verify that it is, when the hole is in the second frame of a segment `unsynced` began."""
    one = len(await unsynced(1))
    with pytest.raises(JournalCorrupt, match="yet a sound frame follows") as caught:
        recover({FIRST: segment[:one] + bytes(20) + segment[one + 20 :]})
    assert (caught.value.path.name, caught.value.offset) == (FIRST, one)

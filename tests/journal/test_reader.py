"""Reading a folder that one does not own: whole batches in order, and nothing is changed."""

import msgpack
import pytest

from kvstore.errors import JournalCorrupt, JournalUnreadable
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import FileHeader, FileKind, encode_file_header
from kvstore.journal.journal import Record
from kvstore.journal.listing import Chain, Listing, segment_name, snapshot_name, unfinished_name
from kvstore.journal.reader import JournalReader, read_listing
from kvstore.maintenance.compaction import build_snapshot
from kvstore.state.command import SetKey

from .batches import FIRST, SEGMENT_BYTES, WRITTEN_MS, flat, small_batches, write
from .encoded import encode_commands, encode_frame
from .fake_disk import FakeDisk, Fault

BATCHES = small_batches(7)
COMMANDS = flat(BATCHES)


async def folder(*, compact_after: int = 0, closed: bool = True) -> FakeDisk:
    """Return the files of a journal with BATCHES, and a snapshot after some of them."""
    disk = FakeDisk()
    journal = FileJournal(disk, segment_bytes_max=SEGMENT_BYTES)
    assert journal.base() is None
    assert list(journal.replay()) == []
    await write(journal, BATCHES[:compact_after])
    if compact_after:
        last_index = await journal.rotate(WRITTEN_MS)
        build_snapshot(disk, last_index, WRITTEN_MS)
        await journal.adopt_snapshot(last_index)
    await write(journal, BATCHES[compact_after:])
    image = disk.image()
    await journal.close()
    return FakeDisk(disk.image() if closed else image)


def reader_of(disk: FakeDisk, chain: Chain | None = None, upto: int | None = None) -> JournalReader:
    """Return a reader of the files as they are listed now."""
    return JournalReader(disk, read_listing(disk), chain, upto=upto)


def records(first_index: int, upto: int = len(COMMANDS)) -> list[Record]:
    """Return what should be read."""
    return [
        Record(index, WRITTEN_MS, COMMANDS[index - 1]) for index in range(first_index, upto + 1)
    ]


async def test_empty_folder_has_no_records() -> None:
    """And no end to go on from."""
    reader = reader_of(FakeDisk())
    assert reader.size_bytes() == 0
    assert reader.base() is None
    assert list(reader.records()) == []
    assert reader.end is None
    assert reader.next_index == 1


async def test_records_come_in_order_and_nothing_is_changed() -> None:
    """Over all segments; the end says where writing would go on."""
    disk = await folder()
    reader = reader_of(disk)
    assert reader.base() is None
    assert list(reader.records()) == records(1)
    assert reader.next_index == len(COMMANDS) + 1
    assert reader.end is not None
    assert reader.end.name == disk.names()[-1]
    assert reader.end.size_bytes == disk.size(reader.end.name)
    assert reader.end.sealed
    assert reader.end.torn is None
    assert disk.calls == []


async def test_folder_that_is_written_is_read_to_its_last_whole_batch() -> None:
    """What a server has not finished is no damage."""
    disk = await folder(closed=False)
    *_, newest = disk.names()
    data = disk.read(newest)
    reader = reader_of(FakeDisk({**disk.image(), newest: data[:-1]}))
    assert list(reader.records()) == records(1, len(COMMANDS) - len(BATCHES[-1]))
    assert reader.end is not None
    assert not reader.end.sealed
    assert reader.end.torn is not None
    assert reader.end.torn.offset == reader.end.size_bytes


async def test_segment_without_its_whole_header_is_not_there_yet() -> None:
    """The one before it is the end."""
    disk = await folder(closed=False)
    name = segment_name(len(COMMANDS) + 1)
    reader = reader_of(FakeDisk({**disk.image(), name: b"\x89kvj"}))
    assert list(reader.records()) == records(1)
    assert reader.unfinished == (name, 4)
    assert reader.end is not None
    assert reader.end.name == disk.names()[-1]


@pytest.mark.parametrize("upto", range(len(COMMANDS) + 2))
async def test_reading_stops_after_the_record_asked_for(upto: int) -> None:
    """In the middle of a batch, and without a look at later files."""
    disk = await folder()
    reader = reader_of(disk, upto=upto)
    assert list(reader.records()) == records(1, min(upto, len(COMMANDS)))
    needed = [name for name in disk.names() if name <= segment_name(max(upto, 1))]
    assert [call.split()[1] for call in disk.reads if call.startswith("read ")][1:] == needed[1:]


async def test_snapshot_is_the_base_of_what_follows_it() -> None:
    """Older segments are not read, whatever is in them."""
    disk = await folder(compact_after=4)
    (base,) = read_listing(disk).snapshots
    damaged = FakeDisk({**disk.image(), FIRST: b"no segment at all"})
    reader = reader_of(damaged)
    image = reader.base()
    assert image is not None
    assert image.facts.last_index == base == 6
    assert list(reader.records()) == records(base + 1)


async def test_older_chain_is_read_when_it_is_asked_for() -> None:
    """As if the snapshot were not there."""
    disk = await folder(compact_after=4)
    reader = reader_of(disk, read_listing(disk).chain(0), upto=5)
    assert reader.base() is None
    assert list(reader.records()) == records(1, 5)


@pytest.mark.parametrize("compact_after", [0, 4])
async def test_progress_adds_up_to_the_size(compact_after: int) -> None:
    """Of the snapshot and the segments behind it."""
    disk = await folder(compact_after=compact_after)
    seen: list[int] = []
    reader = JournalReader(disk, read_listing(disk), progress=seen.append)
    base = reader.base()
    assert (base is not None) == (compact_after > 0)
    if base is not None:
        list(base.entries)
    list(reader.records())
    assert sum(seen) == reader.size_bytes()


async def test_segment_that_must_follow_the_snapshot_is_missed() -> None:
    """It was begun before the snapshot was made; without it acknowledged batches are gone."""
    disk = await folder(compact_after=4)
    image = {name: data for name, data in disk.image().items() if name <= snapshot_name(6)}
    reader = reader_of(FakeDisk(image))
    reader.base()
    with pytest.raises(JournalCorrupt, match="follows the snapshot is missing") as caught:
        list(reader.records())
    assert caught.value.path.name == segment_name(7)


async def test_snapshot_alone_is_a_store() -> None:
    """As after a restore into a new folder, which has written nothing yet."""
    disk = await folder(compact_after=4)
    name = snapshot_name(6)
    reader = reader_of(FakeDisk({name: disk.read(name)}))
    assert reader.base() is not None
    assert list(reader.records()) == []
    assert reader.next_index == 7
    assert reader.end is None


def segment_with(body: bytes, count: int) -> FakeDisk:
    """Return a segment with one sound frame."""
    header = encode_file_header(FileKind.SEGMENT, FileHeader(1, 0, 3))
    return FakeDisk({FIRST: header + encode_frame(3, 1, 0, count, body, synced_before=True)})


@pytest.mark.parametrize(
    ("body", "count", "reason"),
    [
        (encode_commands([SetKey(b"k", b"v", 0)]), 2, "expected 2 commands, found 1"),
        (b"", 1, "expected 1 commands, found 0"),
        (msgpack.packb([[99, b"k"]]), 1, "opcode 99 is unknown to this version"),
        (b"\xc1", 1, "not a list of commands"),
    ],
)
def test_sound_frame_that_is_no_batch_is_refused(body: bytes, count: int, reason: str) -> None:
    """With the place of the frame; its checksum is right, so it was meant."""
    with pytest.raises(JournalCorrupt) as caught:
        list(reader_of(segment_with(body, count)).records())
    assert reason in caught.value.reason
    assert (caught.value.path.name, caught.value.offset) == (FIRST, 36)


async def test_listing_leaves_out_what_is_no_part_of_a_store() -> None:
    """Unfinished snapshots are listed as such; files of others are not."""
    disk = FakeDisk({"LOCK": b"", "notes": b"", unfinished_name(3): b"", FIRST: b""})
    assert read_listing(disk) == Listing((), (1,), (unfinished_name(3),))


async def test_every_read_that_fails_says_which_file_and_why() -> None:
    """Of the folder, of the snapshot, and of each segment."""
    files = (await folder(compact_after=4)).image()
    reads = FakeDisk(files)
    _read_all(reads)
    assert len(reads.reads) > 10
    for call, what in enumerate(reads.reads, 1):
        with pytest.raises(JournalUnreadable, match="Input/output error") as caught:
            _read_all(FakeDisk(files, fault=Fault(call, 5, reads=True)))
        assert caught.value.path.name == ("fake" if what == "names" else what.split()[1])


def _read_all(disk: FakeDisk) -> None:
    reader = reader_of(disk)
    reader.size_bytes()
    base = reader.base()
    assert base is not None
    list(base.entries)
    list(reader.records())

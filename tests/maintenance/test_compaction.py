"""Making a snapshot: whole, synced and verified, or an error; beside a server that goes on."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal.batches import WRITTEN_MS, Batch, a_store_command, small_batches, write
from journal.fake_disk import FakeDisk, FakeFile, Fault

from kvstore.errors import InvariantBroken, JournalCorrupt, JournalUnreadable
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import segment_name, snapshot_name, unfinished_name
from kvstore.journal.reader import read_listing
from kvstore.journal.snapshot import read_snapshot
from kvstore.maintenance.compaction import Built, build_snapshot, write_verified
from kvstore.maintenance.rebuild import rebuild
from kvstore.state.store import State

from .folders import folder, replayed, values

BATCHES = small_batches(7)
LAST = 10
MADE = unfinished_name(LAST)


def ignore(_: int) -> None:
    """Take no interest in progress."""


def adopted(disk: FakeDisk, last_index: int) -> FakeDisk:
    """Return the files with nothing but the snapshot, under its name."""
    return FakeDisk({snapshot_name(last_index): disk.read(unfinished_name(last_index))})


@settings(max_examples=60)
@given(
    st.lists(st.lists(a_store_command, min_size=1, max_size=5), min_size=2, max_size=8),
    st.sets(st.integers(1, 7), max_size=2),
)
async def test_snapshot_alone_is_the_store(batches: list[Batch], compact_after: set[int]) -> None:
    """Of all commands, be it made of segments or of an older snapshot and segments."""
    disk = await folder(batches, compact_after=compact_after - {len(batches)})
    expected = replayed(batches)
    built = build_snapshot(disk, expected.last_index, 1)
    alone = adopted(disk, expected.last_index)
    assert values(rebuild(alone)) == values(expected)
    assert built.entry_count == expected.entry_count


async def test_what_was_built_is_told() -> None:
    """Its index, its entries and its size; nothing but the one file was made."""
    disk = await folder(BATCHES)
    before = disk.image()
    built = build_snapshot(disk, LAST, 1)
    assert built == Built(LAST, rebuild(disk).entry_count, disk.size(MADE))
    assert disk.image().keys() - before.keys() == {MADE}
    assert {name: disk.read(name) for name in before} == before


async def test_snapshot_of_an_index_holds_nothing_behind_it() -> None:
    """Records of later segments are not read."""
    disk = await folder(BATCHES, compact_after=[4])
    first = replayed(BATCHES[:4])
    (base,) = read_listing(disk).snapshots
    image = read_snapshot(disk, snapshot_name(base), base, ignore)
    state = State()
    state.load(image)
    assert values(state) == values(first)


async def test_snapshot_is_synced_then_read_again_from_the_disk() -> None:
    """What is cached of it is forgotten in between; what a loss of power leaves is whole."""
    disk = await folder(BATCHES)
    disk.reads.clear()
    build_snapshot(disk, LAST, 1)
    evicted = disk.reads.index(f"evict {MADE}")
    assert disk.reads[evicted + 1] == f"open {MADE}"
    assert disk.calls[-1] == f"sync {MADE}"
    whole = disk.read(MADE)
    assert {image.get(MADE, whole) for image in disk.crash_images()} == {whole}


async def test_progress_is_told_of_bytes_then_of_entries() -> None:
    """Bytes read, entries written, entries verified."""
    disk = await folder(BATCHES)
    seen: list[int] = []
    size = sum(disk.size(name) for name in disk.names())
    built = build_snapshot(disk, LAST, 1, seen.append)
    assert sum(seen) == size + 2 * built.entry_count


@pytest.mark.parametrize("index", [LAST + 1, LAST + 100])
async def test_index_that_was_never_written_is_a_mistake(index: int) -> None:
    """And no file is made."""
    disk = await folder(BATCHES)
    with pytest.raises(InvariantBroken, match=f"expected a store at {index}, found {LAST}"):
        build_snapshot(disk, index, 1)
    assert disk.calls == []


async def test_leftover_of_the_same_index_is_in_the_way() -> None:
    """It is not written over; whoever starts a compaction removes it first."""
    disk = FakeDisk({**(await folder(BATCHES)).image(), MADE: b"left"})
    with pytest.raises(FileExistsError):
        build_snapshot(disk, LAST, 1)
    assert disk.read(MADE) == b"left"


class Garbles(FakeDisk):
    """A disk that writes something else than it was given, once, and does not say so."""

    def __init__(self, files: dict[str, bytes], call: int, place: int) -> None:
        super().__init__(files)
        self._call = call
        self._place = place

    def write_file(self, name: str, data: bytes) -> None:
        """Flip a bit in one of the writes."""
        if len(self.calls) == self._call:
            place = self._place % len(data)
            data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        super().write_file(name, data)


async def test_disk_that_writes_something_else_is_found_out() -> None:
    """At every place of every write: the snapshot is refused before it can be adopted."""
    files = (await folder(BATCHES)).image()
    good = FakeDisk(files)
    build_snapshot(good, LAST, 1)
    writes = [call for call, what in enumerate(good.calls) if what.startswith("write")]
    assert len(writes) == 4
    for call in writes:
        for place in range(36):
            with pytest.raises(JournalCorrupt, match=MADE):
                build_snapshot(Garbles(files, call, place), LAST, 1)


class OfAnotherStore(FakeDisk):
    """A disk that gives another sound file back than the one that was written."""

    other = b""

    def sync_file(self, name: str) -> None:
        """Put the other one in its place."""
        super().sync_file(name)
        self.truncate(name, 0)
        super().write_file(name, self.other)


async def test_sound_snapshot_of_another_store_is_found_out() -> None:
    """Checksums alone would not tell: the content is compared."""
    batches = [*BATCHES[:-1], [replace(one, value=b"another") for one in BATCHES[-1]]]
    other = await folder(batches)
    assert build_snapshot(other, LAST, 1).last_index == LAST
    disk = OfAnotherStore((await folder(BATCHES)).image())
    disk.other = other.read(MADE)
    with pytest.raises(InvariantBroken, match="the snapshot of 10 is not what was written"):
        build_snapshot(disk, LAST, 1)


async def test_damage_in_what_is_read_is_said() -> None:
    """A snapshot of damaged files is never made."""
    disk = await folder(BATCHES)
    name = segment_name(1)
    data = bytearray(disk.read(name))
    data[50] ^= 1
    damaged = FakeDisk({**disk.image(), name: bytes(data)})
    with pytest.raises(JournalCorrupt, match=f"{name} at offset 36"):
        build_snapshot(damaged, LAST, 1)
    assert damaged.calls == []


class CountsOpenFiles(FakeDisk):
    """A disk that knows how many files were made and not closed."""

    opened = 0

    def create(self, name: str) -> FakeFile:
        """Count it."""
        file = super().create(name)
        self.opened += 1
        close = file.close

        def close_and_count() -> None:
            close()
            self.opened -= 1

        file.close = close_and_count
        return file


async def test_every_failing_call_is_said_and_leaves_no_file_open() -> None:
    """The system's error of a write; of a read, which file it was."""
    files = (await folder(BATCHES)).image()
    good = FakeDisk(files)
    build_snapshot(good, LAST, 1)
    for call in range(1, len(good.calls) + 1):
        disk = CountsOpenFiles(files, fault=Fault(call, 28))
        with pytest.raises(OSError, match="No space left on device"):
            build_snapshot(disk, LAST, 1)
        assert disk.opened == 0
    for call in range(1, len(good.reads) + 1):
        disk = CountsOpenFiles(files, fault=Fault(call, 5, reads=True))
        with pytest.raises((OSError, JournalUnreadable), match="Input/output error"):
            build_snapshot(disk, LAST, 1)
        assert disk.opened == 0


async def test_journal_goes_on_after_a_compaction_that_failed() -> None:
    """Its files are as they were; the next start takes the leftover away."""
    disk = FakeDisk(fault=Fault(17, 28))
    journal = FileJournal(disk)
    journal.base()
    list(journal.replay())
    await write(journal, BATCHES[:2])
    last_index = await journal.rotate(WRITTEN_MS)
    with pytest.raises(OSError, match="No space left"):
        build_snapshot(disk, last_index, 1)
    await write(journal, BATCHES[2:])
    await journal.close()
    assert unfinished_name(last_index) in disk.names()
    again = FileJournal(disk)
    assert again.base() is None
    assert [record.index for record in again.replay()] == list(range(1, LAST + 1))
    assert unfinished_name(last_index) not in disk.names()
    await again.close()


def test_store_that_comes_from_elsewhere_is_written_the_same_way() -> None:
    """As a restore does: any store, under the name of its index."""
    state = replayed(BATCHES)
    disk = FakeDisk()
    built = write_verified(disk, state, 1)
    assert disk.names() == [MADE]
    assert built.last_index == LAST
    assert values(rebuild(adopted(disk, LAST))) == values(state)

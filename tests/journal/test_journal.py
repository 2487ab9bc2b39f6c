"""What every journal promises: one suite for memory, a folder, and a fake disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import InvariantBroken
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.journal import Journal, Record
from kvstore.journal.memory import MemoryJournal
from kvstore.state.command import Command, SetKey

from .batches import EVERY_COMMAND, WRITTEN_MS, a_command, flat, replayed, small_batches, write
from .fake_disk import FakeDisk

# Opens the journal of a test, again and again: what one has written, the next one replays.
Open = Callable[[], Journal]


@pytest.fixture(params=["memory", "folder", "small segments", "fake disk"])
def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Give the way to open one kind of journal; close it before it is opened again."""
    if request.param == "memory":
        memory = MemoryJournal()
        return lambda: memory
    if request.param == "fake disk":
        disk = FakeDisk()
        return lambda: FileJournal(disk)
    if request.param == "folder":
        return lambda: FileJournal(FolderDisk(tmp_path / "data"))
    # Two hundred bytes: room for a few of the small batches, so most tests see several segments.
    return lambda: FileJournal(FolderDisk(tmp_path / "data"), segment_bytes_max=200)


async def test_new_journal_is_empty(open_journal: Open) -> None:
    """It has nothing to replay, and can be closed without having been written."""
    journal = open_journal()
    assert replayed(journal) == []
    await journal.close()


async def test_indexes_count_commands_from_one(open_journal: Open) -> None:
    """A batch takes as many as it has commands; append returns the first."""
    journal = open_journal()
    replayed(journal)
    assert await journal.append(EVERY_COMMAND[:1], WRITTEN_MS) == 1
    assert await journal.append(EVERY_COMMAND[1:4], WRITTEN_MS) == 2
    assert await journal.append(EVERY_COMMAND[4:], WRITTEN_MS) == 5
    await journal.close()


async def test_replay_gives_what_was_appended(open_journal: Open) -> None:
    """Every command in order, with its index and the time its batch was written."""
    journal = open_journal()
    replayed(journal)
    await journal.append(EVERY_COMMAND[:5], 1)
    await journal.append(EVERY_COMMAND[5:], 2**40)
    await journal.close()
    journal = open_journal()
    assert journal.base() is None
    assert list(journal.replay()) == [
        Record(index, 1 if index <= 5 else 2**40, command)
        for index, command in enumerate(EVERY_COMMAND, 1)
    ]
    await journal.close()


async def test_indexes_go_on_after_a_restart(open_journal: Open) -> None:
    """The next append follows the last record, however often the journal was opened since."""
    batches = small_batches(9)
    for number, batch in enumerate(batches):
        journal = open_journal()
        assert replayed(journal) == flat(batches[:number])
        assert await journal.append(batch, WRITTEN_MS) == len(flat(batches[:number])) + 1
        await journal.close()
    journal = open_journal()
    assert replayed(journal) == flat(batches)
    await journal.close()


async def test_values_of_any_size_come_back(open_journal: Open) -> None:
    """Empty ones, and one larger than any segment of the test."""
    commands: list[Command] = [SetKey(b"", b"", 0), SetKey(b"k", bytes(range(256)) * 2048, 0)]
    journal = open_journal()
    replayed(journal)
    await journal.append(commands, WRITTEN_MS)
    await journal.append(commands, WRITTEN_MS)
    await journal.close()
    journal = open_journal()
    assert replayed(journal) == commands * 2
    await journal.close()


async def test_second_close_does_nothing(open_journal: Open) -> None:
    """Neither before anything was written nor after."""
    journal = open_journal()
    await journal.close()
    await journal.close()
    journal = open_journal()
    replayed(journal)
    await write(journal, small_batches(2))
    await journal.close()
    await journal.close()
    journal = open_journal()
    assert replayed(journal) == flat(small_batches(2))
    await journal.close()


async def test_files_are_not_written_before_they_were_replayed() -> None:
    """The next index is not known yet: a mistake of the engine's, and it shows."""
    journal = FileJournal(FakeDisk())
    with pytest.raises(InvariantBroken):
        await journal.append(EVERY_COMMAND, WRITTEN_MS)
    await journal.close()


@given(st.lists(st.lists(a_command, min_size=1, max_size=4), max_size=6), st.integers(37, 400))
async def test_mirrored_journals_are_equal(batches: list[list[Command]], segment: int) -> None:
    """Whatever is appended, files of any segment size replay what memory replays."""
    memory = MemoryJournal()
    disk = FakeDisk()
    files = FileJournal(disk, segment_bytes_max=segment)
    assert replayed(files) == []
    for batch in batches:
        assert await files.append(batch, 7) == await memory.append(batch, 7)
    await files.close()
    files = FileJournal(disk, segment_bytes_max=segment)
    assert files.base() is None
    assert list(files.replay()) == list(memory.replay())
    await files.close()

"""The process that a compactor starts: its answer, its failure, and that it ends when told to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from kvstore.errors import CompactionFailed
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import segment_name, snapshot_name, unfinished_name
from kvstore.journal.space import Space
from kvstore.maintenance.compactor import Compactor, build_in_process
from kvstore.state.command import SetKey

from .compacting import ALL, NEVER, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FileJournal]:
    """Give a journal in a real folder, with one record."""
    journal = FileJournal(FolderDisk(tmp_path / "data"))
    journal.base()
    assert list(journal.replay()) == []
    await journal.append([SetKey(b"a", b"v", 0)], 0)
    yield journal
    await journal.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """Give a list of the processes that were started."""
    processes: list[asyncio.subprocess.Process] = []
    real = asyncio.create_subprocess_exec

    async def noting(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        processes.append(await real(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noting)
    return processes


def compactor(journal: FileJournal, left_bytes: int = 0) -> Compactor:
    """Return a compactor that works in a process and begins nothing by itself."""
    space = Space(free_bytes_min=left_bytes * 2)
    return Compactor(journal, FakeClock(), NEVER, ALL, space, build_in_process)


async def test_it_compacts(journal: FileJournal, started: list[Any]) -> None:
    """The snapshot is in its place, and the process has ended."""
    built = await compactor(journal).compact()
    assert built is not None
    assert (built.last_index, built.entry_count) == (1, 1)
    assert built.size_bytes == journal.disk.size(snapshot_name(1))
    assert [process.returncode for process in started] == [0]


async def test_damage_ends_in_the_worker_s_sentence(journal: FileJournal) -> None:
    """What the process says of the file is what the failure says; nothing is left behind."""
    one = compactor(journal)
    path = journal.disk.folder / segment_name(1)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CompactionFailed, match=rf"^the journal is damaged in {path} at offset "):
        await one.compact()
    assert unfinished_name(1) not in journal.disk.names()
    assert await journal.append([SetKey(b"b", b"v", 0)], 0) == 2


async def test_no_room_ends_in_the_worker_s_sentence(journal: FileJournal) -> None:
    """It is told how much to leave, and what it began is removed."""
    with pytest.raises(CompactionFailed, match=r"^the disk has .* left, a snapshot must leave "):
        await compactor(journal, left_bytes=2**60).compact()
    assert unfinished_name(1) not in journal.disk.names()


async def test_a_process_that_is_killed_is_a_failure(
    journal: FileJournal, started: list[asyncio.subprocess.Process]
) -> None:
    """As by a system that is short of memory; the number of the signal is told."""
    compacting = compactor(journal).compact()
    await until(lambda: bool(started))
    started[0].kill()
    with pytest.raises(CompactionFailed, match=r"^the process ended with -9$"):
        await compacting


async def test_close_ends_the_process(
    journal: FileJournal, started: list[asyncio.subprocess.Process]
) -> None:
    """It is gone when `close` returns, not some time after."""
    one = compactor(journal)
    compacting = one.compact()
    await until(lambda: bool(started))
    await one.close()
    assert compacting.cancelled()
    assert started[0].returncode == -9


async def test_a_process_that_cannot_be_started_is_a_failure(
    journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, or out of file descriptors: the journal goes on, the status counts it."""

    async def fail(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    one = compactor(journal)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        await one.compact()
    assert one.status.failed_count == 1
    assert await journal.append([SetKey(b"b", b"v", 0)], 0) == 2

"""Verifying a folder: what is sound is said to be, and no damage goes unseen."""

import shutil
from pathlib import Path

import pytest

from kvstore.errors import InvariantBroken, JournalCorrupt, JournalUnreadable, NoStore
from kvstore.journal.disk import Folder, FolderDisk, ReadFile
from kvstore.journal.file import FileJournal
from kvstore.maintenance.compaction import write_verified
from kvstore.maintenance.point import require_store
from kvstore.maintenance.restore import new_store, recover
from kvstore.maintenance.verify import FolderReport, Kind, verify_folder
from kvstore.state.command import SetKey
from kvstore.state.store import State

from .stories import STORY, grow, image_at, ms_of
from .test_point import forget
from .test_restore import contents, damage

LAST = len(STORY)


def starts(folder: Path) -> bool:
    """Tell whether a journal can be opened in a copy of the folder."""
    copy = folder.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    journal = FileJournal(FolderDisk(copy))
    try:
        base = journal.base()
        state = State()
        if base is not None:
            state.load(base)
        for record in journal.replay():
            state.apply(record.index, record.command)
    except JournalCorrupt:
        return False
    finally:
        journal.disk.close()
    return True


def problem_names(report: FolderReport) -> list[str]:
    """Return the names of the files with problems."""
    return [one.name for one in report.problems]


async def test_a_sound_folder(tmp_path: Path) -> None:
    """Each file is told of: what it holds, from when to when, and that it is sound."""
    await grow(tmp_path, snapshots=[4, 10])
    report = verify_folder(Folder(tmp_path))
    assert report.problems == []
    assert (report.recoverable, report.last_index, report.starts) == (LAST, LAST, True)
    segments = [one for one in report.files if one.kind is Kind.SEGMENT]
    assert len(segments) > 3
    assert sum(one.count for one in segments) == LAST
    for one in segments:
        assert one.first_index is not None
        assert one.last_index is not None
        assert one.name == f"{one.first_index:020d}.journal"
        assert (one.first_ms, one.last_ms) == (ms_of(one.first_index), ms_of(one.last_index))
        assert one.size_bytes == (tmp_path / one.name).stat().st_size
    snapshots = [one for one in report.files if one.kind is Kind.SNAPSHOT]
    assert [one.last_index for one in snapshots] == [4, 10]
    assert [one.count for one in snapshots] == [len(list(image_at(i).entries)) for i in (4, 10)]
    assert {one.note for one in snapshots} == {"equals the replay of the journal"}


async def test_progress_comes_to_all_bytes(tmp_path: Path) -> None:
    """A bar that counts bytes ends full."""
    await grow(tmp_path, snapshots=[4])
    read: list[int] = []
    report = verify_folder(Folder(tmp_path), read.append)
    assert sum(read) == sum(one.size_bytes for one in report.files)


@pytest.mark.slow
@pytest.mark.parametrize("snapshots", [(), (4, 10)])
async def test_no_damage_goes_unseen(tmp_path: Path, snapshots: tuple[int, ...]) -> None:
    """A changed bit anywhere is a problem of that file, or a torn tail at the very end.

    What is said of the folder then is true: what can be recovered, and whether a server starts.
    """
    folder = tmp_path / "data"
    await grow(folder, snapshots=snapshots)
    paths = sorted(path for path in folder.iterdir() if path.name != "LOCK")
    newest = f"{require_store(Folder(folder)).segments[-1]:020d}.journal"
    for path in paths:
        sound = path.read_bytes()
        for offset in range(0, len(sound), 5):
            damage(path, offset)
            report = verify_folder(Folder(folder))
            where = f"{path.name} at {offset}"
            assert problem_names(report) == [path.name] or path.name == newest, where
            assert problem_names(report) in ([], [path.name]), where
            assert report.starts == starts(folder), where
            try:
                recovered = recover(Folder(folder)).state.last_index
            except JournalCorrupt:
                recovered = None
            assert (report.recoverable or 0) == (recovered or 0), where
            path.write_bytes(sound)
    assert verify_folder(Folder(folder)).problems == []


async def test_it_goes_on_after_damage(tmp_path: Path) -> None:
    """Every damaged file is reported, each with its place."""
    await grow(tmp_path, snapshots=[4, 10])
    names = [f"{1:020d}.journal", f"{4:020d}.snapshot", f"{11:020d}.journal"]
    for name in names:
        damage(tmp_path / name, 40)
    report = verify_folder(Folder(tmp_path))
    assert sorted(problem_names(report)) == sorted(names)
    assert {one.offset for one in report.problems} == {36}
    assert (report.recoverable, report.starts) == (10, False)


async def test_a_snapshot_that_is_another_store(tmp_path: Path) -> None:
    """A snapshot whose sums are right is held against the journal all the same."""
    await grow(tmp_path, snapshots=[4])
    other = State()
    for index, command in enumerate([*STORY[:3], SetKey(b"a", b"wrong", 0)], 1):
        other.apply(index, command)
    path = tmp_path / f"{4:020d}.snapshot"
    path.unlink()
    write_verified(Folder(tmp_path), other, 0)
    (tmp_path / f"{path.name}.unfinished").rename(path)
    report = verify_folder(Folder(tmp_path))
    (problem,) = report.problems
    assert problem.name == path.name
    assert "not what the journal comes to" in problem.reason
    assert not report.starts


async def test_old_files_given_up(tmp_path: Path) -> None:
    """A folder may begin with a snapshot, and with segments that nothing leads up to any more."""
    await grow(tmp_path, snapshots=[4, 10])
    files = Folder(tmp_path)
    orphans = [index for index in require_store(files).segments if index > 4]
    forget(files, 4)
    assert verify_folder(files).problems == []
    (tmp_path / f"{4:020d}.snapshot").unlink()
    report = verify_folder(files)
    assert report.problems == []
    assert [one.first_index for one in report.files if one.kind is Kind.SEGMENT] == orphans
    assert (report.recoverable, report.starts) == (LAST, True)


async def test_a_missing_segment(tmp_path: Path) -> None:
    """Records that are missing between two files are a problem of the later one."""
    await grow(tmp_path)
    segments = require_store(Folder(tmp_path)).segments
    (tmp_path / f"{segments[1]:020d}.journal").unlink()
    report = verify_folder(Folder(tmp_path))
    assert problem_names(report) == [f"{segments[2]:020d}.journal"]
    assert (report.recoverable, report.starts) == (segments[1] - 1, False)


async def test_a_gap_in_history(tmp_path: Path) -> None:
    """Records that are missing before a sound snapshot do not keep a server from starting."""
    folder = tmp_path / "data"
    await grow(folder, snapshots=[10])
    segments = require_store(Folder(folder)).segments
    missing = [index for index in segments if index <= 10][-1]
    (folder / f"{missing:020d}.journal").unlink()
    report = verify_folder(Folder(folder))
    (problem,) = report.problems
    assert (problem.name, problem.is_gap) == (f"{10:020d}.snapshot", True)
    assert report.starts
    assert starts(folder)
    assert report.recoverable == LAST


async def test_the_beginning_is_missing(tmp_path: Path) -> None:
    """Without a snapshot, segments have to begin with the first record."""
    await grow(tmp_path)
    (tmp_path / f"{1:020d}.journal").unlink()
    report = verify_folder(Folder(tmp_path))
    assert len(report.problems) == 1
    assert (report.recoverable, report.starts) == (None, False)


async def test_the_segment_behind_the_snapshot_is_missing(tmp_path: Path) -> None:
    """Its name is told, though it is not there."""
    folder = tmp_path / "data"
    await grow(folder, snapshots=[10])
    for index in require_store(Folder(folder)).segments:
        if index > 10:
            (folder / f"{index:020d}.journal").unlink()
    report = verify_folder(Folder(folder))
    assert problem_names(report) == [f"{11:020d}.journal"]
    assert (report.starts, starts(folder)) == (False, False)


async def test_a_torn_tail(tmp_path: Path) -> None:
    """What a crash left at the end is told, with its bytes, and is no damage."""
    await grow(tmp_path)
    newest = tmp_path / f"{require_store(Folder(tmp_path)).segments[-1]:020d}.journal"
    newest.write_bytes(newest.read_bytes() + b"KVBt and no more")
    report = verify_folder(Folder(tmp_path))
    assert report.problems == []
    assert report.torn_bytes == 16
    assert "16 bytes" in report.files[-1].note


async def test_leftovers(tmp_path: Path) -> None:
    """A snapshot and a segment whose making was cut short are told, and are no damage."""
    await grow(tmp_path)
    (tmp_path / f"{9:020d}.snapshot.unfinished").write_bytes(b"half")
    (tmp_path / f"{LAST + 1:020d}.journal").write_bytes(b"\x89kv")
    report = verify_folder(Folder(tmp_path))
    assert report.problems == []
    assert [one.kind for one in report.files[-2:]] == [Kind.SEGMENT, Kind.UNFINISHED]
    assert all("cut short" in one.note for one in report.files[-2:])


async def test_a_restored_folder(tmp_path: Path) -> None:
    """A snapshot alone is a whole store."""
    new_store(tmp_path, image_at(LAST), 7, 0)
    report = verify_folder(Folder(tmp_path))
    assert report.problems == []
    assert (report.recoverable, report.starts) == (LAST + 7, True)


class Vanishing(Folder):
    """A folder whose server removes the oldest files when the first of them is read."""

    def read(self, name: str) -> bytes:
        """Read a file that may have gone."""
        if name == f"{1:020d}.journal":
            forget(self, 10)
        return super().read(name)


async def test_files_that_a_server_removes(tmp_path: Path) -> None:
    """They are left out, and what is left is sound."""
    await grow(tmp_path, snapshots=[4, 10])
    report = verify_folder(Vanishing(tmp_path))
    assert report.problems == []
    names = {one.name for one in report.files}
    assert names == set(contents(tmp_path))
    assert report.recoverable == LAST


class Unreadable(Folder):
    """A folder on a disk that gives up on snapshots."""

    def open(self, name: str) -> ReadFile:
        """Fail as a disk does."""
        raise OSError(5, "Input/output error", name)


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """What cannot be read is neither sound nor damaged."""
    await grow(tmp_path, snapshots=[4])
    with pytest.raises(JournalUnreadable, match="Input/output error"):
        verify_folder(Unreadable(tmp_path))


def test_no_store(tmp_path: Path) -> None:
    """A folder without a store is not sound either."""
    with pytest.raises(NoStore):
        verify_folder(Folder(tmp_path))


async def test_a_store_that_contradicts_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the journal comes to is checked, too."""
    await grow(tmp_path)

    def broken(_: State) -> None:
        raise InvariantBroken("a key is held by nobody")

    monkeypatch.setattr(State, "check", broken)
    (problem,) = verify_folder(Folder(tmp_path)).problems
    assert problem.reason == "a key is held by nobody"

"""Bringing a store back: new folders, undo, and what a damaged folder still has."""

from pathlib import Path

import pytest

from kvstore.errors import (
    InvariantBroken,
    JournalCorrupt,
    JournalLocked,
    JournalUnwritable,
    NoStore,
    NotKept,
)
from kvstore.journal.disk import Folder, FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.maintenance.point import AtIndex, require_store, store_at
from kvstore.maintenance.rebuild import rebuild
from kvstore.maintenance.restore import BUMP, INDEX_MAX, new_store, recover, undo
from kvstore.state.command import SetKey
from kvstore.state.store import State

from .stories import STORY, grow, image_at, ms_of, plain
from .test_point import forget

LAST = len(STORY)
NOW_MS = ms_of(100)


async def write(folder: Path, command: SetKey) -> int:
    """Write one command as a server would, and return its index."""
    journal = FileJournal(FolderDisk(folder))
    journal.base()
    for _ in journal.replay():
        pass
    index = await journal.append([command], NOW_MS)
    await journal.close()
    return index


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a store by their names."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "LOCK"}


# --- a new folder ---------------------------------------------------------------------------


async def test_a_new_folder(tmp_path: Path) -> None:
    """Entries and sessions are what they were, and the next write has an index nobody has seen."""
    folder = tmp_path / "deep" / "new"
    image = image_at(10)
    assert new_store(folder, image, BUMP, NOW_MS).last_index == 10 + BUMP
    state = rebuild(Folder(folder))
    assert plain(state).entries == image.entries
    assert plain(state).sessions == image.sessions
    assert state.store_id == image.facts.store_id
    assert await write(folder, SetKey(b"next", b"", 0)) == 10 + BUMP + 1


@pytest.mark.parametrize("bump", [0, 5])
def test_nobody_waits_for_what_has_been(tmp_path: Path, bump: int) -> None:
    """Whatever a list or a missing key was answered with before, it is answered with no less."""
    image = image_at(LAST)
    before, after = State(), State()
    before.load(image)
    new_store(tmp_path, image, bump, NOW_MS)
    after = rebuild(Folder(tmp_path))
    for prefix in (b"", b"tree/", b"lock", b"never"):
        assert after.get_tree(prefix).index >= before.get_tree(prefix).index
        assert after.get_tree(prefix).index == LAST + bump
    assert after.get(b"never").index == LAST + bump
    assert after.list_sessions().index == LAST + bump


async def test_a_folder_with_a_store_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written to it."""
    await grow(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FileExistsError):
        new_store(tmp_path, image_at(3), 0, NOW_MS)
    after = contents(tmp_path)
    assert after == before


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """An empty folder that a server has just taken is its own."""
    disk = FolderDisk(tmp_path)
    with pytest.raises(JournalLocked):
        new_store(tmp_path, image_at(3), 0, NOW_MS)
    disk.close()


def test_a_leftover_is_in_nobodys_way(tmp_path: Path) -> None:
    """A restore that was killed can be done again."""
    (tmp_path / f"{3:020d}.snapshot.unfinished").write_bytes(b"half")
    new_store(tmp_path, image_at(3), 0, NOW_MS)
    assert require_store(Folder(tmp_path)).snapshots == (3,)
    assert require_store(Folder(tmp_path)).unfinished == ()


def test_indexes_end(tmp_path: Path) -> None:
    """No index becomes larger than what clients can read."""
    with pytest.raises(InvariantBroken):
        new_store(tmp_path / "new", image_at(3), INDEX_MAX - 2, NOW_MS)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The system's reason is in the error."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalUnwritable, match="Not a directory"):
        new_store(tmp_path / "file" / "new", image_at(3), 0, NOW_MS)


# --- undo -----------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(LAST + 1))
async def test_undo(tmp_path: Path, index: int) -> None:
    """The content is what it was, at one new index, and what was before is still there."""
    await grow(tmp_path, snapshots=[4, 10])
    done = await undo(tmp_path, AtIndex(index), NOW_MS)
    assert (done.index, done.moment.index) == (LAST + 1, index)
    state = rebuild(Folder(tmp_path))
    assert plain(state) == plain(done.state)
    state.check()
    then = image_at(index)
    assert [(one.key, one.value, one.flags, one.session) for one in plain(state).entries] == [
        (one.key, one.value, one.flags, one.session) for one in then.entries
    ]
    assert [one.id for one in plain(state).sessions] == [one.id for one in then.sessions]
    assert plain(store_at(Folder(tmp_path), AtIndex(LAST))[0]) == image_at(LAST)


async def test_an_undo_is_undone(tmp_path: Path) -> None:
    """The point before it is a point like any other."""
    await grow(tmp_path)
    await undo(tmp_path, AtIndex(3), NOW_MS)
    done = await undo(tmp_path, AtIndex(LAST), NOW_MS)
    assert done.index == LAST + 2
    assert [(one.key, one.value) for one in plain(done.state).entries] == [
        (one.key, one.value) for one in image_at(LAST).entries
    ]


async def test_undo_without_the_point(tmp_path: Path) -> None:
    """Nothing is written when the point is not kept, and the folder is given back."""
    await grow(tmp_path, snapshots=[10])
    forget(Folder(tmp_path), 10)
    for _ in range(2):
        with pytest.raises(NotKept):
            await undo(tmp_path, AtIndex(9), NOW_MS)
    assert rebuild(Folder(tmp_path)).last_index == LAST


async def test_undo_beside_a_server(tmp_path: Path) -> None:
    """A folder in use is left alone."""
    await grow(tmp_path)
    disk = FolderDisk(tmp_path)
    with pytest.raises(JournalLocked):
        await undo(tmp_path, AtIndex(3), NOW_MS)
    disk.close()


# --- a damaged folder -----------------------------------------------------------------------


def damage(path: Path, offset: int = 50) -> None:
    """Change a bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


async def test_a_whole_folder_is_recovered_whole(tmp_path: Path) -> None:
    """Nothing is lost where nothing is damaged."""
    await grow(tmp_path, snapshots=[4, 10])
    found = recover(Folder(tmp_path))
    assert found.damage is None
    assert plain(found.state) == image_at(LAST)
    assert plain(recover(Folder(tmp_path), upto=6).state) == image_at(6)


async def test_a_damaged_snapshot_costs_nothing(tmp_path: Path) -> None:
    """An older base and the journal behind it come to the same."""
    await grow(tmp_path, snapshots=[4, 10])
    damage(tmp_path / f"{10:020d}.snapshot")
    found = recover(Folder(tmp_path))
    assert found.damage is None
    assert plain(found.state) == image_at(LAST)


async def test_a_damaged_segment_is_where_it_ends(tmp_path: Path) -> None:
    """What lies behind the damage is lost, what lies before is not."""
    await grow(tmp_path, snapshots=[4, 10])
    files = Folder(tmp_path)
    newest = require_store(files).segments[-1]
    assert newest > 11
    name = f"{11:020d}.journal"
    damage(tmp_path / name, offset=(tmp_path / name).stat().st_size - 1)
    found = recover(files)
    assert found.damage is not None
    assert found.damage.path.name == name
    assert 10 <= found.state.last_index < newest
    assert plain(found.state) == image_at(found.state.last_index)


async def test_a_later_snapshot_beats_a_longer_journal(tmp_path: Path) -> None:
    """Damage in history costs nothing."""
    await grow(tmp_path, snapshots=[10])
    damage(tmp_path / f"{1:020d}.journal")
    assert plain(recover(Folder(tmp_path)).state) == image_at(LAST)


async def test_a_missing_segment(tmp_path: Path) -> None:
    """Without the segment behind it, the newest snapshot is what there is."""
    await grow(tmp_path, snapshots=[10])
    for index in require_store(Folder(tmp_path)).segments:
        if index > 10:
            (tmp_path / f"{index:020d}.journal").unlink()
    found = recover(Folder(tmp_path))
    assert found.damage is not None
    assert plain(found.state) == image_at(10)


async def test_nothing_left(tmp_path: Path) -> None:
    """Without any base there is nothing to recover."""
    with pytest.raises(NoStore):
        recover(Folder(tmp_path))
    await grow(tmp_path)
    (tmp_path / f"{1:020d}.journal").unlink()
    with pytest.raises(JournalCorrupt):
        recover(Folder(tmp_path))

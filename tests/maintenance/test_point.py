"""Points in a folder's past: indexes and times, and what of it is kept."""

from pathlib import Path

import pytest

from kvstore.errors import JournalCorrupt, JournalUnreadable, NoStore, NotKept
from kvstore.journal.disk import Folder
from kvstore.journal.frame import FileKind
from kvstore.maintenance.point import (
    AtIndex,
    AtTime,
    Moment,
    Point,
    file_header,
    find,
    first_since,
    nearest_base,
    oldest,
    require_store,
    settled,
    store_at,
)

from .stories import BEGAN_MS, STORY, grow, image_at, ms_of, plain

LAST = len(STORY)


def at(time_ms: int) -> AtTime:
    """Return a point by its time."""
    return AtTime(time_ms, "then")


async def grown(folder: Path, *snapshots: int) -> Folder:
    """Return a folder with the story."""
    await grow(folder, snapshots=snapshots)
    return Folder(folder)


def forget(files: Folder, base: int) -> None:
    """Remove what is older than a snapshot."""
    for index in require_store(files).segments:
        if index <= base:
            (files.folder / f"{index:020d}.journal").unlink()
    for index in require_store(files).snapshots:
        if index < base:
            (files.folder / f"{index:020d}.snapshot").unlink()


@pytest.mark.parametrize("index", range(LAST + 1))
async def test_every_index_and_its_time(tmp_path: Path, index: int) -> None:
    """A store at an index, and at the time of its record, is what the commands up to it make."""
    files = await grown(tmp_path, 4, 10)
    state, moment = store_at(files, AtIndex(index))
    assert plain(state) == image_at(index)
    assert moment == Moment(index, ms_of(index) if index else None)
    if index:
        later = 999 if index < LAST else 10**9
        for time_ms in (ms_of(index), ms_of(index) + later):
            assert find(files, at(time_ms)) == moment


async def test_the_newest(tmp_path: Path) -> None:
    """Without a point it is the newest record, also when nothing is behind the newest snapshot."""
    files = await grown(tmp_path, 4, LAST)
    state, moment = store_at(files, None)
    assert plain(state) == image_at(LAST)
    assert moment == Moment(LAST, ms_of(LAST))
    forget(files, LAST)
    assert find(files, None) == Moment(LAST, None)


@pytest.mark.parametrize(
    ("point", "asked"), [(AtIndex(LAST + 1), f"index {LAST + 1}"), (at(BEGAN_MS), "the time then")]
)
async def test_what_never_was(tmp_path: Path, point: Point, asked: str) -> None:
    """An index to come and a time before the store name the range that there is."""
    files = await grown(tmp_path, 4)
    with pytest.raises(NotKept) as caught:
        find(files, point)
    assert caught.value.asked == asked
    assert caught.value.first == (0, ms_of(1))
    assert caught.value.last == (LAST, ms_of(LAST))


async def test_what_was_given_up(tmp_path: Path) -> None:
    """Without the oldest files the range begins with the oldest snapshot."""
    files = await grown(tmp_path, 4, 10)
    forget(files, 4)
    assert oldest(files) == Moment(4, ms_of(4))
    assert plain(store_at(files, AtIndex(4))[0]) == image_at(4)
    assert plain(store_at(files, at(ms_of(4)))[0]) == image_at(4)
    for point in (AtIndex(3), at(ms_of(4) - 1)):
        with pytest.raises(NotKept) as caught:
            store_at(files, point)
        assert (caught.value.first[0], caught.value.last[0]) == (4, LAST)
    listing = require_store(files)
    assert [nearest_base(listing, index) for index in (4, 9, 10, LAST)] == [4, 4, 10, 10]


async def test_the_first_since(tmp_path: Path) -> None:
    """A record, or the first that was not written before a time."""
    files = await grown(tmp_path, 4)
    assert first_since(files, AtIndex(7)) == 7
    assert first_since(files, at(ms_of(7))) == 7
    assert first_since(files, at(ms_of(7) - 999)) == 7
    assert first_since(files, at(BEGAN_MS - 10**9)) == 1, "nothing is missing before the beginning"
    forget(files, 4)
    with pytest.raises(NotKept):
        first_since(files, at(BEGAN_MS))
    with pytest.raises(NotKept):
        first_since(files, AtIndex(4))


async def test_damage_is_raised_unless_it_is_known(tmp_path: Path) -> None:
    """Where a time falls cannot be told in a damaged segment; a salvage makes do."""
    files = await grown(tmp_path)
    newest = tmp_path / f"{require_store(files).segments[-1]:020d}.journal"
    data = bytearray(newest.read_bytes())
    data[60] ^= 1
    newest.write_bytes(data)
    with pytest.raises(JournalCorrupt):
        find(files, at(ms_of(LAST)))
    assert find(files, at(ms_of(LAST)), damaged=True).index == require_store(files).segments[-1] - 1


async def test_no_store(tmp_path: Path) -> None:
    """A folder without a store says so."""
    with pytest.raises(NoStore) as caught:
        find(Folder(tmp_path), None)
    assert str(caught.value) == f"{tmp_path} holds no store"


async def test_a_beginning_that_is_missing(tmp_path: Path) -> None:
    """Segments that nothing leads up to are damage."""
    files = await grown(tmp_path)
    (tmp_path / f"{1:020d}.journal").unlink()
    with pytest.raises(JournalCorrupt, match="missing"):
        oldest(files)


async def test_settled_reads_again_when_files_went(tmp_path: Path) -> None:
    """A reader beside a server is not told of files that the server removed meanwhile."""
    files = await grown(tmp_path, 4)
    calls = 0

    def read() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            forget(files, 4)
            raise JournalUnreadable(tmp_path, FileNotFoundError(2, "gone"))
        return "read"

    assert settled(files, read) == "read"


async def test_settled_does_not_read_again_for_nothing(tmp_path: Path) -> None:
    """Damage is raised at once when no file went."""
    files = await grown(tmp_path)
    calls = []

    def read() -> None:
        calls.append(1)
        raise JournalCorrupt(tmp_path, 0, "damage")

    with pytest.raises(JournalCorrupt):
        settled(files, read)
    assert len(calls) == 1


async def test_a_file_header(tmp_path: Path) -> None:
    """What a file says of itself; nothing when it is damaged."""
    files = await grown(tmp_path)
    name = f"{1:020d}.journal"
    header = file_header(files, name, FileKind.SEGMENT)
    assert header is not None
    assert header.index == 1
    assert file_header(files, name, FileKind.SNAPSHOT) is None
    with pytest.raises(JournalUnreadable):
        file_header(files, "none", FileKind.SEGMENT)

"""Backups in files: whole or not there, and read with every check."""

import io
from pathlib import Path

import pytest

from kvstore.archive.archive import write_archive
from kvstore.errors import ArchiveUnreadable
from kvstore.maintenance.backup import new_file, read_backup

from .stories import STORY, image_at, plain


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


def test_a_new_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    """It has no name of its own before, and none but its own afterwards."""
    path = tmp_path / "b"
    with new_file(path, replace=False) as file:
        file.write(b"whole")
        assert not path.exists()
        assert len(names(tmp_path)) == 1
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["b"]


def test_nothing_is_left_of_a_file_that_failed(tmp_path: Path) -> None:
    """A failure takes away what was written, and keeps what was there."""
    path = tmp_path / "b"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), new_file(path, replace=True) as file:
        file.write("half")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["b"]


def test_a_file_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    """Also one that came while the new one was written."""
    path = tmp_path / "b"
    with pytest.raises(FileExistsError), new_file(path, replace=False):
        path.write_bytes(b"came meanwhile")
    assert path.read_bytes() == b"came meanwhile"
    with pytest.raises(FileExistsError), new_file(path, replace=False):
        pytest.fail("it is not begun")
    with new_file(path, replace=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["b"]


def test_a_backup_is_read(tmp_path: Path) -> None:
    """What was written is there, with the size of the file."""
    file = io.BytesIO()
    write_archive(image_at(10), file, made_ms=1)
    read = read_backup(file)
    assert plain(read.state) == image_at(10)
    assert read.size_bytes == len(file.getvalue())
    assert read.left_out == {}


def test_a_consuls_backup_is_read() -> None:
    """One that a real Consul saved has what a key-value store has no place for."""
    with (Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap").open("rb") as file:
        read = read_backup(file)
    assert read.state.entry_count
    assert read.left_out


def test_a_damaged_backup(tmp_path: Path) -> None:
    """A changed bit is seen."""
    file = io.BytesIO()
    write_archive(image_at(len(STORY)), file, made_ms=1)
    data = bytearray(file.getvalue())
    data[len(data) // 2] ^= 1
    with pytest.raises(ArchiveUnreadable):
        read_backup(io.BytesIO(data))

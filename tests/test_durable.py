"""Files that commands write: whole, under their name and synced, or not there."""

import os
import stat
from pathlib import Path

import pytest

from kvstore.durable import new_file


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


def test_it_is_for_its_owner(tmp_path: Path) -> None:
    """Nobody else may read it."""
    with new_file(tmp_path / "b", replace=False):
        pass
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_it_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the content, then the name: after a loss of power it is whole or not there."""
    path = tmp_path / "b"
    synced = []

    def note(descriptor: int) -> None:
        of_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size_bytes = path.stat().st_size if path.exists() else None
        synced.append((of_folder, size_bytes, None if of_folder else os.fstat(descriptor).st_size))

    monkeypatch.setattr(os, "fsync", note)
    with new_file(path, replace=False) as file:
        file.write(b"whole")
    assert synced == [(False, None, 5), (True, 5, None)]

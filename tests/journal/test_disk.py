"""A data folder and the fake that stands for it in other tests, held to the same cases."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import JournalLocked
from kvstore.journal.disk import Disk, FolderDisk

from .fake_disk import FakeDisk


def names(disk: Disk) -> list[str]:
    """Return the files of a disk but for its lock."""
    return [name for name in disk.names() if name != "LOCK"]


@pytest.fixture(params=["folder", "fake"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """Give an empty disk."""
    return FolderDisk(tmp_path / "data") if request.param == "folder" else FakeDisk()


def test_file_has_what_was_written_at_its_end(disk: Disk) -> None:
    """Writes follow one another, also after the file was closed and opened again."""
    file = disk.create("a")
    file.write(b"one ")
    file.write(b"")
    file.write(b"two")
    file.sync()
    assert disk.read("a") == b"one two"
    file.close()
    file = disk.append_to("a")
    file.write(b" three")
    file.close()
    assert disk.read("a") == b"one two three"


def test_pieces_are_written_one_behind_the_other(disk: Disk) -> None:
    """As if they were one."""
    file = disk.create("a")
    file.write(b"one ", memoryview(b"two"), b"", b" three")
    file.write()
    file.write(b" four")
    file.close()
    assert disk.read("a") == b"one two three four"


@given(taken=st.lists(st.integers(1, 5), max_size=8))
def test_a_system_that_takes_less_is_given_the_rest(taken: list[int]) -> None:
    """Whatever it takes of the pieces at once, in the end all of them are there."""
    left, pwrite = taken.copy(), os.pwrite

    def write_some(fd: int, data: bytes | memoryview, offset: int) -> int:
        return pwrite(fd, bytes(data)[: left.pop() if left else None], offset)

    def write_some_pieces(fd: int, pieces: Iterable[bytes], offset: int) -> int:
        return write_some(fd, b"".join(pieces), offset)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        disk = FolderDisk(Path(folder))
        file = disk.create("a")
        patch.setattr(os, "pwrite", write_some)
        patch.setattr(os, "pwritev", write_some_pieces)
        file.write(b"one ", b"two", b" three")
        file.write(b" four")
        file.close()
        assert disk.read("a") == b"one two three four"
        disk.close()


def test_names_are_sorted(disk: Disk) -> None:
    """In the order of their characters, whatever order they were made in."""
    assert names(disk) == []
    for name in ("b", "a", "c"):
        disk.create(name).close()
    disk.sync_folder()
    assert names(disk) == ["a", "b", "c"]


def test_file_is_made_once(disk: Disk) -> None:
    """A file that is there is not written over."""
    file = disk.create("a")
    file.write(b"one")
    file.close()
    with pytest.raises(FileExistsError):
        disk.create("a")
    assert disk.read("a") == b"one"


def test_file_that_is_not_there(disk: Disk) -> None:
    """It is neither read, nor written, cut or removed."""
    for call in (
        disk.read,
        disk.append_to,
        disk.remove,
        lambda name: disk.truncate(name, 0),
    ):
        with pytest.raises(FileNotFoundError):
            call("absent")
    assert names(disk) == []


def test_cut_file_is_written_at_its_new_end(disk: Disk) -> None:
    """What is written after a cut follows what was left."""
    file = disk.create("a")
    file.write(b"0123456789")
    file.close()
    disk.truncate("a", 4)
    file = disk.append_to("a")
    file.write(b"x")
    file.close()
    assert disk.read("a") == b"0123x"


def test_removed_file_is_gone(disk: Disk) -> None:
    """Its name can be used again."""
    disk.create("a").close()
    disk.create("b").close()
    disk.remove("a")
    disk.sync_folder()
    assert names(disk) == ["b"]
    disk.create("a").close()
    assert disk.read("a") == b""


def test_file_that_is_closed_is_closed(disk: Disk) -> None:
    """A second close of a file is a mistake that shows."""
    file = disk.create("a")
    file.close()
    with pytest.raises(OSError, match="descriptor"):
        file.close()


def test_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """The folder, its parents, and files that nobody else may read."""
    folder = tmp_path / "a" / "b"
    disk = FolderDisk(folder)
    disk.create("1").close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "1").stat().st_mode & 0o777 == 0o600
    disk.close()


def test_each_new_folder_is_synced_in_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Top down; and nothing but the folder itself when there is nothing to make.

    Only the system sees a sync, so this test listens at its door.
    """
    synced: list[Path] = []
    fsync = os.fsync

    def listen(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", listen)
    FolderDisk(tmp_path / "a" / "b" / "c").close()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    synced.clear()
    disk = FolderDisk(tmp_path / "a" / "b" / "c")
    assert synced == []
    disk.sync_folder()
    assert synced == [tmp_path / "a" / "b" / "c"]
    disk.close()


def test_folder_may_be_named_from_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is made like any other."""
    monkeypatch.chdir(tmp_path)
    for folder in (Path("a/b"), Path("c")):
        disk = FolderDisk(folder)
        disk.create("1").close()
        assert (tmp_path / folder / "1").is_file()
        disk.close()


def test_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Its rights are its owner's choice, and subfolders are none of its files."""
    tmp_path.chmod(0o750)
    (tmp_path / "sub").mkdir()
    disk = FolderDisk(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o750
    assert names(disk) == []
    disk.close()


def test_folder_has_one_owner(tmp_path: Path) -> None:
    """A second one is refused with the process id of the first, until the first lets go."""
    first = FolderDisk(tmp_path)
    with pytest.raises(JournalLocked, match=f"in use by process {os.getpid()}") as caught:
        FolderDisk(tmp_path)
    assert (caught.value.folder, caught.value.holder) == (tmp_path, str(os.getpid()))
    first.close()
    second = FolderDisk(tmp_path)
    first.close()
    with pytest.raises(JournalLocked):
        FolderDisk(tmp_path)
    second.close()


def test_lock_is_seen_by_other_processes(tmp_path: Path) -> None:
    """Another process is refused too, and a process that died holds nothing."""
    script = (
        "import sys; from pathlib import Path; from kvstore.journal.disk import FolderDisk\n"
        "disk = FolderDisk(Path(sys.argv[1])); print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"taken\n"
        with pytest.raises(JournalLocked) as caught:
            FolderDisk(tmp_path)
        assert caught.value.holder == str(other.pid)
        other.kill()
        other.wait()
        FolderDisk(tmp_path).close()


def test_name_of_the_last_owner_does_not_stay(tmp_path: Path) -> None:
    """A shorter process id leaves no digits of a longer one behind."""
    (tmp_path / "LOCK").write_text("12345678901234567890\n")
    disk = FolderDisk(tmp_path)
    assert (tmp_path / "LOCK").read_text() == f"{os.getpid()}\n"
    disk.close()


@pytest.mark.parametrize("below", [".", "a", "a/b"])
def test_file_in_the_place_of_a_folder(tmp_path: Path, below: str) -> None:
    """It is the system's error, as it gives it, and the file is left as it is."""
    (tmp_path / "data").write_text("text")
    with pytest.raises(NotADirectoryError):
        FolderDisk(tmp_path / "data" / below)
    assert (tmp_path / "data").read_text() == "text"


def test_room_is_zeros_that_writes_go_over(disk: Disk) -> None:
    """They count as bytes of the file; more room is counted from the end of what was written."""
    file = disk.create("a")
    file.write(b"one")
    file.reserve(4)
    assert disk.read("a") == b"one\0\0\0\0"
    file.write(b"two")
    assert disk.read("a") == b"onetwo\0"
    file.reserve(2)
    assert disk.read("a") == b"onetwo\0\0"
    file.write(b"three")
    assert disk.read("a") == b"onetwothree"
    file.close()


def test_trimmed_file_ends_with_what_was_written(disk: Disk) -> None:
    """And is written on there, also when it had no room."""
    file = disk.create("a")
    file.trim()
    file.write(b"one")
    file.reserve(100)
    file.trim()
    assert disk.size("a") == 3
    file.write(b"two")
    file.close()
    assert disk.read("a") == b"onetwo"

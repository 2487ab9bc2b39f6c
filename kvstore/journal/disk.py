"""One data folder: the only door from the journal to the operating system, and its lock.

Whoever reads a folder needs `Files` only, and no lock: files grow at their ends, and are replaced
as a whole. A test can be the operating system: whatever has these methods will do.
Every method raises OSError as the system gives it; the journal says what that means.
"""

import fcntl
import os
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from kvstore.errors import JournalLocked

__all__ = ["AppendFile", "Disk", "Files", "Folder", "FolderDisk", "ReadFile", "RoomyFile"]

_LOCK_NAME = "LOCK"
_READ_BUFFER_BYTES = 1024 * 1024


class AppendFile(Protocol):
    """A file that is only written at its end."""

    def write(self, *pieces: bytes | memoryview) -> None:
        """Write all of these, one behind the other, at the end of the file."""

    def sync(self) -> None:
        """Return when everything written so far will survive a loss of power."""

    def close(self) -> None:
        """Close the file without a sync."""


class RoomyFile(AppendFile, Protocol):
    """An AppendFile that can have room behind its end: zeros, which the next writes go over.

    Syncing what is written into room is cheaper: the file does not grow.
    """

    def reserve(self, size_bytes: int) -> None:
        """Have so many zeros behind the end; lasting only after `sync`."""

    def trim(self) -> None:
        """Give up the room; lasting only after `sync`."""


class ReadFile(Protocol):
    """A file that is read from its beginning to its end."""

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes; fewer than asked for only at the end of the file."""

    def close(self) -> None:
        """Close the file."""


class Files(Protocol):
    """The files of one folder, to read; and to make new ones."""

    # Named in errors; need not exist outside of them.
    folder: Path

    def names(self) -> list[str]:
        """Return the names of the files in the folder, sorted."""

    def size(self, name: str) -> int:
        """Return how many bytes a file has."""

    def read(self, name: str) -> bytes:
        """Return a whole file."""

    def open(self, name: str) -> ReadFile:
        """Open a file to read it piece by piece."""

    def evict(self, name: str) -> None:
        """Forget what is cached of a synced file, so that the next read is of the disk."""

    def create(self, name: str) -> AppendFile:
        """Make a file that must not exist yet; its name survives only after `sync_folder`."""


class Disk(Files, Protocol):
    """The files of a folder that is owned."""

    def create(self, name: str) -> RoomyFile:
        """Make a file that must not exist yet; its name survives only after `sync_folder`."""

    def append_to(self, name: str) -> RoomyFile:
        """Open a file for writing at its end."""

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file and sync it."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in one step; lasting only after `sync_folder`."""

    def remove(self, name: str) -> None:
        """Delete a file; lasting only after `sync_folder`."""

    def free_bytes(self) -> int:
        """Return how much more can be written to the file system."""

    def sync_folder(self) -> None:
        """Return when files made and removed so far will survive a loss of power."""

    def close(self) -> None:
        """Give up the folder."""


class _File:
    """A RoomyFile on a file descriptor; nobody else may write to the file."""

    def __init__(self, path: Path, flags: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        self._end = os.lseek(self._fd, 0, os.SEEK_END)

    def write(self, *pieces: bytes | memoryview) -> None:
        self._end = self._write_at(self._end, pieces)

    def reserve(self, size_bytes: int) -> None:
        self._write_at(self._end, (_zeros(size_bytes),))

    def _write_at(self, offset: int, pieces: tuple[bytes | memoryview, ...]) -> int:
        """Write these behind each other from an offset on; return where they end."""
        end = offset + sum(map(len, pieces))
        offset += os.pwritev(self._fd, pieces, offset)
        if offset < end:  # the system may take less
            rest = memoryview(b"".join(pieces))[offset - end :]
            while rest:
                written = os.pwrite(self._fd, rest, offset)
                offset, rest = offset + written, rest[written:]
        return end

    def trim(self) -> None:
        os.ftruncate(self._fd, self._end)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


@lru_cache(maxsize=1)
def _zeros(size_bytes: int) -> bytes:
    return bytes(size_bytes)


def _create(path: Path) -> _File:
    return _File(path, os.O_CREAT | os.O_EXCL)


class _Reader:
    """A ReadFile on a file descriptor."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=_READ_BUFFER_BYTES)

    def read(self, size_bytes: int) -> bytes:
        return self._file.read(size_bytes)

    def close(self) -> None:
        self._file.close()


class Folder:
    """The Files of a real folder, whoever owns it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Return the names of the files in the folder, sorted."""
        return sorted(entry.name for entry in os.scandir(self.folder) if entry.is_file())

    def size(self, name: str) -> int:
        """Return how many bytes a file has."""
        return (self.folder / name).stat().st_size

    def read(self, name: str) -> bytes:
        """Return a whole file."""
        return (self.folder / name).read_bytes()

    def open(self, name: str) -> ReadFile:
        """Open a file to read it piece by piece."""
        return _Reader(self.folder / name)

    def evict(self, name: str) -> None:
        """Ask the system to forget what it has cached of a file."""
        fd = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)

    def create(self, name: str) -> AppendFile:
        """Make a file that must not exist yet."""
        return _create(self.folder / name)

    def free_bytes(self) -> int:
        """Return what the file system has left for users that are not root."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


class FolderDisk(Folder):
    """A Disk on a real folder, which it makes if it must and owns until `close`."""

    def __init__(self, folder: Path) -> None:
        """Take the folder. Raises JournalLocked, or OSError when it cannot be made or written."""
        super().__init__(folder)
        _make_folder(folder)
        self._lock_fd = _lock(folder)
        # Kept open, lest a server out of descriptors cannot sync a name it has just made.
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def create(self, name: str) -> RoomyFile:
        """Make a file that must not exist yet."""
        return _create(self.folder / name)

    def append_to(self, name: str) -> RoomyFile:
        """Open a file for writing at its end."""
        return _File(self.folder / name, 0)

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file and sync it."""
        with (self.folder / name).open("r+b") as file:
            file.truncate(size_bytes)
            os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in one step."""
        (self.folder / old).rename(self.folder / new)

    def remove(self, name: str) -> None:
        """Delete a file."""
        (self.folder / name).unlink()

    def sync_folder(self) -> None:
        """Sync the folder itself."""
        os.fsync(self._folder_fd)

    def close(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._lock_fd >= 0:
            os.close(self._folder_fd)
            os.close(self._lock_fd)
            self._lock_fd = -1


def _make_folder(folder: Path) -> None:
    """Make a folder and those it is in, and sync each name: without it the data has no path."""
    if folder.exists():
        return
    _make_folder(folder.absolute().parent)
    folder.mkdir(mode=0o700)
    _sync_folder(folder.absolute().parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(folder: Path) -> int:
    """Take the folder's lock, which the kernel gives back when the process ends, however it does.

    The file holds the owner's process id for the message; only the lock on it counts.
    """
    fd = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 32).decode("ascii", "replace").strip()
        os.close(fd)
        raise JournalLocked(folder, holder) from None
    os.truncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd

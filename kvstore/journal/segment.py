"""The segment that is being written: frames at its end, and room behind them.

Invariants:
- file and name are synced before anything is written behind the header, or behind what was found;
- room is zeros behind the last frame, and none of the size that is told;
- a frame says truly whether all before it was synced.

Every call may raise OSError; what that means is for `file.py` to say.
"""

import secrets
from typing import Self

from kvstore.journal.disk import Disk, RoomyFile
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FileHeader,
    FileKind,
    encode_file_header,
    encode_frame_header,
)
from kvstore.journal.listing import segment_name
from kvstore.journal.reader import JournalEnd

__all__ = ["Segment"]


class Segment:
    """One open segment; made by `begin` and `go_on`."""

    __slots__ = ("_file", "_room_end", "_unsynced", "header", "name", "sealed", "size_bytes")

    def __init__(self, name: str, header: FileHeader, file: RoomyFile, size_bytes: int) -> None:
        self.name = name
        self.header = header
        # Without the room behind it.
        self.size_bytes = size_bytes
        # Whether its last frame is a seal, so that a restart without writes leaves no second one.
        self.sealed = False
        self._file = file
        # Where the room ends.
        self._room_end = size_bytes
        # Whether something was written since the last sync.
        self._unsynced = False

    @classmethod
    def begin(cls, disk: Disk, first_index: int, written_ms: int) -> Self:
        """Make a new one for records from this index on."""
        name = segment_name(first_index)
        header = FileHeader(first_index, written_ms, secrets.randbits(32))
        file = disk.create(name)
        _settle(disk, file, encode_file_header(FileKind.SEGMENT, header))
        return cls(name, header, file, FILE_HEADER_BYTES)

    @classmethod
    def go_on(cls, disk: Disk, end: JournalEnd) -> Self:
        """Open the newest one, to write behind what was found in it.

        That is synced: it may be in the kernel's memory only, if the process before this one was
        killed between a write and its sync, and is about to be readable.
        """
        file = disk.append_to(end.name)
        _settle(disk, file, b"")
        segment = cls(end.name, end.header, file, end.size_bytes)
        segment.sealed = end.sealed
        return segment

    @property
    def first_index(self) -> int:
        """Index of its first record, whether or not that is there yet."""
        return self.header.index

    def write(
        self, first_index: int, written_ms: int, count: int, body: bytes | memoryview
    ) -> None:
        """Write a frame; without commands it is a seal. It lasts from the next `sync` on."""
        header = encode_frame_header(
            self.header.salt,
            first_index,
            written_ms,
            count,
            body,
            synced_before=not self._unsynced,
        )
        self._unsynced = True
        self._file.write(header, body)
        self.size_bytes += len(header) + len(body)
        self.sealed = count == 0

    def seal(self, next_index: int) -> None:
        """End it with a seal and without room, synced; what comes next would have this index."""
        if self._unsynced:
            self.sync()
        self.write(next_index, 0, 0, b"")
        self.trim()
        self.sync()

    def reserve(self, size_bytes: int) -> None:
        """Write so much room ahead of what comes, unless there is some left."""
        if self.size_bytes > self._room_end:
            self._file.reserve(size_bytes)
            self._room_end = self.size_bytes + size_bytes

    def trim(self) -> None:
        """Give up the room, so that a closed segment ends with its last frame."""
        if self._room_end > self.size_bytes:
            self._file.trim()
            self._room_end = self.size_bytes

    def sync(self) -> None:
        """Return when all that was written, and the size, will survive a loss of power."""
        self._file.sync()
        self._unsynced = False

    def close(self) -> None:
        """Give up the file, and nothing else."""
        self._file.close()


def _settle(disk: Disk, file: RoomyFile, head: bytes) -> None:
    """Sync a file with this at its end, and its name; closes it when that fails."""
    try:
        if head:
            file.write(head)
        file.sync()
        disk.sync_folder()
    except OSError:
        file.close()
        raise

"""The journal in files: segments in one folder, group commit, a torn tail cut at the start.

Invariants:
- a record is acknowledged only after the sync that covers it;
- only the newest segment is written, and only at its end;
- a segment is begun only when everything before it is synced, and used only when its name is;
- after a failed write or sync nothing is ever written again by this process: what the kernel
  kept of it is unknown, and a second sync could report success for lost pages.

Knows bytes, files and the order of records; not what a command does.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kvstore.errors import InvariantBroken, JournalCorrupt, JournalUnwritable
from kvstore.journal.codec import UnreadableCommand, decode_commands, encode_commands
from kvstore.journal.disk import Disk, SegmentFile
from kvstore.journal.frame import (
    SEGMENT_HEADER_BYTES,
    BadHeader,
    Damage,
    Frame,
    SegmentHeader,
    TornTail,
    decode_segment_header,
    encode_frame,
    encode_segment_header,
    scan_frames,
)
from kvstore.journal.journal import Record
from kvstore.state.command import Command

__all__ = ["SEGMENT_BYTES_MAX", "FileJournal"]

log = logging.getLogger(__name__)

# Big enough that a new file is rare, small enough to read one whole into memory at the start.
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
_SEGMENT_NAME = re.compile(r"[0-9]{20}\.journal")


@dataclass(slots=True)
class _Active:
    """The segment that is being written."""

    name: str
    header: SegmentHeader
    file: SegmentFile
    size_bytes: int
    # Whether its last frame is a seal, so that a restart without writes leaves no second one.
    sealed: bool


class FileJournal:
    """A Journal in the folder of `disk`, which it owns from now on.

    With `sync=False` a batch counts as durable when the kernel has it: the end of the process
    loses nothing, a loss of power may.
    """

    def __init__(
        self, disk: Disk, *, sync: bool = True, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._disk = disk
        self._sync = sync
        self._segment_bytes_max = segment_bytes_max
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._next_index = 1
        # Set at the end of `replay`.
        self._active: _Active | None = None
        # Whether something was written since the last sync.
        self._unsynced = False
        # Set by the first failure, final.
        self._failure: JournalUnwritable | None = None
        self._closed = False

    def replay(self) -> Iterator[Record]:
        """Yield every record in order; see `Journal.replay`.

        Cuts a torn tail off the newest segment and says so in the log. Raises JournalCorrupt with
        the file and the offset, and JournalUnwritable when the tail cannot be cut or the next
        segment not be made.
        """
        names = [name for name in self._disk.names() if _SEGMENT_NAME.fullmatch(name)]
        newest: tuple[str, SegmentHeader, Frame | None] | None = None
        for position, name in enumerate(names):
            data = self._disk.read(name)
            is_newest = position == len(names) - 1
            header = self._segment_header(name, data, is_newest=is_newest)
            if header is None:
                break
            last: Frame | None = None
            for frame in self._frames(name, data, header, is_newest=is_newest):
                yield from self._records(name, frame)
                last = frame
            newest = (name, header, last)
        self._start_writing(newest)

    def _segment_header(self, name: str, data: bytes, *, is_newest: bool) -> SegmentHeader | None:
        """Return a segment's header; None for one whose making a crash cut short."""
        header = decode_segment_header(data)
        if isinstance(header, BadHeader):
            # Its header is synced before a frame is written, so nothing was ever behind it.
            empty = not data[SEGMENT_HEADER_BYTES:].strip(b"\0")
            if is_newest and empty and not header.is_whole:
                self._drop_unfinished(name, len(data))
                return None
            raise JournalCorrupt(self._disk.folder / name, 0, header.reason)
        if header.first_index != self._next_index:
            raise JournalCorrupt(
                self._disk.folder / name,
                0,
                f"expected index {self._next_index}, the segment begins with "
                f"{header.first_index}: a segment is missing",
            )
        return header

    def _drop_unfinished(self, name: str, size_bytes: int) -> None:
        log.warning("removed %s: its %d bytes are no header yet", name, size_bytes)
        try:
            self._disk.remove(name)
            self._disk.sync_folder()
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _frames(
        self, name: str, data: bytes, header: SegmentHeader, *, is_newest: bool
    ) -> Iterator[Frame]:
        for part in scan_frames(data, header):
            if isinstance(part, Frame):
                yield part
            elif isinstance(part, Damage):
                raise JournalCorrupt(self._disk.folder / name, part.offset, part.reason)
            elif is_newest:
                self._cut(name, part)
            else:
                reason = "the segment ends in an unfinished frame, yet a later segment exists"
                raise JournalCorrupt(self._disk.folder / name, part.offset, reason)

    def _cut(self, name: str, tail: TornTail) -> None:
        if tail.size_bytes:
            log.warning(
                "cut %d bytes off %s at offset %d: a write that was never synced",
                tail.size_bytes,
                name,
                tail.offset,
            )
        try:
            self._disk.truncate(name, tail.offset)
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _records(self, name: str, frame: Frame) -> Iterator[Record]:
        try:
            commands = decode_commands(frame.body) if frame.body else []
        except UnreadableCommand as error:
            raise JournalCorrupt(self._disk.folder / name, frame.offset, str(error)) from error
        if len(commands) != frame.command_count:
            reason = f"expected {frame.command_count} commands, found {len(commands)}"
            raise JournalCorrupt(self._disk.folder / name, frame.offset, reason)
        for command in commands:
            yield Record(self._next_index, frame.written_ms, command)
            self._next_index += 1

    def _start_writing(self, newest: tuple[str, SegmentHeader, Frame | None] | None) -> None:
        if newest is None:
            self._active = self._new_segment(0)
            return
        name, header, last = newest
        size_bytes = SEGMENT_HEADER_BYTES if last is None else last.end
        sealed = last is not None and last.command_count == 0
        # What was replayed may be in the kernel's memory only, if the process before us was killed
        # between a write and its sync; it is about to be readable.
        file = self._open(name)
        self._active = _Active(name, header, file, size_bytes, sealed)

    def _new_segment(self, written_ms: int) -> _Active:
        name = f"{self._next_index:020d}.journal"
        header = SegmentHeader(self._next_index, written_ms, secrets.randbits(32))
        file = self._open(name, encode_segment_header(header))
        return _Active(name, header, file, SEGMENT_HEADER_BYTES, sealed=False)

    def _open(self, name: str, head: bytes | None = None) -> SegmentFile:
        """Open a segment for writing, a new one if it has a head; file and name are synced."""
        try:
            file = self._disk.append_to(name) if head is None else self._disk.create(name)
            try:
                if head is not None:
                    file.write(head)
                file.sync()
                self._disk.sync_folder()
            except OSError:
                file.close()
                raise
        except OSError as error:
            raise self._unwritable(name, error) from error
        return file

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Make a batch last; see `Journal.append`. One write and one sync."""
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise InvariantBroken("the journal is written after it was closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._append, commands, written_ms)

    def _append(self, commands: Sequence[Command], written_ms: int) -> int:
        active = self._active
        if active is None:
            raise InvariantBroken("the journal is written before it was replayed")
        if not commands:
            raise InvariantBroken("an empty batch is what marks a seal")
        body = encode_commands(commands)
        is_full = active.size_bytes + len(body) > self._segment_bytes_max
        if is_full and active.header.first_index != self._next_index:
            active = self._rotate(active, written_ms)
        self._write(active, body, len(commands), written_ms)
        if self._sync:
            self._sync_segment(active)
        first = self._next_index
        self._next_index += len(commands)
        return first

    def _rotate(self, full: _Active, written_ms: int) -> _Active:
        """Begin the next segment; the full one is synced, whatever the setting."""
        self._sync_segment(full)
        self._active = None
        full.file.close()
        self._active = self._new_segment(written_ms)
        return self._active

    def _write(self, active: _Active, body: bytes, count: int, written_ms: int) -> None:
        frame = encode_frame(
            active.header.salt,
            self._next_index,
            written_ms,
            count,
            body,
            synced_before=not self._unsynced,
        )
        try:
            active.file.write(frame)
        except OSError as error:
            raise self._unwritable(active.name, error) from error
        active.size_bytes += len(frame)
        active.sealed = count == 0
        self._unsynced = True

    def _sync_segment(self, active: _Active) -> None:
        try:
            active.file.sync()
        except OSError as error:
            raise self._unwritable(active.name, error) from error
        self._unsynced = False

    def _unwritable(self, name: str, error: OSError) -> JournalUnwritable:
        reason = error.strerror or str(error)
        self._failure = JournalUnwritable(self._disk.folder / name, reason)
        return self._failure

    async def close(self) -> None:
        """Seal the newest segment, so that damage to its last batch cannot pass for a torn tail.

        Raises JournalUnwritable when the seal cannot be written; the folder is given up all the
        same. Waits for an append that is under way.
        """
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._seal)
        finally:
            self._thread.shutdown()
            if self._active is not None:
                self._active.file.close()
                self._active = None
            self._disk.close()

    def _seal(self) -> None:
        active = self._active
        if active is None or self._failure is not None or active.sealed:
            return
        if self._unsynced:
            self._sync_segment(active)
        self._write(active, b"", 0, 0)
        self._sync_segment(active)

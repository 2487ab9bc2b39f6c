"""The journal in files: segments and snapshots in one folder, group commit, a torn tail cut.

Invariants:
- a record is acknowledged only after the sync that covers it;
- only the newest segment is written, and only at its end;
- only the newest segment has room behind its end, and it is cut before the next is begun;
- a segment is begun only when everything before it is synced, and used only when its name is;
- a file is removed only when a snapshot that makes it needless is synced, and its name too;
- after a failed write or sync nothing is ever written again by this process: what the kernel
  kept of it is unknown, and a second sync could report success for lost pages.

Knows bytes, files and the order of records; not what a command does, nor how a snapshot is made.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from kvstore.errors import InvariantBroken, JournalUnreadable, JournalUnwritable
from kvstore.journal.codec import encode_commands
from kvstore.journal.disk import Disk, RoomyFile
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FileHeader,
    FileKind,
    encode_file_header,
    encode_frame,
)
from kvstore.journal.journal import Record
from kvstore.journal.listing import Listing, segment_name, snapshot_name, unfinished_name
from kvstore.journal.reader import JournalEnd, JournalReader, read_listing
from kvstore.journal.space import Space, Usage
from kvstore.journal.thread import JournalThread
from kvstore.state.command import Command
from kvstore.state.image import Image

__all__ = ["ROOM_BYTES", "SEGMENT_BYTES_MAX", "FileJournal"]

log = logging.getLogger(__name__)

# Big enough that a new file is rare, small enough to read one whole into memory at the start.
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
# Room for hundreds of small batches, and written in a fraction of the time that it saves them.
ROOM_BYTES = 256 * 1024


@dataclass(slots=True)
class _Active:
    """The segment that is being written."""

    name: str
    header: FileHeader
    file: RoomyFile
    # Without the room behind it.
    size_bytes: int
    # Where the room ends.
    room_end: int
    # Whether its last frame is a seal, so that a restart without writes leaves no second one.
    sealed: bool


class FileJournal:
    """A Journal in the folder of `disk`, which it owns from now on.

    With `sync=False` a batch counts as durable when the kernel has it: the end of the process
    loses nothing, a loss of power may. `room_bytes` is how many zeros are written ahead of batches
    each time there are none left, to make their syncs cheaper; 0 for a journal that is not written
    much.
    """

    def __init__(
        self,
        disk: Disk,
        *,
        sync: bool = True,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        room_bytes: int = 0,
        space: Space | None = None,
    ) -> None:
        self._disk = disk
        self._sync = sync
        self._segment_bytes_max = segment_bytes_max
        self._room_bytes = room_bytes if sync else 0
        # Whether there is space enough for room.
        self._may_reserve = False
        self._space = space or Space()
        # Is called on the event loop after each batch.
        self.grown: Callable[[], None] = _ignore
        self._thread = JournalThread()
        self._next_index = 1
        # Set by `base`.
        self._reader: JournalReader | None = None
        # Set at the end of `replay`.
        self._active: _Active | None = None
        # Index of the newest snapshot, 0 without one.
        self._base_index = 0
        # Sizes of all snapshots and segments but the active one, by name; and of those segments
        # that lie behind the newest snapshot.
        self._kept: dict[str, int] = {}
        self._closed_tail_bytes = 0
        # How far `base` and `replay` have read, and how much there is.
        self._replayed_bytes = 0
        self._replay_bytes = 0
        # Whether something was written since the last sync.
        self._unsynced = False
        # Set by the first failure, final.
        self._failure: JournalUnwritable | None = None
        # Why nothing that grows should be written at the moment.
        self._full: str | None = None
        self._closed = False

    @property
    def disk(self) -> Disk:
        """The folder, for whoever makes snapshots of its closed files."""
        return self._disk

    @property
    def usage(self) -> Usage:
        """How many bytes the folder holds, and what they are for."""
        return Usage(
            base_index=self._base_index,
            snapshot_bytes=self._kept.get(snapshot_name(self._base_index), 0),
            tail_bytes=self.tail_bytes,
            folder_bytes=self._folder_bytes(),
        )

    @property
    def tail_bytes(self) -> int:
        """Size of the segments behind the newest snapshot: what a start replays."""
        return self._closed_tail_bytes + (self._active.size_bytes if self._active else 0)

    def _folder_bytes(self) -> int:
        closed = sum(list(self._kept.values()))  # a list: another thread may add to it
        return closed + (self._active.size_bytes if self._active else 0)

    @property
    def full(self) -> str | None:
        """Why there is no room for more data, as a clause; None while there is.

        Looked at after each batch, and again whenever it is asked for while there is no room.
        """
        if self._full is not None:
            self._look_at_space()
        return self._full

    def replay_progress(self) -> tuple[int, int]:
        """Return how many bytes of how many were read so far; (0, 0) before `base`."""
        return self._replayed_bytes, self._replay_bytes

    def base(self) -> Image | None:
        """Return what the newest snapshot holds; see `Journal.base`.

        Raises JournalCorrupt with the file and the offset, and JournalUnreadable.
        """
        listing = read_listing(self._disk)
        self._reader = JournalReader(self._disk, listing, progress=self._count_replayed)
        self._replay_bytes = self._reader.size_bytes()
        self._base_index = listing.chain().base_index
        return self._reader.base()

    def _count_replayed(self, size_bytes: int) -> None:
        self._replayed_bytes += size_bytes

    def replay(self) -> Iterator[Record]:
        """Yield every record in order; see `Journal.replay`.

        Cuts a torn tail off the newest segment and says so in the log. Raises JournalCorrupt with
        the file and the offset, JournalUnreadable, and JournalUnwritable when the tail cannot be
        cut or the next segment not be made.
        """
        if self._reader is None:
            raise InvariantBroken("the journal is replayed before its base was asked for")
        yield from self._reader.records()
        self._next_index = self._reader.next_index
        self._clean_up(self._reader)
        self._start_writing(self._reader.end)

    def _clean_up(self, reader: JournalReader) -> None:
        """Take away what a crash left unfinished."""
        if reader.unfinished is not None:
            name, size_bytes = reader.unfinished
            log.warning("removed %s: its %d bytes are no header yet", name, size_bytes)
            self._remove(name)
        for name in read_listing(self._disk).unfinished:
            log.info("removed %s: a snapshot that was not finished", name)
            self._remove(name)
        if reader.end is not None and reader.end.torn is not None:
            self._cut(reader.end)

    def _remove(self, name: str) -> None:
        try:
            self._disk.remove(name)
            self._disk.sync_folder()
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _cut(self, end: JournalEnd) -> None:
        assert end.torn is not None
        if end.torn.size_bytes:
            log.warning(
                "cut %d bytes off %s at offset %d: a write that was never synced",
                end.torn.size_bytes,
                end.name,
                end.torn.offset,
            )
        try:
            self._disk.truncate(end.name, end.torn.offset)
        except OSError as error:
            raise self._unwritable(end.name, error) from error

    def _start_writing(self, end: JournalEnd | None) -> None:
        listing = read_listing(self._disk)
        names = (*map(snapshot_name, listing.snapshots), *map(segment_name, listing.segments))
        self._kept = {name: self._size(name) for name in names}
        if end is None:
            self._active = self._new_segment(0)
        else:
            # What was replayed may be in the kernel's memory only, if the process before us was
            # killed between a write and its sync; it is about to be readable.
            file = self._open(end.name)
            size_bytes = end.size_bytes
            self._active = _Active(
                end.name, end.header, file, size_bytes, size_bytes, sealed=end.sealed
            )
            self._kept.pop(end.name)
        self._measure_tail()
        self._look_at_space()

    def _size(self, name: str) -> int:
        try:
            return self._disk.size(name)
        except OSError as error:
            raise JournalUnreadable(self._disk.folder / name, error) from error

    def _new_segment(self, written_ms: int) -> _Active:
        name = segment_name(self._next_index)
        header = FileHeader(self._next_index, written_ms, secrets.randbits(32))
        file = self._open(name, encode_file_header(FileKind.SEGMENT, header))
        return _Active(name, header, file, FILE_HEADER_BYTES, FILE_HEADER_BYTES, sealed=False)

    def _open(self, name: str, head: bytes | None = None) -> RoomyFile:
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
        first = await self._thread.run(partial(self._append, commands, written_ms))
        self.grown()
        return first

    def _append(self, commands: Sequence[Command], written_ms: int) -> int:
        active = self._require_active()
        if not commands:
            raise InvariantBroken("an empty batch is what marks a seal")
        body = encode_commands(commands)
        is_full = active.size_bytes + len(body) > self._segment_bytes_max
        if is_full and active.header.index != self._next_index:
            active = self._rotate(active, written_ms)
        self._write(active, body, len(commands), written_ms)
        if self._sync:
            self._sync_segment(active)
        first = self._next_index
        self._next_index += len(commands)
        self._look_at_space()
        return first

    def _require_active(self) -> _Active:
        if self._failure is not None:
            raise self._failure
        if self._active is None:
            raise InvariantBroken("the journal is written before it was replayed or after a close")
        return self._active

    def _look_at_space(self) -> None:
        try:
            free_bytes = self._disk.free_bytes()
        except OSError:  # whatever it is, a write will find out and say it
            return
        held_bytes, ahead_bytes = self._folder_bytes(), 2 * self._room_bytes
        self._full = self._space.shortage(held_bytes, free_bytes)
        # Room is never what makes it full.
        shortage = self._space.shortage(held_bytes + ahead_bytes, free_bytes - ahead_bytes)
        self._may_reserve = shortage is None

    async def rotate(self, written_ms: int) -> int:
        """Begin the next segment, so that all others are closed; return their last index.

        Nothing happens to a segment without records. Raises JournalUnwritable.
        """
        return await self._thread.run(partial(self._rotate_now, written_ms))

    def _rotate_now(self, written_ms: int) -> int:
        active = self._require_active()
        if active.header.index != self._next_index:
            self._rotate(active, written_ms)
        return self._next_index - 1

    async def adopt_snapshot(self, last_index: int) -> None:
        """Give the unfinished snapshot of this index its name; the next start begins with it.

        It must be whole, synced and verified. Raises JournalUnwritable.
        """
        await self._thread.run(partial(self._adopt_snapshot, last_index))

    def _adopt_snapshot(self, last_index: int) -> None:
        self._require_active()
        name = snapshot_name(last_index)
        try:
            size_bytes = self._disk.size(unfinished_name(last_index))
            self._disk.rename(unfinished_name(last_index), name)
            self._disk.sync_folder()
        except OSError as error:
            raise self._unwritable(name, error) from error
        self._kept[name] = size_bytes
        self._base_index = last_index
        self._measure_tail()
        self._look_at_space()

    def _measure_tail(self) -> None:
        tail = Listing.of(self._kept).chain(self._base_index).segments
        self._closed_tail_bytes = sum(self._kept[segment_name(one)] for one in tail)

    async def remove(self, names: Iterable[str]) -> None:
        """Delete closed files that the newest snapshot has made needless, in this order.

        Oldest first, so that history has no holes, whenever it ends. Raises OSError when a file
        cannot be deleted, and JournalUnwritable when that cannot be made to last.
        """
        needed = Listing.of(self._kept).chain(self._base_index).names
        for name in names:
            if name in needed:
                raise InvariantBroken(f"{name} is still needed")
            # Beside the journal's thread: a large file takes its time.
            await asyncio.to_thread(self._disk.remove, name)
            self._kept.pop(name, None)
            # One by one, so that a crash cannot keep an older file and lose a newer one; and on
            # that thread, since the system tells of a failed sync only once: it must be the end.
            await self._thread.run(partial(self._sync_names, name))

    def _sync_names(self, name: str) -> None:
        self._require_active()
        try:
            self._disk.sync_folder()
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _rotate(self, full: _Active, written_ms: int) -> _Active:
        """Begin the next segment; the full one is synced, whatever the setting."""
        self._trim(full)
        self._sync_segment(full)
        self._active = None
        full.file.close()
        self._kept[full.name] = full.size_bytes
        self._closed_tail_bytes += full.size_bytes
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
            active.size_bytes += len(frame)
            if self._room_bytes and self._may_reserve and active.size_bytes > active.room_end:
                active.file.reserve(self._room_bytes)
                active.room_end = active.size_bytes + self._room_bytes
        except OSError as error:
            raise self._unwritable(active.name, error) from error
        active.sealed = count == 0
        self._unsynced = True

    def _trim(self, active: _Active) -> None:
        """Give up a segment's room, so that closed segments end with their last frame."""
        if active.room_end <= active.size_bytes:
            return
        try:
            active.file.trim()
        except OSError as error:
            raise self._unwritable(active.name, error) from error
        active.room_end = active.size_bytes

    def _sync_segment(self, active: _Active) -> None:
        try:
            active.file.sync()
        except OSError as error:
            raise self._unwritable(active.name, error) from error
        self._unsynced = False

    def _unwritable(self, name: str, error: OSError) -> JournalUnwritable:
        self._failure = JournalUnwritable(self._disk.folder / name, error)
        return self._failure

    async def close(self) -> None:
        """Seal the newest segment, so that damage to its last batch cannot pass for a torn tail.

        Raises JournalUnwritable when the seal cannot be written; the folder is given up all the
        same. Waits for an append that is under way.
        """
        if self._closed:
            return
        self._closed = True
        try:
            await self._thread.run(self._seal)
        finally:
            self._thread.close()
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
        self._trim(active)
        self._sync_segment(active)


def _ignore() -> None:
    """Do nothing."""

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from kvstore.errors import InvariantBroken, JournalUnreadable, JournalUnwritable
from kvstore.journal.codec import CommandEncoder
from kvstore.journal.disk import Disk
from kvstore.journal.journal import Record
from kvstore.journal.listing import Listing, segment_name, snapshot_name, unfinished_name
from kvstore.journal.reader import JournalEnd, JournalReader, read_listing
from kvstore.journal.segment import Segment
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
        # Used on that thread.
        self._encoder = CommandEncoder()
        self._next_index = 1
        # Set by `base`.
        self._reader: JournalReader | None = None
        # Set at the end of `replay`.
        self._active: Segment | None = None
        # Index of the newest snapshot, 0 without one.
        self._base_index = 0
        # Sizes of all snapshots and segments but the active one, by name; and of those segments
        # that lie behind the newest snapshot.
        self._kept: dict[str, int] = {}
        self._closed_tail_bytes = 0
        # How far `base` and `replay` have read, and how much there is.
        self._replayed_bytes = 0
        self._replay_bytes = 0
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
        with self._final(name):
            self._disk.remove(name)
            self._disk.sync_folder()

    def _cut(self, end: JournalEnd) -> None:
        assert end.torn is not None
        if end.torn.size_bytes:
            log.warning(
                "cut %d bytes off %s at offset %d: a write that was never synced",
                end.torn.size_bytes,
                end.name,
                end.torn.offset,
            )
        with self._final(end.name):
            self._disk.truncate(end.name, end.torn.offset)

    def _start_writing(self, end: JournalEnd | None) -> None:
        listing = read_listing(self._disk)
        names = (*map(snapshot_name, listing.snapshots), *map(segment_name, listing.segments))
        self._kept = {name: self._size(name) for name in names}
        if end is None:
            self._active = self._begin_segment(0)
        else:
            with self._final(end.name):
                self._active = Segment.go_on(self._disk, end)
            self._kept.pop(end.name)
        self._measure_tail()
        self._look_at_space()

    def _size(self, name: str) -> int:
        try:
            return self._disk.size(name)
        except OSError as error:
            raise JournalUnreadable(self._disk.folder / name, error) from error

    def _begin_segment(self, written_ms: int) -> Segment:
        with self._final(segment_name(self._next_index)):
            return Segment.begin(self._disk, self._next_index, written_ms)

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
        body = self._encoder.encode(commands)
        is_full = active.size_bytes + len(body) > self._segment_bytes_max
        if is_full and active.first_index != self._next_index:
            active = self._rotate(active, written_ms)
        with self._final(active.name):
            active.write(self._next_index, written_ms, len(commands), body)
            if self._room_bytes and self._may_reserve:
                active.reserve(self._room_bytes)
            if self._sync:
                active.sync()
        first = self._next_index
        self._next_index += len(commands)
        self._look_at_space()
        return first

    def _require_active(self) -> Segment:
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
        if active.first_index != self._next_index:
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
        with self._final(name):
            size_bytes = self._disk.size(unfinished_name(last_index))
            self._disk.rename(unfinished_name(last_index), name)
            self._disk.sync_folder()
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
        with self._final(name):
            self._disk.sync_folder()

    def _rotate(self, full: Segment, written_ms: int) -> Segment:
        """Begin the next segment; the full one is synced, whatever the setting."""
        with self._final(full.name):
            full.trim()
            full.sync()
        self._active = None
        full.close()
        self._kept[full.name] = full.size_bytes
        self._closed_tail_bytes += full.size_bytes
        self._active = self._begin_segment(written_ms)
        return self._active

    @contextmanager
    def _final(self, name: str) -> Iterator[None]:
        """Do what is done to a file in the block; a failure is the end of all writing."""
        try:
            yield
        except OSError as error:
            self._failure = JournalUnwritable(self._disk.folder / name, error)
            raise self._failure from error

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
                self._active.close()
                self._active = None
            self._disk.close()

    def _seal(self) -> None:
        active = self._active
        if active is None or self._failure is not None or active.sealed:
            return
        with self._final(active.name):
            active.seal(self._next_index)


def _ignore() -> None:
    """Do nothing."""

"""Points in a folder's past: an index, or a time, and the store that was there then.

A time means: after the last record that was written at or before it. A folder reaches back to its
oldest base, the beginning or a snapshot, and forward to its newest record.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from kvstore.errors import JournalCorrupt, JournalUnreadable, NoStore, NotKept
from kvstore.journal.disk import Files
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    BadHeader,
    Damage,
    FileHeader,
    FileKind,
    Frame,
    decode_file_header,
)
from kvstore.journal.listing import Listing, segment_name, snapshot_name
from kvstore.journal.reader import read_listing, settled_frames
from kvstore.maintenance.rebuild import rebuild
from kvstore.state.store import State

__all__ = [
    "AtIndex",
    "AtTime",
    "Moment",
    "Point",
    "file_header",
    "find",
    "first_since",
    "nearest_base",
    "oldest",
    "require_store",
    "settled",
    "store_at",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AtIndex:
    """After the record of this index."""

    index: int

    def __str__(self) -> str:
        return f"index {self.index}"


@dataclass(frozen=True, slots=True)
class AtTime:
    """After the last record that was written at or before a time."""

    # Since 1970.
    time_ms: int
    # As it was typed, for errors.
    text: str

    def __str__(self) -> str:
        return f"the time {self.text}"


Point = AtIndex | AtTime


@dataclass(frozen=True, slots=True)
class Moment:
    """A point that was found."""

    # Of the last record before it.
    index: int
    # When that was written, since 1970; None when no file says so.
    written_ms: int | None


def settled(files: Files, read: Callable[[], T]) -> T:
    """Return what `read` returns, from files that were all there while it read.

    A server may remove old files meanwhile; then it is called once more. Raises what it raises.
    """
    before = read_listing(files)
    try:
        return read()
    except (JournalCorrupt, JournalUnreadable):
        if read_listing(files) == before:
            raise
        return read()


def require_store(files: Files) -> Listing:
    """Return what is in a folder that has a store. Raises NoStore and JournalUnreadable."""
    listing = read_listing(files)
    if listing.is_empty:
        raise NoStore(files.folder)
    return listing


def file_header(files: Files, name: str, kind: FileKind) -> FileHeader | None:
    """Return what the first bytes of a file say; None when they are damaged.

    Raises JournalUnreadable.
    """
    try:
        file = files.open(name)
        try:
            header = decode_file_header(kind, file.read(FILE_HEADER_BYTES))
        finally:
            file.close()
    except OSError as error:
        raise JournalUnreadable(files.folder / name, error) from error
    return header if isinstance(header, FileHeader) else None


def store_at(
    files: Files, point: Point | None, progress: Callable[[int], None] = lambda _: None
) -> tuple[State, Moment]:
    """Return the store at a point, the newest one without, and which point that was.

    `progress` is told how many bytes were read since the last time. Raises NotKept, NoStore,
    JournalCorrupt and JournalUnreadable.
    """
    moment = find(files, point)
    listing = require_store(files)
    base = nearest_base(listing, moment.index)
    # The newest may have grown since: what is asked for is what was found.
    state = rebuild(files, chain=listing.chain(base), upto=moment.index, progress=progress)
    return state, moment


def nearest_base(listing: Listing, index: int) -> int:
    """Return the newest base that a replay up to an index can begin with.

    There must be one: see `find`.
    """
    return max(base for base in listing.bases() if base <= index)


def find(files: Files, point: Point | None, *, damaged: bool = False) -> Moment:
    """Return where a point is; the newest one without a point.

    In a folder that is known to be damaged, what cannot be read does not count. Raises NotKept,
    NoStore, JournalUnreadable, and JournalCorrupt.
    """
    listing = require_store(files)
    search = _Search(files, listing, damaged=damaged)
    last = search.newest()
    first = search.oldest()
    found: Moment | None
    if point is None:
        found = last
    elif isinstance(point, AtIndex):
        found = search.at_index(point.index) if first.index <= point.index <= last.index else None
    else:
        found = search.at_time(point.time_ms)
    if found is None or found.index < first.index:
        ends = ((one.index, one.written_ms) for one in (first, last))
        raise NotKept(str(point), *ends)
    return found


def oldest(files: Files) -> Moment:
    """Return the point that a folder reaches back to, with a time that it held at.

    Raises NoStore, JournalUnreadable and JournalCorrupt.
    """
    return _Search(files, require_store(files), damaged=False).oldest()


def first_since(files: Files, point: Point) -> int:
    """Return the index of the first record to show for "since this point".

    That is the record of an index, or the one behind all that were written before a time; the
    first of all for a time before the store was there. Raises as `find`.
    """
    if isinstance(point, AtIndex):
        find(files, AtIndex(max(point.index - 1, 0)))
        return max(point.index, 1)
    listing = require_store(files)
    if listing.bases()[:1] == (0,):
        found = _Search(files, listing, damaged=False).at_time(point.time_ms - 1)
        return 1 if found is None else found.index + 1
    return find(files, AtTime(point.time_ms - 1, point.text)).index + 1


class _Search:
    """Looks for batches in a folder's segments."""

    def __init__(self, files: Files, listing: Listing, *, damaged: bool) -> None:
        self._files = files
        self._listing = listing
        self._damaged = damaged

    def newest(self) -> Moment:
        """Return the point after everything."""
        snapshot = self._listing.snapshots[-1] if self._listing.snapshots else 0
        for first in reversed(self._listing.segments):
            last = None
            for batch in self._batches(first):
                last = batch
            if last is not None:
                return max(_moment(last), Moment(snapshot, None), key=lambda one: one.index)
        return Moment(snapshot, None)

    def oldest(self) -> Moment:
        """Return the oldest base, and a time when nothing behind it was written yet."""
        bases = self._listing.bases()
        if not bases:  # segments whose beginning is gone, and no snapshot
            path = self._files.folder / segment_name(self._listing.segments[0])
            raise JournalCorrupt(path, 0, "the files before it are missing")
        times = list(self._times_at(bases[0]))
        return Moment(bases[0], min(times, default=None))

    def _times_at(self, base: int) -> Iterator[int]:
        if base:
            head = file_header(self._files, snapshot_name(base), FileKind.SNAPSHOT)
            yield from (head.created_ms,) if head and head.created_ms else ()
        if base + 1 in self._listing.segments:
            head = file_header(self._files, segment_name(base + 1), FileKind.SEGMENT)
            yield from (head.created_ms,) if head and head.created_ms else ()
            for batch in self._batches(base + 1):
                yield batch.written_ms
                return

    def at_index(self, index: int) -> Moment:
        """Return the point after a record, which is there."""
        firsts = [one for one in self._listing.segments if one <= index]
        for batch in self._batches(firsts[-1]) if firsts else ():
            if batch.first_index <= index < batch.first_index + batch.command_count:
                return Moment(index, batch.written_ms)
        return Moment(index, None)

    def at_time(self, time_ms: int) -> Moment | None:
        """Return the point after the last batch that was written by then."""
        for first in reversed(self._listing.segments):
            found = None
            for batch in self._batches(first):
                if batch.written_ms <= time_ms:
                    found = batch
            if found is not None:
                return _moment(found)
        base = self.oldest()
        known = base.index and base.written_ms is not None and base.written_ms <= time_ms
        return Moment(base.index, None) if known else None

    def _batches(self, first: int) -> Iterator[Frame]:
        """Yield the batches of a segment that hold records."""
        name = segment_name(first)
        path = self._files.folder / name

        def read() -> bytes:
            try:
                return self._files.read(name)
            except OSError as error:
                raise JournalUnreadable(path, error) from error

        data = read()
        header = decode_file_header(FileKind.SEGMENT, data)
        if isinstance(header, BadHeader):
            # That of the newest may not be written yet; any other is for the replay to tell.
            return
        for part in settled_frames(data, header, read):
            if isinstance(part, Damage) and not self._damaged:
                raise JournalCorrupt(path, part.offset, part.reason)
            if isinstance(part, Frame) and part.command_count:
                yield part


def _moment(batch: Frame) -> Moment:
    return Moment(batch.first_index + batch.command_count - 1, batch.written_ms)

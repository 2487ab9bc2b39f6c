"""Reading a data folder: its snapshot, then the records behind it, in order; changes nothing.

The server reads its own folder this way at the start, and then cuts what a crash left at the end.
Commands read a folder that a server may be writing: for them the end is where the last whole batch
ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvstore.errors import JournalCorrupt, JournalUnreadable
from kvstore.journal.codec import UnreadableCommand, decode_commands
from kvstore.journal.disk import Files
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    BadHeader,
    Damage,
    FileHeader,
    FileKind,
    Frame,
    TornTail,
    decode_file_header,
    scan_frames,
)
from kvstore.journal.journal import Record
from kvstore.journal.listing import Chain, Listing, segment_name
from kvstore.journal.snapshot import read_snapshot
from kvstore.state.image import Image

__all__ = ["JournalEnd", "JournalReader", "read_listing", "settled_frames"]


@dataclass(slots=True)
class JournalEnd:
    """What was found at the end of the newest segment."""

    name: str
    header: FileHeader
    # Where the next frame goes.
    size_bytes: int = FILE_HEADER_BYTES
    # Whether the last frame is the seal of a clean close.
    sealed: bool = False
    torn: TornTail | None = None


def read_listing(files: Files) -> Listing:
    """Return what is in a folder. Raises JournalUnreadable."""
    try:
        return Listing.of(files.names())
    except OSError as error:
        raise JournalUnreadable(files.folder, error) from error


def settled_frames(
    data: bytes, header: FileHeader, read_again: Callable[[], bytes]
) -> Iterator[Frame | TornTail | Damage]:
    """Scan the frames of a segment that may be being written.

    Frames are written over zeros, so reading a file meanwhile can miss one and show the next, which
    looks like damage. Only what is still there when the file is read again is damage.
    """
    last: Frame | None = None
    met: int | None = None
    while True:
        for part in scan_frames(data, header, last):
            if isinstance(part, Damage) and part.offset != met:
                met = part.offset
                break
            yield part
            if isinstance(part, Frame):
                last = part
        else:
            return
        data = read_again()


class JournalReader:
    """One pass over the files of a chain: `base` once, then `records` once.

    Stops after the record `upto` if one is given. Raises JournalCorrupt with the file and the
    offset, and JournalUnreadable.
    """

    def __init__(
        self,
        files: Files,
        listing: Listing,
        chain: Chain | None = None,
        *,
        upto: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._files = files
        self._listing = listing
        self._chain = chain or listing.chain()
        self._upto = upto
        # Is told how many bytes were read since the last time.
        self._progress = progress
        self._next_index = self._chain.base_index + 1
        # After `records`: where writing goes on; None when there is no segment.
        self.end: JournalEnd | None = None
        # The newest segment, if a crash cut its making short, and its size.
        self.unfinished: tuple[str, int] | None = None

    @property
    def next_index(self) -> int:
        """Index after the last record read."""
        return self._next_index

    def size_bytes(self) -> int:
        """Return how much there is to read. Raises JournalUnreadable."""
        return sum(self._size(name) for name in self._chain.names)

    def _size(self, name: str) -> int:
        try:
            return self._files.size(name)
        except OSError as error:
            raise JournalUnreadable(self._files.folder / name, error) from error

    def base(self) -> Image | None:
        """Return the image that the records continue; None when they are all there is.

        Its entries are read as they are taken.
        """
        name = self._chain.snapshot
        if name is None:
            return None
        return read_snapshot(self._files, name, self._chain.base_index, self._progress)

    def records(self) -> Iterator[Record]:
        """Yield every record behind the base, in order."""
        for frame, name in self._batches():
            yield from self._records(name, frame)

    def _batches(self) -> Iterator[tuple[Frame, str]]:
        """Yield every whole batch behind the base, and seals, each with its file's name."""
        self._require_continuation()
        for first_index in self._chain.segments:
            if self._is_past(self._next_index):
                return
            name = segment_name(first_index)
            is_newest = first_index == self._listing.segments[-1]
            data = self._read(name)
            header = self._header(name, data, is_newest=is_newest)
            if header is None:
                return
            yield from self._frames(name, data, header, is_newest=is_newest)
            self._progress(len(data))

    def _is_past(self, index: int) -> bool:
        return self._upto is not None and index > self._upto

    def _require_continuation(self) -> None:
        """Miss the segment behind the newest snapshot: one is begun before a snapshot is made."""
        chain = self._chain
        if self._listing.segments and not chain.segments:
            path = self._files.folder / segment_name(chain.base_index + 1)
            raise JournalCorrupt(path, 0, "the segment that follows the snapshot is missing")

    def _read(self, name: str) -> bytes:
        try:
            return self._files.read(name)
        except OSError as error:
            raise JournalUnreadable(self._files.folder / name, error) from error

    def _header(self, name: str, data: bytes, *, is_newest: bool) -> FileHeader | None:
        """Return a segment's header; None for one whose making a crash cut short."""
        header = decode_file_header(FileKind.SEGMENT, data)
        if isinstance(header, BadHeader):
            # Its header is synced before a frame is written, so nothing was ever behind it.
            empty = not data[FILE_HEADER_BYTES:].strip(b"\0")
            if is_newest and empty and not header.is_whole:
                self.unfinished = (name, len(data))
                return None
            raise JournalCorrupt(self._files.folder / name, 0, header.reason)
        if header.index != self._next_index:
            raise JournalCorrupt(
                self._files.folder / name,
                0,
                f"expected index {self._next_index}, the segment begins with {header.index}: "
                "a segment is missing",
            )
        return header

    def _frames(
        self, name: str, data: bytes, header: FileHeader, *, is_newest: bool
    ) -> Iterator[tuple[Frame, str]]:
        self.end = JournalEnd(name, header)
        for part in settled_frames(data, header, lambda: self._read(name)):
            if isinstance(part, Damage):
                raise JournalCorrupt(self._files.folder / name, part.offset, part.reason)
            if isinstance(part, TornTail):
                self.end.torn = part
                if not is_newest:
                    reason = "the segment ends in an unfinished frame, yet a later segment exists"
                    raise JournalCorrupt(self._files.folder / name, part.offset, reason)
                return
            self.end.size_bytes, self.end.sealed = part.end, part.command_count == 0
            yield part, name
            if self._is_past(self._next_index):
                return

    def _records(self, name: str, frame: Frame) -> Iterator[Record]:
        try:
            commands = decode_commands(frame.body) if frame.body else []
        except UnreadableCommand as error:
            raise JournalCorrupt(self._files.folder / name, frame.offset, str(error)) from error
        if len(commands) != frame.command_count:
            reason = f"expected {frame.command_count} commands, found {len(commands)}"
            raise JournalCorrupt(self._files.folder / name, frame.offset, reason)
        for command in commands:
            if self._is_past(self._next_index):
                return
            yield Record(self._next_index, frame.written_ms, command)
            self._next_index += 1

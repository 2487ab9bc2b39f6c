"""Verifying a data folder: every byte of every file, and that the files agree with each other.

One pass in the order of the indexes, with the store that the journal comes to so far. Damage ends
that store; the next snapshot that is sound begins another. So all files are looked at whatever is
wrong with one, and each snapshot that something older leads up to is held against it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NoReturn

from kvstore.errors import JournalCorrupt, JournalUnreadable, KVStoreError
from kvstore.journal.codec import UnreadableCommand, decode_commands
from kvstore.journal.disk import Files
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    BadHeader,
    Damage,
    FileKind,
    Frame,
    TornTail,
    decode_file_header,
)
from kvstore.journal.listing import segment_name, snapshot_name
from kvstore.journal.reader import settled_frames
from kvstore.journal.snapshot import read_snapshot
from kvstore.maintenance.point import file_header, require_store
from kvstore.state.image import Image
from kvstore.state.store import State

__all__ = ["FileReport", "FolderReport", "Kind", "Problem", "verify_folder"]

Progress = Callable[[int], None]


class Kind(Enum):
    """What a file is."""

    SEGMENT = "segment"
    SNAPSHOT = "snapshot"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Problem:
    """Damage in one file."""

    name: str
    offset: int
    reason: str
    # Whether the file itself is sound all the same, and only what should lead up to it is not.
    is_gap: bool = False


@dataclass(slots=True)
class FileReport:
    """What was found in one file."""

    name: str
    kind: Kind
    size_bytes: int
    # Of a segment's records; of a snapshot, 0 and the index it is of. None in an empty segment.
    first_index: int | None = None
    last_index: int | None = None
    # Records of a segment, entries of a snapshot.
    count: int = 0
    # When its records were written, or a snapshot made, since 1970.
    first_ms: int | None = None
    last_ms: int | None = None
    # What is worth knowing and no damage, as a clause.
    note: str = ""
    problem: Problem | None = None


@dataclass(slots=True)
class FolderReport:
    """What was found in a folder."""

    files: list[FileReport] = field(default_factory=list)
    # The last index of a store that its files still come to; None when they come to none.
    recoverable: int | None = None
    # The largest index that was seen in a sound place.
    last_index: int = 0
    # Whether a server would start on it.
    starts: bool = True
    # Bytes of an unfinished write at the end, which nobody was told is done.
    torn_bytes: int = 0

    @property
    def problems(self) -> list[Problem]:
        """All damage, in the order of the files."""
        return [one.problem for one in self.files if one.problem is not None]


def verify_folder(files: Files, progress: Progress = lambda _: None) -> FolderReport:
    """Read all of a folder's files and return what was found; damage is never raised.

    Beside a server, a file that the server removes meanwhile is left out. `progress` is told how
    many bytes were read since the last time. Raises NoStore and JournalUnreadable.
    """
    return _Pass(files, progress).run()


class _Broken(Exception):
    """A file that is not what it should be; carries where and why."""

    def __init__(self, offset: int, reason: str, *, is_gap: bool = False) -> None:
        super().__init__(offset, reason)
        self.offset = offset
        self.reason = reason
        self.is_gap = is_gap


class _Pass:
    """One pass over a folder."""

    def __init__(self, files: Files, progress: Progress) -> None:
        self._files = files
        self._progress = progress
        self._listing = require_store(files)
        self._report = FolderReport()
        # What the journal comes to so far; None after damage, until a snapshot begins anew.
        self._state: State | None = State()
        # Where the next segment must begin; None while any place will do: older files are given up
        # as time goes by, and nobody knows how far a damaged one went.
        self._next: int | None = 1

    def run(self) -> FolderReport:
        """Look at every file."""
        listing = self._listing
        if listing.bases()[:1] != (0,):
            self._state = None
            self._next = None if listing.snapshots else 1
        # A snapshot comes before the segment that follows it, behind the one that it ends with.
        order = [(index, Kind.SNAPSHOT) for index in listing.snapshots]
        order += [(index - 1, Kind.SEGMENT) for index in listing.segments]
        order.sort(key=lambda one: (one[0], one[1] is Kind.SEGMENT))
        for index, kind in order:
            if kind is Kind.SNAPSHOT:
                self._look_at(snapshot_name(index), kind, index)
            else:
                self._look_at(segment_name(index + 1), kind, index + 1)
        for name in listing.unfinished:
            self._look_at(name, Kind.UNFINISHED, 0)
        self._finish()
        return self._report

    def _look_at(self, name: str, kind: Kind, index: int) -> None:
        try:
            self._report.files.append(self._looked_at(name, kind, index))
        except JournalUnreadable:
            if name in self._names():
                raise
            self._forget()

    def _looked_at(self, name: str, kind: Kind, index: int) -> FileReport:
        try:
            one = FileReport(name, kind, self._files.size(name))
            self._verify(one, index)
        except _Broken as broken:
            one.problem = Problem(name, broken.offset, broken.reason, is_gap=broken.is_gap)
        except OSError as error:
            raise JournalUnreadable(self._files.folder / name, error) from error
        return one

    def _names(self) -> list[str]:
        """Return what is there now: a server may have removed a file, any other must be read."""
        try:
            return self._files.names()
        except OSError as error:
            raise JournalUnreadable(self._files.folder, error) from error

    def _forget(self) -> None:
        """Give up the store, and any idea of where the next segment must begin."""
        self._state = None
        self._next = None

    def _verify(self, one: FileReport, index: int) -> None:
        if one.kind is Kind.SEGMENT:
            self._verify_segment(one, index)
        elif one.kind is Kind.SNAPSHOT:
            self._verify_snapshot(one, index)
        else:
            one.note = "a snapshot that is being made, or whose making was cut short"

    # --- segments ---------------------------------------------------------------------------

    def _verify_segment(self, one: FileReport, first: int) -> None:
        is_newest = first == self._listing.segments[-1]
        data = self._files.read(one.name)
        one.size_bytes = len(data)
        header = decode_file_header(FileKind.SEGMENT, data)
        if isinstance(header, BadHeader):
            if is_newest and not header.is_whole and not data[FILE_HEADER_BYTES:].strip(b"\0"):
                one.note = "its making was cut short before anything was written to it"
                return
            self._break(0, header.reason)
        if header.index != first:
            self._break(0, f"its name says index {first}, its header {header.index}")
        expected, self._next = self._next, first
        if self._state is not None and self._state.last_index != first - 1:
            self._state = None
        for part in settled_frames(data, header, lambda: self._files.read(one.name)):
            self._take(one, part, is_newest=is_newest)
        self._progress(len(data))
        if expected is not None and expected != first:
            reason = f"it begins with index {first}, the files before it end with {expected - 1}"
            raise _Broken(0, f"{reason}: records are missing")

    def _take(self, one: FileReport, part: Frame | TornTail | Damage, *, is_newest: bool) -> None:
        if isinstance(part, Damage):
            self._break(part.offset, part.reason)
        if isinstance(part, TornTail):
            if not is_newest:
                self._break(part.offset, "it ends in an unfinished frame, yet a later one exists")
            if part.size_bytes:
                one.note = f"an unfinished write of {part.size_bytes} bytes at the end"
                self._report.torn_bytes = part.size_bytes
            return
        if part.command_count:
            self._apply(one, part)

    def _apply(self, one: FileReport, frame: Frame) -> None:
        try:
            commands = decode_commands(frame.body)
        except UnreadableCommand as error:
            self._break(frame.offset, str(error))
        if len(commands) != frame.command_count:
            reason = f"expected {frame.command_count} commands, found {len(commands)}"
            self._break(frame.offset, reason)
        one.first_index = one.first_index or frame.first_index
        one.last_index = frame.first_index + len(commands) - 1
        one.count += len(commands)
        one.first_ms = frame.written_ms if one.first_ms is None else one.first_ms
        one.last_ms = frame.written_ms
        self._next = one.last_index + 1
        self._report.last_index = max(self._report.last_index, one.last_index)
        if self._state is None:
            return
        try:
            for index, command in enumerate(commands, frame.first_index):
                self._state.apply(index, command)
        except KVStoreError as error:
            self._break(frame.offset, str(error))
        self._reach(one.last_index)

    def _break(self, offset: int, reason: str) -> NoReturn:
        """Give up the store that the damage ends, and the file."""
        self._forget()
        raise _Broken(offset, reason)

    # --- snapshots --------------------------------------------------------------------------

    def _verify_snapshot(self, one: FileReport, index: int) -> None:
        """Hold a snapshot against what the journal comes to, or begin with it."""
        one.first_index, one.last_index = 0, index
        header = file_header(self._files, one.name, FileKind.SNAPSHOT)
        one.first_ms = one.last_ms = header.created_ms if header else None
        reached = self._next
        leads_here = self._state is not None and self._state.last_index == index
        try:
            image = read_snapshot(self._files, one.name, index, self._progress)
            if self._state is not None and leads_here:
                self._compare(one, image, self._state)
            else:
                self._begin_with(one, image)
        except JournalUnreadable:
            raise
        except KVStoreError as error:
            if not leads_here:
                self._forget()
            if isinstance(error, JournalCorrupt):
                raise _Broken(error.offset, error.reason) from error
            raise _Broken(FILE_HEADER_BYTES, str(error)) from error
        self._next = index + 1
        if reached is not None and reached != index + 1:
            reason = f"the files before it end with index {reached - 1}: records are missing"
            raise _Broken(0, reason, is_gap=True)

    def _compare(self, one: FileReport, image: Image, state: State) -> None:
        state.check()
        meant = state.image()
        for what in ("facts", "sessions", "tombstones"):
            if getattr(image, what) != getattr(meant, what):
                raise _differs(f"its {what} are not")
        for found, expected in itertools.zip_longest(image.entries, meant.entries):
            if found != expected:
                key = (found or expected).key
                raise _differs(f"the entry {key!r} is not")
            one.count += 1
        one.note = "equals the replay of the journal"

    def _begin_with(self, one: FileReport, image: Image) -> None:
        state = State()
        state.load(image)
        state.check()
        one.count = state.entry_count
        one.note = "nothing older is left to hold it against"
        self._state = state
        self._reach(state.last_index)
        self._report.last_index = max(self._report.last_index, state.last_index)

    # --- the end ----------------------------------------------------------------------------

    def _reach(self, index: int) -> None:
        self._report.recoverable = max(index, self._report.recoverable or 0)

    def _finish(self) -> None:
        report, chain = self._report, self._listing.chain()
        if self._state is not None:
            try:
                self._state.check()
            except KVStoreError as error:
                newest = report.files[-1]
                newest.problem = newest.problem or Problem(newest.name, 0, str(error))
        if self._listing.segments and not chain.segments:
            name = segment_name(chain.base_index + 1)
            one = FileReport(name, Kind.SEGMENT, 0)
            one.problem = Problem(name, 0, "it is missing, and the newest snapshot needs it")
            report.files.append(one)
            chain = replace(chain, segments=(chain.base_index + 1,))
        broken = {problem.name for problem in report.problems if not problem.is_gap}
        report.starts = broken.isdisjoint(chain.names)


def _differs(what: str) -> _Broken:
    return _Broken(FILE_HEADER_BYTES, f"{what} what the journal comes to")

"""Snapshots: a store at an index, as a file that is read and written piece by piece.

A snapshot has the header and the frames of a segment, with parts of an `Image` in the bodies. It
was synced and verified as a whole before it got its name, so anything that does not check out is
damage; a seal shows that its end is there. See docs/journal-format.md.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgpack

from kvstore.errors import JournalCorrupt, JournalUnreadable
from kvstore.journal.codec import UNPACK_ERRORS, entry_fields, session_fields, session_of
from kvstore.journal.disk import AppendFile, Files, ReadFile
from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    BadHeader,
    FileHeader,
    FileKind,
    Frame,
    decode_file_header,
    decode_frame_header,
    encode_file_header,
    encode_frame_header,
    frame_of,
)
from kvstore.state.entry import Entry
from kvstore.state.image import Facts, Image, Tombstone

__all__ = ["read_snapshot", "write_snapshot"]

T = TypeVar("T")

# What a frame's body begins with: the kind of things it holds.
_FACTS, _SESSIONS, _TOMBSTONES, _ENTRIES = 1, 2, 3, 4

# A body is as large as it pays to check and decode at once; a single value may be larger.
_BODY_BYTES = 256 * 1024
# Everything but its value that an entry, a session or a tombstone takes, about.
_ITEM_BYTES = 200
# As in codec.py: texts from clients may hold bytes that are not UTF-8.
_UNICODE_ERRORS = "surrogateescape"


def write_snapshot(
    image: Image, file: AppendFile, salt: int, created_ms: int, progress: Callable[[int], None]
) -> None:
    """Write a snapshot of an image, and sync it a piece at a time.

    Small pieces, because a sync of much at once delays the syncs of the server beside it.
    `progress` is told how many entries were written since the last time. Raises OSError.
    """
    header = FileHeader(image.facts.last_index, created_ms, salt)
    file.write(encode_file_header(FileKind.SNAPSHOT, header))
    count = 0
    for kind, items in _bodies(image):
        body = msgpack.packb((kind, items), unicode_errors=_UNICODE_ERRORS)
        file.write(encode_frame_header(salt, count, 0, len(items), body, synced_before=True), body)
        file.sync()
        count += len(items)
        if kind == _ENTRIES:
            progress(len(items))
    file.write(encode_frame_header(salt, count, 0, 0, b"", synced_before=True))
    file.sync()


def _bodies(image: Image) -> Iterator[tuple[int, list[Any]]]:
    facts = image.facts
    indexes = (facts.last_index, facts.kv_index, facts.session_index, facts.tombstone_floor)
    yield _FACTS, [(facts.store_id, *indexes)]
    for sessions in _pieces(image.sessions, lambda _: _ITEM_BYTES):
        yield _SESSIONS, [session_fields(one) for one in sessions]
    for tombstones in _pieces(image.tombstones, lambda _: _ITEM_BYTES):
        yield _TOMBSTONES, [(one.name, one.index, one.with_tree) for one in tombstones]
    for entries in _pieces(image.entries, lambda one: _ITEM_BYTES + len(one.value)):
        yield _ENTRIES, [entry_fields(one) for one in entries]


def _pieces(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    piece: list[T] = []
    piece_bytes = 0
    for item in items:
        piece.append(item)
        piece_bytes += size(item)
        if piece_bytes >= _BODY_BYTES:
            yield piece
            piece, piece_bytes = [], 0
    if piece:
        yield piece


def read_snapshot(
    files: Files, name: str, last_index: int, progress: Callable[[int], None]
) -> Image:
    """Return the image in the file of this name, which should be of this index.

    Its entries are read as they are taken. `progress` is told how many bytes were read since the
    last time. Raises JournalCorrupt with the offset, and JournalUnreadable; so do the entries.
    """
    bodies = _read_bodies(files, name, last_index, progress)
    _, (facts,) = next(bodies)
    found: dict[int, list[Any]] = {_SESSIONS: [], _TOMBSTONES: []}
    entries: Iterator[tuple[int, list[Any]]] = iter(())
    for kind, items in bodies:
        if kind == _ENTRIES:
            entries = itertools.chain([(kind, items)], bodies)
            break
        found[kind] += items
    flat = itertools.chain.from_iterable(items for _, items in entries)
    return Image(facts, found[_SESSIONS], found[_TOMBSTONES], flat)


def _read_bodies(
    files: Files, name: str, last_index: int, progress: Callable[[int], None]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the kind and the items of each body, after all checks; the facts come first."""
    path = files.folder / name
    previous = 0
    with _opened(files, name) as file:
        for frame in _read_frames(file, path, last_index, progress):
            try:
                kind, values = msgpack.unpackb(frame.body, unicode_errors=_UNICODE_ERRORS)
                items = _MAKE[kind](values)
            except (*UNPACK_ERRORS, KeyError) as error:
                reason = f"what it holds is unknown to this version: {error!r}"
                raise JournalCorrupt(path, frame.offset, reason) from error
            if len(items) != frame.command_count:
                reason = f"expected {frame.command_count} items, found {len(items)}"
                raise JournalCorrupt(path, frame.offset, reason)
            if kind < previous or (kind == _FACTS) != (previous == 0):
                raise JournalCorrupt(path, frame.offset, f"a part of kind {kind} is out of order")
            yield kind, items
            previous = kind
    if not previous:
        raise JournalCorrupt(path, FILE_HEADER_BYTES, "the snapshot holds nothing")


def _read_frames(
    file: ReadFile, path: Path, last_index: int, progress: Callable[[int], None]
) -> Iterator[Frame]:
    """Yield all frames up to the seal, and see that the file ends there."""
    head = decode_file_header(FileKind.SNAPSHOT, _read(file, path, FILE_HEADER_BYTES))
    if isinstance(head, BadHeader):
        raise JournalCorrupt(path, 0, head.reason)
    if head.index != last_index:
        raise JournalCorrupt(path, 0, f"expected index {last_index}, found {head.index}")
    offset, count = FILE_HEADER_BYTES, 0
    progress(FILE_HEADER_BYTES)
    while True:
        frame = _read_frame(file, path, offset, head.salt)
        if isinstance(frame, str):
            raise JournalCorrupt(path, offset, frame)
        if frame.first_index != count:
            reason = f"expected item {count}, found {frame.first_index}"
            raise JournalCorrupt(path, offset, reason)
        progress(frame.end - offset)
        if not frame.command_count:
            break
        yield frame
        offset, count = frame.end, count + frame.command_count
    if _read(file, path, 1):
        raise JournalCorrupt(path, frame.end, "something follows the end of the snapshot")


def _read_frame(file: ReadFile, path: Path, offset: int, salt: int) -> Frame | str:
    header = decode_frame_header(_read(file, path, FRAME_HEADER_BYTES), salt)
    if isinstance(header, str):
        return header
    return frame_of(header, _read(file, path, header.body_bytes), salt, offset)


def _read(file: ReadFile, path: Path, size_bytes: int) -> bytes:
    try:
        return file.read(size_bytes)
    except OSError as error:
        raise JournalUnreadable(path, error) from error


@contextmanager
def _opened(files: Files, name: str) -> Iterator[ReadFile]:
    try:
        file = files.open(name)
    except OSError as error:
        raise JournalUnreadable(files.folder / name, error) from error
    try:
        yield file
    finally:
        file.close()


def _entries(items: Iterable[Sequence[Any]]) -> list[Entry]:
    """Return entries, of which those that have the same index, flags or session share it.

    They did so when they were written; each a number of its own would take a tenth more memory.
    """
    keys, values, flags, sessions, lock_indexes, *indexes = zip(*items, strict=True)
    known: dict[Any, Any] = {}
    shared = [map(known.setdefault, one, one) for one in (flags, sessions, lock_indexes, *indexes)]
    return list(map(Entry, keys, values, *shared))


# What makes the items of a body, all at once: there may be millions.
_MAKE: dict[int, Callable[[Iterable[Sequence[Any]]], list[Any]]] = {
    _FACTS: lambda items: list(itertools.starmap(Facts, items)),
    _SESSIONS: lambda items: list(map(session_of, items)),
    _TOMBSTONES: lambda items: list(itertools.starmap(Tombstone, items)),
    _ENTRIES: _entries,
}

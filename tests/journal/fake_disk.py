"""A disk in memory that knows what a loss of power would take, and that fails when it is told to.

Each file has bytes that are synced and bytes that are only written; the folder has names that are
synced and names that are only made, renamed or removed. `crash_images` lists what may be left of
both, `weak_images` goes on to what only a weak file system would leave.
"""

import io
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Self

__all__ = ["PAGE_BYTES", "FakeDisk", "FakeFile", "Fault", "Image"]

# The files of a folder by their names.
Image = dict[str, bytes]

# What a machine writes as one. Small, so that the frames of a test span several.
PAGE_BYTES = 32


@dataclass(frozen=True)
class Fault:
    """Which call fails, and how."""

    # Counted from 1, over all calls that change something, or over all that read.
    call: int
    errno: int
    # Of a failed write: how many bytes are written all the same.
    written_bytes: int = 0
    reads: bool = False


@dataclass
class _Content:
    synced: bytes = b""
    tail: bytes = b""
    # Zeros behind all that, which the next writes go over.
    room_bytes: int = 0
    # How long the file is since its last sync, at least.
    lasting_bytes: int = 0
    # Set by a failed sync: the system has forgotten which bytes are not on the disk, so a later
    # sync reports success and saves nothing (as Linux does).
    sync_is_lost: bool = False

    def __post_init__(self) -> None:
        self.lasting_bytes = max(self.lasting_bytes, len(self.synced))

    @property
    def written(self) -> bytes:
        return self.synced + self.tail

    @property
    def is_synced(self) -> bool:
        return not self.tail and self.lasting_bytes == len(self.synced) + self.room_bytes

    def visible(self) -> bytes:
        return self.written + bytes(self.room_bytes)

    def write(self, data: bytes) -> None:
        self.tail += data
        self.room_bytes = max(self.room_bytes - len(data), 0)

    def sync(self) -> None:
        self.synced, self.tail = self.written, b""
        self.lasting_bytes = len(self.visible())

    def after_crash(self) -> Iterator[bytes]:
        """Yield each content that a loss of power may leave, some of them twice.

        The tail is there up to any byte, or all of it with one page, or every page, of zeros; the
        file is as long as it was at its last sync, or as it is now.
        """
        for left in self._torn():
            yield self._lengthened(left)
            yield left.ljust(len(self.visible()), b"\0") if self._has_room else left

    @property
    def _has_room(self) -> bool:
        return self.room_bytes > 0 or self.lasting_bytes > len(self.synced)

    def _lengthened(self, left: bytes) -> bytes:
        return left.ljust(self.lasting_bytes, b"\0")

    def _torn(self) -> Iterator[bytes]:
        whole, kept = self.written, len(self.synced)
        for size in range(kept, len(whole) + 1):
            yield whole[:size]
        for page in range(kept // PAGE_BYTES * PAGE_BYTES, len(whole), PAGE_BYTES):
            start, end = max(page, kept), min(page + PAGE_BYTES, len(whole))
            yield whole[:start] + bytes(end - start) + whole[end:]
        yield self.synced + bytes(len(self.tail))

    def after_weak_crash(self, chance: Random, strangers: bytes, chosen: int) -> Iterator[bytes]:
        """Yield contents that a crash may leave when pages are written in any order.

        Any page, or all behind one, is zeros or bytes of other files; then `chosen` mixtures, each
        cut anywhere. A file system that writes sizes before data leaves such.
        """
        for left in self._weakly_torn(chance, strangers, chosen):
            shorter = left if not self.room_bytes else left.ljust(len(self.visible()), b"\0")
            yield chance.choice((self._lengthened(left), shorter))

    def _weakly_torn(self, chance: Random, strangers: bytes, chosen: int) -> Iterator[bytes]:
        whole, kept = self.written, len(self.synced)
        pages = [
            (max(start, kept), min(start + PAGE_BYTES, len(whole)))
            for start in range(kept // PAGE_BYTES * PAGE_BYTES, len(whole), PAGE_BYTES)
        ]
        for start, end in pages:
            yield whole[:start] + _other_bytes(chance, strangers, end - start) + whole[end:]
            yield whole[:start] + bytes(len(whole) - start)
            yield self.synced + bytes(start - kept) + whole[start:]
        for _ in range(chosen if pages else 0):
            mixed = bytearray(whole)
            for start, end in pages:
                if chance.random() < 1 / 2:
                    mixed[start:end] = _other_bytes(chance, strangers, end - start)
            yield bytes(mixed[: chance.choice((len(mixed), chance.randint(kept, len(mixed))))])

    def a_few_after_crash(self) -> list[bytes]:
        """Return the contents that matter most, for when another file has many."""
        half = self.written[: len(self.synced) + len(self.tail) // 2]
        zeros = self.synced + bytes(len(self.tail))
        left = map(self._lengthened, (self.synced, half, zeros, self.written))
        return list(dict.fromkeys((*left, self.visible())))


def _other_bytes(chance: Random, strangers: bytes, size_bytes: int) -> bytes:
    """Return what may be read where a page was never written: zeros, old files, or anything."""
    kind = chance.randrange(4)
    if kind <= 1:
        return bytes(size_bytes)
    if kind == 2 and len(strangers) > size_bytes:
        start = chance.randrange(len(strangers) - size_bytes)
        return strangers[start : start + size_bytes]
    return chance.randbytes(size_bytes)


class FakeDisk:
    """A Disk of files in memory; starts with `files`, all of them synced.

    `after_call` is told each call that changed something, when it is done.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        fault: Fault | None = None,
        after_call: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = Path("/fake")
        # Every call so far that changes something, "sync 1.journal", the failed one included.
        self.calls: list[str] = []
        # The same of the calls that only read.
        self.reads: list[str] = []
        self.is_closed = False
        self._fault = fault
        self._after_call = after_call
        self._visible = {name: _Content(data) for name, data in (files or {}).items()}
        self._synced_names = dict(self._visible)
        # What each name that changed since its last sync has stood for, one after the other.
        self._changes: dict[str, list[_Content | None]] = {}
        # Names whose sync has failed: a later one reports success and saves nothing.
        self._lost_names: set[str] = set()

    def fork(self) -> Self:
        """Return a disk of its own in the same state, that will not fail."""
        fork = type(self)()
        copies: dict[int, _Content] = {}

        def copy(content: _Content) -> _Content:
            return copies.setdefault(id(content), replace(content))

        fork._visible = {name: copy(one) for name, one in self._visible.items()}
        fork._synced_names = {name: copy(one) for name, one in self._synced_names.items()}
        fork._changes = {
            name: [one and copy(one) for one in ones] for name, ones in self._changes.items()
        }
        fork._lost_names = set(self._lost_names)
        return fork

    def image(self) -> Image:
        """Return the files as the running system sees them."""
        return {name: content.visible() for name, content in self._visible.items()}

    def crash_images(self) -> list[Image]:
        """Return every distinct state that a loss of power at this moment may leave."""
        images: dict[tuple[tuple[str, bytes], ...], None] = {}
        names = sorted({*self._visible, *self._synced_names})
        for files in itertools.product(*map(self._after_crash, names)):
            pairs = zip(names, files, strict=True)
            images[tuple((name, data) for name, data in pairs if data is not None)] = None
        return [dict(image) for image in images]

    def _after_crash(self, name: str) -> list[bytes | None]:
        """Return what may be left under a name; None stands for no such file."""
        left: dict[bytes | None, None] = {}
        for content in self._stood_for(name):
            left.update(dict.fromkeys([None] if content is None else content.after_crash()))
        return list(left)

    def _stood_for(self, name: str) -> list["_Content | None"]:
        """Return all that a name may stand for after a loss of power."""
        ones = [self._synced_names.get(name), *self._changes.get(name, [])]
        return list({id(one): one for one in ones}.values())

    def weak_images(self, chance: Random, chosen: int) -> Iterator[Image]:
        """Yield states that a loss of power may leave on a weak file system, some of them twice.

        Each name may be as it was after any of its changes since it was synced, whatever became
        of the others: a rename may have lost either half. A file's unsynced bytes are cut at any
        byte, or any of its pages is missing. Of several such files one goes through all contents
        while the others go through a few.
        """
        strangers = b"".join(one.visible() for one in self._visible.values())
        names = sorted({*self._synced_names, *self._changes})
        many: dict[int, list[bytes]] = {}
        for bindings in itertools.product(*map(self._stood_for, names)):
            bound = {name: one for name, one in zip(names, bindings, strict=True) if one}
            torn = {id(one): one for one in bound.values() if not one.is_synced}
            for key, one in torn.items():
                if key not in many:
                    weak = one.after_weak_crash(chance, strangers, chosen)
                    many[key] = list(dict.fromkeys((*one.after_crash(), *weak)))
            for main in torn or [0]:
                choices = [
                    many[key] if key == main else one.a_few_after_crash()
                    for key, one in torn.items()
                ]
                for contents in itertools.product(*choices):
                    left = dict(zip(torn, contents, strict=True))
                    yield {name: left.get(id(one), one.visible()) for name, one in bound.items()}

    # --- the methods of a Disk -------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        self._begin_read("names")
        return sorted(self._visible)

    def read(self, name: str) -> bytes:
        """Return a whole file."""
        self._begin_read(f"read {name}")
        return self._content(name).visible()

    def size(self, name: str) -> int:
        """Return how many bytes a file has."""
        self._begin_read(f"size {name}")
        return len(self._content(name).visible())

    def open(self, name: str) -> "FakeReader":
        """Open a file to read it piece by piece."""
        self._begin_read(f"open {name}")
        return FakeReader(self._content(name).visible(), lambda: self._begin_read(f"piece {name}"))

    def evict(self, name: str) -> None:
        """Do nothing: this disk has no cache."""
        self._begin_read(f"evict {name}")
        self._content(name)

    def create(self, name: str) -> "FakeFile":
        """Make a file; its name survives only after `sync_folder`."""
        self._begin(f"create {name}")
        if name in self._visible:
            raise FileExistsError(name)
        self._bind(name, _Content())
        self._end()
        return FakeFile(self, name)

    def append_to(self, name: str) -> "FakeFile":
        """Open a file for writing at its end."""
        self._begin(f"append_to {name}")
        self._content(name)
        self._end()
        return FakeFile(self, name)

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file and sync it."""
        self._begin(f"truncate {name}")
        content = self._content(name)
        content.synced, content.tail = content.visible()[:size_bytes], b""
        content.room_bytes, content.lasting_bytes = 0, len(content.synced)
        self._end()

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; lasting only after `sync_folder`."""
        self._begin(f"rename {old} {new}")
        self._bind(new, self._content(old))
        self._bind(old, None)
        self._end()

    def free_bytes(self) -> int:
        """Return enough."""
        self._begin_read("free_bytes")
        return 2**40

    def remove(self, name: str) -> None:
        """Delete a file; lasting only after `sync_folder`."""
        self._begin(f"remove {name}")
        self._content(name)
        self._bind(name, None)
        self._end()

    def sync_folder(self) -> None:
        """Make names made and removed so far last; those of a failed call are not tried again."""
        try:
            self._begin("sync_folder")
        except OSError:
            self._lost_names |= self._changes.keys()
            raise
        for name in self._changes.keys() - self._lost_names:
            content = self._changes.pop(name)[-1]
            if content is None:
                self._synced_names.pop(name, None)
            else:
                self._synced_names[name] = content
        self._end()

    def close(self) -> None:
        """Note that it was given up; nobody else can have this disk."""
        self.is_closed = True

    # --- what its files do -----------------------------------------------------------------

    def write_file(self, name: str, data: bytes) -> None:
        """Write at the end of a file; a write that fails may have written some of it."""
        try:
            self._begin(f"write {name}")
        except OSError:
            assert self._fault is not None
            self._content(name).write(data[: self._fault.written_bytes])
            raise
        self._content(name).write(data)
        self._end()

    def reserve_room(self, name: str, size_bytes: int) -> None:
        """Have zeros behind the end of a file; a call that fails may have written some of them."""
        content = self._content(name)
        try:
            self._begin(f"reserve {name}")
        except OSError:
            assert self._fault is not None
            content.room_bytes = max(content.room_bytes, min(self._fault.written_bytes, size_bytes))
            raise
        content.room_bytes = max(content.room_bytes, size_bytes)
        self._end()

    def trim_room(self, name: str) -> None:
        """Have nothing behind the end of a file."""
        self._begin(f"trim {name}")
        self._content(name).room_bytes = 0
        self._end()

    def sync_file(self, name: str) -> None:
        """Make what is written last; after a failure a further sync saves nothing."""
        content = self._content(name)
        try:
            self._begin(f"sync {name}")
        except OSError:
            content.sync_is_lost = True
            raise
        if not content.sync_is_lost:
            content.sync()
        self._end()

    def _bind(self, name: str, content: _Content | None) -> None:
        """Let a name stand for a file, or for none."""
        if content is None:
            del self._visible[name]
        else:
            self._visible[name] = content
        self._changes.setdefault(name, []).append(content)
        self._lost_names.discard(name)

    def _content(self, name: str) -> _Content:
        content = self._visible.get(name)
        if content is None:
            raise FileNotFoundError(name)
        return content

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        self._fail_if_told(len(self.calls), reads=False)

    def _begin_read(self, call: str) -> None:
        self.reads.append(call)
        self._fail_if_told(len(self.reads), reads=True)

    def _fail_if_told(self, call: int, *, reads: bool) -> None:
        fault = self._fault
        if fault is not None and fault.reads == reads and fault.call == call:
            raise OSError(fault.errno, os.strerror(fault.errno))

    def _end(self) -> None:
        if self._after_call is not None:
            self._after_call(self.calls[-1])


class FakeReader:
    """A ReadFile of a FakeDisk, of the bytes that were there when it was opened."""

    def __init__(self, data: bytes, before_read: Callable[[], None]) -> None:
        self._data = io.BytesIO(data)
        self._before_read = before_read

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes."""
        self._before_read()
        return self._data.read(size_bytes)

    def close(self) -> None:
        """Close it; a read afterwards raises ValueError."""
        self._data.close()


class FakeFile:
    """A RoomyFile of a FakeDisk; strict about being closed once and not used after it."""

    def __init__(self, disk: FakeDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._is_open = True

    def write(self, *pieces: bytes | memoryview) -> None:
        """Write all of these at the end, in one step."""
        self._require_open()
        self._disk.write_file(self._name, b"".join(pieces))

    def sync(self) -> None:
        """Make what was written last."""
        self._require_open()
        self._disk.sync_file(self._name)

    def reserve(self, size_bytes: int) -> None:
        """Have zeros behind the end."""
        self._require_open()
        self._disk.reserve_room(self._name, size_bytes)

    def trim(self) -> None:
        """Have nothing behind the end."""
        self._require_open()
        self._disk.trim_room(self._name)

    def close(self) -> None:
        """Close without a sync."""
        self._require_open()
        self._is_open = False

    def _require_open(self) -> None:
        if not self._is_open:
            raise OSError(9, "Bad file descriptor")

"""A disk in memory that knows what a loss of power would take, and that fails when it is told to.

Each file has bytes that are synced and bytes that are only written; the folder has names that are
synced and names that are only made or removed. `crash_images` lists what may be left of both.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["PAGE_BYTES", "FakeDisk", "Fault", "Image"]

# The files of a folder by their names.
Image = dict[str, bytes]

# What a machine writes as one. Small, so that the frames of a test span several.
PAGE_BYTES = 32


@dataclass(frozen=True)
class Fault:
    """Which call fails, and how."""

    # Counted from 1, over all calls that change something.
    call: int
    errno: int
    # Of a failed write: how many bytes are written all the same.
    written_bytes: int = 0


@dataclass
class _Content:
    synced: bytes = b""
    tail: bytes = b""
    # Set by a failed sync: the system has forgotten which bytes are not on the disk, so a later
    # sync reports success and saves nothing (as Linux does).
    sync_is_lost: bool = False

    def visible(self) -> bytes:
        return self.synced + self.tail

    def after_crash(self) -> Iterator[bytes]:
        """Yield each content that a loss of power may leave, some of them twice.

        The tail is there up to any byte, or all of it with one page, or every page, of zeros.
        """
        whole, kept = self.visible(), len(self.synced)
        for size in range(kept, len(whole) + 1):
            yield whole[:size]
        for page in range(kept // PAGE_BYTES * PAGE_BYTES, len(whole), PAGE_BYTES):
            start, end = max(page, kept), min(page + PAGE_BYTES, len(whole))
            yield whole[:start] + bytes(end - start) + whole[end:]
        yield self.synced + bytes(len(self.tail))


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
        self.is_closed = False
        self._fault = fault
        self._after_call = after_call
        self._visible = {name: _Content(data) for name, data in (files or {}).items()}
        self._synced_names = dict(self._visible)

    def fork(self) -> "FakeDisk":
        """Return a disk of its own in the same state, that will not fail."""
        fork = FakeDisk()
        contents = (*self._visible.values(), *self._synced_names.values())
        copies = {id(content): replace(content) for content in contents}
        fork._visible = {name: copies[id(one)] for name, one in self._visible.items()}
        fork._synced_names = {name: copies[id(one)] for name, one in self._synced_names.items()}
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
        for names in (self._visible, self._synced_names):
            content = names.get(name)
            left.update(dict.fromkeys([None] if content is None else content.after_crash()))
        return list(left)

    # --- the methods of a Disk -------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return sorted(self._visible)

    def read(self, name: str) -> bytes:
        """Return a whole file."""
        return self._content(name).visible()

    def create(self, name: str) -> "FakeFile":
        """Make a file; its name survives only after `sync_folder`."""
        self._begin(f"create {name}")
        if name in self._visible:
            raise FileExistsError(name)
        self._visible[name] = _Content()
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
        self._end()

    def remove(self, name: str) -> None:
        """Delete a file; lasting only after `sync_folder`."""
        self._begin(f"remove {name}")
        self._content(name)
        del self._visible[name]
        self._end()

    def sync_folder(self) -> None:
        """Make names made and removed so far last."""
        self._begin("sync_folder")
        self._synced_names = dict(self._visible)
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
            self._content(name).tail += data[: self._fault.written_bytes]
            raise
        self._content(name).tail += data
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
            content.synced, content.tail = content.visible(), b""
        self._end()

    def _content(self, name: str) -> _Content:
        content = self._visible.get(name)
        if content is None:
            raise FileNotFoundError(name)
        return content

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        if self._fault is not None and len(self.calls) == self._fault.call:
            raise OSError(self._fault.errno, os.strerror(self._fault.errno))

    def _end(self) -> None:
        if self._after_call is not None:
            self._after_call(self.calls[-1])


class FakeFile:
    """A SegmentFile of a FakeDisk; strict about being closed once and not used after it."""

    def __init__(self, disk: FakeDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Write all of `data` at the end."""
        self._require_open()
        self._disk.write_file(self._name, data)

    def sync(self) -> None:
        """Make what was written last."""
        self._require_open()
        self._disk.sync_file(self._name)

    def close(self) -> None:
        """Close without a sync."""
        self._require_open()
        self._is_open = False

    def _require_open(self) -> None:
        if not self._is_open:
            raise OSError(9, "Bad file descriptor")

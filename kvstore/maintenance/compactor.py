"""Keeps a running server's journal short: when a snapshot is due, has one made, and switches to it.

The order, each step whole before the next: the journal begins a new segment; a process of its own
makes and verifies a snapshot of what lies before it; the snapshot gets its name; old files go. A
kill at any moment leaves either the old files or the new one in charge.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvstore.clock import Clock, Timer
from kvstore.errors import CompactionFailed, JournalError
from kvstore.journal.disk import Disk
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import FileKind
from kvstore.journal.listing import Listing, segment_name
from kvstore.journal.reader import read_listing
from kvstore.journal.space import MIB, Space, Usage, format_bytes
from kvstore.maintenance.compaction import Built
from kvstore.maintenance.point import file_header
from kvstore.maintenance.retention import CompactionRule, Retention, needless

__all__ = ["Build", "CompactionStatus", "Compactor", "build_in_process"]

log = logging.getLogger(__name__)

# Makes the unfinished snapshot of an index in a folder, and leaves so many bytes free on its disk;
# raises CompactionFailed.
Build = Callable[[Path, int, int], Awaitable[Built]]

# How much more must be journaled before a compaction is tried again that failed.
_RETRY_BYTES = MIB
# How long after a compaction the next one follows that is due only for want of room: so many times
# as long as it took, and at least this when it made none.
_PAUSE_TIMES = 4
_PAUSE_S = 10.0
# What a snapshot leaves of a disk of which nothing has to stay free: a full one ends the journal.
_LEFT_BYTES = MIB


@dataclass(slots=True)
class CompactionStatus:
    """What became of this server's compactions, for metrics."""

    done_count: int = 0
    failed_count: int = 0
    is_running: bool = False
    last_duration_s: float = 0.0


class Compactor:
    """Compacts one journal, one time after the other; `close` it before the journal."""

    def __init__(
        self,
        journal: FileJournal,
        clock: Clock,
        rule: CompactionRule,
        retention: Retention,
        space: Space,
        build: Build,
    ) -> None:
        self.status = CompactionStatus()
        self._journal = journal
        self._clock = clock
        self._rule = rule
        self._retention = retention
        self._space = space
        self._build = build
        self._task: asyncio.Task[Built | None] | None = None
        self._due_bytes = rule.due_bytes(journal.usage.snapshot_bytes)
        # Whether a batch was written since the last compaction began.
        self._grown = True
        self._next_for_room = clock.monotonic()
        self._timer: Timer | None = None
        self._is_closed = False
        journal.grown = self._on_batch
        self._look()

    @property
    def usage(self) -> Usage:
        """How many bytes the journal's folder holds, and what for."""
        return self._journal.usage

    @property
    def full(self) -> bool:
        """Whether there is no room for more data."""
        return self._journal.full is not None

    def compact(self) -> asyncio.Task[Built | None]:
        """Begin a compaction, or join the one under way; None when there is nothing to compact.

        Ends with CompactionFailed, a JournalError or an OSError, which are logged too. Shield it.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="kvstore compaction")
            self._task.add_done_callback(self._on_end)
        return self._task

    async def close(self) -> None:
        """End a compaction that is under way; the next start takes away what it leaves."""
        self._journal.grown = _ignore
        self._is_closed = True
        self._stop_timer()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _on_batch(self) -> None:
        self._grown = True
        self._look()

    def _on_end(self, task: asyncio.Task[Built | None]) -> None:
        if not task.cancelled():
            task.exception()  # a failure nobody waits for: it has been logged
        if not self._is_closed:
            self._look()

    def _look(self) -> None:
        """See whether a compaction is due; called after each batch, so it must be cheap.

        Without room, what is written deletes, and however little it is may make room.
        """
        if self.status.is_running or not self._grown:
            return
        if self._journal.tail_bytes >= self._due_bytes:
            self.compact()
        elif self._journal.full is not None:
            self._compact_for_room()

    def _compact_for_room(self) -> None:
        if self._clock.monotonic() >= self._next_for_room:
            self.compact()
        elif self._timer is None:
            self._timer = self._clock.call_at(self._next_for_room, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._look()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> Built | None:
        began = self._clock.monotonic()
        self.status.is_running = True
        self._grown = False
        self._stop_timer()
        try:
            return await self._compact(began)
        except (CompactionFailed, JournalError, OSError) as error:
            self.status.failed_count += 1
            log.error("not compacted: %s", error)  # noqa: TRY400 - expected, and no bug of ours
            tail_bytes = self._journal.tail_bytes
            self._due_bytes = tail_bytes + max(_RETRY_BYTES, tail_bytes // 4)
            raise
        finally:
            now = self._clock.monotonic()
            self.status.is_running = False
            self.status.last_duration_s = now - began
            pause_s = _PAUSE_TIMES * (now - began)
            self._next_for_room = now + (max(_PAUSE_S, pause_s) if self.full else pause_s)

    async def _compact(self, began: float) -> Built | None:
        journal, disk = self._journal, self._journal.disk
        last_index = await journal.rotate(self._clock.wall_ms())
        before = journal.usage
        if last_index == before.base_index:
            return None
        await self._make_room(before.snapshot_bytes + before.tail_bytes)
        left_bytes = self._space.free_bytes_min // 2 or _LEFT_BYTES
        await asyncio.to_thread(_remove_unfinished, disk)
        try:
            built = await self._build(disk.folder, last_index, left_bytes)
        except CompactionFailed:
            await asyncio.to_thread(_remove_unfinished, disk)  # the room may be wanted
            raise
        await journal.adopt_snapshot(last_index)
        await self._forget(self._retention)
        if self.full:
            await self._forget(Retention(0, 0))
        self._due_bytes = self._rule.due_bytes(built.size_bytes)
        self.status.done_count += 1
        log.info(
            "compacted up to index %d: %d keys, %s of journal are a snapshot of %s, in %.1f s",
            last_index,
            built.entry_count,
            format_bytes(before.tail_bytes),
            format_bytes(built.size_bytes),
            self._clock.monotonic() - began,
        )
        return built

    async def _make_room(self, needed_bytes: int) -> None:
        """Give up history when a snapshot, never larger than what it is made of, may not fit.

        If it then does not fit, the build finds out; that much of a journal deletes and replaces
        what is before it is the very reason to compact.
        """
        if self._journal.disk.free_bytes() - needed_bytes < self._space.free_bytes_min:
            await self._forget(Retention(0, 0))

    async def _forget(self, retention: Retention) -> None:
        """Remove the history that goes further back than it should."""
        doomed = await asyncio.to_thread(self._needless, retention)
        if doomed:
            await self._journal.remove(doomed)
            log.info("removed %d files of history up to %s", len(doomed), doomed[-1])

    def _needless(self, retention: Retention) -> list[str]:
        disk = self._journal.disk
        listing = read_listing(disk)
        bytes_max = retention.bytes_max
        if self._space.folder_bytes_max:
            # Half of a limited folder is for the present and for the next snapshot of it.
            bytes_max = min(bytes_max, self._space.folder_bytes_max // 2)
        sizes = {name: disk.size(name) for name in disk.names()}
        begun_ms = {one: _begun_ms(disk, one) for one in listing.segments}
        limited = Retention(retention.age_ms, bytes_max)
        return needless(listing, sizes, begun_ms, limited, self._clock.wall_ms())


def _begun_ms(disk: Disk, first_index: int) -> int:
    header = file_header(disk, segment_name(first_index), FileKind.SEGMENT)
    # One that cannot be read is for `kvstore verify` to tell; here it is not old.
    return header.created_ms if header else sys.maxsize


def _remove_unfinished(disk: Disk) -> None:
    """Take away what an attempt that failed has left."""
    for name in Listing.of(disk.names()).unfinished:
        disk.remove(name)


async def build_in_process(folder: Path, last_index: int, left_bytes: int) -> Built:
    """Run `worker.py` and return what it built. Cancelled, it ends the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kvstore.maintenance.worker",
        str(folder),
        str(last_index),
        str(left_bytes),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        # Its input stays open: that is how it sees that we are there.
        printed, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    if code:
        said = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise CompactionFailed(said or f"the process ended with {code}")
    fields: dict[str, Any] = json.loads(printed)
    return Built(**fields)


def _ignore() -> None:
    """Do nothing."""

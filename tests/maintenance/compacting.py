"""A journal on a disk in memory, and a compactor whose snapshots are made as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fake_clock import FakeClock, settle
from journal.fake_disk import FakeDisk, Image

from kvstore.journal.file import FileJournal
from kvstore.journal.listing import Listing
from kvstore.journal.space import MIB, Space
from kvstore.maintenance.compaction import Built, build_snapshot
from kvstore.maintenance.compactor import Compactor
from kvstore.maintenance.rebuild import rebuild
from kvstore.maintenance.retention import CompactionRule, Retention
from kvstore.state.command import Command, DeleteTree, SetKey
from kvstore.state.entry import Entry

__all__ = ["ALL", "NEVER", "NO_HISTORY", "Bench", "Builder", "SmallDisk", "bench", "until"]

NEVER = CompactionRule(bytes_min=2**63, ratio=0)
ALL = Retention(age_ms=2**62, bytes_max=2**62)
NO_HISTORY = Retention(0, 0)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what other threads or processes have a part in."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0)


class SmallDisk(FakeDisk):
    """A disk of so many bytes that counts them, and lets more be written all the same."""

    def __init__(self, files: Image | None = None, size_bytes: int = 2**40) -> None:
        super().__init__(files)
        self.size_bytes = size_bytes

    def free_bytes(self) -> int:
        """Return what is not taken; never less than nothing."""
        return max(0, self.size_bytes - sum(map(len, self.image().values())))


class Builder:
    """Makes snapshots in the test's own process, when its gate is open; counts what it was asked.

    `error`, while it is set, is raised instead, after a file was left behind.
    """

    def __init__(self, disk: FakeDisk, clock: FakeClock) -> None:
        self._disk = disk
        self._clock = clock
        self.asked: list[int] = []
        self.left_bytes: list[int] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, folder: Path, last_index: int, left_bytes: int) -> Built:
        """Build."""
        assert folder == self._disk.folder
        self.asked.append(last_index)
        self.left_bytes.append(left_bytes)
        unfinished = f"{last_index:020d}.snapshot.unfinished"
        if self.error is not None or not self.gate.is_set():
            self._disk.create(unfinished).close()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if unfinished in self._disk.names():
            self._disk.remove(unfinished)
        return build_snapshot(self._disk, last_index, self._clock.wall_ms())


class Bench:
    """One journal and its compactor."""

    def __init__(
        self, disk: SmallDisk, rule: CompactionRule, retention: Retention, space: Space
    ) -> None:
        self.disk = disk
        self.clock = FakeClock()
        self.journal = FileJournal(disk, space=space)
        self.journal.base()
        assert list(self.journal.replay()) is not None
        self.builder = Builder(disk, self.clock)
        self.compactor = Compactor(self.journal, self.clock, rule, retention, space, self.builder)

    async def write(self, *commands: Command) -> None:
        """Append a batch, and let what follows from it begin."""
        await self.journal.append(commands, self.clock.wall_ms())
        await settle()

    async def set(self, key: bytes, value_bytes: int = 100) -> None:
        """Write a key with a value of so many bytes."""
        await self.write(SetKey(key, bytes(value_bytes), 0))

    async def delete_all(self) -> None:
        """Delete every key."""
        await self.write(DeleteTree(b""))

    async def compact(self) -> Built | None:
        """Compact, or wait for the compaction under way."""
        return await self.compactor.compact()

    async def until_tried(self, count: int) -> None:
        """Wait until so many compactions have begun by themselves and ended."""
        status = self.compactor.status
        await until(
            lambda: status.done_count + status.failed_count >= count and not status.is_running
        )

    async def until_asked(self, count: int = 1) -> None:
        """Wait until the builder was asked so many times."""
        await until(lambda: len(self.builder.asked) >= count)

    @property
    def listing(self) -> Listing:
        """The files there are."""
        return Listing.of(self.disk.names())

    def content(self) -> dict[bytes, Entry]:
        """Return what a start on the files would find."""
        state = rebuild(SmallDisk(self.disk.image()))
        state.check()
        return {entry.key: entry for entry in state.get_tree(b"").value}


@asynccontextmanager
async def bench(
    rule: CompactionRule = NEVER,
    retention: Retention = ALL,
    space: Space | None = None,
    files: Image | None = None,
    disk_bytes: int = 1024 * MIB,
) -> AsyncIterator[Bench]:
    """Give a bench until the block ends."""
    one = Bench(SmallDisk(files, disk_bytes), rule, retention, space or Space())
    try:
        yield one
    finally:
        await one.compactor.close()
        await one.journal.close()

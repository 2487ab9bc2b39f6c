"""When a journal is compacted, what becomes of its files, and what when that fails.

Want of room is in test_compactor_room.py, the real process in test_compactor_process.py.
"""

import logging

import pytest
from fake_clock import settle
from journal.fake_disk import FakeDisk

from kvstore.errors import CompactionFailed, JournalUnwritable
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import snapshot_name
from kvstore.journal.space import MIB
from kvstore.maintenance.retention import CompactionRule, Retention

from .compacting import ALL, NO_HISTORY, bench

DAY_S = 24 * 3600.0


async def test_due_by_size() -> None:
    """It begins by itself with the batch that makes the journal large enough, and no sooner."""
    async with bench(CompactionRule(bytes_min=2000, ratio=0)) as one:
        await one.set(b"a", 1000)
        assert not one.compactor.status.is_running
        await one.set(b"b", 1000)
        await one.until_tried(1)
        assert one.builder.asked == [2]
        assert one.listing.snapshots == (2,)


async def test_due_by_ratio() -> None:
    """After a snapshot larger than the least size, the journal may grow as large as it."""
    async with bench(CompactionRule(bytes_min=2000, ratio=1.0)) as one:
        await one.set(b"a", 10_000)
        await one.until_tried(1)
        for number in range(4):
            await one.set(b"b%d" % number, 2000)
            assert not one.compactor.status.is_running
        await one.set(b"c", 2000)
        await one.until_tried(2)
        assert one.builder.asked == [1, 6]


async def test_due_at_the_start() -> None:
    """A journal that was left too long is compacted without waiting for a write."""
    async with bench() as one:
        await one.set(b"a", 5000)
        files = one.disk.image()
    async with bench(CompactionRule(bytes_min=2000, ratio=0), files=files) as again:
        await again.until_tried(1)
        assert again.listing.snapshots == (1,)


async def test_due_is_reckoned_with_the_snapshot_that_is_there() -> None:
    """Also by a server that did not make it."""
    async with bench() as one:
        await one.set(b"a", 10_000)
        await one.compact()
        files = one.disk.image()
    async with bench(CompactionRule(bytes_min=2000, ratio=1.0), files=files) as again:
        await again.set(b"b", 5000)
        assert not again.compactor.status.is_running
        await again.set(b"b", 5500)
        await again.until_tried(1)
        assert again.builder.asked == [3]


async def test_a_rule_without_limits_does_not_spin() -> None:
    """With sizes of 0 each batch is compacted, and then nothing until the next one."""
    async with bench(CompactionRule(bytes_min=0, ratio=0)) as one:
        await one.compact()
        for number in range(1, 4):
            await one.set(b"a")
            await one.until_tried(number)
            await settle()
            assert one.builder.asked == list(range(1, number + 1))
            assert not one.compactor.status.is_running


async def test_what_is_there_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    """The same store, from a snapshot and an empty journal; the log and the status say so."""
    async with bench() as one:
        for number in range(20):
            await one.set(b"%d" % number)
        await one.set(b"0", 7)
        before = one.content()
        with caplog.at_level(logging.INFO):
            built = await one.compact()
        assert built is not None
        assert (built.last_index, built.entry_count) == (21, 20)
        assert built.size_bytes == one.disk.size(snapshot_name(21))
        assert one.content() == before
        usage = one.compactor.usage
        assert (usage.base_index, usage.snapshot_bytes) == (21, built.size_bytes)
        assert usage.tail_bytes < 100
        status = one.compactor.status
        assert (status.done_count, status.failed_count, status.is_running) == (1, 0, False)
        assert "compacted up to index 21: 20 keys, " in caplog.text
        await one.set(b"later")
        assert len(one.content()) == 21


async def test_writes_go_on_meanwhile() -> None:
    """They go to the next segment, and are there afterwards."""
    async with bench() as one:
        await one.set(b"a")
        one.builder.gate.clear()
        compacting = one.compactor.compact()
        await one.until_asked()
        await one.set(b"b")
        one.builder.gate.set()
        built = await compacting
        assert built is not None
        assert built.last_index == 1
        assert sorted(one.content()) == [b"a", b"b"]


async def test_asked_twice_it_is_one() -> None:
    """Whoever comes while one is under way gets its outcome, also when it began by itself."""
    async with bench(CompactionRule(bytes_min=2000, ratio=0)) as one:
        one.builder.gate.clear()
        await one.set(b"a", 3000)
        first, second = one.compactor.compact(), one.compactor.compact()
        assert first is second
        await one.until_asked()
        await one.set(b"b", 3000)
        assert one.compactor.compact() is first
        one.builder.gate.set()
        built = await first
        assert built is not None
        assert built.last_index == 1
        assert one.builder.asked[:1] == [1]
        # What was written meanwhile is large enough for the next.
        again = await one.compact()
        assert again is None or again.last_index == 2
        assert one.listing.snapshots[-1] == 2


async def test_nothing_to_compact() -> None:
    """An empty journal, and one where nothing was written since: no snapshot, no new segment."""
    async with bench() as one:
        assert await one.compact() is None
        await one.set(b"a")
        assert await one.compact() is not None
        names = one.disk.names()
        for _ in range(2):
            assert await one.compact() is None
        assert one.disk.names() == names
        assert one.builder.asked == [1]
        assert one.compactor.status.done_count == 1


async def test_a_failure_leaves_the_journal_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    """Writes go on, all of it is there, what the attempt left is removed, and the log says why."""
    async with bench() as one:
        await one.set(b"a")
        one.builder.error = CompactionFailed("for a reason")
        with pytest.raises(CompactionFailed, match="for a reason"):
            await one.compact()
        assert "not compacted: for a reason" in caplog.text
        assert one.compactor.status.failed_count == 1
        assert not one.compactor.status.is_running
        assert one.listing.unfinished == ()
        assert one.listing.snapshots == ()
        await one.set(b"b")
        assert sorted(one.content()) == [b"a", b"b"]
        one.builder.error = None
        assert await one.compact() is not None
        assert sorted(one.content()) == [b"a", b"b"]


async def test_what_an_attempt_could_not_remove_is_removed_by_the_next() -> None:
    """An error of the system's leaves a file, of another index than the next attempt's."""
    async with bench() as one:
        await one.set(b"a")
        one.builder.error = OSError(24, "Too many open files")
        with pytest.raises(OSError, match="Too many open files"):
            await one.compact()
        assert len(one.listing.unfinished) == 1
        await one.set(b"b")
        one.builder.error = None
        await one.compact()
        assert one.listing.unfinished == ()
        assert one.listing.snapshots == (2,)


async def test_a_failure_is_tried_again_after_more_growth() -> None:
    """Not with each batch: the journal has to grow by a megabyte first."""
    async with bench(CompactionRule(bytes_min=2000, ratio=0)) as one:
        one.builder.error = CompactionFailed("for a reason")
        await one.set(b"a", 3000)
        await one.until_tried(1)
        one.builder.error = None
        for _ in range(3):
            await one.set(b"b", MIB // 4)
            assert not one.compactor.status.is_running
        await one.set(b"b", MIB // 4)
        await one.until_tried(2)
        assert one.builder.asked == [1, 5]
        assert one.compactor.status.done_count == 1


async def test_a_failure_nobody_waits_for_is_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    """The log has it once, and asyncio does not complain of an exception never retrieved."""
    async with bench(CompactionRule(bytes_min=2000, ratio=0)) as one:
        one.builder.error = CompactionFailed("for a reason")
        await one.set(b"a", 3000)
        await one.until_tried(1)
    assert [record.getMessage() for record in caplog.records] == ["not compacted: for a reason"]


async def test_a_journal_that_has_failed_is_not_compacted() -> None:
    """It says so, and touches nothing."""
    async with bench() as one:
        await one.set(b"a")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        one.disk.write_file = fail  # type: ignore[method-assign]
        with pytest.raises(JournalUnwritable):
            await one.set(b"b")
        calls = list(one.disk.calls)
        with pytest.raises(JournalUnwritable):
            await one.compact()
        assert one.disk.calls == calls


async def test_close_in_the_middle() -> None:
    """The attempt ends with the close; its file is left, and the next start takes it away."""
    async with bench(CompactionRule(bytes_min=2000, ratio=0)) as one:
        one.builder.gate.clear()
        await one.set(b"a", 3000)
        compacting = one.compactor.compact()
        await one.until_asked()
        await one.compactor.close()
        assert compacting.cancelled()
        await one.set(b"b", 3000)
        assert one.builder.asked == [1]
        assert len(one.listing.unfinished) == 1
        files = one.disk.image()
    disk = FakeDisk(files)
    journal = FileJournal(disk)
    assert journal.base() is None
    assert len(list(journal.replay())) == 2
    assert not any(name.endswith(".unfinished") for name in disk.names())
    await journal.close()


async def test_without_history_only_the_newest_stays() -> None:
    """With limits of 0 everything before the snapshot goes as soon as it is there."""
    async with bench(retention=NO_HISTORY) as one:
        for round_ in range(1, 4):
            await one.set(b"a")
            await one.compact()
            assert one.listing.snapshots == (round_,)
            assert one.listing.segments == (round_ + 1,)
        assert one.compactor.usage.history_bytes == 0


async def test_with_history_everything_stays() -> None:
    """Within both limits nothing is removed."""
    async with bench(retention=ALL) as one:
        for _ in range(3):
            await one.set(b"a")
            await one.compact()
        assert one.listing.snapshots == (1, 2, 3)
        assert one.listing.segments == (1, 2, 3, 4)
        assert one.compactor.usage.history_bytes == sum(
            one.disk.size(f"{number:020d}.{kind}")
            for number, kind in [
                (1, "journal"),
                (1, "snapshot"),
                (2, "journal"),
                (2, "snapshot"),
                (3, "journal"),
            ]
        )


async def test_history_by_age(caplog: pytest.LogCaptureFixture) -> None:
    """What ended longer ago than the limit goes, to the millisecond, at the next compaction."""
    retention = Retention(age_ms=round(3 * DAY_S * 1000), bytes_max=2**62)
    async with bench(retention=retention) as one:
        for _ in range(3):  # snapshots 1, 2, 3 a day after each other
            await one.set(b"a")
            await one.compact()
            one.clock.advance(DAY_S)
        one.clock.advance(-0.001)  # what went before snapshot 1 is not quite three days old
        await one.set(b"a")
        await one.compact()
        assert one.listing.snapshots == (1, 2, 3, 4)
        assert one.listing.segments == (1, 2, 3, 4, 5)
        one.clock.advance(0.001)
        await one.set(b"a")
        with caplog.at_level(logging.INFO):
            await one.compact()
        assert one.listing.snapshots == (1, 2, 3, 4, 5)
        assert one.listing.segments == (2, 3, 4, 5, 6)
        assert "removed 1 files of history up to 00000000000000000001.journal" in caplog.text
        one.clock.advance(DAY_S)
        await one.set(b"a")
        await one.compact()
        assert one.listing.snapshots == (2, 3, 4, 5, 6)
        assert one.listing.segments == (3, 4, 5, 6, 7)


async def test_history_by_size() -> None:
    """The oldest goes until the rest is within the limit; what a start needs does not count."""
    async with bench(retention=Retention(age_ms=2**62, bytes_max=5000)) as one:
        for _ in range(4):  # each is about 1100 bytes of journal and 1300 of snapshot
            await one.set(b"a", 1000)
            await one.compact()
            assert one.compactor.usage.history_bytes <= 5000
        assert one.listing.snapshots == (2, 3, 4)
        assert one.listing.segments == (3, 4, 5)
        assert one.compactor.usage.history_bytes > 5000 - 2500
        assert list(one.content()) == [b"a"]


async def test_a_header_that_cannot_be_read_is_not_old() -> None:
    """Damage in history is for `kvstore verify` to tell; here the file only counts as new."""
    async with bench() as one:
        for _ in range(2):
            await one.set(b"a")
            await one.compact()
        files = one.disk.image()
    # This header says how old the segment before it is.
    name = "00000000000000000002.journal"
    damaged = {**files, name: bytes(len(files[name]))}
    a_second = Retention(age_ms=1000, bytes_max=2**62)
    for there, left in ((files, (3, 4)), (damaged, (1, 2, 3, 4))):
        async with bench(retention=a_second, files=there) as one:
            await one.set(b"a")
            one.clock.advance(1)
            await one.compact()
            assert one.listing.segments == left

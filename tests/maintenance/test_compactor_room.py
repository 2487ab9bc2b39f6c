"""Want of room: what a compaction gives up for it, and that one begins because of it."""

import pytest
from fake_clock import settle

from kvstore.errors import CompactionFailed
from kvstore.journal.space import MIB, Space
from kvstore.maintenance.retention import CompactionRule
from kvstore.state.command import DeleteKey

from .compacting import NEVER, bench

KIB = 1024


async def test_history_is_given_up_for_a_snapshot() -> None:
    """When the disk might not take the snapshot, what is only there to look back goes first."""
    async with bench(space=Space(free_bytes_min=100 * KIB)) as one:
        for _ in range(3):
            await one.set(b"a", 50 * KIB)
            await one.compact()
        assert one.compactor.usage.history_bytes > 200 * KIB
        await one.set(b"b", 50 * KIB)
        # Room for the reserve, not for the largest that the next snapshot can be.
        one.disk.size_bytes = one.compactor.usage.folder_bytes + 150 * KIB
        assert await one.compact() is not None
        assert one.listing.snapshots == (3, 4)
        assert one.listing.segments == (4, 5)
        assert sorted(one.content()) == [b"a", b"b"]


async def test_history_stays_when_there_is_room() -> None:
    """A disk that can take the snapshot and keep its reserve is no reason to give up anything."""
    async with bench(space=Space(free_bytes_min=100 * KIB)) as one:
        for _ in range(3):
            await one.set(b"a", 50 * KIB)
            await one.compact()
        await one.set(b"b", 50 * KIB)
        usage = one.compactor.usage
        one.disk.size_bytes = usage.folder_bytes + 100 * KIB + usage.tail_bytes * 2 + KIB
        await one.compact()
        assert one.listing.snapshots == (1, 2, 3, 4)


async def test_what_does_not_fit_fails_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """History is gone by then, the store is not."""
    async with bench(space=Space(free_bytes_min=100 * KIB)) as one:
        for key in (b"a", b"b"):
            await one.set(key, 50 * KIB)
            await one.compact()
        await one.set(b"c", 50 * KIB)
        one.disk.size_bytes = one.compactor.usage.folder_bytes
        one.builder.error = CompactionFailed("the disk has no room")
        with pytest.raises(CompactionFailed):
            await one.compact()
        assert one.listing.snapshots == (2,)
        assert one.compactor.usage.history_bytes == 0
        assert sorted(one.content()) == [b"a", b"b", b"c"]
        assert "not compacted: the disk has no room" in caplog.text


@pytest.mark.parametrize(
    ("free_bytes_min", "left_bytes"), [(64 * MIB, 32 * MIB), (100, 50), (0, MIB)]
)
async def test_a_snapshot_may_use_half_of_the_reserve(free_bytes_min: int, left_bytes: int) -> None:
    """It is what makes room again; without a reserve it leaves a megabyte for the journal."""
    async with bench(space=Space(free_bytes_min=free_bytes_min)) as one:
        await one.set(b"a")
        await one.compact()
        assert one.builder.left_bytes == [left_bytes]


async def test_a_folder_at_its_limit_is_compacted_by_itself() -> None:
    """Values that were replaced made it full, so it has room again without being told to."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for _ in range(9):
            await one.set(b"a", 10 * KIB)
            assert not one.compactor.full
            assert not one.compactor.status.is_running
        await one.set(b"a", 10 * KIB)
        await one.until_tried(1)
        assert one.builder.asked == [10]
        assert not one.compactor.full
        # Half of the limit is for history, and the journal before the snapshot is more than that.
        assert one.compactor.usage.history_bytes == 0


async def test_history_is_given_up_for_writes() -> None:
    """When the reserve is reached and the snapshot alone does not help, looking back has to go."""
    async with bench(space=Space(free_bytes_min=100 * KIB), disk_bytes=200 * KIB) as one:
        for _ in range(10):
            await one.set(b"a", 10 * KIB)
        await one.until_tried(1)
        assert one.builder.asked == [10]
        assert one.compactor.usage.history_bytes == 0
        assert not one.compactor.full


async def test_a_limited_folder_keeps_half_for_the_present() -> None:
    """However much history the operator would like."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for _ in range(6):
            await one.set(b"a", 10 * KIB)
            await one.compact()
            assert one.compactor.usage.history_bytes <= 50 * KIB
        assert one.compactor.usage.history_bytes > 25 * KIB


async def test_deletes_make_room_after_a_while() -> None:
    """A delete writes little; that it was written is enough, ten seconds after the last try."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_tried(1)
        assert one.compactor.full  # all of it is still wanted
        await one.delete_all()
        one.clock.advance(9.9)
        await settle()
        assert not one.compactor.status.is_running
        one.clock.advance(0.1)
        await one.until_tried(2)
        assert not one.compactor.full
        assert one.content() == {}


async def test_a_full_folder_is_left_alone_while_nothing_is_written() -> None:
    """Another snapshot of the same would help nobody."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_tried(1)
        for _ in range(5):
            one.clock.advance(1000)
            await settle()
        assert one.compactor.full
        assert one.builder.asked == [10]
        assert one.clock.pending_count == 0


async def test_what_is_deleted_during_a_compaction_is_seen_after_it() -> None:
    """It was not in the snapshot, and no further write has to come."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        one.builder.gate.clear()
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_asked()
        await one.delete_all()
        one.builder.gate.set()
        await one.until_tried(1)
        await settle()
        assert one.compactor.full
        one.clock.advance(10)
        await one.until_tried(2)
        assert not one.compactor.full


async def test_long_compactions_are_further_apart() -> None:
    """A disk that is full is not kept busy all the time: the pause is four times the work."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        one.builder.gate.clear()
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_asked()
        one.clock.advance(30)
        one.builder.gate.set()
        await one.until_tried(1)
        assert one.compactor.status.last_duration_s == 30
        await one.write(DeleteKey(b"0"))
        one.clock.advance(119)
        await settle()
        assert not one.compactor.status.is_running
        one.clock.advance(1)
        await one.until_tried(2)
        assert len(one.content()) == 9


async def test_a_disk_that_is_freed_by_others_is_noticed() -> None:
    """The journal looks whenever it is asked while there is no room."""
    space = Space(free_bytes_min=100 * KIB)
    async with bench(space=space, disk_bytes=150 * KIB) as one:
        one.builder.error = CompactionFailed("the disk has no room")
        await one.set(b"a", 60 * KIB)
        await one.until_tried(1)
        assert one.compactor.full
        one.disk.size_bytes = MIB
        assert not one.compactor.full


async def test_a_compaction_that_helped_is_followed_by_the_next_at_once() -> None:
    """However shortly before there was one that did not help."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_tried(1)
        await one.delete_all()
        assert one.clock.pending_count == 1
        await one.compact()  # as by hand
        assert one.clock.pending_count == 0
        assert not one.compactor.full
        for tried in (3, 4):
            while not one.compactor.full:
                await one.set(b"a", 10 * KIB)
            await one.until_tried(tried)
            assert not one.compactor.full


async def test_no_timer_is_left_behind() -> None:
    """A close while it waits to try again forgets it."""
    async with bench(space=Space(folder_bytes_max=100 * KIB)) as one:
        for number in range(10):
            await one.set(b"%d" % number, 10 * KIB)
        await one.until_tried(1)
        await one.write(DeleteKey(b"0"))
        assert one.clock.pending_count == 1
        await one.compactor.close()
        assert one.clock.pending_count == 0


async def test_size_and_want_of_room_together() -> None:
    """A rule that is due compacts at once, whatever waits for room."""
    async with bench(CompactionRule(bytes_min=20 * KIB, ratio=0), space=Space(100 * KIB)) as one:
        for number in range(1, 10):
            await one.set(b"a", 20 * KIB)
            await one.until_tried(number)
        assert one.builder.asked == list(range(1, 10))
        assert one.compactor.status.failed_count == 0


async def test_never_means_never() -> None:
    """Without limits of room nothing begins by itself but by the rule."""
    async with bench(NEVER) as one:
        for number in range(5):
            await one.set(b"%d" % number, MIB)
            assert not one.compactor.status.is_running
        assert one.builder.asked == []

"""Losses of power at every moment: what was acknowledged is there, nothing else is, and it starts.

The tests at the end show that the same check fails a disk that keeps one of its promises less.
"""

import pytest

from kvstore.errors import JournalCorrupt
from kvstore.journal.file import FileJournal
from kvstore.state.command import Command

from .batches import SEGMENT_BYTES, flat, recover, replayed, small_batches, write
from .crashes import AfterCall, complaints, live, whole_batches
from .fake_disk import FakeDisk, Image


def faithful(after_call: AfterCall) -> FakeDisk:
    """Make a disk that does what it says."""
    return FakeDisk(after_call=after_call)


async def test_any_loss_of_power_leaves_what_was_acknowledged() -> None:
    """After every call, with the unsynced tail cut at any byte or a page of it zeroed."""
    life = await live(faithful)
    assert life.failure is None
    assert list(complaints(life)) == []
    # The life was long enough to mean something: several segments, and many states.
    assert len(life.disk.names()) == 3
    assert len(list(life.states())) > 500


async def test_journal_goes_on_after_any_loss_of_power() -> None:
    """What is recovered is written on, and a second recovery finds both."""
    life = await live(faithful, batches=4, closed_after=2)
    more = small_batches(6)[-2:]
    for _, image in life.states():
        disk = FakeDisk(image)
        journal = FileJournal(disk)
        before = replayed(journal)
        await write(journal, more)
        assert all(recover(left) == before + flat(more) for left in disk.crash_images())
        await journal.close()
        assert recover(disk.image()) == before + flat(more)


async def test_second_crash_while_the_first_is_repaired() -> None:
    """A loss of power at any call of the start after a crash takes nothing away either."""
    life = await live(faithful, batches=3, closed_after=1)
    for moment, image in life.states():
        forks, found = _forks_of_a_start(image)
        for fork in forks:
            for left in fork.crash_images():
                assert recover(left) == found
        assert moment.lasting <= (whole_batches(life.batches, found) or 0)


def _forks_of_a_start(image: Image) -> tuple[list[FakeDisk], list[Command]]:
    """Return the disk after each call of a start on these files, and what the start found."""
    forks: list[FakeDisk] = []
    disk = FakeDisk(image, after_call=lambda _: forks.append(disk.fork()))
    return forks, replayed(FileJournal(disk))


async def test_killed_process_loses_nothing_that_it_wrote() -> None:
    """The system keeps what was written, so a start without a loss of power finds all of it."""
    life = await live(faithful)
    for moment in life.moments:
        count = whole_batches(life.batches, recover(moment.disk.image()))
        assert count is not None
        assert moment.lasting <= count <= moment.submitted


async def test_kill_then_loss_of_power_leaves_what_was_acknowledged() -> None:
    """A process is killed, the next one acknowledges a batch, then the power goes."""
    life = await live(faithful, batches=3, closed_after=1)
    for moment in life.moments:
        disk = moment.disk.fork()
        journal = FileJournal(disk)
        expected = replayed(journal) + flat(small_batches(1))
        await write(journal, small_batches(1))
        for left in disk.crash_images():
            assert recover(left) == expected, moment.after
        await journal.close()


async def test_kill_then_loss_of_power_leaves_what_was_replayed() -> None:
    """What a start has replayed is what readers see, so it must not be lost any more."""
    life = await live(faithful, batches=3, closed_after=1)
    for moment in life.moments:
        disk = moment.disk.fork()
        expected = replayed(FileJournal(disk))
        for left in disk.crash_images():
            assert recover(left) == expected, moment.after


async def test_any_loss_of_power_without_sync_can_be_started_from() -> None:
    """With `sync=False` the newest batches may be lost, those before the last close may not.

    Whatever is lost, the start does not refuse and finds whole batches, from the first on.
    """
    life = await live(faithful, sync=False)
    assert list(complaints(life)) == []
    assert len(life.disk.names()) == 3
    # Something was lost in some states, so there were holes to find.
    assert any(len(recover(image)) < len(life.acknowledged) for _, image in life.states())


async def test_holes_in_what_was_never_synced_are_survived() -> None:
    """Eight batches in one segment, none of them synced: a hole may be anywhere in it."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False)
    replayed(journal)
    await write(journal, small_batches(8))
    counts = {whole_batches(small_batches(8), recover(left)) for left in disk.crash_images()}
    assert counts == set(range(9))
    await journal.close()


async def test_kill_without_sync_then_a_start_with_it_loses_nothing() -> None:
    """What the journal without sync left in the kernel lasts before the next one goes on."""
    killed = FakeDisk()
    journal = FileJournal(killed, sync=False)
    replayed(journal)
    await write(journal, small_batches(3))
    disk = killed.fork()
    again = FileJournal(disk)
    assert replayed(again) == flat(small_batches(3))
    assert all(recover(left) == flat(small_batches(3)) for left in disk.crash_images())
    await write(again, small_batches(2))
    expected = flat(small_batches(3)) + flat(small_batches(2))
    assert all(recover(left) == expected for left in disk.crash_images())
    await again.close()
    await journal.close()


async def test_full_segment_is_synced_before_the_next_is_begun() -> None:
    """Also with `sync=False`: one sync in 64 MiB, and only the newest segment can be torn."""
    disk = FakeDisk()
    journal = FileJournal(disk, sync=False, segment_bytes_max=SEGMENT_BYTES)
    replayed(journal)
    await write(journal, small_batches(4))
    full, _ = disk.names()
    for left in disk.crash_images():
        assert left[full] == disk.read(full)
    await journal.close()


# --- disks that keep one promise less; each must be found out ------------------------------------


class SyncsNothing(FakeDisk):
    """As if the journal did not sync its files."""

    def sync_file(self, name: str) -> None:
        """Say that it was done."""


class SyncsNoNames(FakeDisk):
    """As if the journal did not sync the folder."""

    def sync_folder(self) -> None:
        """Say that it was done."""


class SyncsLate(FakeDisk):
    """As if the journal acknowledged a batch and synced it before the next."""

    def sync_file(self, name: str) -> None:
        """Put it off to the next write."""
        self._due = name

    def write_file(self, name: str, data: bytes) -> None:
        """Do first what was put off."""
        due: str | None = getattr(self, "_due", None)
        if due is not None:
            super().sync_file(due)
        super().write_file(name, data)


class SyncsOnlyHeaders(FakeDisk):
    """As if the journal synced a new segment and none of its batches."""

    def sync_file(self, name: str) -> None:
        """Do it for a file that holds nothing but a header."""
        if len(self.read(name)) == 36:
            super().sync_file(name)


class WritesHalf(FakeDisk):
    """As if the journal took a short write for a whole one."""

    def write_file(self, name: str, data: bytes) -> None:
        """Leave out the end."""
        super().write_file(name, data[: len(data) // 2 + 1])


class WritesTwice(FakeDisk):
    """As if the journal tried a write again that had been done."""

    def write_file(self, name: str, data: bytes) -> None:
        """Do it two times."""
        super().write_file(name, data)
        super().write_file(name, data)


@pytest.mark.parametrize(
    "mutant",
    [SyncsNothing, SyncsNoNames, SyncsLate, SyncsOnlyHeaders, WritesHalf, WritesTwice],
)
async def test_journal_that_keeps_less_is_found_out(mutant: type[FakeDisk]) -> None:
    """The check above fails each of them."""

    def make(after_call: AfterCall) -> FakeDisk:
        return mutant(after_call=after_call)

    try:
        life = await live(make)
    except JournalCorrupt:
        return
    assert next(complaints(life), None) is not None

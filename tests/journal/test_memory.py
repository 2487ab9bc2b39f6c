"""What is special about the journal in memory; the rest is in test_journal.py."""

from kvstore.journal.memory import MemoryJournal
from kvstore.state.command import DeleteKey

from .batches import WRITTEN_MS, replayed, small_batches, write


async def test_commands_last_as_long_as_the_object() -> None:
    """A close takes nothing away, so a second engine can begin where the first ended."""
    journal = MemoryJournal()
    await write(journal, small_batches(2))
    await journal.close()
    assert len(replayed(journal)) == 3


async def test_journal_that_keeps_nothing_still_counts() -> None:
    """With `keep=False` the indexes go on and the replay is empty."""
    journal = MemoryJournal(keep=False)
    assert await write(journal, small_batches(3)) == [1, 2, 4]
    assert replayed(journal) == []


async def test_replay_is_of_the_moment_it_began() -> None:
    """Records appended while it is read do not turn up in it."""
    journal = MemoryJournal()
    await write(journal, small_batches(1))
    records = journal.replay()
    next(records)
    await journal.append([DeleteKey(b"k")], WRITTEN_MS)
    assert list(records) == []

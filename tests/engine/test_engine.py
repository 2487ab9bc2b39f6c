"""The whole engine: its start, its end, restarts on one journal, and the log of lost data.

Sessions and lock-delay on the whole engine are in `test_engine_sessions.py` and
`test_engine_lock_delay.py`.
"""

import asyncio
import logging
from pathlib import Path

import pytest
from fake_clock import FakeClock, settle

from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import CATALOG
from kvstore.errors import InvalidSession, JournalCorrupt, JournalUnwritable, Stopping
from kvstore.journal.disk import FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.memory import MemoryJournal
from kvstore.state.applied import Read
from kvstore.state.command import CasKey, CreateStore, SetKey

from .journals import GatedJournal
from .store import NODE, Store


async def test_new_store_is_named_by_its_first_command(
    engine: Engine, journal: GatedJournal
) -> None:
    """The name is drawn by chance and takes index 1."""
    assert journal.batches == [[CreateStore(engine.state.store_id)]]
    assert engine.state.store_id
    assert engine.state.last_index == 1
    assert engine.node == NODE


async def test_restart_goes_on_where_it_ended(
    engine: Engine, store: Store, journal: GatedJournal, rules: SessionRules
) -> None:
    """The same name, the same entries, the next index; and nothing is written for it."""
    await store.set(b"k", b"v")
    batches = len(journal.batches)
    again = Engine(journal, FakeClock(), rules)
    await again.start()
    assert len(journal.batches) == batches
    assert again.state.store_id == engine.state.store_id
    assert again.state.get(b"k") == engine.state.get(b"k")
    assert again.state.last_index == engine.state.last_index
    await again.close()


async def test_two_stores_have_two_names(clock: FakeClock, rules: SessionRules) -> None:
    """A client can tell that a store was wiped."""
    names = set()
    for _ in range(2):
        engine = Engine(MemoryJournal(), clock, rules)
        await engine.start()
        names.add(engine.state.store_id)
        await engine.close()
    assert len(names) == 2


async def test_close_writes_what_is_queued(engine: Engine, journal: GatedJournal) -> None:
    """Everything submitted before is answered; nothing is taken after."""
    journal.shut()
    futures = [engine.submit(SetKey(b"%d" % number, b"", 0)) for number in range(3)]
    closing = asyncio.create_task(engine.close())
    await settle()
    with pytest.raises(Stopping):
        engine.submit(SetKey(b"late", b"", 0))
    assert not closing.done()
    journal.open()
    await closing
    assert [future.result().index for future in futures] == [2, 3, 4]
    assert journal.is_closed


async def test_close_before_the_start_gives_up_the_journal(
    journal: GatedJournal, clock: FakeClock, rules: SessionRules
) -> None:
    """As when the replay has failed."""
    await Engine(journal, clock, rules).close()
    assert journal.is_closed


async def test_close_raises_the_failure_of_the_journal(
    journal: GatedJournal, clock: FakeClock, rules: SessionRules
) -> None:
    """Whoever stops the server learns that it did not go well; the journal is given up."""
    engine = Engine(journal, clock, rules)
    await engine.start()
    journal.fail()
    with pytest.raises(JournalUnwritable):
        await engine.submit(SetKey(b"k", b"", 0))
    with pytest.raises(JournalUnwritable) as caught:
        await engine.close()
    assert caught.value is engine.failure
    assert journal.is_closed


async def test_start_raises_what_the_journal_raises(
    tmp_path: Path, clock: FakeClock, rules: SessionRules
) -> None:
    """A damaged journal is not started on."""
    (tmp_path / "00000000000000000001.journal").write_bytes(b"x" * 100)
    engine = Engine(FileJournal(FolderDisk(tmp_path)), clock, rules)
    with pytest.raises(JournalCorrupt):
        await engine.start()
    await engine.close()


async def test_new_store_that_cannot_be_written_does_not_start(
    journal: GatedJournal, clock: FakeClock, rules: SessionRules
) -> None:
    """Its name would not last. The close after it leaves no task and gives up the journal."""
    journal.fail()
    engine = Engine(journal, clock, rules)
    with pytest.raises(JournalUnwritable):
        await engine.start()
    with pytest.raises(JournalUnwritable):
        await engine.close()
    assert journal.is_closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_engine_runs_until_it_is_closed(engine: Engine) -> None:
    """`wait_failed` waits, and giving up waiting does not stop the engine."""
    waiting = asyncio.create_task(engine.wait_failed())
    await settle()
    assert not waiting.done()
    waiting.cancel()
    await settle()
    assert (await engine.submit(SetKey(b"k", b"", 0))).done


async def test_bug_in_a_journal_ends_the_engine(clock: FakeClock, rules: SessionRules) -> None:
    """Anything but JournalUnwritable is a bug: `wait_failed` raises it, so the server stops."""

    class Broken(MemoryJournal):
        async def append(self, commands: object, written_ms: int) -> int:
            if written_ms > 1_600_000_000_000:
                raise ZeroDivisionError
            return await super().append(commands, written_ms)  # type: ignore[arg-type]

    engine = Engine(Broken(), clock, rules)
    await engine.start()
    clock.advance(1)
    engine.submit(SetKey(b"k", b"", 0))
    with pytest.raises(ZeroDivisionError):
        await engine.wait_failed()
    with pytest.raises(ZeroDivisionError):
        await engine.close()


async def test_bug_in_a_journal_ends_the_start(clock: FakeClock, rules: SessionRules) -> None:
    """Also with the very first write, before anybody listens to `wait_failed`: it must not hang."""

    class Broken(MemoryJournal):
        async def append(self, commands: object, written_ms: int) -> int:
            raise ZeroDivisionError((commands, written_ms))

    engine = Engine(Broken(), clock, rules)
    starting = asyncio.create_task(engine.start())
    await settle()
    assert starting.done()
    with pytest.raises(ZeroDivisionError):
        await starting
    with pytest.raises(ZeroDivisionError):
        await engine.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_refused_session_takes_no_index(engine: Engine, journal: GatedJournal) -> None:
    """It is refused before the journal (I2)."""
    with pytest.raises(InvalidSession):
        engine.create_session(SessionRequest(ttl="1s"))
    await settle()
    assert len(journal.batches) == 1
    assert engine.state.last_index == 1


async def test_index_from_another_store_is_said_once_a_minute(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that waits for, or checks, an index never issued has known other data."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await store.engine.submit(CasKey(b"k", b"", 0, 1000))
        watching = store.watch_key(b"k", index=2000)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "a client has index 1000, this store has only reached 1"
    ]
    store.clock.advance(60)
    with caplog.at_level(logging.WARNING):
        await store.engine.submit(CasKey(b"k", b"", 0, 3000))
    assert "index 3000" in caplog.text
    watching.cancel()


async def test_ordinary_indexes_are_not_worth_a_line(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the newest nor an older one, nor 0."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await store.engine.submit(CasKey(b"k", b"", 0, store.last()))
        store.watch_key(b"absent", index=0).cancel()
    assert caplog.records == []


async def test_an_index_of_the_catalog_is_not_the_stores(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins above the index of a new store, which has lost nothing."""
    with caplog.at_level(logging.WARNING):
        read = store.engine.read(lambda: Read(2, None), CATALOG, min_index=2, wait_s=1)
    assert isinstance(read, Parked)
    read.cancel()
    assert caplog.records == []

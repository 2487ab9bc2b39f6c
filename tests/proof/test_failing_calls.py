"""A disk whose n-th call fails, for every n: nothing acknowledged is lost, nothing is pretended."""

import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from journal.batches import FIRST
from journal.fake_disk import FakeDisk, Fault

from kvstore.errors import JournalCorrupt, JournalUnreadable, JournalUnwritable
from kvstore.state.command import SetKey

from .conftest import Tell
from .judge import Judge
from .life import Life, the_plan

REASONS = {
    errno.EIO: "Input/output error",
    errno.ENOSPC: "No space left on device",
    errno.EROFS: "Read-only file system",
}


async def life_with(fault: Fault | None, *, sync: bool = True) -> Life:
    """Return a life on a disk that fails as told."""
    plan = replace(the_plan(), sync=sync)
    life = Life(plan, lambda after_call: FakeDisk(fault=fault, after_call=after_call))
    await life.run()
    return life


def is_of_build(call: str) -> bool:
    """Tell whether a call is one of those that make a snapshot; adopting it is not."""
    return call.endswith(".unfinished")


async def require_failed(life: Life, what: str, number: int) -> None:
    """Require that a journal has stopped for good, says why, and touches the disk no more."""
    failure = life.failure
    assert isinstance(failure, JournalUnwritable)
    assert failure.reason == REASONS[number]
    assert failure.path.parent == Path("/fake")
    assert what.rsplit(maxsplit=1)[-1] in (failure.path.name, "sync_folder")
    calls = list(life.disk.calls)
    for _ in range(2):
        with pytest.raises(JournalUnwritable) as caught:
            await life.journal.append([SetKey(b"more", b"", 0)], 0)
        assert caught.value is failure
    await life.journal.close()
    assert life.disk.calls == calls


def require_nothing_lost(life: Life, chance: Random) -> None:
    """Require what was acknowledged of a start on the same disk, with and without a loss of power.

    What the failed call itself has left counts too.
    """
    life.moments = life.moments[-1:]
    life.remember_end()
    assert next(Judge(life, chance).complaints(chosen=2), None) is None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "written_bytes", "sync"),
    [
        (errno.EIO, 0, True),
        (errno.ENOSPC, 0, True),
        (errno.EROFS, 0, True),
        (errno.ENOSPC, 1, True),
        (errno.EIO, 45, True),
        (errno.EIO, 1000, True),
        (errno.EIO, 0, False),
        (errno.ENOSPC, 45, False),
    ],
)
async def test_every_failing_call_that_changes_something(
    number: int, written_bytes: int, chance: Random, tell: Tell, *, sync: bool
) -> None:
    """Of the journal: it stops. Of a compaction: the journal goes on without it."""
    calls = (await life_with(None, sync=sync)).disk.calls
    tried = final = 0
    for call, what in enumerate(calls, 1):
        if written_bytes and not what.startswith("write"):
            continue
        life = await life_with(Fault(call, number, written_bytes), sync=sync)
        tried += 1
        if is_of_build(what) or life.failure is None:
            require_setback(life, what, number)
        else:
            final += 1
            await require_failed(life, what, number)
        require_nothing_lost(life, chance)
    assert final > 20
    kind = f"{errno.errorcode[number]} after {written_bytes} bytes, sync={sync}"
    tell(f"failing calls: {kind}: {tried} lives, {final} ended by it")


def require_setback(life: Life, what: str, number: int) -> None:
    """Require that only a compaction has failed, and that all batches were written without it."""
    assert life.failure is None
    assert what.startswith(("remove", "sync_folder")) or is_of_build(what)
    (setback,) = life.setbacks
    assert isinstance(setback, OSError)
    assert setback.errno == number
    assert life.acknowledged > 12


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_failing_call_that_reads(chance: Random, tell: Tell) -> None:
    """At a start it is said with the path and the reason; in a compaction the journal goes on."""
    reads = (await life_with(None)).disk.reads
    refused = unfinished = unnoticed = 0
    for call, what in enumerate(reads, 1):
        life = await life_with(Fault(call, errno.EIO, reads=True))
        if life.failure is not None:
            refused += 1
            assert life.failure.reason == REASONS[errno.EIO], what
        elif life.setbacks:
            unfinished += 1
            (setback,) = life.setbacks
            assert isinstance(setback, OSError | JournalUnreadable)
        else:
            unnoticed += 1
            assert what == "free_bytes"
        require_nothing_lost(life, chance)
    assert min(refused, unfinished, unnoticed) > 10
    tell(
        f"failing reads: EIO at {len(reads)} calls, "
        f"{refused} refused by a start, {unfinished} by a compaction"
    )


class TriesSyncsAgain(FakeDisk):
    """As if the journal took a second sync's word after a first one had failed."""

    def sync_file(self, name: str) -> None:
        """Do it until it works."""
        try:
            super().sync_file(name)
        except OSError:
            super().sync_file(name)


@pytest.mark.slow
async def test_journal_that_tries_a_sync_again_is_found_out(chance: Random) -> None:
    """It goes on, and at the next loss of power it has lost what it acknowledged."""
    calls = (await life_with(None)).disk.calls
    call = next(n for n, what in enumerate(calls, 1) if what == f"sync {FIRST}" and n > 4)
    life = Life(
        the_plan(), lambda after: TriesSyncsAgain(fault=Fault(call, errno.EIO), after_call=after)
    )
    with suppress(JournalCorrupt):
        await life.run()
    complaint = next(Judge(life, chance).complaints(chosen=2), "")
    assert "0 batches came back, lasting 1" in complaint

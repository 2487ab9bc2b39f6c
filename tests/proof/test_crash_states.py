"""Every state that a loss of power may leave: what was acknowledged is there, and nothing else."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random

import pytest
from journal.fake_disk import FakeDisk

from kvstore.errors import KVStoreError
from kvstore.journal.file import FileJournal
from kvstore.journal.reader import read_listing
from kvstore.maintenance.rebuild import rebuild

from .conftest import Tell
from .judge import Judge, values
from .life import Life, Plan, a_plan, the_plan

# How many distinct states a run goes through at least; a longer one goes on with more lives.
STATES = int(os.environ.get("KVSTORE_CRASH_STATES", "100000"))


async def lived(plan: Plan) -> Life:
    """Return a life on a disk that keeps its promises."""
    life = Life(plan)
    await life.run()
    assert life.failure is None
    assert life.setbacks == []
    return life


@pytest.mark.slow
@pytest.mark.timeout(0)
async def test_no_crash_state_loses_what_was_acknowledged(
    seed: int, chance: Random, tell: Tell
) -> None:
    """First the plan that has everything in it, with and without sync, then lives by chance."""
    began_s = time.process_time()
    seen: set[int] = set()
    lives = moments = 0
    while lives < 2 or len(seen) < STATES:
        plan = (the_plan(), replace(the_plan(), sync=False))[lives] if lives < 2 else a_plan(chance)
        life = await lived(plan)
        judge = Judge(life, chance, seen=seen)
        for complaint in judge.complaints(chosen=24):
            pytest.fail(f"life {lives}, {life.plan}: {complaint}")
        lives += 1
        moments += len(life.moments)
    tell(
        f"crash states: {len(seen)} distinct, of {moments} moments of {lives} lives, all sound "
        f"({time.process_time() - began_s:.0f} s of one core, seed {seed})"
    )


@pytest.mark.slow
async def test_plan_has_everything_in_it() -> None:
    """Two compactions with appends on the way, a rotation, both kinds of restart, a removal."""
    life = await lived(the_plan())
    assert life.acknowledged == len(life.plan.batches)
    calls = life.disk.calls
    assert sum(call.startswith("rename") for call in calls) == 2
    assert sum(call.startswith("remove") and call.endswith(".journal") for call in calls) > 3
    assert sum(call.startswith("remove") and call.endswith(".snapshot") for call in calls) == 1
    assert sum(call.startswith("create") and call.endswith(".journal") for call in calls) > 5
    writes = [call.split(".")[-1] for call in calls if call.startswith(("write", "sync "))]
    assert "unfinished journal journal unfinished" in " ".join(writes)


@pytest.mark.slow
async def test_killed_process_then_loss_of_power_loses_nothing_that_was_shown(
    chance: Random,
) -> None:
    """At every moment: what the start after a kill replays is what readers see from then on."""
    for plan in (the_plan(), a_plan(chance), a_plan(chance)):
        assert list(Judge(await lived(plan), chance).complaints_of_kills()) == []


@pytest.mark.slow
async def test_journal_goes_on_after_a_crash_and_survives_another(chance: Random) -> None:
    """Torn states of every moment are started from, written on, and lost power in again."""
    for plan in (the_plan(), replace(a_plan(chance), sync=True)):
        assert await Judge(await lived(plan), chance).complaints_of_going_on() == []


def complaints_of_history(life: Life, chance: Random) -> Iterator[str]:
    """Look back from every base that a crash leaves: all behind it is there, up to the end."""
    for moment in life.moments:
        for image in moment.disk.weak_images(chance, 0):
            listing = read_listing(FakeDisk(image))
            for base in listing.bases():
                try:
                    state = rebuild(FakeDisk(image), chain=listing.chain(base))
                except KVStoreError as error:
                    yield f"after {moment.after}, from {base}: {error}"
                else:
                    assert values(state) == values(rebuild(FakeDisk(image)))


@pytest.mark.slow
async def test_history_has_no_holes_after_a_crash(chance: Random) -> None:
    """Old files go one after the other, from the oldest on, so what is left can be read."""
    assert list(complaints_of_history(await lived(the_plan()), chance)) == []


class RemovesAtOnce(FileJournal):
    """As if old files could go in any order."""

    async def remove(self, names: Iterable[str]) -> None:
        """Sync the folder once, at the end."""
        for name in names:
            self.disk.remove(name)
        self.disk.sync_folder()


@pytest.mark.slow
async def test_journal_that_removes_in_any_order_is_found_out(chance: Random) -> None:
    """A crash leaves a snapshot and not all that follows it."""
    life = Life(the_plan(), journal_class=RemovesAtOnce)
    await life.run()
    assert "a segment is missing" in next(complaints_of_history(life, chance), "")

"""Random lives of an engine beside a plain model: writes, locks, sessions, time, waits, restarts.

Twice, with the same rules: as a state machine of Hypothesis, and as a plain seeded loop.
`KVSTORE_MODEL_OPS` is how many operations the loop does, `KVSTORE_MODEL_SEED` the seed of its
first life; each life after it has the next number, so that a failure is repeated alone.
"""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from .model_choices import Pick
from .model_life import RULES, Life
from .model_storage import STORAGES

T = TypeVar("T")

OPERATIONS = int(os.environ.get("KVSTORE_MODEL_OPS", "50000"))
SEED = int(os.environ.get("KVSTORE_MODEL_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

# After so many rules a new life begins, with an empty store.
LIFE_RULES = 300
# One life in so many is on files, which are slower.
FILES_EVERY = 10


class Lives(RuleBasedStateMachine):
    """The rules of a life, chosen by Hypothesis."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    @initialize(storage=st.sampled_from(list(STORAGES)))
    def start(self, storage: str) -> None:
        """Begin with an empty store."""
        self.life = Life(STORAGES[storage]())
        self.runner.run(self.life.start())

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Write."""
        self.runner.run(self.life.write(picking(data)))

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """Make a session."""
        self.runner.run(self.life.create(picking(data)))

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        """Renew a session."""
        self.runner.run(self.life.renew(picking(data)))

    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """Ask a blocking query."""
        self.runner.run(self.life.wait(picking(data)))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Give up a blocking query."""
        self.runner.run(self.life.leave(picking(data)))

    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        """Let time pass."""
        self.runner.run(self.life.advance(picking(data)))

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """Restart."""
        self.runner.run(self.life.restart(picking(data)))

    def teardown(self) -> None:
        """End the life, and the loop it was lived on."""
        with self.runner:
            self.runner.run(self.life.end())


def picking(data: st.DataObject) -> Pick:
    """Return a pick of Hypothesis's."""

    def pick(options: Sequence[T]) -> T:
        return data.draw(st.sampled_from(options))

    return pick


# Hypothesis takes up to five minutes to make a failure small.
TestLives = pytest.mark.timeout(600)(pytest.mark.slow(Lives.TestCase))
TestLives.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, print_blob=True
)


async def live(seed: int) -> int:
    """Live one life by chance and return the number of its operations."""
    chance = random.Random(seed)
    # How much longer than it must a blocking query waits.
    random.seed(seed)
    life = Life(STORAGES["memory" if seed % FILES_EVERY else "files"]())
    await life.start()
    for one in chance.choices(list(RULES), list(RULES.values()), k=LIFE_RULES):
        await one(life, chance.choice)
    await life.end()
    return life.operations


@pytest.mark.slow
@pytest.mark.timeout(60 + OPERATIONS // 500)
async def test_many_lives_go_as_the_model_says(
    record_property: Callable[[str, object], None],
) -> None:
    """Outcomes, entries, locks, sessions, indexes and waits are the model's after every step."""
    operations, lives = 0, 0
    before = random.getstate()
    try:
        while operations < OPERATIONS:
            seed = SEED + lives
            print(f"KVSTORE_MODEL_SEED={seed}")  # noqa: T201 - to repeat a failure
            operations += await live(seed)
            lives += 1
    finally:
        random.setstate(before)
    figures = f"model: {operations} operations in {lives} lives (KVSTORE_MODEL_SEED={SEED})"
    record_property("figures", figures)

"""Chance that can be repeated, and a line at the end of a run for what was counted."""

import logging
import os
from collections.abc import Callable
from random import Random

import pytest

LINES = pytest.StashKey[list[str]]()

# Writes a line below the results, also when everything passes.
Tell = Callable[[str], None]


@pytest.fixture
def seed() -> int:
    """Give the seed of a test: KVSTORE_CRASH_SEED, or a new one; printed when the test fails."""
    given = os.environ.get("KVSTORE_CRASH_SEED")
    seed = int(given) if given else Random().getrandbits(32)
    print(f"repeat with KVSTORE_CRASH_SEED={seed}")  # noqa: T201 - for whoever repeats a failure
    return seed


@pytest.fixture
def chance(seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Random:
    """Give the chance of a test; the salts of files come from it too.

    A hundred thousand starts would log as many torn tails.
    """
    caplog.set_level(logging.CRITICAL, "kvstore")
    chance = Random(seed)
    monkeypatch.setattr("secrets.randbits", chance.getrandbits)
    return chance


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Give a function that adds a line to the summary of the run."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was counted."""
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)

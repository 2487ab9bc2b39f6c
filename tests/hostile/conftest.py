"""Fixtures: a lane whose clock and limits the tests set; no test may leave an error in the log."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from api.wire import Served, serving
from fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Give the clock that the lane's deadlines are on."""
    return FakeClock()


@pytest.fixture
async def served(clock: FakeClock) -> AsyncIterator[Served]:
    """Give an empty store behind a lane with its ordinary limits; nothing may be left at the end.

    Not of connections, parked queries, tasks, counted bytes, and not a timer.
    """
    async with serving(clock=clock) as served:
        yield served
    assert clock.pending_count == 0


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever clients do is no bug of ours: no error, and no traceback."""
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            assert record.levelno < logging.ERROR, record.getMessage()
            assert record.exc_info is None, record.getMessage()

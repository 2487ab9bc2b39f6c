"""Lock-delay: which keys may not be acquired, and until when (L7)."""

import pytest
from fake_clock import FakeClock

from kvstore.engine.lock_delay import LOCK_DELAY_MAX_S, LockDelays


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still."""
    return FakeClock()


@pytest.fixture
def delays(clock: FakeClock) -> LockDelays:
    """Give lock-delays that cover nothing."""
    return LockDelays(clock)


def test_keys_are_covered_until_the_delay_has_passed(delays: LockDelays, clock: FakeClock) -> None:
    """All of them, to the tick, and no other; then nothing is left of it."""
    delays.start([b"a", b"b"], 15)
    assert (delays.covers(b"a"), delays.covers(b"b"), delays.covers(b"c")) == (True, True, False)
    clock.advance(14.999)
    assert delays.covers(b"a")
    clock.advance(0.001)
    assert not delays.covers(b"a")
    assert len(delays) == 0


@pytest.mark.parametrize("delay_s", [0, -5, -(2**63) / 1e9])
def test_no_delay_covers_nothing(delays: LockDelays, clock: FakeClock, delay_s: float) -> None:
    """Zero and less is none (S4)."""
    delays.start([b"a"], delay_s)
    assert not delays.covers(b"a")
    assert (len(delays), clock.pending_count) == (0, 0)


def test_end_of_a_session_without_keys_leaves_nothing(delays: LockDelays, clock: FakeClock) -> None:
    """Not even a timer."""
    delays.start([], 15)
    assert clock.pending_count == 0


@pytest.mark.parametrize("delay_s", [60, 60.001, 90, 2**63 / 1e9])
def test_longest_delay_is_a_minute(delays: LockDelays, clock: FakeClock, delay_s: float) -> None:
    """Whatever the session asked for."""
    assert LOCK_DELAY_MAX_S == 60
    delays.start([b"a"], delay_s)
    clock.advance(59.999)
    assert delays.covers(b"a")
    clock.advance(0.001)
    assert not delays.covers(b"a")


@pytest.mark.parametrize(("first_s", "second_s"), [(30, 5), (5, 30), (30, 30)])
def test_longer_of_two_delays_counts(
    delays: LockDelays, clock: FakeClock, first_s: float, second_s: float
) -> None:
    """A key that was lost twice is free when both have passed."""
    delays.start([b"a"], first_s)
    delays.start([b"a", b"b"], second_s)
    clock.advance(29.999)
    assert delays.covers(b"a")
    clock.advance(0.001)
    assert not delays.covers(b"a")
    assert (len(delays), clock.pending_count) == (0, 0)


def test_delay_that_is_over_can_begin_again(delays: LockDelays, clock: FakeClock) -> None:
    """The timer of the first does not end the second."""
    delays.start([b"a"], 5)
    clock.advance(5)
    delays.start([b"a"], 5)
    clock.advance(4)
    assert delays.covers(b"a")
    clock.advance(1)
    assert not delays.covers(b"a")

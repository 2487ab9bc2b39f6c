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
    """All of them, to the tick, and no other."""
    delays.start([b"a", b"b"], 15)
    assert (delays.covers(b"a"), delays.covers(b"b"), delays.covers(b"c")) == (True, True, False)
    clock.advance(14.999)
    assert delays.covers(b"a")
    clock.advance(0.001)
    assert not delays.covers(b"a")
    assert not delays.covers(b"b")


@pytest.mark.parametrize("delay_s", [0, -5, -(2**63) / 1e9])
def test_no_delay_covers_nothing(delays: LockDelays, delay_s: float) -> None:
    """Zero and less is none (S4)."""
    delays.start([b"a"], delay_s)
    assert not delays.covers(b"a")


def test_no_delay_does_not_end_one_that_runs(delays: LockDelays) -> None:
    """A second session of the same key takes nothing away."""
    delays.start([b"a"], 15)
    delays.start([b"a"], 0)
    assert delays.covers(b"a")


def test_delays_need_no_timers(delays: LockDelays, clock: FakeClock) -> None:
    """However many there are: a delay ends because nobody asks before its time is over."""
    delays.start([], 15)
    for number in range(1000):
        delays.start([b"%d" % number], 15)
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


def test_delay_that_is_over_can_begin_again(delays: LockDelays, clock: FakeClock) -> None:
    """What the first one was has no part in the second."""
    delays.start([b"a"], 5)
    clock.advance(5)
    delays.start([b"a"], 5)
    clock.advance(4)
    assert delays.covers(b"a")
    clock.advance(1)
    assert not delays.covers(b"a")


class Key(bytes):
    """A key that counts how many of its kind are in memory."""

    live = 0

    def __init__(self, _: bytes) -> None:
        type(self).live += 1

    def __del__(self) -> None:
        type(self).live -= 1


def test_delays_that_are_over_cost_no_memory(delays: LockDelays, clock: FakeClock) -> None:
    """Ten thousand keys, one a second, each lost for ten: only the last few hundred are kept."""
    most = 0
    for number in range(10_000):
        delays.start([Key(b"%d" % number)], 10)
        clock.advance(1)
        most = max(most, Key.live)
    assert most <= 200


def test_delays_that_run_are_kept_however_many_end(delays: LockDelays, clock: FakeClock) -> None:
    """A thousand long ones outlive ten thousand short ones, and end in their own time."""
    long = [b"long/%d" % number for number in range(1000)]
    delays.start(long, 60)
    for number in range(10_000):
        delays.start([b"short/%d" % number], 0.001)
        clock.advance(0.005)
    assert all(delays.covers(key) for key in long)
    clock.advance(9.999)
    assert all(delays.covers(key) for key in long)
    clock.advance(0.01)
    assert not any(delays.covers(key) for key in long)


def test_cleared_delays_cover_nothing(delays: LockDelays) -> None:
    """All of them at once."""
    delays.start([b"a", b"b"], 15)
    delays.clear()
    assert not delays.covers(b"a")
    assert not delays.covers(b"b")

"""Deadlines of sessions: twice the TTL after they were made or renewed, to the tick (S14)."""

import pytest
from fake_clock import FakeClock

from kvstore.engine.expiry import TTL_GRACE, Expiry


class Ends:
    """An Expiry and the sessions whose time it said is up."""

    def __init__(self) -> None:
        self.clock = FakeClock(start_s=0)
        self.expired: list[tuple[float, str]] = []
        # Whether the end of a session can be seen to.
        self.can_end = True
        self.expiry = Expiry(self.clock, self._expire)

    def _expire(self, session_id: str) -> bool:
        self.expired.append((self.clock.monotonic(), session_id))
        return self.can_end


@pytest.fixture
def ends() -> Ends:
    """Give an Expiry at second 0 that tracks nothing."""
    return Ends()


def test_session_ends_at_twice_its_ttl(ends: Ends) -> None:
    """Not a tick earlier, and once."""
    assert TTL_GRACE == 2
    ends.expiry.track("s", 10)
    ends.clock.advance(19.999)
    assert ends.expired == []
    ends.clock.advance(0.001)
    ends.clock.advance(100)
    assert ends.expired == [(20, "s")]


def test_sessions_end_each_in_its_time(ends: Ends) -> None:
    """In the order of their deadlines, whatever order they came in."""
    for session_id, ttl_s in (("c", 30), ("a", 10), ("b", 20.5)):
        ends.expiry.track(session_id, ttl_s)
    ends.clock.advance(100)
    assert ends.expired == [(20, "a"), (41, "b"), (60, "c")]


def test_renewal_gives_the_full_time_again(ends: Ends) -> None:
    """From the moment of the renewal, however often."""
    ends.expiry.track("s", 10)
    for _ in range(5):
        ends.clock.advance(19)
        assert ends.expiry.renew("s")
    ends.clock.advance(19.999)
    assert ends.expired == []
    ends.clock.advance(1)
    assert ends.expired == [(115, "s")]


def test_renewals_leave_one_timer(ends: Ends) -> None:
    """Ten thousand of them cost no memory."""
    ends.expiry.track("s", 10)
    for _ in range(10_000):
        ends.expiry.renew("s")
    assert ends.clock.pending_count == 1


def test_session_without_a_ttl_never_ends(ends: Ends) -> None:
    """It is not tracked, and renewing it is no mistake (S11)."""
    ends.expiry.track("s", 0)
    assert len(ends.expiry) == 0
    assert ends.expiry.renew("s")
    ends.clock.advance(10**6)
    assert ends.expired == []


def test_session_whose_time_is_up_cannot_be_renewed(ends: Ends) -> None:
    """Its end is on the way: a holder that believed in the renewal would lose its locks."""
    ends.expiry.track("s", 10)
    ends.clock.advance(20)
    assert not ends.expiry.renew("s")
    ends.clock.advance(100)
    assert len(ends.expired) == 1


def test_forgotten_session_leaves_nothing(ends: Ends) -> None:
    """Neither a timer nor an end; forgetting it twice, or an unknown one, is harmless."""
    ends.expiry.track("s", 10)
    ends.expiry.forget("s")
    ends.expiry.forget("s")
    ends.expiry.forget("unknown")
    assert (len(ends.expiry), ends.clock.pending_count) == (0, 0)
    ends.clock.advance(100)
    assert ends.expired == []


def test_end_that_cannot_be_seen_to_is_tried_again(ends: Ends) -> None:
    """A second later each time; until then the session lives and may be renewed."""
    ends.expiry.track("s", 10)
    ends.can_end = False
    ends.clock.advance(22.5)
    assert [when for when, _ in ends.expired] == [20, 21, 22]
    assert ends.expiry.renew("s")
    ends.can_end = True
    ends.clock.advance(19.5)
    assert len(ends.expired) == 3
    ends.clock.advance(0.5)
    assert ends.expired[3:] == [(42.5, "s")]


def test_close_stops_all_timers(ends: Ends) -> None:
    """Nobody ends any more."""
    for number in range(5):
        ends.expiry.track(f"s{number}", 10 + number)
    ends.expiry.clear()
    assert (len(ends.expiry), ends.clock.pending_count) == (0, 0)
    ends.clock.advance(1000)
    assert ends.expired == []

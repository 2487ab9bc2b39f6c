"""Blocking queries: how long they wait and what ends them; names begin with the contract's ids.

Which write wakes whom is in `test_blocking_wakes.py`.
"""
# ruff: noqa: N802 - the ids of the contract, as they are written there

import pytest
from fake_clock import FakeClock

from kvstore.engine.blocking import WAIT_DEFAULT_S, WAIT_MAX_S, Parking
from kvstore.engine.watch import Watch
from kvstore.state.applied import Applied, Read

from .store import Watching, key_scope

KEY = key_scope(b"k")


class Lot:
    """A parking lot whose jitter the test sets, over one number that is read."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.watch = Watch()
        self.jitter = 0.0
        self.parking = Parking(self.watch, self.clock, lambda: self.jitter)
        self.index = 5

    def read(self, min_index: int, wait_s: float = 60) -> Watching:
        """Read the number, or wait for it to pass `min_index`."""
        return Watching(
            self.parking.read(lambda: Read(self.index, self.index), KEY, min_index, wait_s)
        )

    def change(self, index: int) -> None:
        """Set the number and fire its waiters."""
        self.index = index
        self.watch.notify(Applied(index, changed_keys=(b"k",)))

    def is_empty(self) -> bool:
        """Return whether no query has left anything behind."""
        return not (len(self.parking) or len(self.watch) or self.clock.pending_count)


@pytest.fixture
def lot() -> Lot:
    """Give an empty lot."""
    return Lot()


def test_B1_index_0_answers_at_once(lot: Lot) -> None:
    """Whatever the wait."""
    assert lot.read(0, 100).answer == Read(5, 5)
    assert lot.is_empty()


def test_B1_index_0_answers_at_once_on_an_empty_store(lot: Lot) -> None:
    """Where the result's index is 0 too."""
    lot.index = 0
    assert lot.read(0).answer == Read(0, 0)


def test_B2_older_index_answers_at_once(lot: Lot) -> None:
    """Something newer is there already."""
    assert lot.read(4).answer == Read(5, 5)
    assert lot.is_empty()


def test_B2_same_index_waits_for_the_next(lot: Lot) -> None:
    """And is answered with it once, in the moment of the change."""
    watching = lot.read(5)
    assert watching.waits
    lot.change(6)
    assert watching.answer == Read(6, 6)
    assert lot.is_empty()
    lot.change(7)
    assert len(watching.answers) == 1


def test_B2_future_index_waits_across_changes(lot: Lot) -> None:
    """Until one passes it."""
    watching = lot.read(8)
    for index in (6, 7, 8):
        lot.change(index)
        assert watching.waits
    lot.change(9)
    assert watching.answer == Read(9, 9)


def test_B4_time_out_answers_with_what_was_last_read(lot: Lot) -> None:
    """The same index and value as before, if nothing changed."""
    watching = lot.read(5, 10)
    lot.clock.advance(9.999)
    assert watching.waits
    lot.clock.advance(0.001)
    assert watching.answer == Read(5, 5)
    assert lot.is_empty()


def test_B4_answer_of_a_time_out_is_not_mixed_with_what_comes_after_it(lot: Lot) -> None:
    """Also when it is made some time after the end: an old index must not come with new content."""
    watching = lot.read(5, 60)
    lot.clock.advance(60)
    lot.change(6)
    assert watching.parked is not None
    assert watching.parked.look() == watching.answer == Read(5, 5)


def test_answer_of_a_change_may_be_newer_when_it_is_made(lot: Lot) -> None:
    """Thousands who are woken at once do not keep what they read: each looks when it answers."""
    watching = lot.read(5, 60)
    lot.change(6)
    lot.change(7)
    assert watching.parked is not None
    assert watching.parked.look() == Read(7, 7)


def test_B4_time_out_of_a_future_index_has_the_last_change(lot: Lot) -> None:
    """New value, and an index still below the client's (as Consul was seen to do)."""
    watching = lot.read(1000, 10)
    lot.change(6)
    lot.clock.advance(10)
    assert watching.answer == Read(6, 6)


@pytest.mark.parametrize(
    ("wait_s", "limit_s"),
    [
        (1, 1),
        (0.25, 0.25),
        (0, 300),
        (-5, 300),
        (540, 540),
        (600, 600),
        (600.001, 600),
        (3600, 600),
        (1e12, 600),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_B3_limit_of_a_wait(lot: Lot, wait_s: float, limit_s: float, jitter: float) -> None:
    """Nothing and less is five minutes, ten are the most, a sixteenth is added by chance."""
    assert (WAIT_DEFAULT_S, WAIT_MAX_S) == (300, 600)
    lot.jitter = jitter
    watching = lot.read(5, wait_s)
    whole = limit_s + jitter * limit_s / 16
    lot.clock.advance(whole - 0.001)
    assert watching.waits
    lot.clock.advance(0.002)
    assert not watching.waits


def test_B3_ends_of_queries_that_began_together_are_spread() -> None:
    """Drawn anew for each, within a sixteenth."""
    clock = FakeClock()
    parking = Parking(Watch(), clock)
    ends: list[float] = []
    for _ in range(200):
        parked = parking.read(lambda: Read(5, 5), KEY, 5, 160)
        assert not isinstance(parked, Read)
        parked.on_done(lambda _: ends.append(clock.monotonic() - 1000))
    clock.advance(200)
    assert min(ends) >= 160
    assert max(ends) < 170
    assert len(set(ends)) > 150
    assert max(ends) - min(ends) > 5


def test_cancelled_query_leaves_nothing(lot: Lot) -> None:
    """No waiter, no timer, no answer; the others stay, and a second cancel is harmless."""
    staying, leaving = lot.read(5, 10), lot.read(5, 10)
    for _ in range(2):
        leaving.cancel()
    assert (len(lot.parking), len(lot.watch), lot.clock.pending_count) == (1, 1, 1)
    lot.change(6)
    assert staying.answer == Read(6, 6)
    assert leaving.waits
    staying.cancel()
    assert lot.is_empty()


def test_B12_closing_answers_everybody(lot: Lot) -> None:
    """With what is there; nothing is parked any more, reads answer at once."""
    watchings = [lot.read(5), lot.read(1000)]
    lot.parking.close()
    assert [watching.answer for watching in watchings] == [Read(5, 5)] * 2
    assert lot.is_empty()
    assert lot.read(5).answer == Read(5, 5)
    lot.parking.close()


def test_B13_all_waiters_of_one_key_are_answered(lot: Lot) -> None:
    """Two thousand of them, in one change."""
    watchings = [lot.read(5) for _ in range(2000)]
    assert len(lot.parking) == 2000
    lot.change(6)
    assert all(watching.answer == Read(6, 6) for watching in watchings)
    assert lot.is_empty()


def test_answer_may_start_the_next_query(lot: Lot) -> None:
    """As a client's loop does: it waits for the change after, not for the same one again."""
    loops: list[Watching] = []
    first = lot.parking.read(lambda: Read(lot.index, lot.index), KEY, 5, 60)
    assert not isinstance(first, Read)
    first.on_done(lambda read: loops.append(lot.read(read.index)))
    lot.change(6)
    assert loops[0].waits
    lot.change(7)
    assert loops[0].answer == Read(7, 7)


def test_answer_may_end_another_query(lot: Lot) -> None:
    """One that was about to fire for the same change: it is gone and says nothing."""
    last: list[Watching] = []
    first = lot.parking.read(lambda: Read(lot.index, lot.index), KEY, 5, 60)
    assert not isinstance(first, Read)
    first.on_done(lambda _: last[0].cancel())
    last.append(lot.read(5))
    lot.change(6)
    assert last[0].waits
    assert lot.is_empty()

"""Parked queries: who may sleep or wake alone under rule exact-wakeups, and who may not."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fuzz_fakes import answer

from conformance.fuzz.episode import Differs, Episode, Pair, Tally
from conformance.fuzz.operation import Call, Park
from conformance.fuzz.parking import PARKED_MAX, Lot
from conformance.suite.wire import Answer

ABSENT, PRESENT = answer(404, index=10), answer(200, b"[1]", 10)
LATER = answer(404, index=20)
KEY, TREE = Park("/v1/kv/{P}a"), Park("/v1/kv/{P}a?recurse")
SESSION, SESSIONS = Park("/v1/session/info/{s0}"), Park("/v1/session/list")


class Scripted:
    """A side whose plain answer and parked queries are set by hand."""

    def __init__(self) -> None:
        self.plain = ABSENT
        # What wakes the parked queries, if anything does.
        self.woken: Answer | None = None
        self.parked: list[str] = []
        self.closed = 0

    def send(self, call: Call) -> None:
        """Take a request."""

    def receive(self) -> Answer:
        """Return what is set."""
        return self.plain

    def park(self, target: str) -> "Scripted":
        """Be the parked query, too."""
        self.parked.append(target)
        return self

    def answered(self, within_s: float = 0.0) -> bool:
        """Return whether something wakes them."""
        del within_s
        return self.woken is not None

    def answer(self) -> Answer:
        """Return what woke them."""
        assert self.woken is not None
        return self.woken

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Scene:
    """A lot with one parked query, and its two sides."""

    def __init__(self, park: Park, plain: Answer) -> None:
        self.oracle, self.store, self.tally = Scripted(), Scripted(), Tally()
        self.now(plain)
        self.lot = Lot(Episode(Pair(self.oracle, self.store), "p/", self.tally))
        self.lot.park(park)
        assert len(self.lot) == 1

    def now(self, plain: Answer, ours: Answer | None = None) -> None:
        """Set what plain queries are answered from here on."""
        self.oracle.plain, self.store.plain = plain, ours or plain


@contextmanager
def differs(why: str) -> Iterator[None]:
    """Expect a difference."""
    with pytest.raises(Differs) as caught:
        yield
    assert why in caught.value.why


def test_both_sleep() -> None:
    """Nothing is compared, and the query stays."""
    scene = Scene(KEY, PRESENT)
    scene.lot.settle(mended=False)
    assert len(scene.lot) == 1
    assert not scene.tally.rules
    assert scene.store.parked == ["/v1/kv/p/a?index=10&wait=60s"]


def test_both_wake() -> None:
    """The answers are compared, and the query is gone."""
    scene = Scene(KEY, PRESENT)
    scene.oracle.woken = scene.store.woken = LATER
    scene.lot.settle(mended=False)
    assert len(scene.lot) == 0
    assert not scene.tally.rules


def test_both_wake_to_other_answers() -> None:
    """That is a difference."""
    scene = Scene(KEY, PRESENT)
    scene.oracle.woken, scene.store.woken = LATER, answer(200, b"[2]", 20)
    with differs("woken: status"):
        scene.lot.settle(mended=False)


def test_the_oracle_may_wake_who_waits_for_what_is_not_there() -> None:
    """B6: a neighbour was written; there is still nothing."""
    scene = Scene(KEY, ABSENT)
    scene.oracle.woken = LATER
    scene.lot.settle(mended=False)
    assert scene.tally.rules == {"exact-wakeups": 1}
    assert scene.store.closed


@pytest.mark.parametrize(
    ("parked", "woken", "now"),
    [
        (
            PRESENT,
            answer(200, b"[2]", 20),
            answer(200, b"[2]", 20),
        ),  # a change that we slept through
        (PRESENT, LATER, LATER),  # a delete that we slept through
        (ABSENT, answer(200, b"[1]", 20), answer(200, b"[1]", 20)),  # a creation
        (ABSENT, LATER, answer(200, b"[1]", 20)),  # one that has come since
    ],
)
def test_no_other_sleeps_alone(parked: Answer, woken: Answer, now: Answer) -> None:
    """Where anything is or was there, the store must wake with the oracle."""
    scene = Scene(KEY, parked)
    scene.oracle.woken = woken
    scene.now(now)
    with differs("only the oracle woke"):
        scene.lot.settle(mended=False)


def test_a_query_of_a_session_may_have_begun_late() -> None:
    """It is answered with the same session, since another one has changed meanwhile."""
    scene = Scene(SESSION, PRESENT)
    scene.oracle.woken = answer(200, b"[1]", 20)
    scene.lot.settle(mended=False)
    assert scene.tally.rules == {"exact-wakeups": 1}


@pytest.mark.parametrize(
    ("park", "woken"),
    [
        (SESSION, answer(200, b"[2]", 20)),  # another one
        (SESSION, answer(200, b"[]", 20)),  # gone
        (SESSIONS, answer(200, b"[1]", 20)),  # all of them
        (KEY, answer(200, b"[1]", 20)),  # no session
    ],
)
def test_no_other_begins_late(park: Park, woken: Answer) -> None:
    """Where more than one session was asked for, or it has changed, both must wake."""
    scene = Scene(park, PRESENT)
    scene.oracle.woken = woken
    with differs("only the oracle woke"):
        scene.lot.settle(mended=False)


def test_the_oracle_may_miss_a_delete_of_an_ancestor() -> None:
    """B9: its index of the emptied tree is not newer than what is waited for."""
    scene = Scene(TREE, PRESENT)
    scene.store.woken = LATER
    scene.now(answer(404, index=10))
    scene.lot.settle(mended=False)
    assert scene.tally.rules == {"exact-wakeups": 1}


@pytest.mark.parametrize(
    ("park", "now"),
    [
        (TREE, answer(404, index=20)),  # newer: it should have woken
        (TREE, answer(200, b"[1]", 10)),  # not emptied
        (KEY, answer(404, index=10)),  # no tree
    ],
)
def test_no_other_wakes_alone(park: Park, now: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the oracle has no reason to miss it, or nothing has happened."""
    monkeypatch.setattr("conformance.fuzz.parking.LATE_S", 0.0)
    scene = Scene(park, PRESENT)
    scene.store.woken = LATER
    scene.now(now)
    with differs("only the store woke"):
        scene.lot.settle(mended=False)


def test_what_was_mended_must_wake_both() -> None:
    """With what, depends on which of several writes each saw."""
    scene = Scene(KEY, PRESENT)
    scene.oracle.woken, scene.store.woken = answer(200, b"[2]", 30), answer(200, b"[3]", 20)
    scene.lot.settle(mended=True)
    assert len(scene.lot) == 0


def test_a_wait_of_its_own_is_seen_through() -> None:
    """Its answers are compared at once, at whatever index."""
    oracle, store = Scripted(), Scripted()
    oracle.plain = store.plain = oracle.woken = store.woken = PRESENT
    lot = Lot(Episode(Pair(oracle, store), "p/", Tally()))
    lot.park(Park("/v1/kv/{P}a?raw", wait="10ms", ahead=1000))
    assert store.parked == ["/v1/kv/p/a?raw&index=1010&wait=10ms"]
    assert len(lot) == 0
    store.woken = ABSENT
    with differs("woken: status"):
        lot.park(Park("/v1/kv/{P}a", wait="10ms"))


def test_the_oldest_gives_its_place() -> None:
    """So many wait, and no more; what has no index waits for nothing."""
    scene = Scene(KEY, PRESENT)
    for _ in range(PARKED_MAX):
        scene.lot.park(KEY)
    assert len(scene.lot) == PARKED_MAX
    assert scene.store.closed == 1
    scene.now(answer(400))
    scene.lot.park(KEY)
    assert len(scene.store.parked) == PARKED_MAX + 1
    scene.lot.close()
    assert scene.store.closed == PARKED_MAX + 1

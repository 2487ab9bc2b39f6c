"""Events that are kept and waited for."""

import pytest
from fake_clock import FakeClock

from kvstore.engine.blocking import WAIT_DEFAULT_S, Parked
from kvstore.engine.events import EVENTS_KEPT, Event, Events


def event(name: str = "deploy", number: int = 7) -> Event:
    """Return an event whose id is a number."""
    digits = f"{number:032x}"
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return Event("-".join(parts), name.encode(), b"", b"", b"", b"")


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that a test moves."""
    return FakeClock()


@pytest.fixture
def events(clock: FakeClock) -> Events:
    """Give no events yet; nothing is added to the time of those who wait."""
    return Events(clock, jitter=lambda: 0.0)


def names(events: Events, name: bytes = b"") -> list[bytes]:
    """Return the names of the events that a read without waiting gives."""
    read = events.read(name, 0, 0)
    assert not isinstance(read, Parked)
    return [one.name for one in read.value]


def park(events: Events, name: bytes = b"", index: int = 1) -> list[list[bytes]]:
    """Wait for an event; what it gives is in the list that is returned."""
    parked = events.read(name, index, 0)
    assert isinstance(parked, Parked)
    told: list[list[bytes]] = []
    parked.on_done(lambda read: told.append([one.name for one in read.value]))
    return told


def test_an_index_is_made_of_the_id() -> None:
    """As Consul does it, with an id and an index that one gave."""
    consuls = Event("547ed064-280c-f4ba-7f67-8820606fe09f", b"foo", b"", b"", b"", b"")
    assert consuls.index == 3105610468344140837


def test_events_are_listed_in_their_order(events: Events) -> None:
    """All, or those of one name; their times begin at 2 and count those that were skipped."""
    events.add(event("a"))
    events.skip()
    events.add(event("b"))
    events.add(event("a"))
    assert names(events) == [b"a", b"b", b"a"]
    assert names(events, b"a") == [b"a", b"a"]
    assert names(events, b"none") == []
    read = events.read(b"", 0, 0)
    assert not isinstance(read, Parked)
    assert [one.time for one in read.value] == [2, 4, 5]


def test_the_oldest_are_forgotten(events: Events) -> None:
    """What is kept is bounded."""
    for number in range(EVENTS_KEPT + 3):
        events.add(event(str(number)))
    kept = names(events)
    assert (len(kept), kept[0]) == (EVENTS_KEPT, b"3")


def test_a_client_waits_for_another_last_event(events: Events) -> None:
    """The index it knows is compared, not ordered."""
    told = park(events)
    assert told == []
    events.add(event("a", 70))
    assert told == [[b"a"]]
    assert not isinstance(events.read(b"", 1, 0), Parked)
    assert not isinstance(events.read(b"", 71, 0), Parked)
    told = park(events, index=70)
    events.add(event("b", 5))
    assert told == [[b"a", b"b"]]
    assert events.parked_count == 0


def test_who_waits_for_a_name_hears_of_that_name(events: Events) -> None:
    """And of no other that begins or ends with it."""
    told = park(events, b"deploy")
    events.add(event("dep"))
    events.add(event("deploy-more"))
    assert told == []
    events.add(event("deploy"))
    assert told == [[b"deploy"]]


def test_waiting_has_an_end(events: Events, clock: FakeClock) -> None:
    """The time that was asked for, or the default; the answer is the list as it is."""
    told = park(events, b"deploy")
    clock.advance(WAIT_DEFAULT_S)
    assert told == [[]]
    assert events.parked_count == 0


def test_who_gives_up_leaves_nothing(events: Events) -> None:
    """A cancelled wait is forgotten."""
    parked = events.read(b"", 1, 0)
    assert isinstance(parked, Parked)
    assert events.parked_count == 1
    parked.cancel()
    assert events.parked_count == 0
    events.add(event())


def test_closing_answers_all_who_wait(events: Events) -> None:
    """And nobody waits any more."""
    told = park(events)
    events.close()
    assert told == [[]]
    assert not isinstance(events.read(b"", 1, 0), Parked)

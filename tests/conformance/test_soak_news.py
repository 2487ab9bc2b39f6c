"""Who must have heard of what: lags, late and lost watchers, and what later reads must show."""

from conformance.soak.meter import Kind, Meter
from conformance.soak.news import LATE_S, LOST_S, News


class Told:
    """A meter, a clock that is set by hand, and the news between them."""

    def __init__(self) -> None:
        self.now = 100.0
        self.meter = Meter()
        self.news = News(self.meter, lambda: self.now)


def test_a_watcher_that_hears_in_time_is_measured() -> None:
    """From the sending of the write to the answer of the poll."""
    told = Told()
    watch = told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)
    assert told.news.owing() == 1

    told.now = 100.5
    told.news.deliver(watch, 7)

    assert told.news.owing() == 0
    cut = told.meter.cut()
    assert cut.kinds[Kind.WATCH].max_ms == 500.0
    assert cut.late == 0


def test_a_watcher_that_heard_before_the_writer_is_measured_too() -> None:
    """The answer to the poll overtakes the answer to the write, which is the usual case."""
    told = Told()
    watch = told.news.join("count", 5)

    told.now = 100.2
    told.news.deliver(watch, 7)
    told.now = 100.3
    told.news.announce("count", 7, since=100.0)

    assert told.news.owing() == 0
    assert round(told.meter.cut().kinds[Kind.WATCH].max_ms) == 200


def test_an_older_index_does_not_settle_what_is_owed() -> None:
    """The poll was answered with another engine's earlier change."""
    told = Told()
    watch = told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)

    told.news.deliver(watch, 6)

    assert told.news.owing() == 1


def test_a_change_between_two_answers_is_owed_on() -> None:
    """Two changes, an answer with the first one: the second is still to come."""
    told = Told()
    watch = told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)
    told.news.announce("count", 9, since=100.0)

    told.news.deliver(watch, 7)
    assert told.news.owing() == 1

    told.news.deliver(watch, 9)
    assert told.news.owing() == 0


def test_a_watcher_that_hears_late_is_counted() -> None:
    """It heard, so it is not lost."""
    told = Told()
    watch = told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)

    told.now += LATE_S + 1
    told.news.sweep()
    told.news.deliver(watch, 7)

    assert told.meter.cut().late == 1
    assert told.meter.faults == {}


def test_a_watcher_that_never_hears_is_a_fault_once() -> None:
    """However often one looks."""
    told = Told()
    told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)

    told.now += LOST_S + 1
    told.news.sweep()
    told.news.sweep()

    assert told.meter.faults["watch lost"].count == 1
    assert "index 7" in told.meter.faults["watch lost"].examples[0]


def test_whoever_leaves_owes_nothing() -> None:
    """An engine that crashed need not hear."""
    told = Told()
    watch = told.news.join("count", 5)
    told.news.announce("count", 7, since=100.0)

    told.news.leave(watch)
    told.news.leave(watch)

    assert told.news.owing() == 0


def test_watchers_of_other_things_owe_nothing() -> None:
    """Topics do not touch."""
    told = Told()
    told.news.join("other", 5)

    told.news.announce("count", 7, since=100.0)

    assert told.news.owing() == 0


def test_later_readers_must_see_what_was_announced() -> None:
    """The newest index counts, in whatever order the announcements come."""
    told = Told()
    assert told.news.floor("count") == 0

    told.news.announce("count", 9, since=100.0)
    told.news.announce("count", 7, since=100.0)
    assert told.news.floor("count") == 9

    told.news.forget("count")
    assert told.news.floor("count") == 0

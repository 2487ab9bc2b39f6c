"""What the clients measured, a window at a time."""

from conformance.soak.meter import Kind, Meter, figures


def test_figures_are_those_of_the_times() -> None:
    """By nearest rank: the 50th and the 99th of a hundred."""
    found = figures([number / 1000 for number in range(100, 0, -1)])

    assert (found.count, found.p50_ms, found.p99_ms, found.max_ms) == (100, 50.0, 99.0, 100.0)


def test_nothing_has_figures_too() -> None:
    """A window without a request is no error."""
    assert figures([]).count == 0


def test_a_window_ends_and_the_next_begins_empty() -> None:
    """Polls and watchers are no requests whose time counts; polls are requests all the same."""
    meter = Meter()
    meter.took(Kind.GET, 0.001)
    meter.took(Kind.CAS, 0.003)
    meter.took(Kind.POLL, 15.0)
    meter.took(Kind.WATCH, 0.002)
    meter.cas_refused += 2
    meter.late += 1

    first, second = meter.cut(), meter.cut()

    assert (first.requests.count, first.requests.max_ms, first.polls) == (2, 3.0, 1)
    assert set(first.kinds) == {Kind.GET, Kind.CAS, Kind.WATCH}
    assert (first.cas_refused, first.late) == (2, 1)
    assert (second.requests.count, second.polls, second.cas_refused, second.late) == (0, 0, 0, 0)
    assert meter.requests_total == 3


def test_faults_keep_the_first_examples() -> None:
    """A broken store is wrong a million times; three are shown, all are counted."""
    meter = Meter()
    for number in range(10):
        meter.fault("status", f"example {number}")
    meter.fault("index", "another")

    assert meter.fault_count == 11
    assert meter.faults["status"].count == 10
    assert meter.faults["status"].examples == ["example 0", "example 1", "example 2"]

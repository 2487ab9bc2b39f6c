"""Targets and verdicts."""

import pytest

from benchmarks.figures import Figure, Results
from benchmarks.scenarios import SCENARIOS
from benchmarks.targets import TARGETS, Judged, Target, judge


def judged(target: Target, **stores: dict[str, float]) -> Judged:
    """Judge one target by made-up figures."""
    results = Results()
    for store, metrics in stores.items():
        figures = [Figure(metric, "", value) for metric, value in metrics.items()]
        results.add(target.scenario, store, figures)
    (found,) = [one for one in judge(results) if one.target == target]
    return found


def target(scenario: str, metric: str) -> Target:
    """Return a target of the table."""
    return next(one for one in TARGETS if (one.scenario, one.metric) == (scenario, metric))


@pytest.mark.parametrize(("rate", "verdict"), [(25, "met"), (24, "missed")])
def test_a_rate_is_held_against_consuls(rate: float, verdict: str) -> None:
    """At least 2.5 times."""
    found = judged(target("get", "rate"), ours={"rate": rate}, consul={"rate": 10})
    assert (found.measured, found.verdict) == (rate / 10, verdict)


@pytest.mark.parametrize(("used", "met"), [(60, True), (61, False)])
def test_a_figure_can_stand_for_itself(used: float, *, met: bool) -> None:
    """At most 60 microseconds, whatever others take."""
    assert judged(target("get", "CPU"), ours={"CPU": used}).met is met


@pytest.mark.parametrize(("rate", "met"), [(85, True), (84, False)])
def test_a_figure_can_be_held_against_another_of_ours(rate: float, *, met: bool) -> None:
    """Within 15 % of the small store's."""
    found = judged(target("million", "get rate"), ours={"get rate": rate, "get rate, small": 100})
    assert found.met is met


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """Without a Consul there is nothing to hold a rate against."""
    found = judged(target("get", "rate"), ours={"rate": 1})
    assert (found.measured, found.met, found.verdict) == (None, None, "not measured")


def test_every_target_is_of_a_scenario() -> None:
    """A name that is not there would never be judged."""
    assert {one.scenario for one in TARGETS} == {one.name for one in SCENARIOS}


def test_a_target_says_what_it_wants() -> None:
    """Metric, direction, bound, and of what."""
    assert target("put", "rate").text == "rate ≥ 3x of Consul's"
    assert target("get", "CPU").text == "CPU ≤ 60 µs"
    assert target("million", "get rate").text == "get rate ≥ 0.85x of get rate, small"

"""Medians and ratios."""

import pytest

from benchmarks.figures import Figure, Results


def results(**rates: list[float]) -> Results:
    """Return the rates of stores, a round each."""
    found = Results()
    for store, values in rates.items():
        for value in values:
            found.add("get", store, [Figure("rate", "/s", value)])
    return found


def test_the_median_is_of_all_rounds() -> None:
    """One bad round moves nothing."""
    series = results(ours=[10, 1000, 11]).find("get", "ours", "rate")
    assert series is not None
    assert series.median == 11
    assert series.values == (10, 1000, 11)


def test_the_spread_is_a_part_of_the_median() -> None:
    """From the smallest to the largest; none of one round."""
    series = results(ours=[90, 100, 110], consul=[5])
    ours, consul = series.find("get", "ours", "rate"), series.find("get", "consul", "rate")
    assert ours is not None
    assert consul is not None
    assert (ours.spread, consul.spread) == (pytest.approx(0.2), 0)


def test_a_ratio_is_of_medians() -> None:
    """Ours by theirs."""
    assert results(ours=[20, 30, 40], consul=[10]).ratio("get", "rate", "ours", "consul") == 3


def test_there_is_no_ratio_without_both() -> None:
    """A store that was not measured, or measured as nothing, gives none."""
    assert results(ours=[1]).ratio("get", "rate", "ours", "consul") is None
    assert results(ours=[1], consul=[0]).ratio("get", "rate", "ours", "consul") is None


def test_scenarios_and_metrics_keep_their_order() -> None:
    """Tables have them as they came."""
    found = Results()
    found.add("put", "ours", [Figure("rate", "/s", 1), Figure("CPU", "µs", 2)])
    found.add("get", "ours", [Figure("rate", "/s", 1)])
    found.add("put", "consul", [Figure("CPU", "µs", 2)])
    assert found.scenarios() == ["put", "get"]
    assert found.metrics("put") == ["rate", "CPU"]
    assert [one.store for one in found] == ["ours", "ours", "ours", "consul"]

"""Verdicts: what is flat, what grows, and what one bad minute changes."""

from dataclasses import replace
from typing import Any

import pytest
from soak_samples import MIB, slower, window

from conformance.soak.verdict import (
    LONG,
    SHORT,
    Judged,
    Tolerance,
    judge,
    judge_departure,
    judge_series,
)
from conformance.soak.windows import Window

WINDOWS = 18


def growing(judged: list[Judged]) -> list[str]:
    """Return the names of the figures that are not flat."""
    return [one.name for one in judged if not one.flat]


def ramp(**last: Any) -> list[Window]:
    """Return windows in which some figures go evenly from what is flat to what is given."""
    first = window()
    return [
        window(number, **{
            name: getattr(first, name) + (value - getattr(first, name)) * number / (WINDOWS - 1)
            for name, value in last.items()
        })
        for number in range(WINDOWS)
    ]  # fmt: skip


def test_a_store_that_stays_as_it_is_is_flat() -> None:
    """Every figure is judged, and none grows."""
    judged = judge([window(number) for number in range(WINDOWS)], LONG)

    assert growing(judged) == []
    assert [one.name for one in judged] == [
        "memory",
        "descriptors, less the engines'",
        "threads",
        "entries",
        "sessions",
        "parked queries",
        "processor time of a request",
        "p99, all requests",
        "p50, get",
        "p50, watch",
    ]


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("memory", {"rss_bytes": 130.0 * MIB}),
        ("descriptors, less the engines'", {"extra_fds": 200.0}),
        ("threads", {"threads": 20.0}),
        ("processor time of a request", {"cpu_share": 0.5}),
    ],
)
def test_what_creeps_up_is_seen(name: str, last: dict[str, float]) -> None:
    """A leak is a line, however slowly it goes."""
    assert growing(judge(ramp(**last), LONG)) == [name]


def test_slower_and_slower_answers_are_seen() -> None:
    """The middle and the slowest answers are judged each by themselves."""
    windows = [window(number, cut=slower(1 + 3 * number)) for number in range(WINDOWS)]

    assert growing(judge(windows, LONG)) == ["p99, all requests", "p50, get"]


def test_more_and_more_sessions_are_seen() -> None:
    """What the store tells of itself is judged too, but not its index, which must grow."""
    windows = [window(number) for number in range(WINDOWS)]
    windows = [
        replace(one, told={**one.told, "sessions": 500 + 20 * number, "index": 10_000 * number})
        for number, one in enumerate(windows)
    ]

    assert growing(judge(windows, LONG)) == ["sessions"]


def test_counts_that_a_store_does_not_tell_are_not_judged() -> None:
    """Consul does not count its parked queries."""
    windows = [window(number, told={"entries": 5}) for number in range(WINDOWS)]

    names = [one.name for one in judge(windows, LONG)]

    assert "entries" in names
    assert "sessions" not in names
    assert "parked queries" not in names


@pytest.mark.parametrize("bad", [0, 8, WINDOWS - 1])
def test_one_bad_window_is_no_trend(bad: int) -> None:
    """Wherever it is: other work on the machine is not the store's fault."""
    windows = [window(number) for number in range(WINDOWS)]
    windows[bad] = replace(
        windows[bad], rss_bytes=900.0 * MIB, extra_fds=900.0, cpu_share=3.0, cut=slower(90)
    )

    assert growing(judge(windows, LONG)) == []


def test_what_shrinks_is_flat() -> None:
    """Memory given back is no fault."""
    assert growing(judge(ramp(rss_bytes=40.0 * MIB, threads=1.0), LONG)) == []


def test_a_step_in_the_middle_third_is_growth() -> None:
    """Something was taken and never given back."""
    series = [100.0] * 6 + [100.0] * 3 + [200.0] * 9

    judged = judge_series("memory", "MiB", series, Tolerance(0.1, 8.0))

    assert (judged.first, judged.last) == (100.0, 200.0)
    assert not judged.flat


def test_what_swings_without_going_anywhere_is_flat() -> None:
    """A saw tooth, as snapshots make it."""
    series = [100.0 + 15.0 * (number % 4) for number in range(WINDOWS)]

    assert judge_series("memory", "MiB", series, Tolerance(0.1, 8.0)).flat


@pytest.mark.parametrize(
    ("growth", "flat"),
    [(9.0, True), (11.0, False)],
)
def test_the_larger_tolerance_counts(growth: float, *, flat: bool) -> None:
    """A tenth of 100 is more than 8."""
    # 100 in the middle of the first third, and twelve windows later so much more.
    series = [100.0 + growth * (number - 2.5) / 12 for number in range(WINDOWS)]

    judged = judge_series("memory", "MiB", series, Tolerance(0.1, 8.0))

    assert judged.allowed == 10.0
    assert judged.flat is flat


def test_short_runs_do_not_judge_answer_times() -> None:
    """Neither answer times nor processor time, and memory with a larger tolerance."""
    windows = [
        replace(one, cut=slower(1 + number), cpu_share=0.1 * (1 + number))
        for number, one in enumerate(ramp(rss_bytes=130.0 * MIB))
    ]

    judged = judge(windows, SHORT)

    assert growing(judged) == []
    assert not any(one.unit == "ms" for one in judged)


@pytest.mark.parametrize(("after", "flat"), [(10, True), (12, True), (60, False)])
def test_engines_that_leave_must_leave_nothing(after: int, *, flat: bool) -> None:
    """A descriptor or two more are the journal's, fifty are engines'."""
    assert judge_departure(before=10, after=after).flat is flat

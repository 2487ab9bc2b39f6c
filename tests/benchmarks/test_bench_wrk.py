"""What is read out of wrk's output."""

import json

import pytest

from benchmarks.errors import WrongAnswer
from benchmarks.wrk import parse

TOLD = {
    "requests": 2000,
    "duration_us": 500_000,
    "bytes": 1,
    "p50_us": 1500,
    "p99_us": 9000,
    "p999_us": 10_000,
    "max_us": 12_000,
    "connect": 0,
    "read": 0,
    "write": 0,
    "timeout": 0,
    "status": 0,
    "bad": 0,
}


def output(**changes: int) -> str:
    """Return what wrk prints, its own lines before the script's."""
    return f"Running 2s test @ http://127.0.0.1\n  2000 requests\n{json.dumps(TOLD | changes)}\n"


def test_figures_have_the_units_of_their_names() -> None:
    """Microseconds become seconds and milliseconds; the rate is of answers a second."""
    load = parse(output())
    assert (load.rate, load.p50_ms, load.p99_ms, load.max_ms) == (4000.0, 1.5, 9.0, 12.0)
    assert load.errors == 0


@pytest.mark.parametrize("kind", ["connect", "read", "write", "timeout", "status", "bad"])
def test_every_kind_of_error_counts(kind: str) -> None:
    """One of any kind is one."""
    assert parse(output(**{kind: 3})).errors == 3


def test_statuses_do_not_count_where_a_script_judges_them() -> None:
    """The mix has reads of keys that are not there; what it calls bad still counts."""
    assert parse(output(status=5, bad=2), statuses=False).errors == 2


@pytest.mark.parametrize("text", ["", "wrk: unable to connect\n", output(requests=0)])
def test_a_run_without_answers_is_refused(text: str) -> None:
    """No line of figures, or no answer, is no measurement."""
    with pytest.raises(WrongAnswer):
        parse(text)

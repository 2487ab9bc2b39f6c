"""Small pure parts: rounds in turn, percentiles, file systems, steps of the engine mix."""

from pathlib import Path

import pytest

from benchmarks.errors import WrongAnswer
from benchmarks.machine import disk_of
from benchmarks.probe import percentile
from benchmarks.runner import turns
from benchmarks.scenarios.mix import steps
from benchmarks.stores import Ours
from benchmarks.wording import number


def test_stores_take_turns() -> None:
    """Each second round begins with the last, so that none is always the first."""
    first, second = Ours(), Ours()
    assert turns([first, second], 0) == [first, second]
    assert turns([first, second], 1) == [second, first]


@pytest.mark.parametrize(("part", "value"), [(0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_percentiles(part: float, value: float) -> None:
    """Of the numbers from one to a hundred, in any order."""
    assert percentile([float(number) for number in range(100, 0, -1)], part) == value


def test_there_is_no_percentile_of_nothing() -> None:
    """A probe that was never answered is a wrong answer, not a zero."""
    with pytest.raises(WrongAnswer):
        percentile([], 0.99)


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    """The longest mount point above the folder counts."""
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpx xfs rw 0 0\n"
    assert disk_of(Path("/tmp/deep"), mounts) == "tmpfs"
    assert disk_of(Path("/home"), mounts) == "ext4"


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (99.94, "99.9"), (1.234, "1.23"), (0, "0.00")]
)
def test_numbers_have_three_digits_that_mean_something(value: float, text: str) -> None:
    """Large ones have all before the point."""
    assert number(value) == text


def test_the_mix_has_the_recorded_proportions() -> None:
    """Within two in a hundred of what engines were recorded to send."""
    mix = steps(["a", "b", "c"], "session")
    kinds = {
        "reads": sum("consistent=" in target for _, target, *_ in mix),
        "lists": sum("recurse=" in target for _, target, *_ in mix),
        "check-and-sets": sum("cas=" in target for _, target, *_ in mix),
    }
    recorded = {"reads": 0.56, "lists": 0.37, "check-and-sets": 0.057}
    for kind, part in recorded.items():
        assert kinds[kind] / len(mix) == pytest.approx(part, abs=0.02), kind


def test_every_update_of_the_mix_is_between_two_reads_of_its_key() -> None:
    """The first gives the index, the second is held against it."""
    mix = steps(["a", "b", "c"], "session")
    for place, (method, target, *_) in enumerate(mix):
        if method == "PUT" and "cas={index}" in target:
            key = target.partition("?")[0]
            assert mix[place - 1][:2] == mix[place + 1][:2] == ("GET", f"{key}?consistent=")

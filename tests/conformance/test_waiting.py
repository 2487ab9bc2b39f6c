"""Waiting for a condition: how long, and what a failure says."""

import pytest

from conformance.overlay.errors import Mismatch
from conformance.overlay.together import together
from conformance.overlay.waiting import wait_until


def test_the_first_true_value_is_returned() -> None:
    """Falsy values, a Mismatch and an OSError all mean "not yet"."""
    answers = iter([0, Mismatch("no"), ConnectionRefusedError(), "there"])

    def condition() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert wait_until(condition, 5, "something", pause_s=0) == "there"


def test_a_failure_says_what_was_expected_and_seen() -> None:
    """The condition is tried at least once, and its last complaint is in the text."""

    def condition() -> bool:
        raise Mismatch("still red")

    with pytest.raises(Mismatch, match="expected within 0 s: green; seen last: still red"):
        wait_until(condition, 0, "green")


def test_other_errors_are_not_swallowed() -> None:
    """A bug in a condition ends the wait at once."""
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 5, "never")


def test_together_keeps_order_and_raises_what_was_raised() -> None:
    """Results come in the order of the calls; an exception comes after all have ended."""
    ended = []

    def fail() -> None:
        raise Mismatch("second")

    def end() -> None:
        ended.append(3)

    assert together(lambda: 1, lambda: 2) == [1, 2]
    with pytest.raises(Mismatch, match="second"):
        together(fail, end)
    assert ended == [3]

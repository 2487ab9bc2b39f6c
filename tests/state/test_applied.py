"""Outcomes and reads as values."""

from dataclasses import FrozenInstanceError

import pytest

from kvstore.state.applied import Applied, Read


def test_outcome_is_done_and_changed_nothing_unless_it_says_so() -> None:
    """A command that only took an index needs to say no more than the index."""
    applied = Applied(7)
    assert applied.index == 7
    assert applied.done
    assert applied.refusal is None
    assert applied.changed_keys == ()
    assert applied.created is None
    assert applied.destroyed is None


def test_outcomes_and_reads_are_values() -> None:
    """Two replays can be compared: equal fields are equal outcomes."""
    assert Applied(7, changed_keys=(b"a",)) == Applied(7, changed_keys=(b"a",))
    assert Applied(7) != Applied(8)
    assert Read(7, [b"a"]) == Read(7, [b"a"])
    assert Read(7, [b"a"]) != Read(8, [b"a"])


@pytest.mark.parametrize("value", [Applied(7), Read(7, None)])
def test_outcomes_and_reads_cannot_be_changed(value: object) -> None:
    """What came back stays as it came."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, "index", 8)  # noqa: B010 - an assignment would not pass the type check

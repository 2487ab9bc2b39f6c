"""Outcomes and reads as values."""

from typing import Any

import pytest

from kvstore.state.applied import Applied, OpFailure, OpResult, Read, TxnOutcome
from kvstore.state.command import DeleteKey

from .unchanging import assert_unchanging


def test_outcome_is_done_and_changed_nothing_unless_it_says_so() -> None:
    """A command that only took an index needs to say no more than the index."""
    applied = Applied(7)
    assert applied.index == 7
    assert applied.done
    assert applied.refusal is None
    assert applied.changed_keys == ()
    assert applied.created is None
    assert applied.destroyed is None
    assert applied.txn is None


def test_failed_operation_was_refused_by_the_state_unless_it_says_so() -> None:
    """And a transaction of which nothing is said had nothing to show."""
    failure = OpFailure(3, DeleteKey(b"a"))
    assert (failure.met, failure.refusal, failure.lock_delayed) == (None, None, False)
    assert TxnOutcome() == TxnOutcome((), ())


def test_outcomes_and_reads_are_values() -> None:
    """Two replays can be compared: equal fields are equal outcomes."""
    assert Applied(7, changed_keys=(b"a",)) == Applied(7, changed_keys=(b"a",))
    assert Applied(7) != Applied(8)
    assert Read(7, [b"a"]) == Read(7, [b"a"])
    assert Read(7, [b"a"]) != Read(8, [b"a"])


@pytest.mark.parametrize(
    "value",
    [
        Applied(7),
        Read(7, None),
        TxnOutcome(),
        OpResult(None, b"a", with_value=True),
        OpFailure(0, DeleteKey(b"a")),
    ],
)
def test_outcomes_and_reads_cannot_be_changed(value: Any) -> None:
    """What came back stays as it came."""
    assert_unchanging(value)

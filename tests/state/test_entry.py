"""Entries and sessions: values that never change."""

from dataclasses import replace

import pytest

from kvstore.state.entry import Entry, ServiceCheck, Session

from .apply import S1
from .unchanging import assert_unchanging

ENTRY = Entry(b"a", b"1", 0, "", 0, 3, 4)
SESSION = Session(
    S1, "", "n1", 15, "release", "", 0, ("serfHealth",), (ServiceCheck("web", ""),), (), 3
)


@pytest.mark.parametrize("value", [ENTRY, SESSION, ServiceCheck("web", "")])
def test_values_cannot_be_changed(value: object) -> None:
    """A reader may keep what it read: nobody can change it."""
    assert_unchanging(value)


def test_entries_are_equal_when_every_field_is() -> None:
    """Two reads of the same entry compare equal, two states of it do not."""
    assert replace(ENTRY) == ENTRY
    assert replace(ENTRY, modify_index=5) != ENTRY
    assert replace(ENTRY, session=S1) != ENTRY

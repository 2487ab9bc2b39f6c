"""Entries and sessions: values that never change."""

from dataclasses import FrozenInstanceError, replace

import pytest

from kvstore.state.entry import Entry, ServiceCheck, Session

from .apply import S1

ENTRY = Entry(b"a", b"1", 0, "", 0, 3, 4)
SESSION = Session(
    S1, "", "n1", 15, "release", "", 0, ("serfHealth",), (ServiceCheck("web", ""),), (), 3
)


@pytest.mark.parametrize(
    ("value", "field"),
    [(ENTRY, "value"), (SESSION, "name"), (ServiceCheck("web", ""), "id")],
)
def test_values_cannot_be_changed(value: object, field: str) -> None:
    """A reader may keep what it read: nobody can change it."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, b"2")


def test_entries_are_equal_when_every_field_is() -> None:
    """Two reads of the same entry compare equal, two states of it do not."""
    assert replace(ENTRY) == ENTRY
    assert replace(ENTRY, modify_index=5) != ENTRY
    assert replace(ENTRY, session=S1) != ENTRY


def test_new_entry_remembers_no_rendering() -> None:
    """A rendering is there only after somebody made one."""
    assert ENTRY.rendered is None


def test_remembered_rendering_is_no_part_of_the_value() -> None:
    """An entry with a rendering is equal to one without, and shows the same."""
    entry = replace(ENTRY)
    entry.remember(b"{}")
    assert entry.rendered == b"{}"
    assert entry == ENTRY
    assert hash(entry) == hash(ENTRY)
    assert repr(entry) == repr(ENTRY)

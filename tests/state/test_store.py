"""The state machine: one index a command, in order, with nothing else moving it."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from typing import cast

import pytest

from kvstore.errors import InvariantBroken
from kvstore.state.applied import Applied
from kvstore.state.command import (
    Command,
    CreateStore,
    DeleteKey,
    DestroySession,
    LockKey,
    SetKey,
)
from kvstore.state.store import State

from .apply import S1, S2, Apply, make_session


def test_new_state_is_at_index_zero(state: State) -> None:
    """A state without commands has no name, no keys and no sessions."""
    assert state.last_index == 0
    assert state.store_id == ""
    assert state.entry_count == 0
    assert state.session_count == 0


def test_first_command_names_the_store(state: State, apply: Apply) -> None:
    """A store is named once, by a command that touches no key."""
    assert apply(CreateStore("5f0e")) == Applied(1)
    assert state.store_id == "5f0e"
    assert state.get_tree(b"").index == 0


def test_I1_every_command_takes_the_next_index(state: State, apply: Apply) -> None:
    """Keys and sessions share one counter."""
    assert apply(SetKey(b"a", b"", 0)).index == 1
    assert apply(make_session(S1)).index == 2
    assert apply(LockKey(b"a", b"", 0, S1)).index == 3
    assert apply(DestroySession(S1)).index == 4
    assert state.last_index == 4


def test_I2_commands_that_change_nothing_take_an_index(state: State, apply: Apply) -> None:
    """A no-op and a refusal count, and move nothing but the last index."""
    apply(SetKey(b"a", b"", 0))
    apply(SetKey(b"a", b"", 0))
    apply(DeleteKey(b"b"))
    apply(LockKey(b"a", b"", 0, S2))
    assert state.last_index == 4
    assert state.get_tree(b"").index == 1


def test_counts_are_of_what_is_there(state: State, apply: Apply) -> None:
    """Deleted keys and destroyed sessions count no longer."""
    apply(SetKey(b"a", b"", 0))
    apply(SetKey(b"b", b"", 0))
    apply(make_session(S1))
    assert (state.entry_count, state.session_count) == (2, 1)
    apply(DeleteKey(b"a"))
    apply(DestroySession(S1))
    assert (state.entry_count, state.session_count) == (1, 0)


@pytest.mark.parametrize("index", [0, 1, 3, 100])
def test_commands_out_of_order_are_our_fault(state: State, apply: Apply, index: int) -> None:
    """An index that is not the next one is a bug, and leaves the state as it is."""
    apply(SetKey(b"a", b"", 0))
    with pytest.raises(InvariantBroken, match=f"command {index} came after 1"):
        state.apply(index, SetKey(b"b", b"", 0))
    assert state.last_index == 1
    assert state.entry_count == 1


def test_commands_of_an_unknown_kind_are_our_fault(state: State) -> None:
    """A command that the state cannot apply is a bug, and takes no index."""
    with pytest.raises(InvariantBroken, match="no way to apply str"):
        state.apply(1, cast("Command", "set a"))
    assert state.last_index == 0


def test_an_earlier_read_is_not_changed_by_a_write(state: State, apply: Apply) -> None:
    """What was read stays as it was: a reader holds values, not the tables."""
    apply(SetKey(b"a", b"1", 0))
    tree, names = state.get_tree(b""), state.keys(b"")
    apply(SetKey(b"a", b"2", 0))
    apply(SetKey(b"b", b"", 0))
    assert [entry.value for entry in tree.value] == [b"1"]
    assert names.value == [b"a"]


def test_a_caller_may_change_the_list_it_was_given(state: State, apply: Apply) -> None:
    """Lists are the reader's own."""
    apply(SetKey(b"a", b"1", 0))
    apply(make_session(S1))
    state.get_tree(b"").value.clear()
    state.keys(b"").value.clear()
    state.list_sessions().value.clear()
    state.get_session(S1).value.clear()
    assert state.keys(b"").value == [b"a"]
    assert [session.id for session in state.list_sessions().value] == [S1]
    assert [session.id for session in state.get_session(S1).value] == [S1]

"""The index of every kind of read (contract I5 to I8, B9): what moves it and what must not."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.state import kv
from kvstore.state.command import (
    Command,
    DeleteKey,
    DeleteTree,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.graveyard import Graveyard
from kvstore.state.store import State
from kvstore.state.tables import Tables

from .apply import S1, Apply, make_session


def tree_index(state: State, prefix: bytes) -> int:
    """Return the index of a prefix, which its listings must share."""
    index = state.tree_index(prefix)
    assert state.get_tree(prefix).index == index
    assert state.keys(prefix).index == index
    assert state.keys(prefix, b"/").index == index
    return index


def test_I5_empty_store_is_at_index_zero(state: State) -> None:
    """Nothing was written, so every read is valid at 0."""
    assert state.get(b"a").index == 0
    assert tree_index(state, b"") == 0
    assert tree_index(state, b"a") == 0
    assert state.list_sessions().index == 0


def test_I5_existing_key_has_its_own_modify_index(state: State, apply: Apply) -> None:
    """Exactly its own, since libkv takes it as the cas index; other writes leave it."""
    apply(SetKey(b"a", b"1", 0))
    apply(SetKey(b"b", b"1", 0))
    apply(SetKey(b"a/child", b"1", 0))
    assert state.get(b"a").index == state.key_index(b"a") == 1
    assert state.get(b"b").index == state.key_index(b"b") == 2


@pytest.mark.parametrize(
    ("command", "index"),
    [
        pytest.param(SetKey(b"b", b"2", 0), 5, id="set"),
        pytest.param(SetKey(b"b", b"1", 0), 4, id="identical-set"),
        pytest.param(DeleteKey(b"b"), 5, id="delete"),
        pytest.param(DeleteKey(b"absent"), 4, id="delete-of-nothing"),
        pytest.param(DeleteTree(b"b"), 5, id="delete-tree"),
        pytest.param(DeleteTree(b"absent"), 4, id="delete-tree-of-nothing"),
        pytest.param(LockKey(b"b", b"1", 0, S1), 5, id="lock"),
        pytest.param(UnlockKey(b"held", b"", 0, S1), 5, id="unlock"),
        pytest.param(DestroySession(S1), 5, id="destroy-of-a-holder"),
        pytest.param(make_session("0" * 8 + S1[8:]), 4, id="create-session"),
    ],
)
def test_I4_what_moves_the_index_of_the_whole_store(
    state: State, apply: Apply, command: Command, index: int
) -> None:
    """Missing keys and the root are at the last change of any key, and at nothing else."""
    apply(SetKey(b"a", b"1", 0))
    apply(make_session(S1))
    apply(SetKey(b"b", b"1", 0))
    apply(LockKey(b"held", b"", 0, S1))
    apply(command)
    assert state.get(b"absent").index == state.key_index(b"absent") == index
    assert tree_index(state, b"") == index
    assert tree_index(state, b"absent") == index
    assert state.get(b"a").index == 1


def test_I5_prefix_has_the_newest_modify_index_under_it(state: State, apply: Apply) -> None:
    """Writes under the prefix move it, writes elsewhere do not."""
    apply(SetKey(b"t/1", b"", 0))
    apply(SetKey(b"t/2", b"", 0))
    apply(SetKey(b"t", b"", 0))
    apply(SetKey(b"other", b"", 0))
    assert tree_index(state, b"t/") == 2
    assert tree_index(state, b"t") == 3
    assert tree_index(state, b"t/1") == 1


def test_I5_delete_moves_the_prefix_and_stays(state: State, apply: Apply) -> None:
    """A delete counts for the prefixes above it from then on, and for no neighbour."""
    apply(SetKey(b"t/1", b"", 0))
    apply(SetKey(b"t/2", b"", 0))
    apply(SetKey(b"u", b"", 0))
    apply(DeleteKey(b"t/2"))
    assert tree_index(state, b"t/") == 4
    assert tree_index(state, b"t/1") == 1
    assert tree_index(state, b"u") == 3
    apply(SetKey(b"u", b"2", 0))
    assert tree_index(state, b"t/") == 4


def test_I5_emptied_prefix_stays_at_its_last_delete(state: State, apply: Apply) -> None:
    """Unrelated writes do not move a prefix that holds nothing but tombstones (B8)."""
    apply(SetKey(b"t/1", b"", 0))
    apply(DeleteKey(b"t/1"))
    apply(SetKey(b"u", b"", 0))
    assert tree_index(state, b"t/") == 2
    assert state.get(b"t/1").index == 3


def test_I5_never_used_prefix_moves_with_the_store(state: State, apply: Apply) -> None:
    """Without entries and tombstones a prefix is at the index of the whole store."""
    apply(SetKey(b"a", b"", 0))
    assert tree_index(state, b"t/") == 1
    apply(SetKey(b"b", b"", 0))
    assert tree_index(state, b"t/") == 2


def test_I6_hidden_keys_count_for_a_listing(state: State, apply: Apply) -> None:
    """A write behind a separator moves the listing that does not show it."""
    apply(SetKey(b"t/a/1", b"", 0))
    apply(SetKey(b"t/a/2", b"", 0))
    listing = state.keys(b"t/", b"/")
    assert (listing.index, listing.value) == (2, [b"t/a/"])
    apply(SetKey(b"t/a/1", b"new", 0))
    listing = state.keys(b"t/", b"/")
    assert (listing.index, listing.value) == (3, [b"t/a/"])


def test_I7_created_again_the_key_keeps_its_tombstone(state: State, apply: Apply) -> None:
    """A new life of the key is newer than its tombstone, and a second delete newer still."""
    apply(SetKey(b"t/1", b"", 0))
    apply(DeleteKey(b"t/1"))
    apply(SetKey(b"t/1", b"", 0))
    assert tree_index(state, b"t/") == 3
    apply(DeleteKey(b"t/1"))
    assert tree_index(state, b"t/") == 4


def test_I7_deleted_tree_moves_its_prefix_and_those_above(state: State, apply: Apply) -> None:
    """A tree's delete is seen on its prefix and above; a sibling is left alone."""
    apply(SetKey(b"t/a/1", b"", 0))
    apply(SetKey(b"t/b", b"", 0))
    apply(DeleteTree(b"t/a/"))
    apply(SetKey(b"u", b"", 0))
    assert tree_index(state, b"t/a/") == 3
    assert tree_index(state, b"t/") == 3
    assert tree_index(state, b"t/b") == 2


@pytest.mark.parametrize("above", [b"t/", b"t", b""])
def test_B9_delete_of_a_tree_above_moves_a_prefix_with_tombstones(
    state: State, apply: Apply, above: bytes
) -> None:
    """Ours: a watcher of a prefix is told when an ancestor is deleted; Consul forgets it."""
    apply(SetKey(b"t/a/1", b"", 0))
    apply(SetKey(b"t/a/2", b"", 0))
    apply(DeleteKey(b"t/a/1"))
    apply(DeleteTree(above))
    apply(SetKey(b"u", b"", 0))
    assert state.get_tree(b"t/a/").value == []
    assert tree_index(state, b"t/a/") == 4


def test_B9_delete_of_a_tree_above_moves_a_prefix_without_tombstones(
    state: State, apply: Apply
) -> None:
    """Emptied from above, a prefix without tombstones goes to the index of the whole store."""
    apply(SetKey(b"t/a/1", b"", 0))
    apply(DeleteTree(b"t/"))
    assert tree_index(state, b"t/a/") == 2
    apply(SetKey(b"u", b"", 0))
    assert tree_index(state, b"t/a/") == 3


def test_S17_session_that_deletes_its_keys_leaves_tombstones(state: State, apply: Apply) -> None:
    """A prefix over the keys that went with a session stays at the index of its end."""
    apply(make_session(S1, behavior="delete"))
    apply(LockKey(b"t/1", b"", 0, S1))
    apply(SetKey(b"t/2", b"", 0))
    apply(DestroySession(S1))
    apply(SetKey(b"u", b"", 0))
    assert tree_index(state, b"t/") == 4


def test_I8_forgotten_tombstones_do_not_take_the_index_back() -> None:
    """Ours: when tombstones are forgotten, a prefix's index may rise but not drop."""
    tables = Tables(graveyard=Graveyard(4))
    kv.set_key(tables, 1, SetKey(b"t/1", b"", 0))
    kv.set_key(tables, 2, SetKey(b"t/2", b"", 0))
    kv.delete_key(tables, 3, DeleteKey(b"t/2"))
    kv.set_key(tables, 4, SetKey(b"u", b"", 0))
    assert kv.get_tree(tables, b"t/").index == 3
    for index in range(5, 15, 2):
        key = b"%d" % index
        kv.set_key(tables, index, SetKey(key, b"", 0))
        kv.delete_key(tables, index + 1, DeleteKey(key))
    assert len(tables.graveyard) <= 4
    assert kv.get_tree(tables, b"t/").index == tables.graveyard.floor >= 3
    assert kv.get(tables, b"t/1").index == 1

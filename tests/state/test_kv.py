"""Plain writes and deletes, and how keys are read (contract sections 3, 5 and 6)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.state.applied import Applied, Read
from kvstore.state.command import (
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.store import State

from .apply import S1, S2, Apply, make_session

# Every key of the contract's examples of listing (G4), in the order of their bytes.
LISTED = [b"Z", b"a", b"b", b"b-", b"b/", b"b/1", b"b/2/x", b"b/2/y", b"b/3", b"ba", b"\xc3\xa9"]


@pytest.fixture
def listed(state: State, apply: Apply) -> State:
    """Give the state with the keys of the contract's examples of listing, written backwards."""
    for key in reversed(LISTED):
        apply(SetKey(key, b"", 0))
    return state


def test_P7_new_key_is_created_and_modified_at_one_index(state: State, apply: Apply) -> None:
    """A new key's create_index and modify_index are the index of the write, its lock_index 0."""
    assert apply(SetKey(b"a", b"1", 42)) == Applied(1, changed_keys=(b"a",))
    assert state.get(b"a") == Read(1, Entry(b"a", b"1", 42, "", 0, 1, 1))


def test_P7_update_keeps_the_create_index(state: State, apply: Apply) -> None:
    """A second write moves the modify_index alone."""
    apply(SetKey(b"a", b"1", 0))
    apply(SetKey(b"b", b"1", 0))
    assert apply(SetKey(b"a", b"2", 0)) == Applied(3, changed_keys=(b"a",))
    assert state.get(b"a") == Read(3, Entry(b"a", b"2", 0, "", 0, 1, 3))
    assert state.get(b"b").index == 2


def test_P7_created_again_after_a_delete_is_a_new_key(state: State, apply: Apply) -> None:
    """A key that was deleted starts over: new create_index, lock_index of its own."""
    apply(make_session(S1))
    apply(LockKey(b"a", b"1", 0, S1))
    apply(DeleteKey(b"a"))
    apply(LockKey(b"a", b"1", 0, S1))
    assert state.get(b"a").value == Entry(b"a", b"1", 0, S1, 1, 4, 4)


def test_P2_set_replaces_value_and_flags(state: State, apply: Apply) -> None:
    """Nothing of the old value or flags is kept."""
    apply(SetKey(b"a", b"1", 42))
    apply(SetKey(b"a", b"", 0))
    assert state.get(b"a").value == Entry(b"a", b"", 0, "", 0, 1, 2)


def test_P3_identical_set_moves_no_index(state: State, apply: Apply) -> None:
    """The same value and flags again take an index and change nothing."""
    apply(SetKey(b"a", b"1", 7))
    assert apply(SetKey(b"a", b"1", 7)) == Applied(2)
    assert state.last_index == 2
    assert state.get(b"a").index == 1
    assert state.get_tree(b"").index == 1


@pytest.mark.parametrize(("value", "flags"), [(b"2", 7), (b"1", 8), (b"", 7)])
def test_P3_another_value_or_flags_is_a_change(
    state: State, apply: Apply, value: bytes, flags: int
) -> None:
    """A write is identical only when both the value and the flags are."""
    apply(SetKey(b"a", b"1", 7))
    assert apply(SetKey(b"a", value, flags)).changed_keys == (b"a",)
    assert state.get(b"a").index == 2


def test_P3_identical_set_of_a_locked_key_is_a_change_once(state: State, apply: Apply) -> None:
    """A set with the value of the lock resets its lock_index, which is a change; the next is none.

    A Docker engine's first heartbeat after it acquired its key is seen because of it.
    """
    apply(make_session(S1))
    apply(LockKey(b"a", b"1", 0, S1))
    assert apply(SetKey(b"a", b"1", 0)).changed_keys == (b"a",)
    assert apply(SetKey(b"a", b"1", 0)).changed_keys == ()
    assert state.get(b"a") == Read(3, Entry(b"a", b"1", 0, S1, 0, 2, 3))


def test_P8_set_keeps_the_holder_and_resets_the_lock_index(state: State, apply: Apply) -> None:
    """The contract's example: lock, plain write, release, lock by another."""
    apply(make_session(S1))
    apply(make_session(S2))
    apply(LockKey(b"k", b"a", 0, S1))
    assert state.get(b"k").value == Entry(b"k", b"a", 0, S1, 1, 3, 3)
    apply(SetKey(b"k", b"plain", 0))
    assert state.get(b"k").value == Entry(b"k", b"plain", 0, S1, 0, 3, 4)
    apply(UnlockKey(b"k", b"r", 0, S1))
    assert state.get(b"k").value == Entry(b"k", b"r", 0, "", 0, 3, 5)
    apply(LockKey(b"k", b"b", 0, S2))
    assert state.get(b"k").value == Entry(b"k", b"b", 0, S2, 1, 3, 6)


def test_H11_keys_are_byte_strings(state: State, apply: Apply) -> None:
    """An invalid byte and the character that stands for one are two keys."""
    apply(SetKey(b"bad\xff", b"1", 0))
    apply(SetKey(b"bad\xef\xbf\xbd", b"2", 0))
    assert state.keys(b"").value == [b"bad\xef\xbf\xbd", b"bad\xff"]


def test_delete_of_an_absent_key_is_done_and_changes_nothing(state: State, apply: Apply) -> None:
    """Section 6: deleting what is not there is `true`, and moves no index but the last."""
    apply(SetKey(b"a", b"1", 0))
    assert apply(DeleteKey(b"b")) == Applied(2)
    assert state.get(b"b").index == 1
    assert state.get_tree(b"b").index == 1


def test_delete_takes_the_key_and_nothing_else(state: State, apply: Apply) -> None:
    """Section 6: a deleted key is gone, its neighbours and children stay."""
    for key in (b"a", b"a/b", b"ab"):
        apply(SetKey(key, b"", 0))
    assert apply(DeleteKey(b"a")) == Applied(4, changed_keys=(b"a",))
    assert state.get(b"a") == Read(4, None)
    assert state.keys(b"").value == [b"a/b", b"ab"]


def test_delete_of_a_locked_key_leaves_its_session(state: State, apply: Apply) -> None:
    """Section 6: the session lives on and may acquire the key anew, at lock_index 1."""
    apply(make_session(S1))
    apply(LockKey(b"a", b"", 0, S1))
    apply(LockKey(b"b", b"", 0, S1))
    assert apply(DeleteKey(b"a")).destroyed is None
    assert state.session_count == 1
    assert state.get(b"b").value == Entry(b"b", b"", 0, S1, 1, 3, 3)


@pytest.mark.parametrize(
    ("key", "cas_index", "done", "gone"),
    [
        pytest.param(b"a", 2, True, True, id="its-modify-index"),
        pytest.param(b"a", 1, False, False, id="an-older-index"),
        pytest.param(b"a", 3, False, False, id="a-newer-index"),
        pytest.param(b"a", 0, False, False, id="zero"),
        pytest.param(b"b", 0, True, True, id="absent-and-zero"),
        pytest.param(b"b", 9, True, True, id="absent-and-any"),
    ],
)
def test_delete_cas_table(
    state: State, apply: Apply, *, key: bytes, cas_index: int, done: bool, gone: bool
) -> None:
    """Section 6: the modify_index deletes, any other is refused, an absent key is done already."""
    apply(SetKey(b"a", b"1", 0))
    apply(SetKey(b"a", b"2", 0))
    applied = apply(DeleteKeyCas(key, cas_index))
    assert applied.done is done
    assert applied.refusal is None
    assert (state.get(key).value is None) is gone
    assert applied.changed_keys == ((key,) if key == b"a" and gone else ())
    assert state.get_tree(b"").index == (3 if applied.changed_keys else 2)


@pytest.mark.parametrize(
    ("prefix", "left"),
    [
        (b"t", [b"a", b"s\xff", b"u"]),
        (b"t/", [b"a", b"s\xff", b"t", b"tt", b"u"]),
        (b"s\xff", [b"a", b"t", b"t/", b"t/1", b"tt", b"u"]),
        (b"t/1", [b"a", b"s\xff", b"t", b"t/", b"tt", b"u"]),
        (b"", []),
    ],
)
def test_delete_tree_takes_every_key_that_starts_with_the_prefix(
    state: State, apply: Apply, prefix: bytes, left: list[bytes]
) -> None:
    """Section 6: a prefix is bytes, not a path; the empty one is the whole store."""
    every = [b"a", b"s\xff", b"t", b"t/", b"t/1", b"tt", b"u"]
    for key in every:
        apply(SetKey(key, b"", 0))
    gone = tuple(key for key in every if key not in left)
    assert apply(DeleteTree(prefix)) == Applied(8, changed_keys=gone)
    assert state.keys(b"").value == left
    assert state.get_tree(prefix) == Read(8, [])


def test_delete_tree_without_a_match_is_done_and_changes_nothing(
    state: State, apply: Apply
) -> None:
    """Section 6: `true` even if there was none, and no index moves but the last."""
    apply(SetKey(b"a", b"", 0))
    assert apply(DeleteTree(b"b")) == Applied(2)
    assert state.get_tree(b"b").index == 1
    assert state.get_tree(b"a").index == 1


def test_G2_a_prefix_is_bytes_and_not_a_path(listed: State) -> None:
    """A prefix matches itself, its children and whatever else starts with it."""
    found = [entry.key for entry in listed.get_tree(b"b").value]
    assert found == [b"b", b"b-", b"b/", b"b/1", b"b/2/x", b"b/2/y", b"b/3", b"ba"]
    assert listed.keys(b"b").value == found


def test_G3_order_is_that_of_the_bytes(listed: State) -> None:
    """Whatever the order of the writes, keys are listed by their bytes."""
    assert listed.keys(b"").value == LISTED
    assert [entry.key for entry in listed.get_tree(b"").value] == LISTED


@pytest.mark.parametrize(
    ("prefix", "separator", "names"),
    [
        (b"", b"/", [b"Z", b"a", b"b", b"b-", b"b/", b"ba", b"\xc3\xa9"]),
        (b"b", b"/", [b"b", b"b-", b"b/", b"ba"]),
        (b"b/", b"/", [b"b/", b"b/1", b"b/2/", b"b/3"]),
        (b"b/2", b"/", [b"b/2/"]),
        (b"b/1/", b"/", []),
        (b"b/1/", b"", []),
        (b"b/", b"2/", [b"b/", b"b/1", b"b/2/", b"b/3"]),
        (b"", b"b", [b"Z", b"a", b"b", b"\xc3\xa9"]),
        (b"b", b"a", LISTED[2:10]),
        (b"b/", b"", [b"b/", b"b/1", b"b/2/x", b"b/2/y", b"b/3"]),
        (b"", b"nowhere", LISTED),
        (b"", b"\xc3", [*LISTED[:-1], b"\xc3"]),
    ],
)
def test_G4_separator_examples(
    listed: State, prefix: bytes, separator: bytes, names: list[bytes]
) -> None:
    """A key is cut after its first separator behind the prefix, each cut name listed once."""
    assert listed.keys(prefix, separator).value == names

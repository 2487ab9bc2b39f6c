"""Check-and-set: the contract's table, and where we differ from Consul by intent."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.state.applied import Applied, Read
from kvstore.state.command import CasKey, DeleteKey, LockKey, SetKey
from kvstore.state.entry import Entry
from kvstore.state.store import State

from .apply import S1, Apply, make_session


@pytest.mark.parametrize(
    ("key", "cas_index", "done"),
    [
        pytest.param(b"absent", 0, True, id="absent-and-zero"),
        pytest.param(b"absent", 2, False, id="absent-and-older"),
        pytest.param(b"absent", 9, False, id="absent-and-newer"),
        pytest.param(b"a", 0, False, id="there-and-zero"),
        pytest.param(b"a", 2, True, id="its-modify-index"),
        pytest.param(b"a", 1, False, id="its-create-index"),
        pytest.param(b"a", 3, False, id="newer"),
        pytest.param(b"a", 2**64 - 1, False, id="largest"),
    ],
)
def test_cas_table(state: State, apply: Apply, *, key: bytes, cas_index: int, done: bool) -> None:
    """Section 5: a cas writes on the key's modify_index alone, and zero only creates."""
    apply(SetKey(b"a", b"1", 0))
    apply(SetKey(b"a", b"2", 0))
    before = state.get(key).value
    applied = apply(CasKey(key, b"new", 5, cas_index))
    assert applied == Applied(3, done=done, changed_keys=(key,) if done else ())
    create_index = before.create_index if before else 3
    written = Entry(key, b"new", 5, "", 0, create_index, 3)
    assert state.get(key).value == (written if done else before)


def test_refused_cas_moves_no_index_but_the_last(state: State, apply: Apply) -> None:
    """A refused cas takes an index, and nobody who watches sees it (I2)."""
    apply(SetKey(b"a", b"1", 0))
    apply(CasKey(b"a", b"2", 0, 9))
    assert state.last_index == 2
    assert state.get(b"a") == Read(1, Entry(b"a", b"1", 0, "", 0, 1, 1))
    assert state.get(b"absent").index == 1
    assert state.get_tree(b"").index == 1


def test_cas_identical_wakes(state: State, apply: Apply) -> None:
    """Ours: a cas that writes the old value again moves the index; Consul swallows it (P3)."""
    apply(SetKey(b"a", b"1", 7))
    apply(SetKey(b"b", b"1", 7))
    assert apply(CasKey(b"a", b"1", 7, 1)) == Applied(3, changed_keys=(b"a",))
    assert state.get(b"a") == Read(3, Entry(b"a", b"1", 7, "", 0, 1, 3))
    assert state.get_tree(b"a").index == 3
    assert state.get_tree(b"b").index == 2


def test_cas_index_is_good_once(state: State, apply: Apply) -> None:
    """Of two that read the same entry one writes, the other is refused."""
    apply(SetKey(b"a", b"1", 0))
    assert apply(CasKey(b"a", b"2", 0, 1)).done
    assert not apply(CasKey(b"a", b"3", 0, 1)).done
    assert state.get(b"a").value == Entry(b"a", b"2", 0, "", 0, 1, 2)


def test_P8_cas_keeps_the_holder_and_resets_the_lock_index(state: State, apply: Apply) -> None:
    """A lock does not stop a cas; the session stays, the lock_index starts over."""
    apply(make_session(S1))
    apply(LockKey(b"k", b"a", 0, S1))
    apply(CasKey(b"k", b"b", 0, 2))
    assert state.get(b"k").value == Entry(b"k", b"b", 0, S1, 0, 2, 3)


def test_cas_creates_again_after_a_delete(state: State, apply: Apply) -> None:
    """A deleted key is absent: its last index is no longer good, zero is."""
    apply(SetKey(b"a", b"1", 0))
    apply(DeleteKey(b"a"))
    assert not apply(CasKey(b"a", b"2", 0, 1)).done
    assert apply(CasKey(b"a", b"2", 0, 0)).done
    assert state.get(b"a").value == Entry(b"a", b"2", 0, "", 0, 4, 4)


@pytest.mark.parametrize(
    ("cas_index", "adopt_lost", "done"),
    [
        pytest.param(2, True, False, id="an-issued-index"),
        pytest.param(3, True, True, id="the-first-never-issued"),
        pytest.param(900, True, True, id="far-ahead"),
        pytest.param(3, False, False, id="not-asked-to-adopt"),
        pytest.param(900, False, False, id="far-ahead-not-asked"),
        pytest.param(0, True, True, id="zero-creates-anyway"),
    ],
)
def test_adopt_lost_takes_an_index_that_was_never_issued_for_a_create(
    state: State, apply: Apply, *, cas_index: int, adopt_lost: bool, done: bool
) -> None:
    """Ours: an absent key and an index from data that was lost count as a create, when asked."""
    apply(SetKey(b"a", b"1", 0))
    apply(SetKey(b"b", b"1", 0))
    applied = apply(CasKey(b"k", b"1", 4, cas_index, adopt_lost=adopt_lost))
    assert applied == Applied(3, done=done, changed_keys=(b"k",) if done else ())
    assert state.get(b"k").value == (Entry(b"k", b"1", 4, "", 0, 3, 3) if done else None)


def test_adopt_lost_does_not_overwrite_a_key_that_is_there(state: State, apply: Apply) -> None:
    """Ours: an existing key refuses every index but its own, also a never issued one."""
    apply(SetKey(b"a", b"1", 0))
    assert not apply(CasKey(b"a", b"2", 0, 900, adopt_lost=True)).done
    assert apply(CasKey(b"a", b"2", 0, 1, adopt_lost=True)).done

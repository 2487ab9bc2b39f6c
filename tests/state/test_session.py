"""Sessions: made, read and invalidated, with what happens to the keys they held."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.errors import InvalidSessionId
from kvstore.state.applied import Applied, Read
from kvstore.state.command import (
    CreateSession,
    DeleteKey,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry, ServiceCheck, Session
from kvstore.state.store import State

from .apply import S1, S1_UPPER, S2, S3, Apply, make_session

# The id of S1 with its hyphens in other places.
S1_SHIFTED = "-a-a-a-" + S1.replace("-", "")[3:]


def test_S8_session_is_made_at_the_index_of_its_command(state: State, apply: Apply) -> None:
    """Everything the command says is in the session, with the index as its create_index."""
    services = (ServiceCheck("web", ""),)
    apply(SetKey(b"a", b"", 0))
    applied = apply(
        CreateSession(S1, "me", "N1", -5, "delete", "1h30m", 7, None, services, ("mem",))
    )
    made = Session(S1, "me", "N1", -5, "delete", "1h30m", 7, None, services, ("mem",), 2)
    assert applied == Applied(2, created=made)
    assert state.get_session(S1) == Read(2, [made])


def test_I4_session_traffic_moves_no_key(state: State, apply: Apply) -> None:
    """Sessions without held keys come and go, and no index of a key moves."""
    apply(SetKey(b"a", b"", 0))
    apply(make_session(S1))
    apply(DestroySession(S1))
    assert state.get(b"a").index == 1
    assert state.get(b"absent").index == 1
    assert state.get_tree(b"").index == 1
    assert state.list_sessions().index == 3


def test_I4_key_traffic_moves_no_session(state: State, apply: Apply) -> None:
    """Writes, locks and deletes of keys leave the index of the sessions."""
    apply(make_session(S1))
    apply(LockKey(b"a", b"", 0, S1))
    apply(UnlockKey(b"a", b"", 0, S1))
    apply(DeleteKey(b"a"))
    assert state.list_sessions().index == 1


@pytest.mark.parametrize("session_id", [S1, S1_UPPER, S1_SHIFTED])
def test_S9_session_is_found_by_any_spelling(state: State, apply: Apply, session_id: str) -> None:
    """Letter case and the places of hyphens do not matter, and the id is shown as it was made."""
    apply(make_session(S1))
    assert [session.id for session in state.get_session(session_id).value] == [S1]
    assert apply(DestroySession(session_id)).destroyed is not None
    assert state.session_count == 0


@pytest.mark.parametrize("session_id", [S2, "0" * 36])
def test_S9_unknown_session_is_an_empty_list(state: State, apply: Apply, session_id: str) -> None:
    """A well-formed id that nobody has is no error, and is read at the index of the table."""
    apply(make_session(S1))
    apply(SetKey(b"a", b"", 0))
    assert state.get_session(session_id) == Read(1, [])


@pytest.mark.parametrize("session_id", ["", "x", "z" * 36])
def test_S9_malformed_id_is_refused(state: State, apply: Apply, session_id: str) -> None:
    """A read raises, a destroy answers with the refusal; neither moves the sessions' index."""
    apply(make_session(S1))
    with pytest.raises(InvalidSessionId) as caught:
        state.get_session(session_id)
    applied = apply(DestroySession(session_id))
    assert not applied.done
    assert isinstance(applied.refusal, InvalidSessionId)
    assert applied.refusal.reason == caught.value.reason
    assert applied.destroyed is None
    assert state.list_sessions().index == 1


def test_I5_every_session_read_is_at_the_index_of_the_table(state: State, apply: Apply) -> None:
    """Known, unknown, listed or by node: the last create or destroy counts for all of them."""
    apply(make_session(S1))
    apply(make_session(S2, node="n2"))
    apply(SetKey(b"a", b"", 0))
    assert state.get_session(S1).index == 2
    assert state.get_session(S3).index == 2
    assert state.list_sessions().index == 2
    assert state.node_sessions("n1").index == 2
    assert state.node_sessions("nowhere").index == 2


def test_list_is_in_the_order_of_ids(state: State, apply: Apply) -> None:
    """Sessions are listed by id, whatever the order they were made in."""
    for session_id in (S3, S1, S2):
        apply(make_session(session_id))
    assert [session.id for session in state.list_sessions().value] == [S1, S2, S3]


@pytest.mark.parametrize(
    ("node", "found"), [("n1", [S1, S3]), ("N1", [S1, S3]), ("n2", [S2]), ("n", []), ("", [])]
)
def test_node_is_matched_in_any_letter_case(
    state: State, apply: Apply, node: str, found: list[str]
) -> None:
    """Section 7.2: a node's sessions are found by its whole name, case-blind."""
    apply(make_session(S1, node="n1"))
    apply(make_session(S2, node="N2"))
    apply(make_session(S3, node="N1"))
    assert [session.id for session in state.node_sessions(node).value] == found


def test_S12_destroy_of_an_unknown_session_changes_nothing(state: State, apply: Apply) -> None:
    """It is destroyed already: done, an index taken, no table moved."""
    apply(make_session(S1))
    apply(DestroySession(S1))
    assert apply(DestroySession(S1)) == Applied(3)
    assert state.list_sessions() == Read(2, [])


def test_S15_release_unlocks_every_key_at_one_index(state: State, apply: Apply) -> None:
    """Each held key loses its session and keeps the rest, all at the sessions' index."""
    apply(make_session(S1))
    apply(LockKey(b"b", b"1", 5, S1))
    apply(LockKey(b"a", b"2", 0, S1))
    apply(SetKey(b"c", b"3", 0))
    applied = apply(DestroySession(S1))
    assert applied.index == 5
    assert applied.changed_keys == (b"a", b"b")
    assert applied.destroyed is not None
    assert applied.destroyed.id == S1
    assert state.get_tree(b"").value == [
        Entry(b"a", b"2", 0, "", 1, 3, 5),
        Entry(b"b", b"1", 5, "", 1, 2, 5),
        Entry(b"c", b"3", 0, "", 0, 4, 4),
    ]
    assert state.list_sessions() == Read(5, [])


def test_S15_delete_takes_every_key_at_one_index(state: State, apply: Apply) -> None:
    """Each held key is deleted and tombstoned, all at the sessions' index."""
    apply(make_session(S1, behavior="delete"))
    apply(LockKey(b"t/b", b"1", 0, S1))
    apply(LockKey(b"t/a", b"2", 0, S1))
    apply(SetKey(b"t/c", b"3", 0))
    assert apply(DestroySession(S1)).changed_keys == (b"t/a", b"t/b")
    assert state.get_tree(b"t/") == Read(5, [Entry(b"t/c", b"3", 0, "", 0, 4, 4)])
    assert state.get_tree(b"t/a").index == 5
    assert state.get_tree(b"t/c").index == 4
    assert state.list_sessions().index == 5


def test_S15_lock_index_of_a_plain_write_survives_the_release(state: State, apply: Apply) -> None:
    """The lock_index is left as it is, also where a plain write had reset it."""
    apply(make_session(S1))
    apply(LockKey(b"a", b"1", 0, S1))
    apply(SetKey(b"a", b"2", 0))
    apply(DestroySession(S1))
    assert state.get(b"a").value == Entry(b"a", b"2", 0, "", 0, 2, 4)


def test_S16_keys_it_no_longer_holds_are_not_touched(state: State, apply: Apply) -> None:
    """Released, deleted or another's: only keys whose session it is count as held."""
    apply(make_session(S1, behavior="delete"))
    apply(make_session(S2))
    apply(LockKey(b"released", b"", 0, S1))
    apply(UnlockKey(b"released", b"", 0, S1))
    apply(LockKey(b"deleted", b"", 0, S1))
    apply(DeleteKey(b"deleted"))
    apply(LockKey(b"other", b"", 0, S2))
    assert apply(DestroySession(S1)).changed_keys == ()
    assert state.keys(b"") == Read(7, [b"other", b"released"])
    assert state.get(b"other").value == Entry(b"other", b"", 0, S2, 1, 7, 7)


def test_S16_key_taken_over_belongs_to_its_new_holder(state: State, apply: Apply) -> None:
    """A key that went from one session to another goes with the second alone."""
    apply(make_session(S1))
    apply(make_session(S2))
    apply(LockKey(b"a", b"", 0, S1))
    apply(UnlockKey(b"a", b"", 0, S1))
    apply(LockKey(b"a", b"", 0, S2))
    assert apply(DestroySession(S1)).changed_keys == ()
    assert apply(DestroySession(S2)).changed_keys == (b"a",)

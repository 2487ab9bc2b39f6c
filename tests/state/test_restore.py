"""A restore: the content becomes another one, at one index, and no index goes back."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kvstore.state.command import (
    Command,
    DeleteKey,
    DeleteTree,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
)
from kvstore.state.entry import Entry, Session
from kvstore.state.store import State

from .apply import S1, S1_UPPER, S2, Apply, applier, make_session


def an_entry(key: bytes, index: int, *, value: bytes = b"v", session: str = "") -> Entry:
    """Return an entry as a backup may hold it."""
    return Entry(key, value, 0, session, int(bool(session)), index, index)


def a_session(session_id: str, index: int) -> Session:
    """Return a session as a backup may hold it."""
    return Session(session_id, "", "n1", 0, "release", "", 0, (), None, (), index)


def backup(state: State) -> RestoreStore:
    """Return the command that brings back what a store holds now."""
    image = state.image()
    return RestoreStore(tuple(image.sessions), tuple(image.entries))


def content(state: State) -> dict[bytes, tuple[bytes, int, str]]:
    """Return what a store holds, without indexes."""
    return {one.key: (one.value, one.flags, one.session) for one in state.get_tree(b"").value}


def test_what_is_there_already_is_not_touched(state: State, apply: Apply) -> None:
    """A restore of the present takes an index and changes none."""
    apply(make_session(S1))
    apply(SetKey(b"a", b"1", 7))
    apply(LockKey(b"l", b"2", 0, S1))
    before = (state.get_tree(b""), state.list_sessions(), state.get(b"l"))
    applied = apply(backup(state))
    assert (applied.index, applied.done, applied.changed_keys) == (4, True, ())
    assert applied.restored
    assert (state.get_tree(b""), state.list_sessions(), state.get(b"l")) == before


def test_what_differs_changes_at_the_restore_s_index(state: State, apply: Apply) -> None:
    """Changed, new and removed keys; their creation is as old as it was."""
    for key in (b"changed", b"gone", b"same"):
        apply(SetKey(key, b"1", 0))
    saved = backup(state)
    apply(SetKey(b"changed", b"2", 0))
    apply(DeleteKey(b"gone"))
    apply(SetKey(b"new", b"1", 0))
    applied = apply(saved)
    assert applied.index == 7
    assert sorted(applied.changed_keys) == [b"changed", b"gone", b"new"]
    found = {one.key: (one.create_index, one.modify_index) for one in state.get_tree(b"").value}
    assert found == {b"changed": (1, 7), b"gone": (2, 7), b"same": (3, 3)}
    assert state.get(b"changed").value == Entry(b"changed", b"1", 0, "", 0, 1, 7)


def test_a_key_that_was_changed_and_changed_back(state: State, apply: Apply) -> None:
    """Its index has gone on, so it does again: a check-and-set with the old one must fail."""
    apply(SetKey(b"a", b"1", 0))
    saved = backup(state)
    apply(SetKey(b"a", b"2", 0))
    apply(SetKey(b"a", b"1", 0))
    assert apply(saved).changed_keys == (b"a",)
    assert state.get(b"a").index == 4


def test_a_key_that_goes_leaves_a_tombstone(state: State, apply: Apply) -> None:
    """Whoever waits for its prefix sees the restore's index, not an older one."""
    apply(SetKey(b"a/1", b"", 0))
    apply(SetKey(b"a/2", b"", 0))
    assert apply(RestoreStore((), ())).changed_keys == (b"a/1", b"a/2")
    assert state.get_tree(b"a/").index == 3
    assert state.keys(b"a/").index == 3
    assert state.get_tree(b"").value == []


def test_indexes_of_another_store_are_not_from_the_future(state: State, apply: Apply) -> None:
    """No entry and no session is newer than the command that brought it."""
    apply(RestoreStore((a_session(S1, 9000),), (an_entry(b"a", 9000, session=S1),)))
    entry = state.get(b"a").value
    assert entry is not None
    assert (entry.create_index, entry.modify_index) == (1, 1)
    assert state.get_session(S1).value[0].create_index == 1
    assert state.list_sessions().index == 1
    assert apply(SetKey(b"a", b"", 0)).index == 2


def test_sessions_are_replaced(state: State, apply: Apply) -> None:
    """Those that are not among them are gone, and their index moves only if any differs."""
    apply(make_session(S1))
    apply(RestoreStore((a_session(S2, 1),), ()))
    assert [one.id for one in state.list_sessions().value] == [S2]
    assert state.get_session(S1).value == []
    assert state.list_sessions().index == 2
    apply(RestoreStore((a_session(S2, 1),), (an_entry(b"a", 1),)))
    assert state.list_sessions().index == 2
    apply(RestoreStore((), ()))
    assert state.list_sessions().index == 4


def test_locks_come_back(state: State, apply: Apply) -> None:
    """Held keys are held again, and go with their session."""
    apply(make_session(S1))
    apply(LockKey(b"l", b"1", 0, S1))
    saved = backup(state)
    apply(DestroySession(S1))
    assert state.get(b"l").value == Entry(b"l", b"1", 0, "", 1, 2, 3)
    apply(saved)
    assert state.get(b"l").value == Entry(b"l", b"1", 0, S1, 1, 2, 4)
    applied = apply(DestroySession(S1))
    assert applied.changed_keys == (b"l",)


def test_a_lock_without_its_session_comes_back_unlocked(state: State, apply: Apply) -> None:
    """Nobody could ever release it."""
    apply(RestoreStore((a_session(S2, 1),), (an_entry(b"l", 1, session=S1),)))
    assert state.get(b"l").value == Entry(b"l", b"v", 0, "", 1, 1, 1)


def test_a_lock_in_another_spelling_of_its_session(state: State, apply: Apply) -> None:
    """Is held, as it was."""
    apply(RestoreStore((a_session(S1, 1),), (an_entry(b"l", 1, session=S1_UPPER),)))
    entry = state.get(b"l").value
    assert entry is not None
    assert entry.session == S1_UPPER


def test_a_lock_that_is_held_and_should_not_be(state: State, apply: Apply) -> None:
    """The session stays, the key is no longer its own, and another can lock it."""
    apply(make_session(S1))
    apply(make_session(S2))
    apply(SetKey(b"l", b"", 0))
    saved = backup(state)
    apply(LockKey(b"l", b"", 0, S1))
    apply(saved)
    assert apply(DestroySession(S1)).changed_keys == ()
    assert apply(LockKey(b"l", b"", 0, S2)).done


def test_a_key_named_twice(state: State, apply: Apply) -> None:
    """The last one counts."""
    apply(RestoreStore((), (an_entry(b"a", 1, value=b"1"), an_entry(b"a", 1, value=b"2"))))
    entry = state.get(b"a").value
    assert entry is not None
    assert entry.value == b"2"


def test_the_name_of_the_store_stays(state: State, apply: Apply) -> None:
    """It is this store that got another content."""
    other = State()
    applier(other)(SetKey(b"a", b"", 0))
    name = state.store_id
    apply(backup(other))
    assert state.store_id == name


_key = st.sampled_from([b"a", b"a/b", b"a/c", b"b", b""])
_id = st.sampled_from([S1, S2])
_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(SetKey, _key, st.sampled_from([b"1", b"2"]), st.just(0)),
    st.builds(DeleteKey, _key),
    st.builds(DeleteTree, _key),
    st.builds(LockKey, _key, st.just(b"l"), st.just(0), _id),
    st.builds(DestroySession, _id),
    st.builds(make_session, _id),
)
_commands = st.lists(_command, max_size=12)


def indexes(state: State) -> list[int]:
    """Return every index that a client can wait with."""
    reads = [state.list_sessions().index, state.keys(b"").index]
    for prefix in (b"", b"a", b"a/", b"a/b", b"b", b"c"):
        reads += [state.get_tree(prefix).index, state.keys(prefix).index]
    return reads


@given(_commands, _commands)
def test_any_store_becomes_any_other(there: list[Command], wanted: list[Command]) -> None:
    """The same content, no index that goes back, every rule kept, and the same on a replay."""
    one, other, twin = State(), State(), State()
    for state, commands in ((one, there), (other, wanted), (twin, there)):
        apply = applier(state)
        for command in commands:
            apply(command)
    saved = backup(other)
    before = indexes(one)
    held = {entry.key: entry for entry in one.get_tree(b"").value}
    applied = applier(one)(saved)
    one.check()
    assert content(one) == content(other)
    assert [replace(session, create_index=0) for session in one.list_sessions().value] == [
        replace(session, create_index=0) for session in other.list_sessions().value
    ]
    assert all(new >= old for new, old in zip(indexes(one), before, strict=True))
    now = {entry.key: entry for entry in one.get_tree(b"").value}
    differs = {key for key in held.keys() | now.keys() if held.get(key) != now.get(key)}
    assert set(applied.changed_keys) == differs
    assert len(applied.changed_keys) == len(differs)
    assert applier(twin)(saved) == applied
    assert (twin.get_tree(b""), twin.list_sessions()) == (one.get_tree(b""), one.list_sessions())

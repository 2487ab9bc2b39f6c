"""A whole store as values: what is loaded is the store that was told, and goes on like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import InvariantBroken
from kvstore.state.command import (
    CasKey,
    Command,
    CreateStore,
    DeleteKey,
    DeleteTree,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.graveyard import TOMBSTONES_MAX
from kvstore.state.image import Facts, Image, Tombstone
from kvstore.state.store import State

from .apply import S1, S2, Apply, applier, make_session


def loaded(state: State) -> State:
    """Return another store with the same content."""
    image = state.image()
    other = State()
    # As from a file: an iterator that can be taken once.
    other.load(Image(image.facts, image.sessions, image.tombstones, iter(list(image.entries))))
    other.check()
    return other


def test_the_image_of_an_empty_store(state: State) -> None:
    """Has nothing in it, and makes an empty store."""
    image = state.image()
    assert image.facts == Facts("", 0, 0, 0, 0)
    assert (image.sessions, image.tombstones, list(image.entries)) == ([], [], [])
    assert loaded(state).get_tree(b"") == state.get_tree(b"")


def test_what_an_image_holds(state: State, apply: Apply) -> None:
    """All of it, in order."""
    apply(CreateStore("name"))
    apply(make_session(S2))
    apply(make_session(S1))
    for key in (b"b", b"a", b"gone", b"t/1", b"t/2"):
        apply(SetKey(key, key, 7))
    apply(DeleteKey(b"gone"))
    apply(DeleteTree(b"t/"))
    apply(LockKey(b"c", b"", 0, S1))
    image = state.image()
    assert image.facts == Facts("name", 11, 11, 3, 0)
    assert [one.id for one in image.sessions] == [S1, S2]
    assert list(image.entries) == [
        Entry(b"a", b"a", 7, "", 0, 5, 5),
        Entry(b"b", b"b", 7, "", 0, 4, 4),
        Entry(b"c", b"", 0, S1, 1, 11, 11),
    ]
    assert image.tombstones == [
        Tombstone(b"gone", 9, with_tree=False),
        Tombstone(b"t/", 10, with_tree=False),
        Tombstone(b"t/1", 10, with_tree=True),
        Tombstone(b"t/2", 10, with_tree=True),
    ]


def test_a_loaded_store_goes_on(state: State, apply: Apply) -> None:
    """Its next index is the next one, its name is there, its locks are held."""
    apply(CreateStore("name"))
    apply(make_session(S1))
    apply(LockKey(b"l", b"", 0, S1))
    other = loaded(state)
    assert (other.store_id, other.last_index) == ("name", 3)
    assert other.entry_count == other.session_count == 1
    applied = applier(other)(DestroySession(S1))
    assert (applied.index, applied.changed_keys) == (4, (b"l",))


def test_forgotten_tombstones_stay_forgotten(state: State, apply: Apply) -> None:
    """The floor under all prefixes is loaded too, or an index would go back."""
    for number in range(TOMBSTONES_MAX + 1):
        apply(DeleteTree(b"%05d" % number))
        apply(SetKey(b"%05d" % number, b"", 0))
        apply(DeleteKey(b"%05d" % number))
    floor = state.image().facts.tombstone_floor
    assert floor > 0
    other = loaded(state)
    assert other.image().facts.tombstone_floor == floor
    assert other.image().tombstones == state.image().tombstones
    assert other.get_tree(b"0").index == state.get_tree(b"0").index


def test_only_a_new_store_can_be_loaded(state: State, apply: Apply) -> None:
    """Anything else would be lost without a word."""
    image = state.image()
    apply(SetKey(b"a", b"", 0))
    with pytest.raises(InvariantBroken, match="an image is loaded into a store at index 1"):
        state.load(image)
    assert state.entry_count == 1


def test_what_the_entries_raise_comes_through() -> None:
    """A file may turn out to be damaged as it is read."""

    def entries() -> object:
        yield Entry(b"a", b"", 0, "", 0, 1, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        State().load(Image(Facts("", 1, 1, 0, 0), [], [], entries()))  # type: ignore[arg-type]


_key = st.sampled_from([b"a", b"a/b", b"a/c", b"b", b""])
_id = st.sampled_from([S1, S2])
_zero = st.just(0)
_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(SetKey, _key, _key, _zero),
    st.builds(CasKey, _key, _key, _zero, st.integers(0, 9)),
    st.builds(DeleteKey, _key),
    st.builds(DeleteTree, _key),
    st.builds(LockKey, _key, _key, _zero, _id),
    st.builds(UnlockKey, _key, _key, _zero, _id),
    st.builds(DestroySession, _id),
    st.builds(make_session, _id),
    st.builds(RestoreStore, st.just(()), st.just((Entry(b"a", b"r", 0, "", 0, 1, 1),))),
)
_commands = st.lists(_command, max_size=15)


@given(_commands, _commands)
def test_replaying_all_and_loading_half_come_to_the_same(
    before: list[Command], after: list[Command]
) -> None:
    """Whatever the commands, and wherever between them the image was taken."""
    one = State()
    apply = applier(one)
    for command in before:
        apply(command)
    other = loaded(one)
    for command in after:
        # As texts: refusals are errors, of which no two are equal.
        assert repr(applier(other)(command)) == repr(apply(command))
    other.check()
    for prefix in (b"", b"a", b"a/", b"b", b"c"):
        assert other.get(prefix) == one.get(prefix)
        assert other.get_tree(prefix) == one.get_tree(prefix)
        assert other.keys(prefix, b"/") == one.keys(prefix, b"/")
    assert other.list_sessions() == one.list_sessions()
    assert other.image().facts == one.image().facts
    assert other.image().tombstones == one.image().tombstones

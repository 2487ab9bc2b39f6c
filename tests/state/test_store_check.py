"""`State.check` finds what is broken. A whitebox test: only by hand can the tables be wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from kvstore.errors import InvariantBroken
from kvstore.state.command import DeleteKey, LockKey, SetKey
from kvstore.state.session_id import parse_session_id
from kvstore.state.store import State
from kvstore.state.tables import Tables

from .apply import S1, S2, applier, make_session

OWNER = parse_session_id(S1)
OTHER = parse_session_id(S2)


def a_sound_state() -> State:
    """Return a state with an entry, a lock, a session and a tombstone, at index 5."""
    state = State()
    apply = applier(state)
    apply(SetKey(b"a", b"", 0))
    apply(make_session(S1))
    apply(LockKey(b"locked", b"", 0, S1))
    apply(SetKey(b"gone", b"", 0))
    apply(DeleteKey(b"gone"))
    return state


def misname_entry(tables: Tables) -> None:
    """Put an entry under a key that is not its own."""
    tables.entries[b"b"] = tables.entries[b"a"]
    del tables.entries[b"a"]


def swap_indexes(tables: Tables) -> None:
    """Make an entry that was modified before it was created."""
    tables.entries[b"a"] = replace(tables.entries[b"a"], create_index=2)


def make_at_zero(tables: Tables) -> None:
    """Make an entry by no write at all."""
    tables.entries[b"a"] = replace(tables.entries[b"a"], create_index=0)


def modify_unseen(tables: Tables) -> None:
    """Change an entry without moving the index of the keys."""
    tables.kv_index = 2


def forget_hold(tables: Tables) -> None:
    """Lose the record of a lock."""
    tables.held.clear()


def invent_hold(tables: Tables) -> None:
    """Record a lock that the entry does not have."""
    tables.held[OWNER].add(b"a")


def lose_session(tables: Tables) -> None:
    """Take a session away and leave its lock."""
    tables.sessions.clear()


def misname_session(tables: Tables) -> None:
    """Put a session under an id that is not its own."""
    tables.sessions[OTHER] = tables.sessions[OWNER]


def rush_keys(tables: Tables) -> None:
    """Let the keys be newer than the last command."""
    tables.kv_index = 6


def rush_sessions(tables: Tables) -> None:
    """Let the sessions be newer than the last command."""
    tables.session_index = 6


def rush_graveyard(tables: Tables) -> None:
    """Bury something in the future."""
    tables.graveyard.bury(b"gone", 6)


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (misname_entry, "entry under b'b' is named b'a'"),
        (swap_indexes, "indexes of b'a' are out of order"),
        (make_at_zero, "indexes of b'a' are out of order"),
        (modify_unseen, "indexes of b'locked' are out of order"),
        (forget_hold, "the held keys differ"),
        (invent_hold, "the held keys differ"),
        (lose_session, "a key is held by a session that is gone"),
        (misname_session, f"session {S1} is under another id"),
        (rush_keys, "an index is newer than the last command"),
        (rush_sessions, "an index is newer than the last command"),
        (rush_graveyard, "an index is newer than the last command"),
    ],
)
def test_check_names_what_is_broken(damage: Callable[[Tables], None], finding: str) -> None:
    """Each invariant of the tables has a damage that `check` finds; before it there was none."""
    state = a_sound_state()
    state.check()
    damage(state._tables)
    with pytest.raises(InvariantBroken, match=finding):
        state.check()

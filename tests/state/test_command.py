"""Commands: complete, immutable values, each of a kind the state can apply."""

from typing import get_args

import pytest

from kvstore.state.command import (
    CasKey,
    Command,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.store import State

from .apply import S1, Apply, make_session
from .unchanging import assert_unchanging

ONE_OF_EACH: list[Command] = [
    CreateStore("store"),
    SetKey(b"a", b"1", 0),
    CasKey(b"a", b"1", 0, 0),
    DeleteKey(b"a"),
    DeleteKeyCas(b"a", 0),
    DeleteTree(b"a"),
    LockKey(b"a", b"1", 0, S1),
    UnlockKey(b"a", b"1", 0, S1),
    make_session(S1),
    DestroySession(S1),
    RestoreStore((), (Entry(b"a", b"1", 0, "", 0, 1, 1),)),
    Txn((SetKey(b"a", b"1", 0), DeleteKey(b"b"))),
]


def test_every_kind_is_tried_here() -> None:
    """A new command must be added to this test, and so to the table of the state."""
    assert {type(command) for command in ONE_OF_EACH} == set(get_args(Command))


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_every_kind_can_be_applied(state: State, apply: Apply, command: Command) -> None:
    """No command of the union is unknown to the state; each takes one index."""
    applied = apply(command)
    assert applied.index == 1
    assert state.last_index == 1


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_commands_cannot_be_changed(command: Command) -> None:
    """What the journal holds and what is applied cannot drift apart."""
    assert_unchanging(command)


def test_lost_indexes_are_adopted_only_when_asked() -> None:
    """A check-and-set is Consul's unless the engine decided otherwise."""
    assert CasKey(b"a", b"1", 0, 9).adopt_lost is False

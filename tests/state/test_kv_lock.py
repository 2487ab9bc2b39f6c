"""Acquire and release: the contract's table 5.1, its errors and its comparison of holders."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from kvstore.errors import InvalidSessionId, MissingSession, UnknownSession
from kvstore.state.applied import Applied
from kvstore.state.command import (
    CasKey,
    DeleteKey,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.store import State

from .apply import S1, S1_UPPER, S2, S3, Apply, make_session

ABSENT: list[SetKey | LockKey | UnlockKey] = []
UNLOCKED: list[SetKey | LockKey | UnlockKey] = [SetKey(b"k", b"old", 3)]
RELEASED = [LockKey(b"k", b"", 0, S1), UnlockKey(b"k", b"old", 3, S1)]
HELD = [LockKey(b"k", b"old", 3, S1)]
HELD_BY_OTHER = [LockKey(b"k", b"old", 3, S2)]


@pytest.fixture
def sessions(apply: Apply) -> None:
    """Make S1 at 1 and S2 at 2, so that the first command on a key is at 3."""
    apply(make_session(S1))
    apply(make_session(S2))


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize(
    ("given", "lock_index"),
    [
        pytest.param(ABSENT, 1, id="absent"),
        pytest.param(UNLOCKED, 1, id="unlocked"),
        pytest.param(RELEASED, 2, id="released"),
        pytest.param(HELD, 1, id="held-by-me"),
        pytest.param(HELD_BY_OTHER, None, id="held-by-other"),
    ],
)
def test_5_1_acquire_table(
    state: State,
    apply: Apply,
    given: list[SetKey | LockKey | UnlockKey],
    lock_index: int | None,
) -> None:
    """A free key is locked and counted, mine is written, another's is left alone."""
    for command in given:
        apply(command)
    before = state.get(b"k").value
    applied = apply(LockKey(b"k", b"new", 9, S1))
    if lock_index is None:
        assert applied == Applied(4, done=False)
        assert state.get(b"k").value == before
        return
    now = 3 + len(given)
    create_index = before.create_index if before else now
    assert applied == Applied(now, changed_keys=(b"k",))
    assert state.get(b"k").value == Entry(b"k", b"new", 9, S1, lock_index, create_index, now)


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize(
    ("given", "done"),
    [
        pytest.param(ABSENT, False, id="absent"),
        pytest.param(UNLOCKED, False, id="unlocked"),
        pytest.param(RELEASED, False, id="released"),
        pytest.param(HELD, True, id="held-by-me"),
        pytest.param(HELD_BY_OTHER, False, id="held-by-other"),
    ],
)
def test_5_1_release_table(
    state: State, apply: Apply, *, given: list[SetKey | LockKey | UnlockKey], done: bool
) -> None:
    """Only the holder releases; the key takes the value and flags of the release."""
    for command in given:
        apply(command)
    before = state.get(b"k").value
    now = 3 + len(given)
    applied = apply(UnlockKey(b"k", b"new", 9, S1))
    assert applied == Applied(now, done=done, changed_keys=(b"k",) if done else ())
    released = Entry(b"k", b"new", 9, "", 1, 3, now)
    assert state.get(b"k").value == (released if done else before)


@pytest.mark.usefixtures("sessions")
def test_L1_release_without_a_body_wipes_the_value(state: State, apply: Apply) -> None:
    """Value and flags are replaced even by nothing; the lock_index stays."""
    apply(LockKey(b"k", b"1", 9, S1))
    apply(UnlockKey(b"k", b"", 0, S1))
    assert state.get(b"k").value == Entry(b"k", b"", 0, "", 1, 3, 4)


@pytest.mark.usefixtures("sessions")
def test_L2_first_acquire_moves_the_index_also_with_the_same_value(
    state: State, apply: Apply
) -> None:
    """To become locked is a change."""
    apply(SetKey(b"k", b"1", 0))
    assert apply(LockKey(b"k", b"1", 0, S1)).changed_keys == (b"k",)
    assert state.get(b"k").index == 4


@pytest.mark.usefixtures("sessions")
def test_P3_identical_acquire_by_the_holder_moves_no_index(state: State, apply: Apply) -> None:
    """The holder that writes the same again is told `true`, and nobody is woken."""
    apply(LockKey(b"k", b"1", 0, S1))
    assert apply(LockKey(b"k", b"1", 0, S1)) == Applied(4)
    assert state.get(b"k").index == 3
    assert apply(LockKey(b"k", b"1", 1, S1)) == Applied(5, changed_keys=(b"k",))
    assert state.get(b"k").index == 5


@pytest.mark.usefixtures("sessions")
def test_P3_acquire_by_the_holder_after_a_plain_write(state: State, apply: Apply) -> None:
    """A plain write reset the lock_index; the holder's acquire leaves it at 0."""
    apply(LockKey(b"k", b"1", 0, S1))
    apply(SetKey(b"k", b"2", 0))
    assert apply(LockKey(b"k", b"2", 0, S1)) == Applied(5)
    apply(LockKey(b"k", b"3", 0, S1))
    assert state.get(b"k").value == Entry(b"k", b"3", 0, S1, 0, 3, 6)


@pytest.mark.usefixtures("sessions")
def test_lock_index_counts_acquires_not_writes(state: State, apply: Apply) -> None:
    """Each acquire of the free key counts one, whoever acquires; writes of the holder do not."""
    for session in (S1, S2, S1):
        apply(LockKey(b"k", b"1", 0, session))
        apply(LockKey(b"k", b"2", 0, session))
        apply(UnlockKey(b"k", b"", 0, session))
    entry = state.get(b"k").value
    assert entry is not None
    assert entry.lock_index == 3


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize(
    ("session", "refusal", "says"),
    [
        ("", MissingSession, "missing session"),
        ("short", InvalidSessionId, "UUID must be 36 characters"),
        ("z" * 36, InvalidSessionId, "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"),
        ("0" * 36, UnknownSession, f'invalid session "{"0" * 36}"'),
        (S3, UnknownSession, f'invalid session "{S3}"'),
        (S3.upper(), UnknownSession, f'invalid session "{S3.upper()}"'),
    ],
)
@pytest.mark.parametrize("given", [ABSENT, HELD_BY_OTHER], ids=["absent", "held"])
def test_L3_acquire_is_refused_without_a_live_session(
    state: State,
    apply: Apply,
    given: list[LockKey],
    session: str,
    refusal: type[Exception],
    says: str,
) -> None:
    """Missing, malformed and unknown ids have each their error, whoever holds the key."""
    for command in given:
        apply(command)
    before = state.get(b"k")
    applied = apply(LockKey(b"k", b"new", 0, session))
    assert not applied.done
    assert isinstance(applied.refusal, refusal)
    assert str(applied.refusal) == says
    assert applied.changed_keys == ()
    assert state.get(b"k") == before


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("session", ["garbage", "z" * 36, S3, "\ud800"])
def test_L4_release_does_not_look_at_the_session(state: State, apply: Apply, session: str) -> None:
    """Whatever the id, who is not the holder is told a plain `false`."""
    apply(LockKey(b"k", b"1", 0, S1))
    assert apply(UnlockKey(b"k", b"2", 0, session)) == Applied(4, done=False)
    assert state.get(b"k").index == 3


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("given", [ABSENT, UNLOCKED, HELD], ids=["absent", "unlocked", "held"])
def test_L4_release_without_a_session_is_refused(
    state: State, apply: Apply, given: list[SetKey | LockKey | UnlockKey]
) -> None:
    """The empty id is an error, and above all no way to match an unlocked key."""
    for command in given:
        apply(command)
    before = state.get(b"k")
    applied = apply(UnlockKey(b"k", b"2", 0, ""))
    assert not applied.done
    assert isinstance(applied.refusal, MissingSession)
    assert state.get(b"k") == before


@pytest.mark.usefixtures("sessions")
def test_L5_another_spelling_is_not_the_holder(state: State, apply: Apply) -> None:
    """The upper-case id of the holder is a live session but somebody else."""
    apply(LockKey(b"k", b"1", 0, S1))
    assert apply(LockKey(b"k", b"2", 0, S1_UPPER)) == Applied(4, done=False)
    assert apply(UnlockKey(b"k", b"2", 0, S1_UPPER)) == Applied(5, done=False)
    assert state.get(b"k").value == Entry(b"k", b"1", 0, S1, 1, 3, 3)


@pytest.mark.usefixtures("sessions")
def test_L5_a_free_key_keeps_the_spelling_that_acquired_it(state: State, apply: Apply) -> None:
    """The holder is stored as typed, and its session's end releases it all the same."""
    apply(LockKey(b"k", b"1", 0, S1_UPPER))
    assert state.get(b"k").value == Entry(b"k", b"1", 0, S1_UPPER, 1, 3, 3)
    assert not apply(LockKey(b"k", b"2", 0, S1)).done
    assert apply(DestroySession(S1)).changed_keys == (b"k",)
    assert state.get(b"k").value == Entry(b"k", b"1", 0, "", 1, 3, 5)


@pytest.mark.usefixtures("sessions")
def test_L6_locks_are_advisory(state: State, apply: Apply) -> None:
    """Anyone may write and delete a locked key."""
    apply(LockKey(b"k", b"1", 0, S1))
    assert apply(SetKey(b"k", b"2", 0)).done
    assert apply(CasKey(b"k", b"3", 0, 4)).done
    assert apply(DeleteKey(b"k")).done
    assert state.get(b"k").value is None

"""Transactions: each operation, one index for all, and nothing at all when one of them fails."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from typing import Any, get_args

import pytest

from kvstore.errors import InvalidSessionId, MissingSession, UnknownSession
from kvstore.state.applied import Applied, OpResult, TxnOutcome
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.store import State
from kvstore.state.txn import READING_OPS

from .apply import S1, S1_UPPER, S2, S3, Apply, applier, make_session

# What `furnish` leaves, by key.
FURNISHED = {
    b"a": Entry(b"a", b"1", 7, "", 0, 3, 3),
    b"a/b": Entry(b"a/b", b"2", 0, "", 0, 4, 4),
    b"lock": Entry(b"lock", b"mine", 0, S1, 1, 5, 5),
}
# The index after it.
NEXT = 8

WRITES: list[TxnOp] = [
    SetKey(b"a", b"new", 5),
    SetKey(b"a", b"1", 7),
    SetKey(b"lock", b"plain", 0),
    SetKey(b"new", b"", 0),
    CasKey(b"a", b"new", 0, 3),
    CasKey(b"a", b"new", 0, 4),
    CasKey(b"new", b"", 1, 0),
    CasKey(b"new", b"", 1, 9),
    CasKey(b"new", b"", 1, 9, adopt_lost=True),
    LockKey(b"a", b"", 0, S1),
    LockKey(b"new", b"", 0, S2),
    LockKey(b"lock", b"again", 0, S1),
    LockKey(b"lock", b"mine", 0, S1),
    LockKey(b"lock", b"", 0, S2),
    LockKey(b"lock", b"", 0, S1_UPPER),
    LockKey(b"a", b"", 0, ""),
    LockKey(b"a", b"", 0, "x"),
    LockKey(b"a", b"", 0, S3),
    UnlockKey(b"lock", b"free", 1, S1),
    UnlockKey(b"lock", b"", 0, S2),
    UnlockKey(b"a", b"", 0, S1),
    UnlockKey(b"new", b"", 0, S1),
    UnlockKey(b"lock", b"", 0, ""),
    DeleteKey(b"a"),
    DeleteKey(b"lock"),
    DeleteKey(b"new"),
    DeleteKeyCas(b"a", 3),
    DeleteKeyCas(b"a", 0),
    DeleteKeyCas(b"new", 9),
    DeleteTree(b"a"),
    DeleteTree(b""),
    DeleteTree(b"new"),
]

READS: list[TxnOp] = [
    GetKey(b"a"),
    GetKey(b"new"),
    GetKey(b"new", or_empty=True),
    GetTree(b"a"),
    CheckIndex(b"a", 3),
    CheckIndex(b"a", 4),
    CheckIndex(b"new", 0),
    CheckSession(b"lock", S1),
    CheckSession(b"lock", S2),
    CheckSession(b"new", ""),
    CheckNotExists(b"new"),
    CheckNotExists(b"a"),
    ImpossibleOp("unknown"),
]


def furnish(state: State) -> Apply:
    """Make two sessions, three keys of which one is held, and a tombstone."""
    apply = applier(state)
    apply(make_session(S1))
    apply(make_session(S2, behavior="delete"))
    apply(SetKey(b"a", b"1", 7))
    apply(SetKey(b"a/b", b"2", 0))
    apply(LockKey(b"lock", b"mine", 0, S1))
    apply(SetKey(b"gone", b"", 0))
    apply(DeleteKey(b"gone"))
    assert state.last_index == NEXT - 1
    return apply


@pytest.fixture
def furnished(state: State) -> Apply:
    """Furnish `state` and give the way to go on."""
    return furnish(state)


def stored(state: State) -> tuple[Any, ...]:
    """Return all that a state holds, but for the index of its last command."""
    image = state.image()
    facts = image.facts
    indexes = (facts.kv_index, facts.session_index, facts.tombstone_floor)
    return indexes, image.sessions, image.tombstones, list(image.entries)


def outcome_of(applied: Applied) -> TxnOutcome:
    """Return what came of the operations of a transaction."""
    assert applied.txn is not None
    return applied.txn


def results_of(applied: Applied) -> list[OpResult]:
    """Return the results of a transaction that was done."""
    assert applied.done
    outcome = outcome_of(applied)
    assert not outcome.failures
    return list(outcome.results)


def failed(applied: Applied) -> list[int]:
    """Return the places of the operations that failed in a transaction, which had no effect."""
    assert not applied.done
    assert applied.changed_keys == ()
    outcome = outcome_of(applied)
    assert not outcome.results
    return [failure.position for failure in outcome.failures]


def test_every_kind_of_operation_is_tried_here() -> None:
    """A new one must be added to these tests."""
    assert {type(op) for op in WRITES + READS} == set(get_args(TxnOp))
    assert {type(op) for op in READS} == set(READING_OPS)


@pytest.mark.parametrize("op", WRITES, ids=str)
def test_a_write_alone_is_as_the_command(state: State, op: Any) -> None:
    """In a transaction of one, a write does what it does without, and fails where that says no."""
    other = State()
    alone, in_txn = furnish(other)(op), furnish(state)(Txn((op,)))
    assert stored(state) == stored(other)
    assert in_txn.changed_keys == alone.changed_keys
    assert in_txn.done == alone.done
    (refusal,) = [one.refusal for one in outcome_of(in_txn).failures] or [None]
    assert repr(refusal) == repr(alone.refusal)


@pytest.mark.parametrize("op", [*WRITES, *READS], ids=str)
def test_T7_results(state: State, furnished: Apply, op: TxnOp) -> None:
    """A write shows the entry that it leaves, without the value; a delete shows nothing."""
    applied = furnished(Txn((op,)))
    if not applied.done:
        assert failed(applied) == [0]
        assert outcome_of(applied).failures[0].op is op
    elif isinstance(op, DeleteKey | DeleteKeyCas | DeleteTree | CheckNotExists):
        assert results_of(applied) == []
    elif isinstance(op, GetTree):
        wanted = [FURNISHED[b"a"], FURNISHED[b"a/b"]]
        assert results_of(applied) == [OpResult(one, one.key, with_value=True) for one in wanted]
    else:
        entry, with_value = state.get(op.key).value, isinstance(op, GetKey)
        assert results_of(applied) == [OpResult(entry, op.key, with_value=with_value)]


@pytest.mark.parametrize(
    ("op", "met"),
    [
        (GetKey(b"new"), None),
        (CheckIndex(b"a", 4), FURNISHED[b"a"]),
        (CheckIndex(b"new", 0), None),
        (CheckSession(b"lock", S2), FURNISHED[b"lock"]),
        (CheckSession(b"lock", S1_UPPER), FURNISHED[b"lock"]),
        (CheckSession(b"lock", ""), FURNISHED[b"lock"]),
        (CheckSession(b"a", S1), FURNISHED[b"a"]),
        (CheckSession(b"new", ""), None),
        (CheckNotExists(b"a"), FURNISHED[b"a"]),
        (ImpossibleOp("unknown"), None),
    ],
    ids=str,
)
def test_T7_checks_that_fail(furnished: Apply, op: TxnOp, met: Entry | None) -> None:
    """What was found is told."""
    applied = furnished(Txn((op,)))
    assert failed(applied) == [0]
    assert outcome_of(applied).failures[0].met == met


@pytest.mark.parametrize(
    "op",
    [
        GetKey(b"a"),
        GetKey(b"new", or_empty=True),
        CheckIndex(b"a", 3),
        CheckSession(b"lock", S1),
        CheckSession(b"a", ""),
        CheckNotExists(b"new"),
        GetTree(b"nothing"),
    ],
    ids=str,
)
def test_T7_T8_checks_that_hold(state: State, furnished: Apply, op: TxnOp) -> None:
    """Nothing changes; an empty session is that of an unlocked key, and no match is fine."""
    before = stored(state)
    applied = furnished(Txn((op,)))
    assert applied.done
    assert applied.changed_keys == ()
    assert stored(state) == before


@pytest.mark.parametrize(
    ("session", "refusal"), [("", MissingSession), ("x", InvalidSessionId), (S3, UnknownSession)]
)
def test_L3_why_a_lock_makes_no_sense(
    furnished: Apply, session: str, refusal: type[Exception]
) -> None:
    """The reason is there for each operation."""
    ops = (LockKey(b"a", b"", 0, session), LockKey(b"a", b"", 0, S1))
    applied = furnished(Txn(ops))
    assert failed(applied) == [0]
    assert isinstance(outcome_of(applied).failures[0].refusal, refusal)
    assert applied.refusal is None


def test_T4_each_sees_what_those_before_it_did(state: State, furnished: Apply) -> None:
    """Made, checked, locked, read, deleted, made again: in the order of the operations."""
    applied = furnished(
        Txn(
            (
                CheckNotExists(b"new"),
                CasKey(b"new", b"1", 0, 0),
                CheckIndex(b"new", NEXT),
                LockKey(b"new", b"2", 0, S1),
                CheckSession(b"new", S1),
                LockKey(b"new", b"3", 0, S1),
                GetKey(b"new"),
                UnlockKey(b"new", b"4", 0, S1),
                GetTree(b"n"),
                DeleteKeyCas(b"new", NEXT),
                GetTree(b"n"),
                CheckNotExists(b"new"),
                SetKey(b"new", b"5", 0),
            )
        )
    )
    results = [one.entry for one in results_of(applied)]
    assert [(one.value, one.session, one.lock_index) for one in results if one] == [
        (b"1", "", 0),
        (b"1", "", 0),
        (b"2", S1, 1),
        (b"2", S1, 1),
        (b"3", S1, 1),
        (b"3", S1, 1),
        (b"4", "", 1),
        (b"4", "", 1),
        (b"5", "", 0),
    ]
    assert state.get(b"new").value == Entry(b"new", b"5", 0, "", 0, NEXT, NEXT)


def test_T4_nothing_remains_of_one_that_fails(state: State, furnished: Apply) -> None:
    """Entries, holds, sessions, tombstones and every index are as before, whatever ran."""
    before = stored(state)
    reads = [state.get_tree(prefix) for prefix in (b"", b"a", b"gone", b"l", b"n", b"z")]
    applied = furnished(
        Txn(
            (
                SetKey(b"new", b"1", 0),
                SetKey(b"new", b"2", 0),
                LockKey(b"a", b"", 0, S2),
                LockKey(b"free", b"", 0, S1_UPPER),
                UnlockKey(b"lock", b"", 0, S1),
                LockKey(b"lock", b"", 0, S2),
                DeleteKey(b"a"),
                SetKey(b"a", b"again", 0),
                DeleteTree(b"a"),
                DeleteKey(b"new"),
                DeleteTree(b""),
                SetKey(b"gone", b"back", 0),
                CheckNotExists(b"gone"),
            )
        )
    )
    assert failed(applied) == [12]
    assert stored(state) == before
    assert [state.get_tree(prefix) for prefix in (b"", b"a", b"gone", b"l", b"n", b"z")] == reads
    state.check()


def test_T4_after_one_that_fails_the_state_goes_on(state: State, furnished: Apply) -> None:
    """The next command finds what was there before, at the next index."""
    applied = furnished(Txn((DeleteKey(b"a"), LockKey(b"lock", b"", 0, S2))))
    assert failed(applied) == [1]
    assert (applied.index, state.last_index) == (NEXT, NEXT)
    assert furnished(CasKey(b"a", b"2", 0, 3)).done
    assert state.get_tree(b"a").index == NEXT + 1
    assert furnished(DeleteKey(b"a")).changed_keys == (b"a",)


def test_T4_all_failures_are_listed(furnished: Apply) -> None:
    """Those behind a failure run too, and see what those before them did."""
    applied = furnished(
        Txn(
            (
                GetKey(b"new"),
                SetKey(b"new", b"", 0),
                CasKey(b"a", b"", 0, 1),
                GetKey(b"new"),
                ImpossibleOp("unknown"),
                CheckNotExists(b"new"),
                DeleteKeyCas(b"a", 1),
                UnlockKey(b"a", b"", 0, S1),
            )
        )
    )
    assert failed(applied) == [0, 2, 4, 5, 6, 7]


def test_I1_all_changes_have_one_index(state: State, furnished: Apply) -> None:
    """Also of a key that is set twice; the prefixes over them are at it."""
    applied = furnished(
        Txn((SetKey(b"x/1", b"1", 0), SetKey(b"x/2", b"", 0), SetKey(b"x/1", b"2", 0)))
    )
    assert applied.index == NEXT
    assert state.get_tree(b"x/").value == [
        Entry(b"x/1", b"2", 0, "", 0, NEXT, NEXT),
        Entry(b"x/2", b"", 0, "", 0, NEXT, NEXT),
    ]
    assert [state.get_tree(prefix).index for prefix in (b"x/", b"x", b"")] == [NEXT] * 3
    assert state.list_sessions().index == 2


def test_T9_an_identical_write_shows_the_old_index(furnished: Apply) -> None:
    """It changed nothing; a check-and-set did (rule cas-identical-wakes)."""
    ops = (SetKey(b"a", b"1", 7), CasKey(b"a/b", b"2", 0, 4))
    applied = furnished(Txn(ops))
    assert [one.entry and one.entry.modify_index for one in results_of(applied)] == [3, NEXT]
    assert applied.changed_keys == (b"a/b",)


def test_changed_keys_are_told_once_in_the_order_of_the_first_change(furnished: Apply) -> None:
    """Also what was made and deleted again: its tombstone has moved its prefixes."""
    applied = furnished(
        Txn(
            (
                SetKey(b"z", b"1", 0),
                SetKey(b"lock", b"1", 0),
                DeleteTree(b"a"),
                SetKey(b"z", b"2", 0),
                SetKey(b"new", b"", 0),
                DeleteKey(b"new"),
                DeleteKey(b"never"),
            )
        )
    )
    assert applied.changed_keys == (b"z", b"lock", b"a", b"a/b", b"new")


@pytest.mark.parametrize(
    ("ops", "prefix", "index"),
    [
        ((DeleteKey(b"a/b"),), b"a", NEXT),
        ((DeleteKey(b"a/b"),), b"a/", NEXT),
        ((DeleteTree(b"a/"),), b"a/", NEXT),
        ((DeleteTree(b"a/"),), b"a", NEXT),
        ((SetKey(b"new", b"", 0), DeleteKey(b"new")), b"n", NEXT),
        ((DeleteKey(b"a/b"), SetKey(b"a/b", b"2", 0)), b"a/", NEXT),
        ((DeleteKey(b"lock"),), b"a", 4),
        ((DeleteKey(b"lock"),), b"gone", 7),
    ],
)
def test_I7_tombstones(
    state: State, furnished: Apply, ops: tuple[TxnOp, ...], prefix: bytes, index: int
) -> None:
    """A delete in a transaction moves the prefixes over it, no others, and goes on doing so."""
    assert furnished(Txn(ops)).done
    furnished(SetKey(b"elsewhere", b"", 0))
    assert state.get_tree(prefix).index == index


def test_empty_transaction_is_done(state: State, furnished: Apply) -> None:
    """It takes its index like any other."""
    before = stored(state)
    applied = furnished(Txn(()))
    assert applied == Applied(NEXT, txn=TxnOutcome())
    assert stored(state) == before


def test_a_session_takes_what_was_locked_in_a_transaction(state: State, furnished: Apply) -> None:
    """Holds that were rolled back are nobody's, those that were kept go with their session."""
    furnished(Txn((LockKey(b"a", b"", 0, S2), ImpossibleOp("unknown"))))
    furnished(Txn((LockKey(b"new", b"", 0, S2), LockKey(b"x", b"", 0, S2))))
    applied = furnished(DestroySession(S2))
    assert sorted(applied.changed_keys) == [b"new", b"x"]
    assert state.get(b"a").value == FURNISHED[b"a"]


# --- reads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", READS, ids=str)
def test_T6_a_read_alone_is_as_in_a_command(state: State, furnished: Apply, op: TxnOp) -> None:
    """The same outcome, without an index."""
    outcome = state.read_txn([op])
    assert state.last_index == NEXT - 1
    assert outcome == outcome_of(furnished(Txn((op,))))


def test_T6_reads_are_listed_in_order(state: State, furnished: Apply) -> None:
    """All results in the order of the operations, or all failures."""
    before = stored(state)
    shown = state.read_txn([GetKey(b"lock"), GetTree(b"a"), CheckIndex(b"a", 3)])
    assert [one.key for one in shown.results] == [b"lock", b"a", b"a/b", b"a"]
    failures = state.read_txn([GetKey(b"new"), GetKey(b"a"), CheckSession(b"a", S1)])
    assert [one.position for one in failures.failures] == [0, 2]
    assert failures.results == ()
    assert state.read_txn([]) == TxnOutcome()
    assert stored(state) == before

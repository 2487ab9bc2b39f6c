"""The checks beside the order: each believes a sound history and finds its own kind of damage."""

import math
from collections.abc import Sequence

import pytest
from history import (
    Answer,
    Call,
    Cas,
    CreateSession,
    Delete,
    DestroySession,
    Entries,
    Listing,
    Lock,
    ReadKey,
    ReadSessions,
    ReadTree,
    Seen,
    Set,
    Txn,
    Unlock,
    parts,
)
from history_checker import Checker, Layout
from history_checks import HistoryBroken, Holders, Indexes, Observations
from linearizability import UNKNOWN, NotLinearizable, Operation

YES = Answer.YES
History = Sequence[Operation]


def op(start: float, end: float, call: Call, outcome: object = YES) -> Operation:
    """Return an operation from `start` to `end`."""
    return Operation(call, outcome, start, end)


def a(value: str, index: int, *, key: str = "a", by: str = "", made: int = 0) -> Seen:
    """Return an entry as seen, made by the write that wrote it if nothing else is said."""
    return Seen(key, value, by, 1 if by else 0, made or index, index)


def entries(index: int, *seen: Seen) -> Entries:
    """Return what a read of keys gave."""
    return Entries({one.key: one for one in seen}, index)


def get(start: float, end: float, *seen: Seen, index: int = 0) -> Operation:
    """Return a read of key `a`; the index is that of the entry if there is one."""
    index = index or seen[0].modify_index
    return op(start, end, ReadKey("a"), entries(index, *seen))


SET1, SET2 = op(0, 1, Set("a", "1")), op(2, 3, Set("a", "2"))

SOUND: dict[str, History] = {
    "one after the other": [SET1, get(1, 2, a("1", 2)), SET2, get(3, 4, a("2", 3, made=2))],
    "at once, in either order": [
        *(SET1, get(4, 9, a("1", 2)), SET2, get(4, 8, a("2", 3, made=2))),
    ],
    "an absent key at the index of another's write": [
        *(get(0, 1, index=1), op(2, 3, Set("b", "1")), get(4, 5, index=2)),
        *(op(6, 7, Set("a", "1")), get(8, 9, a("1", 3))),
    ],
    "released by the end of its session": [
        *(op(0, 1, Lock("a", "1", "s")), get(2, 3, a("1", 2, by="s"))),
        get(4, 5, Seen("a", "1", "", 1, 2, 3)),
    ],
    "one write of two keys": [
        *(op(0, 1, Set("a", "1")), op(0, 1, Set("b", "1"))),
        op(2, 3, ReadTree(""), entries(2, a("1", 2), a("1", 2, key="b"))),
    ],
    "a transaction of two keys": [
        op(0, 1, Txn((Set("a", "1"), Lock("b", "1", "s")))),
        op(2, 3, ReadTree(""), entries(2, a("1", 2), a("1", 2, key="b", by="s"))),
    ],
}

BROKEN: dict[str, tuple[History, str]] = {
    "two contents of one index": (
        [SET1, SET2, get(4, 5, a("1", 2)), get(6, 7, a("2", 2))],
        "index 2 meant",
    ),
    "an index of two keys": (
        [
            *(SET1, op(0, 1, Set("b", "2"))),
            op(2, 3, ReadTree(""), entries(2, a("1", 2), a("2", 2, key="b"))),
        ],
        "index 2 was that of '1'",
    ),
    "a write done twice": (
        [SET1, get(1, 2, a("1", 2)), SET2, get(4, 5, a("1", 4, made=2))],
        "what was done once at 2 is there again",
    ),
    "an index that was out already": (
        [
            *(get(0, 1, index=5), op(2, 3, Set("b", "1"))),
            op(4, 5, ReadTree("b"), entries(5, a("1", 5, key="b"))),
        ],
        "index 5 was out before this was written",
    ),
    "a read that went back": (
        [SET1, get(2, 3, a("1", 4)), get(4, 5, index=3)],
        "was at index 4, and went back",
    ),
    "sessions that went back": (
        [op(n, n + 0.5, ReadSessions(), Listing(frozenset(), 9 - n)) for n in range(2)],
        "sessions was at index 9, and went back",
    ),
    "what nobody wrote": ([SET1, get(2, 3, a("3", 2))], "nobody wrote"),
    "what was written elsewhere": ([op(0, 1, Set("b", "1")), get(2, 3, a("1", 2))], "nobody wrote"),
    "a transaction at two indexes": (
        [
            op(0, 1, Txn((Set("a", "1"), Set("b", "1")))),
            *(get(2, 3, a("1", 2)), get(4, 5, a("1", 3, made=2))),
        ],
        "what was done once at 2 is there again",
    ),
    "an index that was out before a transaction": (
        [
            *(get(0, 1, index=5), op(2, 3, Txn((Delete("a"), Set("b", "1"))))),
            op(4, 5, ReadTree("b"), entries(5, a("1", 5, key="b"))),
        ],
        "index 5 was out before this was written",
    ),
    "newer than its answer": ([SET1, get(2, 3, a("1", 3), index=2)], "is newer than its answer"),
    "changed before it was made": ([SET1, get(2, 3, a("1", 2, made=3))], "made after it was"),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_indexes(name: str) -> None:
    """Nothing is found, also when the history comes in two rounds."""
    Indexes().check(SOUND[name])
    indexes = Indexes()
    for one in sorted(SOUND[name], key=lambda one: one.invoked_ns):
        indexes.check([one])


@pytest.mark.parametrize("name", BROKEN)
def test_broken_indexes(name: str) -> None:
    """What is wrong is said, also when it takes two rounds to see it."""
    history, text = BROKEN[name]
    with pytest.raises(HistoryBroken, match=text):
        Indexes().check(history)
    indexes = Indexes()
    with pytest.raises(HistoryBroken, match=text):  # noqa: PT012 - any of them may be the one
        for one in sorted(history, key=lambda one: one.invoked_ns):
            indexes.check([one])


HOLD_1, HOLD_2 = op(0, 1, Lock("a", "1", "s1")), op(8, 9, Lock("a", "2", "s2"))


@pytest.mark.parametrize(
    "between",
    [
        [op(2, 3, Unlock("a", "3", "s1"))],
        [op(2, math.inf, Unlock("a", "3", "s1"), UNKNOWN)],
        [op(2, 3, DestroySession("s1"))],
        [op(2, 3, Delete("a"))],
        [op(2, 3, Txn((Set("b", "3"), Unlock("a", "3", "s1"))))],
        [op(2, 3, Txn((Delete("a"), Set("b", "3"))), Answer.NO)],
        # It may have ended before it was told that it holds.
        [op(0.5, 3, DestroySession("s1"))],
    ],
)
def test_a_lock_that_was_given_up(between: History) -> None:
    """Whoever asks for the end of a hold lets the next one in."""
    holders = Holders()
    holders.check([HOLD_1, *between])
    holders.check([HOLD_2])


@pytest.mark.parametrize(
    "between",
    [
        [],
        [op(2, 3, Unlock("a", "3", "s3"), Answer.NO)],
        [op(2, 3, DestroySession("s2"))],
        [op(2, 3, Delete("b"))],
        [op(2, 3, Set("a", "3"))],
        [op(2, 3, Txn((Set("a", "3"), Delete("b"))))],
        [op(2, 3, Txn((Unlock("a", "3", "s3"), Lock("b", "3", "s3"))), Answer.NO)],
    ],
)
def test_two_holders(between: History) -> None:
    """A hold that nobody ended is found when another is told of one, rounds later too."""
    with pytest.raises(HistoryBroken, match="'s1' holds the key already"):
        Holders().check([HOLD_1, *between, HOLD_2])
    holders = Holders()
    holders.check([HOLD_1, *between])
    with pytest.raises(HistoryBroken):
        holders.check([HOLD_2])


@pytest.mark.parametrize(
    "first", [HOLD_1, op(0, 1, Txn((Set("b", "1"), Lock("a", "1", "s1"))))], ids=str
)
@pytest.mark.parametrize(
    "second", [HOLD_2, op(8, 9, Txn((Lock("a", "2", "s2"), Set("b", "2"))))], ids=str
)
def test_two_holders_by_transactions(first: Operation, second: Operation) -> None:
    """A lock in a transaction is a lock, if the transaction was done."""
    with pytest.raises(HistoryBroken, match="'s1' holds the key already"):
        Holders().check([first, second])
    Holders().check([first, op(8, 9, second.call, Answer.NO)])


def test_parts() -> None:
    """A transaction has its operations, any other call is one."""
    ops = (Set("a", "1"), Delete("b"))
    assert parts(Txn(ops)) == ops
    assert parts(ops[0]) == ops[:1]


STEP = Cas("counter", "1 x", 0)
S1 = CreateSession("s1")


@pytest.mark.parametrize(
    ("told", "count", "names"),
    [
        ([op(0, 1, STEP), op(0, 1, STEP, Answer.NO)], 1, set()),
        ([op(0, 1, STEP), op(0, 1, STEP, UNKNOWN)], 1, set()),
        ([op(0, 1, STEP), op(0, 1, STEP, UNKNOWN)], 2, set()),
        ([op(0, 1, S1)], 0, {"s1"}),
        ([op(0, 1, S1, UNKNOWN)], 0, {"s1"}),
        ([op(0, 1, S1, UNKNOWN)], 0, set()),
        ([op(0, 1, S1), op(2, 3, DestroySession("s1"))], 0, set()),
        ([op(0, 1, S1), op(2, 3, DestroySession("s1"), UNKNOWN)], 0, {"s1"}),
        ([op(0, 1, S1), op(2, 3, DestroySession("s1"), UNKNOWN)], 0, set()),
    ],
)
def test_sound_observations(told: History, count: int, names: set[str]) -> None:
    """What was told is there; what was not told may be."""
    observed(told, count, names)


@pytest.mark.parametrize(
    ("told", "count", "names", "text"),
    [
        ([op(0, 1, STEP)], 0, set(), "expected counter in 1..1, found 0"),
        ([op(0, 1, STEP, Answer.NO)], 1, set(), "expected counter in 0..0, found 1"),
        ([op(0, 1, STEP), op(0, 1, STEP, UNKNOWN)], 3, set(), "expected counter in 1..2"),
        ([op(0, 1, S1)], 0, set(), "acknowledged are gone: .'s1'"),
        ([op(0, 1, S1), op(2, 3, DestroySession("s1"))], 0, {"s1"}, "destroyed are back: .'s1'"),
    ],
)
def test_broken_observations(told: History, count: int, names: set[str], text: str) -> None:
    """Steps and sessions that are lost, or there without anybody's doing."""
    with pytest.raises(HistoryBroken, match=text):
        observed(told, count, names)


def observed(told: History, count: int, names: set[str]) -> None:
    """Check what is there after a round."""
    observations = Observations(["counter"])
    observations.add(told)
    there = [a(f"{count} x", 9, key="counter")] if count else []
    observations.check(entries(9, *there), Listing(frozenset(names), 9))


def test_what_is_known_is_unknown_no_more() -> None:
    """A step that was not told of and is not there will not come later."""
    observations = Observations(["counter"])
    observations.add([op(0, 1, STEP, UNKNOWN)])
    observations.check(entries(9), Listing(frozenset(), 9))
    with pytest.raises(HistoryBroken, match=r"expected counter in 0\.\.0, found 1"):
        observations.check(entries(9, a("1 x", 9, key="counter")), Listing(frozenset(), 9))


LAYOUT = Layout({"a": ("a",), "s": (), "counter": ("counter",)}, ("counter",))


def observation(
    start: float, index: int, *seen: Seen, names: Sequence[str] = ()
) -> list[Operation]:
    """Return what begins a round: all entries, then all sessions."""
    return [
        op(start, start + 0.1, ReadTree(""), entries(index, *seen)),
        op(start + 0.2, start + 0.3, ReadSessions(), Listing(frozenset(names), index)),
    ]


def test_a_checker_counts() -> None:
    """Rounds, and operations that were acknowledged or not."""
    checker = Checker(LAYOUT)
    checker.check([*observation(0, 1), op(1, 2, Set("a", "1")), op(1, 3, S1, UNKNOWN)])
    checker.check(observation(4, 3, a("1", 2), names=["s1"]))
    figures = checker.figures
    assert (figures.rounds, figures.acknowledged, figures.unknown) == (2, 5, 1)
    assert LAYOUT.key_count == 2


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        # Indexes, holders, order, observations: each of the checks is in it, over rounds.
        ([SET1, get(2, 3, a("1", 5))], [get(4, 5, index=4)], HistoryBroken),
        (
            [op(0, 1, CreateSession("a1")), op(2, 3, Lock("a", "1", "a1"))],
            [op(8, 9, Lock("a", "2", "a2"))],
            HistoryBroken,
        ),
        ([SET1], [get(4, 5, index=9)], NotLinearizable),
        ([op(0, 1, STEP)], observation(4, 9), HistoryBroken),
        ([SET1], observation(4, 3, a("1", 3), a("1", 3, key="strange")), HistoryBroken),
    ],
)
def test_a_checker_checks_all(first: History, second: History, error: type[AssertionError]) -> None:
    """A round that is sound alone is found out beside the one before."""
    checker = Checker(LAYOUT)
    checker.check(first)
    with pytest.raises(error):
        checker.check(second)

"""Histories of a group of two keys, made by hand: which to believe, and which not."""

import math
from collections.abc import Sequence

from history import (
    Absent,
    Answer,
    At,
    Call,
    Cas,
    CreateSession,
    Delete,
    DeleteCas,
    DeleteTree,
    DestroySession,
    Entries,
    HeldBy,
    Listing,
    Lock,
    Names,
    ReadKey,
    ReadNames,
    ReadSessions,
    ReadTree,
    RenewSession,
    Seen,
    Set,
    Txn,
    Unlock,
)
from linearizability import UNKNOWN, Operation

__all__ = ["BELIEVED", "DISBELIEVED", "KEYS", "YES", "History", "a", "get", "op"]

YES, NO, REFUSED = Answer.YES, Answer.NO, Answer.REFUSED
KEYS = ("t/a", "t/b")
History = Sequence[Operation]


def op(start: float, end: float, call: Call, outcome: object = YES) -> Operation:
    """Return an operation from `start` to `end`; an unknown one may take effect until `end`."""
    return Operation(call, outcome, start, end)


def a(
    value: str, index: int, *, key: str = "t/a", by: str = "", locks: int = 0, made: int = 0
) -> Seen:
    """Return an entry as seen, made by the write that wrote it if nothing else is said."""
    return Seen(key, value, by, locks, made or index, index)


def get(start: float, end: float, *seen: Seen, key: str = "t/a", index: int = 9) -> Operation:
    """Return a read of a key that gave an entry, or none."""
    return op(start, end, ReadKey(key), Entries({one.key: one for one in seen}, index))


def tree(start: float, end: float, *seen: Seen) -> Operation:
    """Return a read of all keys."""
    return op(start, end, ReadTree("t/"), Entries({one.key: one for one in seen}, 9))


def sessions(start: float, end: float, *names: str) -> Operation:
    """Return a list of all sessions."""
    return op(start, end, ReadSessions(), Listing(frozenset(names), 9))


SET1, SET2 = Set("t/a", "1"), Set("t/a", "2")
S1, S2 = CreateSession("t/s1"), CreateSession("t/s2", "delete")
HELD = a("1", 3, by="t/s1", locks=1)
# Two keys written together, and how they look.
BOTH = Txn((SET1, Set("t/b", "1")))
BOTH_SEEN = (a("1", 2), a("1", 2, key="t/b"))
# The same if another key was not changed since it was seen at index 2.
CAREFUL = Txn((Cas("t/a", "2", 2), Set("t/b", "2")))

BELIEVED: dict[str, History] = {
    "nothing": [],
    "a write is read": [op(0, 1, SET1), get(2, 3, a("1", 2))],
    "a read during a write sees it": [op(0, 9, SET1), get(2, 3, a("1", 2))],
    "a read during a write does not see it": [op(0, 9, SET1), get(2, 3), get(10, 11, a("1", 2))],
    "writes at once, in either order": [
        *(op(0, 9, SET1), op(0, 9, SET2)),
        *(get(2, 3, a("2", 2)), get(4, 5, a("1", 3, made=2))),
    ],
    "a write that ends as another begins is at once with it": [
        *(op(0, 5, SET1), op(5, 9, SET2), get(10, 11, a("1", 3, made=2))),
    ],
    "an unknown write was done": [op(0, math.inf, SET1, UNKNOWN), get(2, 3, a("1", 2))],
    "an unknown write was never done": [op(0, math.inf, SET1, UNKNOWN), get(2, 3)],
    "an unknown write is done late": [
        *(op(0, math.inf, SET1, UNKNOWN), get(2, 3), op(4, 5, SET2)),
        *(get(6, 7, a("2", 2)), get(8, 9, a("1", 3, made=2))),
    ],
    "an unknown write is done before its last moment": [
        *(op(0, 5, SET1, UNKNOWN), get(2, 3), get(6, 7, a("1", 2))),
    ],
    "an unknown read": [op(0, 5, ReadKey("t/a"), UNKNOWN), op(0, 5, ReadSessions(), UNKNOWN)],
    "an unknown delete explains what is missing": [
        *(op(0, 1, SET1), op(2, math.inf, Delete("t/a"), UNKNOWN)),
        *(get(4, 5, a("1", 2)), get(6, 7)),
    ],
    "an unknown write makes a check-and-set fail": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, SET2, UNKNOWN)),
        *(op(6, 7, Cas("t/a", "3", 2), NO), op(8, 9, SET1, UNKNOWN)),
    ],
    "one of two check-and-sets": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2))),
        *(op(4, 9, Cas("t/a", "2", 2)), op(4, 9, Cas("t/a", "3", 2), NO)),
        *(op(4, 9, Cas("t/a", "4", 0), NO), get(10, 11, a("2", 3, made=2))),
    ],
    "a check-and-set makes a key": [op(0, 1, Cas("t/a", "1", 0)), get(2, 3, a("1", 2))],
    "a key is deleted and made again": [
        *(op(0, 1, SET1), op(2, 3, Delete("t/a")), op(4, 5, SET2), get(6, 7, a("2", 4))),
    ],
    "deletes by check-and-set": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, SET2)),
        *(op(6, 7, DeleteCas("t/a", 2), NO), get(8, 9, a("2", 3, made=2))),
        *(op(10, 11, DeleteCas("t/a", 3)), op(12, 13, DeleteCas("t/a", 3)), get(14, 15)),
    ],
    "a tree is deleted": [
        *(op(0, 1, SET1), op(0, 1, Set("t/b", "1b")), op(2, 9, DeleteTree("t/"))),
        *(tree(3, 4, a("1", 2), a("1b", 3, key="t/b")), tree(5, 6)),
    ],
    "half a tree is deleted": [
        *(op(0, 1, SET1), op(0, 1, Set("t/b", "1b")), op(2, 3, DeleteTree("t/b"))),
        op(4, 5, ReadNames("t/"), Names(frozenset({"t/a"}), 4)),
    ],
    "a lock passes from one to the other": [
        *(op(0, 1, S1), op(0, 1, S2), op(2, 3, Lock("t/a", "1", "t/s1"))),
        *(get(4, 5, HELD), op(6, 7, Lock("t/a", "2", "t/s2"), NO)),
        *(op(6, 7, Unlock("t/a", "3", "t/s2"), NO), op(8, 9, Unlock("t/a", "4", "t/s1"))),
        op(10, 11, Lock("t/a", "5", "t/s2")),
        get(12, 13, a("5", 5, by="t/s2", locks=2, made=3)),
    ],
    "a plain write keeps the holder": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, SET2)),
        get(6, 7, a("2", 4, by="t/s1", made=3)),
    ],
    "the holder writes again": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, Lock("t/a", "2", "t/s1"))),
        get(6, 7, a("2", 4, by="t/s1", locks=1, made=3)),
    ],
    "a session goes and releases": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, DestroySession("t/s1"))),
        *(get(6, 7, a("1", 4, locks=1, made=3)), sessions(8, 9)),
        *(op(10, 11, Lock("t/a", "2", "t/s1"), REFUSED), op(12, 13, DestroySession("t/s1"))),
    ],
    "a session goes and deletes": [
        *(op(0, 1, S2), op(2, 3, Lock("t/a", "1", "t/s2")), op(4, 5, DestroySession("t/s2"))),
        *(get(6, 7), op(8, 9, RenewSession("t/s2"), NO)),
    ],
    "a transaction is read": [op(0, 1, BOTH), tree(2, 3, *BOTH_SEEN)],
    "a transaction is read while it runs, before and after": [
        *(op(0, 9, BOTH), tree(1, 2), tree(3, 4, *BOTH_SEEN), tree(5, 6, *BOTH_SEEN)),
    ],
    "a transaction that nobody was told of": [
        *(op(0, math.inf, BOTH, UNKNOWN), tree(1, 2), tree(3, 4, *BOTH_SEEN)),
    ],
    "a transaction that nobody was told of and that was not done": [
        *(op(0, 5, BOTH, UNKNOWN), tree(6, 7), tree(8, 9)),
    ],
    "a transaction that came too late": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, SET2), op(6, 7, CAREFUL, NO)),
        tree(8, 9, a("2", 3, made=2)),
    ],
    "one of two transactions": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 9, CAREFUL)),
        op(4, 9, Txn((DeleteCas("t/a", 2), Delete("t/b"))), NO),
        tree(10, 11, a("2", 3, made=2), a("2", 3, key="t/b")),
    ],
    "a transaction sees what it did": [
        op(0, 1, Txn((SET1, Absent("t/a"), Delete("t/b"))), NO),
        op(2, 3, Txn((Absent("t/a"), SET1, Delete("t/a"), Absent("t/a"), SET2))),
        tree(4, 5, a("2", 3)),
    ],
    "a transaction of a tree and a key in it": [
        *(op(0, 1, BOTH), op(2, 3, Txn((DeleteTree("t/"), Set("t/b", "2"))))),
        tree(4, 5, a("2", 3, key="t/b")),
    ],
    "a transaction locks, one expects the lock, one releases": [
        *(op(0, 1, S1), op(2, 3, Txn((Lock("t/a", "1", "t/s1"), HeldBy("t/a", "t/s1"))))),
        *(get(4, 5, HELD), op(6, 7, Lock("t/a", "2", "t/s2"), REFUSED)),
        op(8, 9, Txn((HeldBy("t/a", "t/s2"), Set("t/b", "3"))), NO),
        op(10, 11, Txn((HeldBy("t/a", "t/s1"), Set("t/b", "4")))),
        op(12, 13, Txn((Set("t/a", "5"), Unlock("t/a", "5", "t/s1")))),
        tree(14, 15, a("5", 6, made=3), a("4", 5, key="t/b")),
    ],
    "a transaction of a session that is gone": [
        op(0, 1, Txn((SET1, Lock("t/b", "1", "t/s1"))), NO),
        tree(2, 3),
    ],
    "a session that nobody was told of": [
        *(op(0, 5, S1, UNKNOWN), sessions(6, 7, "t/s1", "elsewhere/s1")),
        *(op(8, 9, RenewSession("t/s1")), op(10, 11, DestroySession("t/s1")), sessions(12, 13)),
    ],
}

DISBELIEVED: dict[str, History] = {
    "a lost write": [op(0, 1, SET1), get(2, 3)],
    "a lost write to a key that was there": [
        *(op(0, 1, SET1), op(2, 3, SET2), get(4, 5, a("1", 2))),
    ],
    "a stale read": [
        *(op(0, 1, SET1), op(2, 9, SET2), get(3, 4, a("2", 3, made=2)), get(5, 6, a("1", 2))),
    ],
    "reordered writes": [
        *(op(0, 1, SET1), op(2, 3, SET2), op(4, 9, Delete("t/a"))),
        *(get(5, 6), get(7, 8, a("2", 3, made=2))),
    ],
    "a value before it was written": [get(0, 1, a("1", 2)), op(2, 3, SET1)],
    "one check-and-set too many": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2))),
        *(op(4, 9, Cas("t/a", "2", 2)), op(4, 9, Cas("t/a", "3", 2))),
    ],
    "two that made the key": [op(0, 9, Cas("t/a", "1", 0)), op(0, 9, Cas("t/a", "2", 0))],
    "a check-and-set refused for nothing": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, Cas("t/a", "2", 2), NO)),
    ],
    "a refused check-and-set that was done": [
        *(op(0, 1, SET1), op(2, 3, Cas("t/a", "2", 0), NO), get(4, 5, a("2", 3, made=2))),
    ],
    "a resurrected key": [op(0, 1, SET1), op(2, 3, Delete("t/a")), get(4, 5, a("1", 2))],
    "a delete by check-and-set of what had changed": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, SET2), op(6, 7, DeleteCas("t/a", 2))),
    ],
    "an unknown write done twice": [
        *(op(0, math.inf, SET1, UNKNOWN), get(2, 3, a("1", 2)), op(4, 5, SET2)),
        get(6, 7, a("1", 4, made=2)),
    ],
    "an unknown write done after its last moment": [
        *(op(0, 5, SET1, UNKNOWN), get(6, 7), get(8, 9, a("1", 2))),
    ],
    "a key that was made by another write": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, Delete("t/a")), op(6, 7, SET2)),
        get(8, 9, a("2", 4, made=2)),
    ],
    "half of a tree": [
        *(op(0, 1, SET1), op(0, 1, Set("t/b", "1b")), op(2, 9, DeleteTree("t/"))),
        tree(3, 4, a("1b", 3, key="t/b")),
    ],
    "half of a tree by two reads": [
        *(op(0, 1, SET1), op(0, 1, Set("t/b", "1b")), op(2, 9, DeleteTree("t/"))),
        *(get(3, 4), get(5, 6, a("1b", 3, key="t/b"), key="t/b")),
    ],
    "a tree that never was": [
        *(op(0, 1, SET1), op(2, 9, SET2), op(4, 5, Set("t/b", "1b"))),
        *(tree(6, 7, a("1", 2), a("1b", 3, key="t/b")), tree(8, 8.5, a("2", 4, made=2))),
    ],
    "half of a transaction": [op(0, 9, BOTH), tree(1, 2, BOTH_SEEN[0])],
    "half of a transaction by two reads": [
        *(op(0, 9, BOTH), get(1, 2, a("1", 2)), get(3, 4, key="t/b")),
    ],
    "half of a transaction after a kill": [
        *(op(0, 5, BOTH, UNKNOWN), tree(6, 7, BOTH_SEEN[1])),
    ],
    "half of a transaction by a check-and-set": [
        *(op(0, 9, BOTH), get(1, 2, a("1", 2)), op(3, 4, Cas("t/b", "3", 0))),
    ],
    "half of a transaction that takes away": [
        *(op(0, 1, BOTH), op(2, 9, Txn((Delete("t/a"), DeleteTree("t/b"))))),
        tree(3, 4, BOTH_SEEN[1]),
    ],
    "a transaction that is not there": [op(0, 1, BOTH), tree(2, 3)],
    "what a refused transaction did": [
        op(0, 1, Txn((SET1, Absent("t/a"))), NO),
        tree(2, 3, a("1", 2)),
    ],
    "a transaction done in spite of a check": [
        *(op(0, 1, SET1), op(2, 3, Txn((Absent("t/a"), Set("t/b", "2"))))),
    ],
    "a transaction done in spite of a check of what was seen": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, SET2)),
        op(6, 7, Txn((At("t/a", 2), Set("t/b", "3")))),
    ],
    "a transaction done in spite of a lock that was lost": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, DestroySession("t/s1"))),
        op(6, 7, Txn((HeldBy("t/a", "t/s1"), Set("t/b", "2")))),
    ],
    "a transaction refused for nothing": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 5, CAREFUL, NO)),
    ],
    "two transactions that exclude each other": [
        *(op(0, 1, SET1), get(2, 3, a("1", 2)), op(4, 9, CAREFUL)),
        op(4, 9, Txn((Set("t/b", "3"), Cas("t/a", "3", 2)))),
    ],
    "an unknown transaction done in two pieces": [
        *(op(0, math.inf, BOTH, UNKNOWN), tree(1, 2, BOTH_SEEN[0]), tree(3, 4, *BOTH_SEEN)),
    ],
    "names of what was deleted": [
        *(op(0, 1, SET1), op(2, 3, Delete("t/a"))),
        op(4, 5, ReadNames("t/"), Names(frozenset({"t/a"}), 3)),
    ],
    "two holders": [
        *(op(0, 1, S1), op(0, 1, S2)),
        *(op(2, 9, Lock("t/a", "1", "t/s1")), op(2, 9, Lock("t/a", "2", "t/s2"))),
    ],
    "a release by one who did not hold": [
        *(op(0, 1, S1), op(2, 3, Unlock("t/a", "1", "t/s1"))),
    ],
    "a lock refused for nothing": [op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1"), NO)],
    "a lock of a session that is gone": [
        *(op(0, 1, S1), op(2, 3, DestroySession("t/s1")), op(4, 5, Lock("t/a", "1", "t/s1"))),
    ],
    "a lock that outlived its session": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, DestroySession("t/s1"))),
        get(6, 7, HELD),
    ],
    "a lock counted twice": [
        *(op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1")), op(4, 5, Lock("t/a", "2", "t/s1"))),
        get(6, 7, a("2", 4, by="t/s1", locks=2, made=3)),
    ],
    "a lost session": [op(0, 1, S1), sessions(2, 3)],
    "a lost session that cannot lock": [op(0, 1, S1), op(2, 3, Lock("t/a", "1", "t/s1"), REFUSED)],
    "a session that came back": [
        *(op(0, 1, S1), op(2, 3, DestroySession("t/s1")), sessions(4, 5, "t/s1")),
    ],
    "a session that was renewed after its end": [
        *(op(0, 1, S1), op(2, 3, DestroySession("t/s1")), op(4, 5, RenewSession("t/s1"))),
    ],
}

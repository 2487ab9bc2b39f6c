"""What clients of a random life may do next, with what they can know of the store.

What is done is chosen by a `Pick`: by Hypothesis, which makes a failure small, or by a seeded
`random.Random`, which is fast.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
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

from .model import TIME_UNIT_NS, Model, seconds

__all__ = ["ID_REST", "KEYS", "PREFIXES", "SESSIONS_MAX", "Choices", "Pick", "Wish"]

T = TypeVar("T")

Wish = Command | SessionRequest

# Few, so that they meet again; some begin with others.
KEYS = (b"a", b"a/b", b"a/b/c", b"b", b"\xff")
PREFIXES = (b"", b"a", b"a/", b"a/b", b"b", b"\xff", b"c")
VALUES = (b"", b"1", b"2")
FLAGS = (0, 0, 0, 2**64 - 1)
# Set, cas, delete, delete-cas, tree, lock, unlock.
WRITES = "ssccdxtlllluu"
# The same, the end of a session, and many at once.
KINDS = f"{WRITES}emmm"
# Each of the many: a write, mostly one that works, so that all do; get, tree, the checks of an
# index, of a session and for nothing, the impossible.
OPS = "ssssssddddttttcclluu" + "gggTTihn!"
TTLS_S = (0, 0, 1, 2, 5)
LOCK_DELAYS_S = (0, 0, 1, 4, 70, -1)

SESSIONS_MAX = 4
# Ends the ids of sessions, all but their first eight digits.
ID_REST = "-0000-4000-8000-000000000000"


class Pick(Protocol):
    """Chooses one of several; the first is the simplest."""

    def __call__(self, options: Sequence[T], /) -> T:
        """Return one of `options`."""


class Choices:
    """What can be asked of a store that is as its model says."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.ids = ["f" * 8 + ID_REST]
        """Ids of sessions that live or lived lately; at first of none."""

    def note(self, session_id: str) -> None:
        """Take the id of a session that was made."""
        self.ids = [*self.ids, session_id][-SESSIONS_MAX:]

    def session_id(self, pick: Pick) -> str:
        """Return the id of a session, mostly of a living one; another spelling; or no id."""
        living = list(self._model.holders)
        return pick([*living * 4, *self.ids, self.ids[-1].upper(), "x", ""])

    def write(self, pick: Pick) -> Wish:
        """Return a write, or several in one."""
        kind = pick(KINDS)
        if kind == "m":
            return Txn(tuple(self._op(pick) for _ in range(pick((1, 2, 2, 3, 3, 5)))))
        return DestroySession(self.session_id(pick)) if kind == "e" else self._write(pick, kind)

    def _op(self, pick: Pick) -> TxnOp:  # noqa: PLR0911 - a table
        kind, key = pick(OPS), pick(KEYS)
        match kind:
            case "g":
                return GetKey(key, pick((True, True, False)))
            case "T":
                return GetTree(pick(PREFIXES))
            case "i":
                return CheckIndex(key, self._cas_index(pick, key))
            case "h":
                entry = self._model.keys.get(key)
                return CheckSession(key, pick([entry.session if entry else "", "x"]))
            case "n":
                return CheckNotExists(key)
            case "!":
                return ImpossibleOp("for no reason")
        return self._write(pick, kind)

    def _write(self, pick: Pick, kind: str) -> TxnOp:  # noqa: PLR0911 - a table
        key, value, flags = pick(KEYS), pick(VALUES), pick(FLAGS)
        match kind:
            case "c":
                adopt_lost = pick((False, True))
                return CasKey(key, value, flags, self._cas_index(pick, key), adopt_lost)
            case "d":
                return DeleteKey(key)
            case "x":
                return DeleteKeyCas(key, self._cas_index(pick, key))
            case "t":
                return DeleteTree(pick(PREFIXES))
            case "l":
                return LockKey(key, value, flags, self.session_id(pick))
            case "u":
                held = [entry for entry in self._model.keys.values() if entry.session]
                session_id = pick([*(entry.session for entry in held), self.session_id(pick)])
                key = pick([*(entry.key for entry in held), key])
                return UnlockKey(key, value, flags, session_id)
        return SetKey(key, value, flags)

    def ahead(self) -> int:
        """Return an index that the store has not reached."""
        return self._model.index + 2

    def _cas_index(self, pick: Pick, key: bytes) -> int:
        entry = self._model.keys.get(key)
        index = 0 if entry is None else entry.modify_index
        return pick((index, index, index, 0, max(0, index - 1), self.ahead()))

    def session(self, pick: Pick) -> SessionRequest:
        """Return a session whose end does not tie with another's: who is first would be chance."""
        ttl_ns = pick(TTLS_S) * NS_PER_S
        taken = [one.session.ttl_ns for one in self._model.holders.values()]
        deadlines = [one.deadline for one in self._model.holders.values()]
        while ttl_ns and (ttl_ns in taken or self._model.deadline(ttl_ns) in deadlines):
            ttl_ns += TIME_UNIT_NS
        return SessionRequest(
            ttl=f"{ttl_ns}ns" if ttl_ns else "",
            lock_delay_ns=pick(LOCK_DELAYS_S) * NS_PER_S,
            behavior=pick(("release", "delete")),
        )

    def ties(self, session_id: str) -> bool:
        """Return whether a renewal now would make the session end together with another."""
        holders = self._model.holders
        mine = holders.get(session_id.lower())
        if mine is None or not mine.session.ttl_ns:
            return False
        deadline = self._model.deadline(mine.session.ttl_ns)
        return any(one.deadline == deadline for one in holders.values() if one is not mine)

    def moments(self) -> list[float]:
        """Return how long it is to the next end of a session or lock-delay, and to just before."""
        model = self._model
        ends = [*(holder.deadline for holder in model.holders.values()), *model.free_at.values()]
        ahead = [end - model.now for end in ends if model.now < end < float("inf")]
        if not ahead:
            return []
        return [one for one in (min(ahead), min(ahead) - seconds(TIME_UNIT_NS)) if one > 0]

    def locks(self, pick: Pick) -> list[Wish]:
        """Return the attempt of somebody who waits for a key that was lost, if there are both."""
        keys, living = sorted(self._model.free_at), list(self._model.holders)
        if not keys or not living:
            return []
        lock = LockKey(pick(keys), b"", 0, pick(living))
        return [pick((lock, Txn((SetKey(b"a", b"1", 0), lock))))]

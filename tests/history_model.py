"""What a store ought to do, one operation after another: a group of keys that share a prefix.

Written from the wire contract, not from the code. An index stands for the content it was seen
with, so the state needs no indexes, and a write whose index nobody saw fits as well as any other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from history import (
    READS,
    Absent,
    Answer,
    At,
    Cas,
    CreateSession,
    Delete,
    DeleteCas,
    DeleteTree,
    DestroySession,
    HeldBy,
    Lock,
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

__all__ = ["Entry", "Group", "State"]


class Entry(NamedTuple):
    """What is under a key."""

    value: str
    session: str
    lock_index: int
    # The value that made the key: it stands for the create_index.
    created: str


class State(NamedTuple):
    """The entries of a group in the order of its keys, and its living sessions by name."""

    entries: tuple[Entry | None, ...]
    # With their behaviors.
    sessions: frozenset[tuple[str, str]] = frozenset()


_Outcome = tuple[State, Answer]


class Group:
    """The keys under one prefix and the sessions whose names begin with it: one object.

    What concerns several keys of a group is one operation on it, so it has to be atomic.
    `seen` has every entry that any client saw, by key and modify_index.
    """

    def __init__(
        self, prefix: str, keys: Sequence[str], seen: Mapping[tuple[str, int], Seen]
    ) -> None:
        assert all(key.startswith(prefix) for key in keys)
        self.prefix = prefix
        self.keys = tuple(keys)
        self.empty = State((None,) * len(self.keys))
        self._place = {key: place for place, key in enumerate(self.keys)}
        self._seen = seen

    def concerns(self, operation: Operation) -> bool:
        """Return whether an operation has to do with this group."""
        return self._is_about(operation.call)

    def _is_about(self, call: Any) -> bool:
        match call:
            case Txn(ops):
                is_about = self._is_about(ops[0])
                assert all(self._is_about(op) == is_about for op in ops), "one group, or none"
                return is_about
            case ReadSessions():
                return True
            case CreateSession(name) | DestroySession(name) | RenewSession(name):
                return name.startswith(self.prefix)
            case DeleteTree(prefix) | ReadTree(prefix) | ReadNames(prefix):
                return self.prefix.startswith(prefix) or prefix.startswith(self.prefix)
            case _:
                return call.key in self._place

    def is_read(self, operation: Operation) -> bool:
        """Return whether an operation, with the outcome it had, changes nothing."""
        no = operation.outcome in (Answer.NO, Answer.REFUSED)
        return no or isinstance(operation.call, READS)

    def step(self, state: State, operation: Operation) -> State | None:
        """Return the state after an operation, None if its outcome cannot be; see `Model`."""
        call, outcome = operation.call, operation.outcome
        if isinstance(call, READS):
            return state if self._shows(state, call, outcome) else None
        after, answer = self._do(state, call)
        if outcome is UNKNOWN:
            return after if after != state else None
        return after if answer is outcome else None

    def _do(self, state: State, call: Any) -> _Outcome:
        return _WRITES[type(call)](self, state, call)

    # --- reads -------------------------------------------------------------------------------

    def _shows(self, state: State, call: Any, outcome: Any) -> bool:
        match call:
            case ReadKey(key):
                return self._fits(state, self._place[key], outcome.by_key.get(key))
            case ReadTree(prefix):
                by_key = outcome.by_key
                return all(
                    self._fits(state, place, by_key.get(key)) for place, key in self._under(prefix)
                )
            case ReadNames(prefix):
                keys = {key for place, key in self._under(prefix) if state.entries[place]}
                return keys == {key for key in outcome.keys if key in self._place}
            case RenewSession(name):
                is_live = any(name == one for one, _behavior in state.sessions)
                return is_live == (outcome is Answer.YES)
            case _:
                names = {name for name, _behavior in state.sessions}
                return names == {name for name in outcome.names if name.startswith(self.prefix)}

    def _under(self, prefix: str) -> list[tuple[int, str]]:
        return [(place, key) for place, key in enumerate(self.keys) if key.startswith(prefix)]

    def _fits(self, state: State, place: int, seen: Seen | None) -> bool:
        entry = state.entries[place]
        if entry is None or seen is None:
            return entry is None and seen is None
        creation = self._seen.get((seen.key, seen.create_index))
        created = entry.created if creation is None else creation.value
        shown = Entry(seen.value, seen.session, seen.lock_index, created)
        return entry == shown

    # --- writes ------------------------------------------------------------------------------

    def _put(self, state: State, key: str, entry: Entry | None) -> State:
        place = self._place[key]
        entries = (*state.entries[:place], entry, *state.entries[place + 1 :])
        return State(entries, state.sessions)

    def _entry(self, state: State, key: str) -> Entry | None:
        return state.entries[self._place[key]]

    def _is_at(self, key: str, entry: Entry | None, index: int) -> bool:
        """Return whether an entry is the one that stands under an index; 0 is for none."""
        if index == 0 or entry is None:
            return index == 0 and entry is None
        seen = self._seen[key, index]
        return (seen.value, seen.session) == (entry.value, entry.session)

    def _set(self, state: State, call: Set | Cas) -> _Outcome:
        old = self._entry(state, call.key)
        if old is None:
            new = Entry(call.value, "", 0, call.value)
        else:
            new = Entry(call.value, old.session, 0, old.created)
        return self._put(state, call.key, new), Answer.YES

    def _cas(self, state: State, call: Cas) -> _Outcome:
        if not self._is_at(call.key, self._entry(state, call.key), call.index):
            return state, Answer.NO
        return self._set(state, call)

    def _delete(self, state: State, call: Delete | DeleteCas) -> _Outcome:
        return self._put(state, call.key, None), Answer.YES

    def _delete_cas(self, state: State, call: DeleteCas) -> _Outcome:
        old = self._entry(state, call.key)
        if old is not None and not self._is_at(call.key, old, call.index):
            return state, Answer.NO
        return self._delete(state, call)

    def _delete_tree(self, state: State, call: DeleteTree) -> _Outcome:
        entries = tuple(
            None if key.startswith(call.prefix) else entry
            for key, entry in zip(self.keys, state.entries, strict=True)
        )
        return State(entries, state.sessions), Answer.YES

    def _lock(self, state: State, call: Lock) -> _Outcome:
        if not any(call.session == name for name, _behavior in state.sessions):
            return state, Answer.REFUSED
        old = self._entry(state, call.key)
        if old is None:
            new = Entry(call.value, call.session, 1, call.value)
        elif not old.session:
            new = Entry(call.value, call.session, old.lock_index + 1, old.created)
        elif old.session == call.session:
            new = Entry(call.value, call.session, old.lock_index, old.created)
        else:
            return state, Answer.NO
        return self._put(state, call.key, new), Answer.YES

    def _unlock(self, state: State, call: Unlock) -> _Outcome:
        old = self._entry(state, call.key)
        if old is None or old.session != call.session:
            return state, Answer.NO
        new = Entry(call.value, "", old.lock_index, old.created)
        return self._put(state, call.key, new), Answer.YES

    def _txn(self, state: State, call: Txn) -> _Outcome:
        after = state
        for op in call.ops:
            after, answer = self._do(after, op)
            if answer is not Answer.YES:
                return state, Answer.NO
        return after, Answer.YES

    def _expect(self, state: State, call: At | Absent | HeldBy) -> _Outcome:
        entry = self._entry(state, call.key)
        match call:
            case At(key, index):
                holds = entry is not None and self._is_at(key, entry, index)
            case Absent():
                holds = entry is None
            case HeldBy(_key, session):
                holds = entry is not None and entry.session == session
        return state, Answer.YES if holds else Answer.NO

    def _create_session(self, state: State, call: CreateSession) -> _Outcome:
        session = (call.name, call.behavior)
        return State(state.entries, state.sessions | {session}), Answer.YES

    def _destroy_session(self, state: State, call: DestroySession) -> _Outcome:
        gone = {one for one in state.sessions if one[0] == call.name}
        if not gone:
            return state, Answer.YES
        ((_name, behavior),) = gone
        entries = tuple(_without(entry, call.name, behavior) for entry in state.entries)
        return State(entries, state.sessions - gone), Answer.YES


def _without(entry: Entry | None, session: str, behavior: str) -> Entry | None:
    """Return what is left of an entry when a session goes."""
    if entry is None or entry.session != session:
        return entry
    return None if behavior == "delete" else entry._replace(session="")


_WRITES: dict[type, Callable[[Group, State, Any], _Outcome]] = {
    Set: Group._set,
    Cas: Group._cas,
    Delete: Group._delete,
    DeleteCas: Group._delete_cas,
    DeleteTree: Group._delete_tree,
    Lock: Group._lock,
    Unlock: Group._unlock,
    CreateSession: Group._create_session,
    DestroySession: Group._destroy_session,
    Txn: Group._txn,
    At: Group._expect,
    Absent: Group._expect,
    HeldBy: Group._expect,
}

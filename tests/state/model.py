"""A store as one would write it without a thought for speed: a dict and the list of all changes.

Written from the wire contract, not from the code: every index is found by going through the whole
history, and nothing is ever forgotten. Where we differ from Consul by intent it says so.
"""

from dataclasses import dataclass, replace
from string import hexdigits
from typing import Literal

from kvstore.errors import InvalidSessionId, MissingSession, UnknownSession
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    CreateSession,
    CreateStore,
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
from kvstore.state.entry import Entry, Session

__all__ = ["Change", "Failed", "Model", "Outcome", "Shown"]

# Whether the write was done, and the class of the error if it made no sense.
Outcome = tuple[bool, type[Exception] | None]
DONE: Outcome = (True, None)
NO: Outcome = (False, None)

# Of an operation of a transaction: key, entry, whether its value is shown.
Shown = tuple[bytes, Entry | None, bool]
# The place of an operation that failed, what a check found, and the class of the error.
Failed = tuple[int, Entry | None, type[Exception] | None]


@dataclass(frozen=True)
class Change:
    """Something that happened to a key, or to a prefix as a whole."""

    index: int
    kind: Literal["write", "delete", "delete-tree", "gone with a tree"]
    name: bytes


def meaning(session_id: str) -> str | None:
    """Return what two spellings of a session id have in common, None for a malformed one."""
    digits = session_id.replace("-", "")
    formed = len(session_id) == 36 and len(digits) >= 32 and len(digits) % 2 == 0
    return digits.lower() if formed and set(digits) <= set(hexdigits) else None


class Model:
    """What a store should hold and answer."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.sessions: dict[str, Session] = {}
        self.changes: list[Change] = []
        self.session_index = 0
        # What came of the last transaction.
        self.shown: list[Shown] = []
        self.failed: list[Failed] = []

    def apply(self, index: int, command: Command) -> Outcome:  # noqa: C901, PLR0911 - a table
        """Do what the command says, and tell what its client should hear."""
        match command:
            case SetKey(key, value, flags):
                return self._set(index, key, value, flags)
            case CasKey():
                return self._cas(index, command)
            case DeleteKey(key):
                return self._delete(index, key)
            case DeleteKeyCas(key, cas_index):
                old = self.entries.get(key)
                refused = old is not None and old.modify_index != cas_index
                return NO if refused else self._delete(index, key)
            case DeleteTree(prefix):
                return self._delete_tree(index, prefix)
            case LockKey():
                return self._lock(index, command)
            case UnlockKey():
                return self._unlock(index, command)
            case DestroySession(session_id):
                return self._destroy(index, session_id)
            case CreateSession():
                return self._create(index, command)
            case CreateStore():
                return DONE
            case Txn(ops):
                return self._txn(index, ops)

    def is_live(self, session_id: str) -> bool:
        """Tell whether a session has this id, in whatever spelling."""
        return meaning(session_id) in self.sessions

    def held(self) -> list[Entry]:
        """Return the entries that some session holds."""
        return [entry for entry in self.tree(b"") if entry.session]

    def kv_index(self) -> int:
        """Return the index of the last change to any key."""
        return max((change.index for change in self.changes), default=0)

    def key_index(self, key: bytes) -> int:
        """Return what a read of one key answers (I5)."""
        return self.entries[key].modify_index if key in self.entries else self.kv_index()

    def tree_index(self, prefix: bytes) -> int:
        """Return what a read of a prefix answers (I5), with every tombstone there ever was."""
        if not prefix:
            return self.kv_index()
        deletes = [
            change.index
            for change in self.changes
            if change.kind in {"delete", "delete-tree"} and change.name.startswith(prefix)
        ]
        # Ours (B9): what went with a tree above counts if the prefix has a tombstone of its own.
        gone = [
            change.index
            for change in self.changes
            if change.kind == "gone with a tree" and change.name.startswith(prefix)
        ]
        tombstones = deletes + gone if deletes else []
        indexes = [entry.modify_index for entry in self.tree(prefix)] + tombstones
        return max(indexes) if indexes else self.kv_index()

    def tree(self, prefix: bytes) -> list[Entry]:
        """Return the entries under a prefix, in the order of their keys."""
        return [self.entries[key] for key in sorted(self.entries) if key.startswith(prefix)]

    def names(self, prefix: bytes, separator: bytes) -> list[bytes]:
        """Return what a listing with a separator shows (G4)."""
        names = set()
        for entry in self.tree(prefix):
            behind = entry.key[len(prefix) :]
            if separator and separator in behind:
                names.add(prefix + behind.split(separator)[0] + separator)
            else:
                names.add(entry.key)
        return sorted(names)

    def touched(self, index: int) -> set[bytes]:
        """Return the keys that were written or deleted at an index, also those of both."""
        at_index = [change for change in self.changes if change.index == index]
        return {change.name for change in at_index if change.kind != "delete-tree"}

    def _txn(self, index: int, ops: tuple[TxnOp, ...]) -> Outcome:
        """Try the operations on a copy, and become it if all of them worked (T4)."""
        self.shown, self.failed = [], []
        trial = Model()
        trial.entries, trial.sessions = dict(self.entries), dict(self.sessions)
        trial.changes, trial.session_index = list(self.changes), self.session_index
        for position, op in enumerate(ops):
            met, done, error = None, True, None
            match op:
                case GetTree(prefix):
                    self.shown += [(entry.key, entry, True) for entry in trial.tree(prefix)]
                case GetKey(key, or_empty):
                    done = or_empty or key in trial.entries
                    self.shown.append((key, trial.entries.get(key), True))
                case CheckIndex() | CheckSession() | CheckNotExists():
                    met = trial.entries.get(op.key)
                    done = _holds(op, met)
                    if not isinstance(op, CheckNotExists):
                        self.shown.append((op.key, met, False))
                case ImpossibleOp():
                    done = False
                case _:
                    done, error = trial.apply(index, op)
                    if done and not isinstance(op, DeleteKey | DeleteKeyCas | DeleteTree):
                        self.shown.append((op.key, trial.entries[op.key], False))
            if not done:
                self.failed.append((position, met, error))
        if self.failed:
            self.shown = []
            return NO
        self.entries, self.changes = trial.entries, trial.changes
        return DONE

    def _put(self, entry: Entry) -> Outcome:
        self.entries[entry.key] = entry
        self.changes.append(Change(entry.modify_index, "write", entry.key))
        return DONE

    def _set(self, index: int, key: bytes, value: bytes, flags: int) -> Outcome:
        old = self.entries.get(key)
        if old is None:
            return self._put(Entry(key, value, flags, "", 0, index, index))
        new = replace(old, value=value, flags=flags, lock_index=0)
        return DONE if new == old else self._put(replace(new, modify_index=index))

    def _cas(self, index: int, command: CasKey) -> Outcome:
        old = self.entries.get(command.key)
        expected = old.modify_index if old else 0
        # Ours: an index that was never issued can only come from data that was lost.
        lost = command.adopt_lost and old is None and command.cas_index > index - 1
        if command.cas_index != expected and not lost:
            return NO
        create_index = old.create_index if old else index
        session = old.session if old else ""
        # Ours (cas-identical-wakes): an identical value is a change like any other.
        return self._put(
            Entry(command.key, command.value, command.flags, session, 0, create_index, index)
        )

    def _delete(self, index: int, key: bytes) -> Outcome:
        if self.entries.pop(key, None) is not None:
            self.changes.append(Change(index, "delete", key))
        return DONE

    def _delete_tree(self, index: int, prefix: bytes) -> Outcome:
        doomed = self.tree(prefix)
        for entry in doomed:
            del self.entries[entry.key]
            self.changes.append(Change(index, "gone with a tree", entry.key))
        if doomed:
            self.changes.append(Change(index, "delete-tree", prefix))
        return DONE

    def _lock(self, index: int, command: LockKey) -> Outcome:
        if not command.session:
            return False, MissingSession
        if meaning(command.session) is None:
            return False, InvalidSessionId
        if meaning(command.session) not in self.sessions:
            return False, UnknownSession
        key, value, flags, session = command.key, command.value, command.flags, command.session
        old = self.entries.get(key)
        if old is None:
            return self._put(Entry(key, value, flags, session, 1, index, index))
        if old.session not in {"", session}:
            return NO
        acquired = old.lock_index if old.session else old.lock_index + 1
        new = replace(old, value=value, flags=flags, session=session, lock_index=acquired)
        return DONE if new == old else self._put(replace(new, modify_index=index))

    def _unlock(self, index: int, command: UnlockKey) -> Outcome:
        if not command.session:
            return False, MissingSession
        old = self.entries.get(command.key)
        if old is None or old.session != command.session:
            return NO
        new = replace(old, value=command.value, flags=command.flags, session="")
        return self._put(replace(new, modify_index=index))

    def _create(self, index: int, command: CreateSession) -> Outcome:
        fields = {name: getattr(command, name) for name in CreateSession.__slots__}
        self.sessions[meaning(command.id) or ""] = Session(**fields, create_index=index)
        self.session_index = index
        return DONE

    def _destroy(self, index: int, session_id: str) -> Outcome:
        gone = meaning(session_id)
        if gone is None:
            return False, InvalidSessionId
        if gone not in self.sessions:
            return DONE
        behavior = self.sessions.pop(gone).behavior
        self.session_index = index
        for old in [entry for entry in self.entries.values() if meaning(entry.session) == gone]:
            if behavior == "delete":
                self._delete(index, old.key)
            else:
                self._put(replace(old, session="", modify_index=index))
        return DONE


def _holds(check: CheckIndex | CheckSession | CheckNotExists, entry: Entry | None) -> bool:
    """Tell whether what a transaction expects of a key is so."""
    if isinstance(check, CheckNotExists):
        return entry is None
    if entry is None:
        return False
    if isinstance(check, CheckIndex):
        return entry.modify_index == check.index
    return entry.session == check.session

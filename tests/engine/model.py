"""What an engine ought to do, as one would write it without a thought for speed or for failure.

Dicts of keys and of sessions, the indexes, who may not lock what until when, and who runs out when.
Written from the wire contract, not from the code; where we differ from Consul by intent it says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kvstore.errors import InvalidSessionId, MissingSession, UnknownSession
from kvstore.state.applied import Read
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
from kvstore.state.entry import Entry, Session

__all__ = ["ID_LENGTH", "TIME_UNIT_NS", "Holder", "Model", "Told", "seconds"]

ID_LENGTH = 36
"""How long the id of a session is; here, whatever is as long is one."""

_LOCK_DELAY_MAX_S = 60

TIME_UNIT_NS = 1_953_125
"""1/512 s: sums of it are exact as floats, so that a deadline is met to the moment."""


def seconds(ns: int) -> float:
    """Return nanoseconds as seconds."""
    return ns / 1_000_000_000


@dataclass(frozen=True)
class Told:
    """What became of a command."""

    # None: it took no index.
    index: int | None
    done: bool = True
    refusal: type[Exception] | None = None
    # What it changed: keys, and a session that came or went.
    keys: frozenset[bytes] = frozenset()
    session: str | None = None
    # Of a transaction: the places of what failed; the entries that are shown, by key.
    failed: tuple[int, ...] = ()
    shown: tuple[tuple[bytes, Entry | None], ...] = ()


@dataclass
class Holder:
    """A living session."""

    session: Session
    # The monotonic second it goes at if nobody renews it.
    deadline: float


@dataclass
class Model:
    """What a store holds, answers and does by itself."""

    now: float
    # Index of the last command.
    index: int = 1
    keys: dict[bytes, Entry] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)
    # Index of the last command that changed a key; a session.
    kv_index: int = 0
    session_index: int = 0
    # When a key that was lost by a session may be locked again.
    free_at: dict[bytes, float] = field(default_factory=dict)
    # Index of the last delete, by the name of the key or tree; by key of those gone with a tree.
    deleted: dict[bytes, int] = field(default_factory=dict)
    gone_with_tree: dict[bytes, int] = field(default_factory=dict)

    # --- reads -------------------------------------------------------------------------------

    def key(self, key: bytes) -> Read[Entry | None]:
        """Read a key: its own index, or the store's when it is absent (I5)."""
        entry = self.keys.get(key)
        return Read(self.kv_index if entry is None else entry.modify_index, entry)

    def tree(self, prefix: bytes) -> Read[list[Entry]]:
        """Read a prefix: the newest of its writes and deletes, or the store's (I5, I7)."""
        entries = [self.keys[key] for key in sorted(self.keys) if key.startswith(prefix)]
        if not prefix:
            return Read(self.kv_index, entries)
        deletes = [at for name, at in self.deleted.items() if name.startswith(prefix)]
        if deletes:
            # Ours (B9): what went with a tree above counts beside a tombstone of its own.
            gone = self.gone_with_tree.items()
            deletes += [at for name, at in gone if name.startswith(prefix)]
        indexes = [entry.modify_index for entry in entries] + deletes
        return Read(max(indexes, default=self.kv_index), entries)

    def session(self, session_id: str) -> Read[list[Session]]:
        """Read one session, at the index of all of them (I5)."""
        holder = self.holders.get(session_id.lower())
        return Read(self.session_index, [] if holder is None else [holder.session])

    def sessions(self) -> Read[list[Session]]:
        """Read all sessions."""
        return Read(self.session_index, [self.holders[one].session for one in sorted(self.holders)])

    # --- time --------------------------------------------------------------------------------

    def due(self) -> list[str]:
        """Return the sessions that have run out, the first first."""
        due = [one for one in self.holders if self.holders[one].deadline <= self.now]
        return sorted(due, key=lambda one: self.holders[one].deadline)

    def deadline(self, ttl_ns: int) -> float:
        """Return when a session that is made or renewed now goes: at twice its TTL (S14)."""
        return self.now + 2 * seconds(ttl_ns) if ttl_ns else float("inf")

    def renew(self, session_id: str) -> Session | None:
        """Give a session its full time again; None if there is none."""
        holder = self.holders.get(session_id.lower())
        if holder is None:
            return None
        holder.deadline = self.deadline(holder.session.ttl_ns)
        return holder.session

    def restart(self) -> None:
        """Give every session its full time, and forget the lock-delays."""
        self.free_at.clear()
        for session_id in self.holders:
            self.renew(session_id)

    # --- writes ------------------------------------------------------------------------------

    def create(self, session: Session) -> Told:
        """Make a session."""
        self.index += 1
        self.session_index = self.index
        made = replace(session, create_index=self.index)
        self.holders[session.id] = Holder(made, self.deadline(session.ttl_ns))
        return Told(self.index, session=session.id)

    def submit(self, command: Command) -> Told:
        """Do what a command says."""
        if isinstance(command, Txn):
            return self._submit_all(command.ops)
        if self._is_delayed(command):
            return Told(None, done=False)
        self.index += 1
        return _WRITES[type(command)](self, command)

    def _is_delayed(self, command: Command | TxnOp) -> bool:
        is_lock = isinstance(command, LockKey)
        return is_lock and self.now < self.free_at.get(command.key, self.now)

    def _submit_all(self, ops: tuple[TxnOp, ...]) -> Told:
        """Do several operations at one index, or nothing (T4)."""
        delayed = tuple(place for place, op in enumerate(ops) if self._is_delayed(op))
        if delayed:
            return Told(None, done=False, failed=delayed)
        before = (dict(self.keys), self.kv_index, dict(self.deleted), dict(self.gone_with_tree))
        self.index += 1
        told = [self._do(op) for op in ops]
        failed = tuple(place for place, one in enumerate(told) if not one.done)
        if failed:
            self.keys, self.kv_index, self.deleted, self.gone_with_tree = before
            return Told(self.index, done=False, failed=failed)
        keys = frozenset[bytes]().union(*(one.keys for one in told))
        shown = tuple(entry for one in told for entry in one.shown)
        return Told(self.index, keys=keys, shown=shown)

    def _do(self, op: TxnOp) -> Told:
        if isinstance(op, ImpossibleOp):
            return self._no()
        if isinstance(op, GetTree):
            return Told(
                self.index, shown=tuple((one.key, one) for one in self.tree(op.prefix).value)
            )
        if isinstance(op, DeleteTree | DeleteKey | DeleteKeyCas):
            return _WRITES[type(op)](self, op)
        if type(op) in _WRITES:
            told = _WRITES[type(op)](self, op)
            return replace(told, shown=((op.key, self.keys.get(op.key)),))
        entry = self.keys.get(op.key)
        if isinstance(op, CheckNotExists):
            return Told(self.index, done=entry is None)
        if isinstance(op, GetKey):
            holds = op.or_empty or entry is not None
        elif isinstance(op, CheckIndex):
            holds = entry is not None and entry.modify_index == op.index
        else:
            assert isinstance(op, CheckSession)
            holds = entry is not None and entry.session == op.session
        return Told(self.index, done=holds, shown=((op.key, entry),))

    def _no(self, refusal: type[Exception] | None = None) -> Told:
        return Told(self.index, done=False, refusal=refusal)

    def _put(self, entry: Entry) -> Told:
        """Store an entry at the index of this command, if it is another than what is there."""
        if self.keys.get(entry.key) == entry:
            return Told(self.index)
        return self._change(entry)

    def _change(self, entry: Entry) -> Told:
        self.keys[entry.key] = replace(entry, modify_index=self.index)
        self.kv_index = self.index
        return Told(self.index, keys=frozenset([entry.key]))

    def _old(self, key: bytes) -> Entry:
        """Return what is there to be changed; a new entry if there is nothing."""
        return self.keys.get(key) or Entry(key, b"", 0, "", 0, self.index, 0)

    def _set(self, command: SetKey) -> Told:
        old = self._old(command.key)
        return self._put(replace(old, value=command.value, flags=command.flags, lock_index=0))

    def _cas(self, command: CasKey) -> Told:
        old = self._old(command.key)
        # Ours: an index that was never issued can only come from data that was lost.
        is_lost = command.adopt_lost and not old.modify_index and command.cas_index >= self.index
        if command.cas_index != old.modify_index and not is_lost:
            return self._no()
        # Ours (cas-identical-wakes): an identical value is a change like any other.
        return self._change(replace(old, value=command.value, flags=command.flags, lock_index=0))

    def _delete(self, command: DeleteKey | DeleteKeyCas) -> Told:
        if self.keys.pop(command.key, None) is None:
            return Told(self.index)
        self.deleted[command.key] = self.kv_index = self.index
        return Told(self.index, keys=frozenset([command.key]))

    def _delete_cas(self, command: DeleteKeyCas) -> Told:
        old = self.keys.get(command.key)
        if old is not None and old.modify_index != command.cas_index:
            return self._no()
        return self._delete(command)

    def _delete_tree(self, command: DeleteTree) -> Told:
        gone = [key for key in self.keys if key.startswith(command.prefix)]
        for key in gone:
            del self.keys[key]
            self.gone_with_tree[key] = self.kv_index = self.index
        if gone and command.prefix:
            self.deleted[command.prefix] = self.index
        return Told(self.index, keys=frozenset(gone))

    def _lock(self, command: LockKey) -> Told:
        refusal = _refusal(command.session)
        if refusal is None and command.session.lower() not in self.holders:
            refusal = UnknownSession
        if refusal is not None:
            return self._no(refusal)
        old = self._old(command.key)
        if old.session not in ("", command.session):
            return self._no()
        locks = old.lock_index if old.session else old.lock_index + 1
        held = replace(old, session=command.session, lock_index=locks)
        return self._put(replace(held, value=command.value, flags=command.flags))

    def _unlock(self, command: UnlockKey) -> Told:
        if not command.session:
            return self._no(MissingSession)
        old = self._old(command.key)
        if old.session != command.session:
            return self._no()
        return self._put(replace(old, session="", value=command.value, flags=command.flags))

    def _destroy(self, command: DestroySession) -> Told:
        if _refusal(command.id):
            return self._no(InvalidSessionId)
        holder = self.holders.pop(command.id.lower(), None)
        if holder is None:
            return Told(self.index)
        self.session_index = self.index
        session = holder.session
        held = [entry for entry in self.keys.values() if entry.session.lower() == session.id]
        for entry in held:
            if session.behavior == "delete":
                self._delete(DeleteKey(entry.key))
            else:
                self._put(replace(entry, session=""))
        delay_s = min(seconds(session.lock_delay_ns), _LOCK_DELAY_MAX_S)
        if delay_s > 0:
            until = self.now + delay_s
            for entry in held:
                self.free_at[entry.key] = max(until, self.free_at.get(entry.key, until))
        return Told(self.index, keys=frozenset(entry.key for entry in held), session=session.id)


def _refusal(session_id: str) -> type[Exception] | None:
    """Return what is wrong with an id as such."""
    if not session_id:
        return MissingSession
    return None if len(session_id) == ID_LENGTH else InvalidSessionId


_WRITES: dict[type[Command | TxnOp], Callable[[Model, Any], Told]] = {
    SetKey: Model._set,
    CasKey: Model._cas,
    DeleteKey: Model._delete,
    DeleteKeyCas: Model._delete_cas,
    DeleteTree: Model._delete_tree,
    LockKey: Model._lock,
    UnlockKey: Model._unlock,
    DestroySession: Model._destroy,
}

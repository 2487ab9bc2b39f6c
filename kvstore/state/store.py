"""The state machine: a store at an index, changed only by `apply`.

Knows nothing of HTTP, of files, of waiting, or of what time it is.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kvstore.errors import InvariantBroken
from kvstore.state import kv, restore, session, txn
from kvstore.state.applied import Applied, Read, TxnOutcome
from kvstore.state.command import (
    CasKey,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Entry, Session
from kvstore.state.image import Facts, Image
from kvstore.state.session_id import parse_session_id
from kvstore.state.tables import Tables

__all__ = ["State"]


def _create_store(tables: Tables, index: int, command: CreateStore) -> Applied:
    tables.store_id = command.store_id
    return Applied(index)


# Any: each function takes the command class it is listed under, which no type can say.
_APPLY: dict[type[Command], Callable[[Tables, int, Any], Applied]] = {
    CreateStore: _create_store,
    SetKey: kv.set_key,
    CasKey: kv.cas_key,
    DeleteKey: kv.delete_key,
    DeleteKeyCas: kv.delete_key_cas,
    DeleteTree: kv.delete_tree,
    LockKey: kv.lock_key,
    UnlockKey: kv.unlock_key,
    CreateSession: session.create_session,
    DestroySession: session.destroy_session,
    RestoreStore: restore.restore_store,
    Txn: txn.run_txn,
}


class State:
    """All entries and sessions of one store.

    Reads are plain calls and always see every command applied so far, and nothing else.
    """

    def __init__(self) -> None:
        self._tables = Tables()

    @property
    def last_index(self) -> int:
        """Index of the last command applied; 0 for a store that has none."""
        return self._tables.last_index

    @property
    def store_id(self) -> str:
        """The store's own name, drawn when it was made; empty before the first command."""
        return self._tables.store_id

    @property
    def entry_count(self) -> int:
        """Number of keys."""
        return len(self._tables.entries)

    @property
    def session_count(self) -> int:
        """Number of live sessions."""
        return len(self._tables.sessions)

    def apply(self, index: int, command: Command) -> Applied:
        """Apply the command that took `index`, the one after `last_index`.

        Raises InvariantBroken when commands come out of order or are of an unknown kind: going on
        would make this state differ from what the journal says.
        """
        tables = self._tables
        if index != tables.last_index + 1:
            raise InvariantBroken(f"command {index} came after {tables.last_index}")
        apply = _APPLY.get(type(command))
        if apply is None:
            raise InvariantBroken(f"no way to apply {type(command).__name__}")
        applied = apply(tables, index, command)
        tables.last_index = index
        return applied

    def image(self) -> Image:
        """Return all there is, as it is now and whatever is applied later; O(1) in the entries.

        Its entries can be taken once, on any thread.
        """
        tables = self._tables
        facts = Facts(
            tables.store_id,
            tables.last_index,
            tables.kv_index,
            tables.session_index,
            tables.graveyard.floor,
        )
        sessions = session.list_sessions(tables).value
        return Image(facts, sessions, tables.graveyard.tombstones(), tables.entries.frozen_values())

    def load(self, image: Image) -> None:
        """Become the store of an image; only a new state can, and only before its first `apply`.

        Raises InvariantBroken when it is not new, and what the image's entries raise.
        """
        tables, facts = self._tables, image.facts
        if tables.last_index:
            raise InvariantBroken(f"an image is loaded into a store at index {tables.last_index}")
        tables.entries.load((entry.key, entry) for entry in image.entries)
        tables.sessions.update((parse_session_id(one.id), one) for one in image.sessions)
        for entry in tables.entries.values():
            if entry.session:
                tables.held.setdefault(parse_session_id(entry.session), set()).add(entry.key)
        tables.graveyard.load(image.tombstones, facts.tombstone_floor)
        tables.store_id = facts.store_id
        tables.last_index = facts.last_index
        tables.kv_index = facts.kv_index
        tables.session_index = facts.session_index

    def get(self, key: bytes) -> Read[Entry | None]:
        """Read one key; see `kv.get`."""
        return kv.get(self._tables, key)

    def key_index(self, key: bytes) -> int:
        """Return the index that `get` of this key has; see `kv.key_index`."""
        return kv.key_index(self._tables, key)

    def get_tree(self, prefix: bytes) -> Read[list[Entry]]:
        """Read everything under a prefix; see `kv.get_tree`."""
        return kv.get_tree(self._tables, prefix)

    def tree_index(self, prefix: bytes) -> int:
        """Return the index that `get_tree` and `keys` of this prefix have; see `kv.tree_index`."""
        return kv.tree_index(self._tables, prefix)

    def keys(self, prefix: bytes, separator: bytes = b"") -> Read[list[bytes]]:
        """List keys under a prefix; see `kv.keys`."""
        return kv.keys(self._tables, prefix, separator)

    def read_txn(self, ops: Iterable[TxnOp]) -> TxnOutcome:
        """Run a transaction that only reads; see `txn.read_txn`."""
        return txn.read_txn(self._tables, ops)

    def get_session(self, session_id: str) -> Read[list[Session]]:
        """Read one session; see `session.get_session`."""
        return session.get_session(self._tables, session_id)

    def list_sessions(self) -> Read[list[Session]]:
        """Read all sessions in the order of their ids."""
        return session.list_sessions(self._tables)

    def node_sessions(self, node: str) -> Read[list[Session]]:
        """Read the sessions of one node."""
        return session.node_sessions(self._tables, node)

    def check(self) -> None:
        """Verify every invariant of the tables; O(n). Raises InvariantBroken naming the first."""
        tables = self._tables
        held: dict[bytes, set[bytes]] = {}
        tables.entries.check()
        for key in tables.entries:
            entry = tables.entries[key]
            _require(entry.key == key, f"entry under {key!r} is named {entry.key!r}")
            _require(
                0 < entry.create_index <= entry.modify_index <= tables.kv_index,
                f"indexes of {key!r} are out of order",
            )
            if entry.session:
                held.setdefault(parse_session_id(entry.session), set()).add(key)
        _require(held == tables.held, "the held keys differ from the entries' sessions")
        _require(held.keys() <= tables.sessions.keys(), "a key is held by a session that is gone")
        for owner, one in tables.sessions.items():
            _require(parse_session_id(one.id) == owner, f"session {one.id} is under another id")
        newest = max(tables.kv_index, tables.session_index, tables.graveyard.latest(b""))
        _require(newest <= tables.last_index, "an index is newer than the last command")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise InvariantBroken(otherwise)

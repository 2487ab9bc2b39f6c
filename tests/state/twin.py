"""A store with room for four tombstones, made of the functions that `State` is made of.

A store forgets after 16,385 deletes of distinct keys; this one does it all the time.
"""

from collections.abc import Callable
from typing import Any

from kvstore.state import kv, session, txn
from kvstore.state.applied import Applied, Read
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
    SetKey,
    Txn,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.graveyard import Graveyard
from kvstore.state.tables import Tables

__all__ = ["TOMBSTONES_MAX", "ForgetfulTwin"]

TOMBSTONES_MAX = 4

# Any: each function takes the command class it is listed under.
_APPLY: dict[type[Command], Callable[[Tables, int, Any], Applied]] = {
    CreateStore: lambda _, index, __: Applied(index),
    SetKey: kv.set_key,
    CasKey: kv.cas_key,
    DeleteKey: kv.delete_key,
    DeleteKeyCas: kv.delete_key_cas,
    DeleteTree: kv.delete_tree,
    LockKey: kv.lock_key,
    UnlockKey: kv.unlock_key,
    CreateSession: session.create_session,
    DestroySession: session.destroy_session,
    Txn: txn.run_txn,
}


class ForgetfulTwin:
    """Answers as `State` does, but for indexes that rise when something is forgotten."""

    def __init__(self) -> None:
        self._tables = Tables(graveyard=Graveyard(TOMBSTONES_MAX))

    @property
    def floor(self) -> int:
        """Index of the newest tombstone that was forgotten."""
        return self._tables.graveyard.floor

    @property
    def tombstone_count(self) -> int:
        """Number of tombstones remembered."""
        return len(self._tables.graveyard)

    def apply(self, index: int, command: Command) -> Applied:
        """Apply the command at `index`."""
        return _APPLY[type(command)](self._tables, index, command)

    def get(self, key: bytes) -> Read[Entry | None]:
        """Read one key."""
        return kv.get(self._tables, key)

    def key_index(self, key: bytes) -> int:
        """Return the index of one key."""
        return kv.key_index(self._tables, key)

    def tree_index(self, prefix: bytes) -> int:
        """Return the index of a prefix."""
        return kv.tree_index(self._tables, prefix)

    def get_tree(self, prefix: bytes) -> Read[list[Entry]]:
        """Read everything under a prefix."""
        return kv.get_tree(self._tables, prefix)

    def keys(self, prefix: bytes, separator: bytes) -> Read[list[bytes]]:
        """List keys under a prefix."""
        return kv.keys(self._tables, prefix, separator)

"""Keys and values: what each write does to them, and how they are read.

Writes return `Applied`, reads return `Read`. Rules are Consul 1.8.7's, by the ids of the wire
contract (conformance/NOTES.md lists where we differ by intent).

Knows nothing of HTTP, of files, or of what time it is.
"""

from kvstore.errors import MissingSession, RequestError, UnknownSession
from kvstore.state.applied import Applied, Read
from kvstore.state.command import (
    CasKey,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.session_id import parse_session_id
from kvstore.state.tables import Tables

__all__ = [
    "cas_key",
    "delete_key",
    "delete_key_cas",
    "delete_tree",
    "get",
    "get_tree",
    "key_index",
    "keys",
    "lock_key",
    "set_key",
    "tree_index",
    "unlock_key",
]


def set_key(tables: Tables, index: int, command: SetKey) -> Applied:
    """Write a key; an identical write changes nothing (P3).

    Keeps the holder and resets the lock_index to 0 (P8): Consul's order of events, and the first
    heartbeat of a Docker engine after it acquired its key counts as a change because of it.
    """
    old = tables.entries.get(command.key)
    if (
        old is not None
        and old.value == command.value
        and old.flags == command.flags
        and old.lock_index == 0
    ):
        return Applied(index)
    return _write(tables, index, old, command)


def cas_key(tables: Tables, index: int, command: CasKey) -> Applied:
    """Write a key if nobody changed it since; an identical value counts as a change.

    Ours (rule cas-identical-wakes): Docker rewrites a counter with its old value to wake its
    peers after a rename; Consul since 1.6 swallows that write and the new name never arrives.
    """
    old = tables.entries.get(command.key)
    current = old.modify_index if old is not None else 0
    lost = old is None and command.adopt_lost and command.cas_index >= index
    if command.cas_index != current and not lost:
        return Applied(index, done=False)
    return _write(tables, index, old, command)


def _write(tables: Tables, index: int, old: Entry | None, command: SetKey | CasKey) -> Applied:
    key = command.key
    if old is None:
        new = Entry(key, command.value, command.flags, "", 0, index, index)
    else:
        new = Entry(key, command.value, command.flags, old.session, 0, old.create_index, index)
    tables.put(old, new)
    return Applied(index, changed_keys=(key,))


def delete_key(tables: Tables, index: int, command: DeleteKey) -> Applied:
    """Delete a key; an absent one changes nothing."""
    old = tables.entries.get(command.key)
    if old is None:
        return Applied(index)
    return _delete(tables, index, old)


def delete_key_cas(tables: Tables, index: int, command: DeleteKeyCas) -> Applied:
    """Delete a key if nobody changed it since; an absent key is done already, whatever the index.

    Source: Consul 1.8.7, contract section 6.
    """
    old = tables.entries.get(command.key)
    if old is None:
        return Applied(index)
    if old.modify_index != command.cas_index:
        return Applied(index, done=False)
    return _delete(tables, index, old)


def _delete(tables: Tables, index: int, old: Entry) -> Applied:
    tables.remove(old, index)
    tables.graveyard.bury(old.key, index)
    return Applied(index, changed_keys=(old.key,))


def delete_tree(tables: Tables, index: int, command: DeleteTree) -> Applied:
    """Delete everything under a prefix; leaves one tombstone, none for the whole store (I7).

    O(n) in the keys under the prefix.
    """
    doomed = tables.remove_tree(command.prefix, index)
    if not doomed:
        return Applied(index)
    keys_gone = tuple([entry.key for entry in doomed])
    tables.graveyard.bury_tree(command.prefix, keys_gone, index)
    return Applied(index, changed_keys=keys_gone)


def lock_key(tables: Tables, index: int, command: LockKey) -> Applied:
    """Acquire a key for a session and write it; the holder may write again (5.1, L2).

    Refused with MissingSession, InvalidSessionId or UnknownSession, in this order (L3). The
    holder is compared as typed: another spelling of the same id is somebody else (L5).
    """
    refusal = _refuse_session(tables, command.session)
    if refusal is not None:
        return Applied(index, done=False, refusal=refusal)
    old = tables.entries.get(command.key)
    if old is None:
        new = Entry(command.key, command.value, command.flags, command.session, 1, index, index)
    elif not old.session:
        new = Entry(
            command.key,
            command.value,
            command.flags,
            command.session,
            old.lock_index + 1,
            old.create_index,
            index,
        )
    elif old.session != command.session:
        return Applied(index, done=False)
    elif old.value == command.value and old.flags == command.flags:
        return Applied(index)
    else:
        new = Entry(
            command.key,
            command.value,
            command.flags,
            old.session,
            old.lock_index,
            old.create_index,
            index,
        )
    tables.put(old, new)
    return Applied(index, changed_keys=(command.key,))


def _refuse_session(tables: Tables, session: str) -> RequestError | None:
    if not session:
        return MissingSession()
    try:
        owner = parse_session_id(session)
    except RequestError as malformed:
        return malformed
    return None if owner in tables.sessions else UnknownSession(session)


def unlock_key(tables: Tables, index: int, command: UnlockKey) -> Applied:
    """Release a key and write it; value and flags are replaced by the command's (L1).

    Only the empty session is refused (L4); anybody who is not the holder gets a plain no.
    """
    if not command.session:
        return Applied(index, done=False, refusal=MissingSession())
    old = tables.entries.get(command.key)
    if old is None or old.session != command.session:
        return Applied(index, done=False)
    new = Entry(
        command.key,
        command.value,
        command.flags,
        "",
        old.lock_index,
        old.create_index,
        index,
    )
    tables.put(old, new)
    return Applied(index, changed_keys=(command.key,))


def get(tables: Tables, key: bytes) -> Read[Entry | None]:
    """Read one key; None when it is absent. Its index is `key_index`."""
    entry = tables.entries.get(key)
    return Read(_index(tables, entry), entry)


def key_index(tables: Tables, key: bytes) -> int:
    """Return the index of a read of one key.

    It is the entry's own modify_index, which libkv takes as its check-and-set index; for an absent
    key it is that of the last write to any key (I5).
    """
    return _index(tables, tables.entries.get(key))


def _index(tables: Tables, entry: Entry | None) -> int:
    return tables.kv_index if entry is None else entry.modify_index


def get_tree(tables: Tables, prefix: bytes) -> Read[list[Entry]]:
    """Read everything under a prefix in key order; an empty list when there is nothing.

    Its index is `tree_index`. O(n) in the keys under the prefix.
    """
    return Read(tree_index(tables, prefix), tables.entries.under(prefix))


def tree_index(tables: Tables, prefix: bytes) -> int:
    """Return the index of a read of what is under a prefix, entries or keys (I5).

    Never less than any answered for the prefix before. Much cheaper than such a read: see
    `Ordered.newest`.
    """
    if not prefix:
        return tables.kv_index
    buried = tables.graveyard.latest(prefix)
    newest = tables.entries.newest(prefix)
    if not newest and not buried:
        return tables.kv_index
    return max(newest, buried, tables.graveyard.floor)


def keys(tables: Tables, prefix: bytes, separator: bytes) -> Read[list[bytes]]:
    """List the keys under a prefix in order; an empty list when there are none.

    With a separator, a key is cut after its first separator behind the prefix and each cut name
    listed once (G4). Keys hidden that way count for the index (I6), which is `tree_index`, and cost
    nothing. O(n) in the names that are listed.
    """
    return Read(tree_index(tables, prefix), tables.entries.cut_names(prefix, separator))

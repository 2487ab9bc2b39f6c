"""A restore: the store's content becomes another one, as a write like any other.

What it changes it changes at its own index. So no index goes back for anyone who waits or holds
one for a check-and-set, and whoever knows an entry that was not changed still knows it. (Consul
puts the old indexes back and lets its clients find out. Source: Consul 1.8.7, fsm.Restore.)
"""

from dataclasses import replace

from kvstore.state.applied import Applied
from kvstore.state.command import RestoreStore
from kvstore.state.entry import Entry, Session
from kvstore.state.session_id import parse_session_id
from kvstore.state.tables import Tables

__all__ = ["restore_store"]


def restore_store(tables: Tables, index: int, command: RestoreStore) -> Applied:
    """Replace all entries and sessions; keys that are not among them leave tombstones.

    O(n) in the keys that were there and those that come.
    """
    sessions = {parse_session_id(one.id): _known_by(one, index) for one in command.sessions}
    if sessions != dict(tables.sessions):
        tables.session_index = index
    wanted = {entry.key: entry for entry in command.entries}
    changed: list[bytes] = []
    for key in [key for key in tables.entries if key not in wanted]:
        tables.remove(tables.entries[key], index)
        tables.graveyard.bury(key, index)
        changed.append(key)
    for key, entry in wanted.items():
        held = bool(entry.session) and parse_session_id(entry.session) in sessions
        new = entry if held or not entry.session else replace(entry, session="")
        old = tables.entries.get(key)
        if new != old:
            tables.put(old, _changed_at(new, index))
            changed.append(key)
    tables.sessions.clear()
    tables.sessions.update(sessions)
    return Applied(index, changed_keys=tuple(changed), restored=True)


def _known_by(session: Session, index: int) -> Session:
    """Return a session that was not made later than `index`, as one from another store may be."""
    return session if session.create_index <= index else replace(session, create_index=index)


def _changed_at(entry: Entry, index: int) -> Entry:
    return Entry(
        entry.key,
        entry.value,
        entry.flags,
        entry.session,
        entry.lock_index,
        min(entry.create_index, index),
        index,
    )

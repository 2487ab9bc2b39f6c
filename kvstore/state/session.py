"""Sessions: made, destroyed, and what happens to the keys they held.

Knows nothing of TTLs running out (the engine turns that into `DestroySession`) nor of lock-delay
(wall-clock state that lives in the engine).
"""

from collections.abc import Callable

from kvstore.errors import RequestError
from kvstore.state.applied import Applied, Read
from kvstore.state.command import CreateSession, DestroySession
from kvstore.state.entry import Entry, Session
from kvstore.state.session_id import parse_session_id
from kvstore.state.tables import Tables

__all__ = ["create_session", "destroy_session", "get_session", "list_sessions", "node_sessions"]


def create_session(tables: Tables, index: int, command: CreateSession) -> Applied:
    """Make a session; its id was drawn by the engine and is fresh."""
    session = Session(
        command.id,
        command.name,
        command.node,
        command.lock_delay_ns,
        command.behavior,
        command.ttl,
        command.ttl_ns,
        command.node_checks,
        command.service_checks,
        command.checks,
        index,
    )
    tables.sessions[parse_session_id(command.id)] = session
    tables.session_index = index
    return Applied(index, created=session)


def destroy_session(tables: Tables, index: int, command: DestroySession) -> Applied:
    """Invalidate a session and release or delete the keys it holds, all at one index (S15).

    An unknown session is destroyed already (S12). Refused with InvalidSessionId.
    """
    try:
        owner = parse_session_id(command.id)
    except RequestError as malformed:
        return Applied(index, done=False, refusal=malformed)
    session = tables.sessions.pop(owner, None)
    if session is None:
        return Applied(index)
    tables.session_index = index
    held = tuple(sorted(tables.held.get(owner, ())))
    for key in held:
        old = tables.entries[key]
        if session.behavior == "delete":
            tables.remove(old, index)
            tables.graveyard.bury(key, index)
        else:
            tables.put(old, _released(old, index))
    return Applied(index, changed_keys=held, destroyed=session)


def _released(old: Entry, index: int) -> Entry:
    return Entry(old.key, old.value, old.flags, "", old.lock_index, old.create_index, index)


def get_session(tables: Tables, session_id: str) -> Read[list[Session]]:
    """Read one session as a list of one; an empty list when it is unknown.

    The index is the whole table's (I5). Raises InvalidSessionId.
    """
    session = tables.sessions.get(parse_session_id(session_id))
    return Read(tables.session_index, [] if session is None else [session])


def list_sessions(tables: Tables) -> Read[list[Session]]:
    """Read all sessions in the order of their ids. O(n)."""
    return _matching(tables, lambda _: True)


def node_sessions(tables: Tables, node: str) -> Read[list[Session]]:
    """Read the sessions of one node, its name in any letter case. O(n) in all sessions."""
    name = node.lower()
    return _matching(tables, lambda session: session.node.lower() == name)


def _matching(tables: Tables, wanted: Callable[[Session], bool]) -> Read[list[Session]]:
    sessions = [session for session in tables.sessions.values() if wanted(session)]
    return Read(tables.session_index, sessions)

"""The shortest way to use an engine in a test: one line for a write, a session, or a watch."""

from typing import Any

from fake_clock import FakeClock

from kvstore.engine.admission import SessionRequest
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import ALL_SESSIONS, Scope, ScopeKind
from kvstore.state.applied import Applied, Read
from kvstore.state.command import DeleteKey, DestroySession, LockKey, SetKey
from kvstore.state.entry import Entry
from kvstore.state.session_id import parse_session_id

__all__ = ["NODE", "Store", "Watching", "key_scope", "session_scope", "tree_scope"]

NODE = "n1"


def key_scope(key: bytes) -> Scope:
    """Return the scope of one key."""
    return Scope(ScopeKind.KEY, key)


def tree_scope(prefix: bytes) -> Scope:
    """Return the scope of everything under a prefix."""
    return Scope(ScopeKind.TREE, prefix)


def session_scope(session_id: str) -> Scope:
    """Return the scope of one session."""
    return Scope(ScopeKind.SESSION, parse_session_id(session_id))


class Watching:
    """Collects the answers of one blocking query; it must never get a second one."""

    def __init__(self, read: Read[Any] | Parked[Any]) -> None:
        self.answers: list[Read[Any]] = []
        self.parked: Parked[Any] | None = None
        if isinstance(read, Read):
            self.answers.append(read)
        else:
            self.parked = read
            read.on_done(self.answers.append)

    @property
    def waits(self) -> bool:
        """Whether it has no answer yet."""
        return not self.answers

    @property
    def answer(self) -> Read[Any]:
        """The one answer."""
        (answer,) = self.answers
        return answer

    def cancel(self) -> None:
        """Leave."""
        if self.parked is not None:
            self.parked.cancel()


class Store:
    """One engine and its clock."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock

    # --- writes ------------------------------------------------------------------------------

    async def set(self, key: bytes, value: bytes = b"v") -> int:
        """Write a key and return the index that took."""
        return (await self.engine.submit(SetKey(key, value, 0))).index

    async def delete(self, key: bytes) -> int:
        """Delete a key and return the index that took."""
        return (await self.engine.submit(DeleteKey(key))).index

    async def lock(self, key: bytes, session_id: str) -> bool:
        """Try to acquire a key."""
        return (await self.engine.submit(LockKey(key, b"l", 0, session_id))).done

    async def create_session(self, ttl: str = "", delay_s: float = 15, behavior: str = "") -> str:
        """Make a session and return its id."""
        request = SessionRequest(ttl=ttl, lock_delay_ns=int(delay_s * 1e9), behavior=behavior)
        applied = await self.engine.create_session(request)
        assert applied.created is not None
        return applied.created.id

    async def destroy(self, session_id: str) -> Applied:
        """Invalidate a session."""
        return await self.engine.submit(DestroySession(session_id))

    # --- reads -------------------------------------------------------------------------------

    def entry(self, key: bytes) -> Entry | None:
        """Return the entry of a key, None when there is none."""
        return self.engine.state.get(key).value

    def is_live(self, session_id: str) -> bool:
        """Return whether a session is there."""
        return bool(self.engine.state.get_session(session_id).value)

    def last(self) -> int:
        """Return the index of the last write."""
        return self.engine.state.last_index

    # --- blocking queries --------------------------------------------------------------------

    def watch_key(self, key: bytes, index: int | None = None, wait_s: float = 60) -> Watching:
        """Wait for a key to change, from what it is now if no index is given."""
        state = self.engine.state
        seen = state.get(key).index if index is None else index
        return Watching(
            self.engine.read(lambda: state.get(key), key_scope(key), max(seen, 1), wait_s)
        )

    def watch_tree(self, prefix: bytes, index: int | None = None, wait_s: float = 60) -> Watching:
        """Wait for anything under a prefix to change."""
        state = self.engine.state
        seen = state.get_tree(prefix).index if index is None else index
        scope = tree_scope(prefix)
        query = lambda: state.get_tree(prefix)  # noqa: E731 - a query, as the api makes them
        return Watching(self.engine.read(query, scope, max(seen, 1), wait_s))

    def watch_session(self, session_id: str, wait_s: float = 60) -> Watching:
        """Wait for a session to go."""
        state = self.engine.state
        seen = max(state.get_session(session_id).index, 1)
        query = lambda: state.get_session(session_id)  # noqa: E731 - as above
        return Watching(self.engine.read(query, session_scope(session_id), seen, wait_s))

    def watch_sessions(self, wait_s: float = 60) -> Watching:
        """Wait for any session to come or go."""
        seen = max(self.engine.state.list_sessions().index, 1)
        query = self.engine.state.list_sessions
        return Watching(self.engine.read(query, ALL_SESSIONS, seen, wait_s))

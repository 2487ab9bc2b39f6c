"""Who waits for what: waiters by key, by prefix and by session.

A write fires exactly the waiters whose answer it may have changed. Consul fires every waiter of an
absent key near the one that was written (contract B6); here a waiter costs a write nothing unless
the write concerns it. Cost of a write: one look-up by key and one per length of prefix that is
being waited for.

Knows nothing of state, time or tasks.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from kvstore.state.applied import Applied
from kvstore.state.session_id import parse_session_id

__all__ = ["ALL_SESSIONS", "CATALOG", "Scope", "ScopeKind", "Waiter", "Watch"]


class ScopeKind(Enum):
    """The kinds of thing that can be waited for."""

    KEY = "key"
    TREE = "tree"
    SESSION = "session"
    ALL_SESSIONS = "all sessions"
    # What never changes: the catalog of a server that discovers nothing.
    CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query reads: a key, everything under a prefix, a session by its bytes."""

    kind: ScopeKind
    name: bytes = b""


ALL_SESSIONS = Scope(ScopeKind.ALL_SESSIONS)
CATALOG = Scope(ScopeKind.CATALOG)


class Waiter(Protocol):
    """Whoever wants to know."""

    def fire(self) -> None:
        """Be told, on the event loop, that what was waited for has changed; must not raise."""


class Watch:
    """The waiters of one engine."""

    def __init__(self) -> None:
        # dict, not set: fired in the order they came.
        self._waiters: dict[Scope, dict[Waiter, None]] = {}
        # How many distinct prefixes of each length are waited for.
        self._prefix_lengths: Counter[int] = Counter()

    def __len__(self) -> int:
        """Return the number of waiters."""
        return sum(len(waiters) for waiters in self._waiters.values())

    def add(self, scope: Scope, waiter: Waiter) -> None:
        """Fire `waiter` at every change of `scope` until it is removed."""
        waiters = self._waiters.get(scope)
        if waiters is None:
            waiters = self._waiters[scope] = {}
            if scope.kind is ScopeKind.TREE:
                self._prefix_lengths[len(scope.name)] += 1
        waiters[waiter] = None

    def remove(self, scope: Scope, waiter: Waiter) -> None:
        """Forget a waiter; without effect when it is not there."""
        waiters = self._waiters.get(scope)
        if waiters is None or waiters.pop(waiter, self) is self or waiters:
            return
        del self._waiters[scope]
        if scope.kind is ScopeKind.TREE:
            self._prefix_lengths[len(scope.name)] -= 1
            if not self._prefix_lengths[len(scope.name)]:
                del self._prefix_lengths[len(scope.name)]

    def notify(self, applied: Applied) -> None:
        """Fire each waiter that an applied command concerns, once."""
        if not self._waiters:
            return
        hit: dict[Waiter, None] = {}
        for key in applied.changed_keys:
            hit.update(self._waiters.get(Scope(ScopeKind.KEY, key), {}))
            for length in self._prefix_lengths:
                if length <= len(key):
                    hit.update(self._waiters.get(Scope(ScopeKind.TREE, key[:length]), {}))
        if applied.restored:
            for scope, waiters in self._waiters.items():
                if scope.kind in (ScopeKind.SESSION, ScopeKind.ALL_SESSIONS):
                    hit.update(waiters)
        session = applied.created or applied.destroyed
        if session is not None:
            hit.update(self._waiters.get(ALL_SESSIONS, {}))
            owner = parse_session_id(session.id)
            hit.update(self._waiters.get(Scope(ScopeKind.SESSION, owner), {}))
        for waiter in hit:
            waiter.fire()

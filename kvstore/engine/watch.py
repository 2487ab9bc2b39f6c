"""Who waits for what: waiters by key, by prefix and by session.

A write fires exactly the waiters whose answer it may have changed. Consul fires every waiter of an
absent key near the one that was written (contract B6); here a waiter costs a write nothing unless
the write concerns it. Cost of a write: one look-up by key and one per length of prefix that is
being waited for; of a write of more keys than are waited for, one look-up for each of these.

Knows nothing of state, time or tasks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from enum import IntEnum, auto
from typing import NamedTuple, Protocol

from kvstore.state.applied import Applied
from kvstore.state.session_id import parse_session_id

__all__ = ["ALL_SESSIONS", "CATALOG", "Scope", "ScopeKind", "Waiter", "Watch"]


class ScopeKind(IntEnum):
    """The kinds of thing that can be waited for.

    Numbers, and a Scope is a tuple: they are hashed for every waiter and every write.
    """

    KEY = auto()
    TREE = auto()
    SESSION = auto()
    ALL_SESSIONS = auto()
    # What never changes: the catalog of a server that discovers nothing.
    CATALOG = auto()


class Scope(NamedTuple):
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
        # By scope, or by a plain tuple that equals it and is made faster: each write makes some.
        # A dict of waiters and not a set: fired in the order they came.
        self._waiters: dict[tuple[ScopeKind, bytes], dict[Waiter, None]] = {}
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
        if len(applied.changed_keys) <= len(self._waiters):
            self._look_for_waiters(applied.changed_keys, hit)
        else:
            self._look_for_keys(applied.changed_keys, hit)
        if applied.restored:
            for (kind, _), waiters in self._waiters.items():
                if kind in (ScopeKind.SESSION, ScopeKind.ALL_SESSIONS):
                    hit.update(waiters)
        session = applied.created or applied.destroyed
        if session is not None:
            hit.update(self._waiters.get(ALL_SESSIONS, {}))
            owner = parse_session_id(session.id)
            hit.update(self._waiters.get(Scope(ScopeKind.SESSION, owner), {}))
        for waiter in hit:
            waiter.fire()

    def _look_for_waiters(self, keys: Iterable[bytes], hit: dict[Waiter, None]) -> None:
        """Add those whom these keys concern; goes over the keys."""
        waiters = self._waiters
        for key in keys:
            if found := waiters.get((ScopeKind.KEY, key)):
                hit.update(found)
            for length in self._prefix_lengths:
                if length <= len(key) and (found := waiters.get((ScopeKind.TREE, key[:length]))):
                    hit.update(found)

    def _look_for_keys(self, keys: Iterable[bytes], hit: dict[Waiter, None]) -> None:
        """Add those whom these keys concern; goes over what is waited for."""
        ordered = sorted(keys)
        for (kind, name), waiters in self._waiters.items():
            at = bisect_left(ordered, name)
            if at == len(ordered):
                continue
            found = ordered[at]
            if kind is ScopeKind.KEY:
                is_hit = found == name
            else:
                is_hit = kind is ScopeKind.TREE and found.startswith(name)
            if is_hit:
                hit.update(waiters)

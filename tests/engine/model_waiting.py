"""Blocking queries of a random life, and exactly when they ought to be answered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kvstore.engine.watch import ALL_SESSIONS, Scope
from kvstore.state.applied import Read

from .model import Told
from .store import Watching, key_scope, session_scope, tree_scope

__all__ = ["JITTER", "Waiting", "concerned"]

# Source: contract B3: what a blocking query may wait beyond what it asked for.
JITTER = 1 / 16


@dataclass
class Waiting:
    """A blocking query, and what it may answer."""

    scope: Scope
    # Asks the model.
    answer: Callable[[], Read[Any]]
    past: int
    watching: Watching
    # Between these two its time runs out.
    soonest: float
    latest: float
    # What it would answer if its time ran out now, one of these.
    last: list[Read[Any]]
    # What it could have seen in the writes that are being compared.
    shown: list[Read[Any]] = field(default_factory=list)

    def look(self, concerned: frozenset[Scope]) -> None:
        """Take note of a command, if it or one before it concerns this query."""
        if self.shown or self.scope in concerned:
            self.shown.append(self.answer())

    def stays(self) -> bool:
        """Verify that it was answered only if what was shown is news; tell whether it waits on.

        Writes that are sent together need not be seen one by one, but they may.
        """
        news = [read for read in self.shown if read.index > self.past]
        if not self.watching.waits:
            assert self.watching.answer in news, self
            return False
        assert not news or len(news) < len(self.shown), self
        self.last, self.shown = self.shown or self.last, []
        return True

    def stays_until(self, now: float) -> bool:
        """Verify that it was answered only if its time has run out; tell whether it waits on."""
        if self.watching.waits:
            assert now < self.latest, self
            return True
        assert now >= self.soonest, self
        self.check_last()
        return False

    def check_last(self) -> None:
        """Verify that it was answered with what it last saw."""
        assert self.watching.answer in self.last, self


def concerned(told: Told, prefixes: Iterable[bytes]) -> frozenset[Scope]:
    """Return every scope, of `prefixes` where it is a tree, whose answer a command changed."""
    scopes = {key_scope(key) for key in told.keys}
    scopes |= {tree_scope(one) for one in prefixes if any(key.startswith(one) for key in told.keys)}
    if told.session is not None:
        scopes |= {ALL_SESSIONS, session_scope(told.session)}
    return frozenset(scopes)

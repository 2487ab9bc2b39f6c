"""A case: one promise of the contract, and how to see whether a store keeps it.

A case gets a `Store` to talk to and a `Ground` to stand on: a prefix nobody else uses, and the
promise that its keys and sessions are gone afterwards. It returns when all is as expected, and
raises `Failed` or `Skipped` otherwise.
"""

import inspect
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeVar

from conformance.suite.expectation import Failed, Skipped
from conformance.suite.store import Store
from conformance.suite.wire import ConnectionEnded, NotAnswered

__all__ = ["Case", "Failed", "Ground", "Need", "Run", "Skipped", "Store"]

T = TypeVar("T")

UNREACHABLE = (OSError, ConnectionEnded, NotAnswered)
"""What talking to a store raises when it does not answer as an HTTP server should."""

TRAILING_LETTERS = re.compile(r"(?<=\d)[a-z]+$")


class Need(StrEnum):
    """What a case needs of the run or of the store."""

    # Nobody else writes meanwhile: it looks at numbers that belong to the whole store.
    QUIET = "quiet"
    # It changes what belongs to others; only with --exclusive.
    EXCLUSIVE = "exclusive"
    # A store that has never been written to; only with --exclusive, and first.
    FRESH = "fresh"
    # Many seconds, of which it waits most: it starts first.
    SLOW = "slow"
    # A run without a token, on a store without access control.
    OPEN = "open"
    # A command that restarts the store (--restart); it runs alone, since all others are disturbed.
    RESTART = "restart"
    # Bodies as they come: it is about the blanks in JSON.
    EXACT = "exact"
    # A token that may do everything (--token), on a store that checks tokens.
    TOKEN = "token"  # noqa: S105 - a need, no password


@dataclass(frozen=True, slots=True)
class Case:
    """One case. Run it with a store and a ground, through `runner.play` for a verdict."""

    # Unique; of the form of a contract id with letters after it ("H7", "H7b", "F1", "3a").
    id: str
    # The name of its chapter.
    chapter: str
    # The promise as a sentence.
    title: str
    run: "Run"
    # Rules of NOTES.md by which a store may differ from Consul here; see `Ground.by_intent`.
    rules: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    # The contract ids it shows; that of its own id when empty.
    covers: tuple[str, ...] = ()
    # The script, or the words, that explain it in a report.
    text: str = field(default="", repr=False, compare=False)
    # Where it is written, as file:line.
    source: str = ""

    @property
    def words(self) -> str:
        """What explains it to a reader: its script, or what its function says of itself."""
        return self.text or inspect.getdoc(self.run) or ""

    @property
    def contract_ids(self) -> tuple[str, ...]:
        """The ids of the contract that it shows."""
        return self.covers or (TRAILING_LETTERS.sub("", self.id),)


class Ground:
    """What a case stands on while it runs: a prefix, a deadline, and who cleans up.

    `prefix` ends in a slash. Used as a context: at its end all sessions that were created through
    `store` are destroyed and all keys under the prefix are deleted.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        *,
        timeout_s: float = 60.0,
        intents: frozenset[str] = frozenset(),
        restart: str = "",
    ) -> None:
        self.prefix = prefix
        # The command that restarts the store; there is one for cases that need it.
        self.restart = restart
        # The rules that the store is taken to follow on this try.
        self.intents = intents
        self._store = store
        self._deadline = time.monotonic() + timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clean()

    def left_s(self) -> float:
        """Return how many seconds the case still has, at least 0."""
        return max(0.0, self._deadline - time.monotonic())

    def by_intent(self, rule: str, *, consul: T, ours: T) -> T:
        """Return what the store is expected to do where the rule, named in `Case.rules`, applies.

        The runner plays the case as Consul does, and if that fails again on a new ground by the
        rule; a store that does neither fails.
        """
        return ours if rule in self.intents else consul

    def clean(self) -> None:
        """Destroy the sessions and delete the keys. A store that does not answer is left alone."""
        with suppress(*UNREACHABLE):
            for session in self._store.sessions:
                self._store.ask("PUT", f"/v1/session/destroy/{session}")
            self._store.sessions.clear()
            self._store.ask("DELETE", f"/v1/kv/{self.prefix}?recurse")
            self._store.ask("DELETE", f"/v1/kv/{self.prefix.rstrip('/')}")


Run = Callable[[Store, Ground], None]
"""Raises Failed or Skipped; anything else it returns or raises is a bug, but for UNREACHABLE."""

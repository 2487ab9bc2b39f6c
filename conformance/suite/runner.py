"""Plays cases on a store and judges each.

A case with rules is played as Consul does, and if that fails again by the rules, each time on a
new ground: so it shows by itself which of the two a store follows. Cases that are quiet run one by
one, all others side by side, since many of them wait.
"""

import itertools
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from conformance.suite.case import UNREACHABLE, Case, Ground, Need
from conformance.suite.expectation import Failed, Skipped
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.result import Result, indents, version_of
from conformance.suite.store import Store

Told = Callable[[Outcome], None]

SIDE_BY_SIDE = 12
"""How many cases run at once; most of them wait."""

QUIET_TRIES = 2
"""A quiet case that fails gets one more try: somebody else may have written to the store."""

FORBIDDEN = 403

NEVER_WRITTEN = 1
"""The index of a store without any write."""


@dataclass(slots=True)
class Stage:
    """A store to play on, and what the run allows."""

    store: Store
    # Cases may change what belongs to others.
    exclusive: bool = False
    # How long one case may take, in seconds.
    timeout_s: float = 60.0
    # A command that stops the store and starts it again, on the same data and address; "": none.
    restart: str = ""
    # All keys of the run are below it; random, so that it meets nobody's data.
    prefix: str = field(default_factory=lambda: f"conformance-{secrets.token_hex(4)}/")
    # What cases have shown so far: which rules the store follows.
    seen: dict[str, bool] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _indents: bool | None = None
    _looking: Lock = field(default_factory=Lock)

    @property
    def indents(self) -> bool:
        """Whether the store indents all JSON; asked once."""
        with self._looking:
            if self._indents is None:
                self._indents = indents(self.store)
            return self._indents

    def play(self, case: Case) -> Outcome:
        """Play one case; never raises."""
        started = time.monotonic()
        if reason := self._refused(case):
            return Outcome(case, Verdict.SKIPPED, 0.0, reason)
        failures: list[str] = []
        tries = QUIET_TRIES if Need.QUIET in case.needs else 1
        for intents in self._sides(case) * tries:
            try:
                self._try(case, intents)
            except Skipped as skipped:
                took = time.monotonic() - started
                return Outcome(case, Verdict.SKIPPED, took, str(skipped))
            except (AssertionError, *UNREACHABLE) as failure:
                failures.append(_told(case, intents, failure))
            except Exception:  # noqa: BLE001 - a bug of the case must not end the run
                failures.append(_told(case, intents, traceback.format_exc()))
            else:
                self.seen |= {rule: rule in intents for rule in case.rules}
                verdict = Verdict.DIFFERS if intents else Verdict.PASSED
                took = time.monotonic() - started
                return Outcome(case, verdict, took, intents=tuple(sorted(intents)))
        shown = tuple(failures[-len(self._sides(case)) :])
        return Outcome(case, Verdict.FAILED, time.monotonic() - started, failures=shown)

    def play_all(
        self, cases: Iterable[Case], told: Told, *, fail_fast: bool = False
    ) -> list[Outcome]:
        """Play all and return the outcomes in the order of the cases; `told` of each as it ends.

        With `fail_fast` no new case begins after a failure; those left out have no outcome.
        """
        wanted = list(cases)
        outcomes: dict[str, Outcome] = {}

        def done(outcome: Outcome) -> bool:
            outcomes[outcome.case.id] = outcome
            told(outcome)
            return fail_fast and outcome.verdict is Verdict.FAILED

        for phase in (_fresh, _quiet, _together, _exclusive):
            workers = SIDE_BY_SIDE if phase is _together else 1
            if self._play_phase([case for case in wanted if phase(case)], workers, done):
                break
        return [outcomes[case.id] for case in wanted if case.id in outcomes]

    def run(self, cases: Iterable[Case], told: Told, *, fail_fast: bool = False) -> Result:
        """Play all, as `play_all` does, and return the outcomes with what the store says it is."""
        began, started = datetime.now(UTC), time.monotonic()
        version = version_of(self.store)
        outcomes = self.play_all(cases, told, fail_fast=fail_fast)
        seconds = time.monotonic() - started
        return Result(
            self.store.url, version, began, seconds, tuple(outcomes), self.prefix, self.indents
        )

    def _play_phase(self, cases: list[Case], workers: int, done: Callable[[Outcome], bool]) -> bool:
        """Play the cases of a phase; True when the run is to end."""
        with ThreadPoolExecutor(workers) as pool:
            # Slow ones first: the others run while they wait.
            ordered = sorted(cases, key=lambda case: Need.SLOW not in case.needs)
            futures = [pool.submit(self.play, case) for case in ordered]
            for future in as_completed(futures):
                if not future.cancelled() and done(future.result()):
                    pool.shutdown(wait=True, cancel_futures=True)
                    return True
        return False

    def _try(self, case: Case, intents: frozenset[str]) -> None:
        store = self.store.again(compacts=self.indents and Need.EXACT not in case.needs)
        prefix = f"{self.prefix}{next(self._numbers)}/"
        with Ground(
            store, prefix, timeout_s=self.timeout_s, intents=intents, restart=self.restart
        ) as ground:
            case.run(store, ground)

    def _sides(self, case: Case) -> list[frozenset[str]]:
        """Return the sets of rules to try the case with, most likely first."""
        both = (False, True)
        sides = [
            frozenset(rule for rule, follows in zip(case.rules, chosen, strict=True) if follows)
            for chosen in itertools.product(both, repeat=len(case.rules))
        ]
        return sorted(sides, key=lambda side: self._unlike(case, side))

    def _unlike(self, case: Case, side: frozenset[str]) -> tuple[int, int]:
        surprises = sum(self.seen.get(rule, False) != (rule in side) for rule in case.rules)
        return surprises, len(side)

    def _refused(self, case: Case) -> str:
        """Return why the case cannot be played in this run, or "" when it can."""
        return next(self._reasons(set(case.needs)), "")

    def _reasons(self, needs: set[Need]) -> Iterator[str]:
        """Yield what this run or this store lacks."""
        if {Need.EXCLUSIVE, Need.FRESH} & needs and not self.exclusive:
            yield "changes the whole store: --exclusive plays it"
        if Need.RESTART in needs and not self.restart:
            yield "restarts the store: --restart COMMAND says how"
        if Need.OPEN in needs and self.store.token is not None:
            yield "is about a store without access control: leave --token out"
        if Need.TOKEN in needs and self.store.token is None:
            yield "needs a management token: --token"
        if Need.TOKEN in needs and not self._refuses_anybody():
            yield "needs a store whose default policy is deny"
        if Need.FRESH in needs and self._is_used():
            yield "needs a store that has never been written to"

    def _refuses_anybody(self) -> bool:
        """Return whether a request without a token is refused: that is, its default is deny."""
        anybody = Store(self.store.address)
        with suppress(*UNREACHABLE):
            return anybody.get(f"{self.prefix}nobody").status == FORBIDDEN
        return False

    def _is_used(self) -> bool:
        try:
            indexes = self.store.kvs_index(), self.store.sessions_index()
        except (AssertionError, *UNREACHABLE):
            return True
        return indexes != (NEVER_WRITTEN, NEVER_WRITTEN)


def _fresh(case: Case) -> bool:
    return Need.FRESH in case.needs


def _exclusive(case: Case) -> bool:
    return bool({Need.EXCLUSIVE, Need.RESTART} & set(case.needs)) and not _fresh(case)


def _quiet(case: Case) -> bool:
    return Need.QUIET in case.needs and not _fresh(case) and not _exclusive(case)


def _together(case: Case) -> bool:
    return not (_fresh(case) or _quiet(case) or _exclusive(case))


def _told(case: Case, intents: frozenset[str], failure: object) -> str:
    """Return a failure as text, and as what the case was tried."""
    text = str(failure) or repr(failure)
    if isinstance(failure, Failed) or not isinstance(failure, BaseException):
        shown = text
    else:
        shown = f"{type(failure).__name__}: {text}"
    if not case.rules:
        return shown
    side = f"by {', '.join(sorted(intents))}" if intents else "as Consul"
    return f"[{side}]\n{shown}"

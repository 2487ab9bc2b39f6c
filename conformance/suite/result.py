"""What a run has shown: the outcomes on one store, and how those on an oracle differ."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conformance.suite.case import UNREACHABLE
from conformance.suite.layout import is_indented
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.store import Store


@dataclass(frozen=True, slots=True)
class Result:
    """All that was played on one store."""

    url: str
    # What the store says it is; "" when it does not say.
    version: str
    began: datetime
    seconds: float
    outcomes: tuple[Outcome, ...]
    # What all keys of the run began with.
    prefix: str = ""
    # The store indents all JSON, so that bodies were compared without the blanks in it.
    indents: bool = False

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many cases ended how; every verdict is there."""
        return count(self.outcomes)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes that are failures."""
        return tuple(one for one in self.outcomes if one.verdict is Verdict.FAILED)

    @property
    def followed(self) -> dict[str, set[bool]]:
        """For each rule that was met: whether cases found it followed, not followed, or both."""
        met: dict[str, set[bool]] = {}
        for one in self.outcomes:
            if one.verdict in {Verdict.PASSED, Verdict.DIFFERS}:
                for rule in one.case.rules:
                    met.setdefault(rule, set()).add(rule in one.intents)
        return met

    def by_chapter(self) -> dict[str, list[Outcome]]:
        """Return the outcomes by the name of their chapter, in order."""
        chapters: dict[str, list[Outcome]] = {}
        for one in self.outcomes:
            chapters.setdefault(one.case.chapter, []).append(one)
        return chapters


@dataclass(frozen=True, slots=True)
class Difference:
    """One case whose outcome on the store is another than on the oracle."""

    ours: Outcome
    oracle: Outcome

    @property
    def explained(self) -> bool:
        """Whether a rule says why: both are as they should be."""
        good = {Verdict.PASSED, Verdict.DIFFERS}
        return self.ours.verdict in good and self.oracle.verdict in good


def differences(ours: Result, oracle: Result) -> list[Difference]:
    """Return the cases that ended differently, in the order they were played."""
    other = {one.case.id: one for one in oracle.outcomes}
    pairs = [(one, other[one.case.id]) for one in ours.outcomes if one.case.id in other]
    return [
        Difference(mine, its)
        for mine, its in pairs
        if (mine.verdict, mine.intents) != (its.verdict, its.intents)
    ]


def count(outcomes: Iterable[Outcome]) -> Mapping[Verdict, int]:
    """Return how many there are of each verdict."""
    found = Counter(one.verdict for one in outcomes)
    return {verdict: found[verdict] for verdict in Verdict}


def indents(store: Store) -> bool:
    """Return whether the store indents JSON that nobody asked it to indent."""
    try:
        answer = store.ask("GET", "/v1/status/peers")
        answer.json  # noqa: B018 - raises for what is none
    except (ValueError, *UNREACHABLE):
        return False
    return is_indented(answer.plain)


def version_of(store: Store) -> str:
    """Return what the store says it is, as "Consul 1.8.7" or "kvstore-0.1.0 (Consul 1.8.7)"."""
    try:
        config: dict[str, Any] = store.ask("GET", "/v1/agent/self").json["Config"]
        version, revision = f"Consul {config['Version']}", str(config.get("Revision", ""))
    except (AssertionError, ValueError, LookupError, TypeError, *UNREACHABLE):
        return ""
    return f"{revision} ({version})" if "-" in revision else version

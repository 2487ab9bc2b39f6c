"""What became of a case."""

from dataclasses import dataclass
from enum import StrEnum

from conformance.suite.case import Case


class Verdict(StrEnum):
    """How a case ended; the value is the word in every report."""

    PASSED = "passed"
    # Does what a rule of NOTES.md says, and not what Consul does.
    DIFFERS = "differs by intent"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one case, with what a reader of a report needs."""

    case: Case
    verdict: Verdict
    seconds: float
    # Reason of a skip; else empty.
    note: str = ""
    # What was asked, expected and got, for each way in which the case was tried.
    failures: tuple[str, ...] = ()
    # The rules that the store follows here.
    intents: tuple[str, ...] = ()

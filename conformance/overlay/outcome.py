"""What became of a scenario."""

from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """How a scenario ended."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    SKIP = "skip"
    # Passed but for expectations that this store is known not to meet.
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one scenario, with what a reader of the report needs."""

    id: str
    title: str
    verdict: Verdict
    seconds: float
    # Failure, reason of a skip, difference, or measured numbers.
    note: str = ""
    # Ends of the logs and keys in the store, when the scenario failed.
    evidence: str = field(default="", repr=False)

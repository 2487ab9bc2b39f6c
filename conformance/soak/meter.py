"""What the clients measure: how long answers take, by kind of request, and what was wrong.

Figures are of one window at a time; faults are of the whole run.
Knows nothing of HTTP and not what time it is.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

# A broken store can be wrong in as many ways as there are keys; a reader needs the first few.
_EXAMPLES_MAX = 3


class Kind(StrEnum):
    """The kinds of requests whose answers are timed, and WATCH: from a change to its watchers."""

    GET = "get"
    LIST = "list"
    PUT = "put"
    CAS = "cas"
    DELETE = "delete"
    SESSION = "session"
    WATCH = "watch"
    # Long polls are counted; how long they take says nothing.
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class Figures:
    """How long one kind of request took in one window, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Cut:
    """What was measured in one window."""

    kinds: dict[Kind, Figures]
    # All timed requests together: every kind but WATCH and POLL.
    requests: Figures
    polls: int
    cas_refused: int
    # Watchers that heard of a change later than they should.
    late: int


@dataclass(slots=True)
class Fault:
    """One way in which the store was wrong: how often, and the first few times in full."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


class Meter:
    """Collects from all engines."""

    def __init__(self) -> None:
        # What was wrong ("status", "watch" …) → how often.
        self.faults: dict[str, Fault] = {}
        self.cas_refused = 0
        self.late = 0
        # Requests since the start, polls included.
        self.requests_total = 0
        # Heartbeats that came too late to keep a session: ours to explain, not the store's.
        self.late_heartbeats = 0
        self._took_s: dict[Kind, list[float]] = {kind: [] for kind in Kind}

    def took(self, kind: Kind, seconds: float) -> None:
        """Count one answer, or one watcher that heard."""
        self._took_s[kind].append(seconds)
        if kind is not Kind.WATCH:
            self.requests_total += 1

    def fault(self, what: str, example: str) -> None:
        """Count something that must not happen."""
        fault = self.faults.setdefault(what, Fault())
        fault.count += 1
        if len(fault.examples) < _EXAMPLES_MAX:
            fault.examples.append(example)

    @property
    def fault_count(self) -> int:
        """How many faults there were."""
        return sum(fault.count for fault in self.faults.values())

    def cut(self) -> Cut:
        """Return the figures of the window that ends now, and begin the next."""
        taken, self._took_s = self._took_s, {kind: [] for kind in Kind}
        polls = len(taken.pop(Kind.POLL))
        refused, self.cas_refused = self.cas_refused, 0
        late, self.late = self.late, 0
        together = [
            one for kind, times_s in taken.items() if kind is not Kind.WATCH for one in times_s
        ]
        return Cut(
            kinds={kind: figures(times_s) for kind, times_s in taken.items() if times_s},
            requests=figures(together),
            polls=polls,
            cas_refused=refused,
            late=late,
        )


def figures(times_s: list[float]) -> Figures:
    """Return the figures of some times; all 0 when there are none."""
    if not times_s:
        return Figures(0, 0.0, 0.0, 0.0)
    ordered = sorted(times_s)
    return Figures(
        count=len(ordered),
        p50_ms=_nearest(ordered, 0.50) * 1000,
        p99_ms=_nearest(ordered, 0.99) * 1000,
        max_ms=ordered[-1] * 1000,
    )


def _nearest(ordered: list[float], part: float) -> float:
    """Return the value that `part` of all are not above (nearest rank)."""
    return ordered[math.ceil(part * len(ordered)) - 1]

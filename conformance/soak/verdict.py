"""Whether a store stayed as it was: trends over windows, against stated tolerances. Pure.

A series of figures is flat unless it grows by more than its tolerance, seen in two ways at once:
from the median of the first third to that of the last, and along the line through all of them
(Theil and Sen: the median of the slopes of all pairs). One bad minute moves neither.
What shrinks is flat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from conformance.soak.meter import Kind
from conformance.soak.windows import Window

WINDOWS_MIN = 6
"""With fewer windows there are no thirds to compare."""

_MIB = 1024 * 1024
# A journal may have one more file open than at its start; an engine that left may have none.
_LEFT_OVER_FDS = 8


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much a figure may grow: a part of itself, or an amount; the larger of the two counts."""

    part: float
    amount: float

    def of(self, first: float) -> float:
        """Return the growth that is allowed to a figure that began as `first`."""
        return max(self.part * first, self.amount)


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How much each figure may grow; None: it is told, not judged."""

    # Python's allocator returns memory late, and the store keeps the marks of deleted keys.
    memory: Tolerance
    fds: Tolerance
    threads: Tolerance
    # Live entries, sessions, parked queries: users throw coins.
    live: Tolerance
    cpu: Tolerance | None
    p50: Tolerance | None
    p99: Tolerance | None


LONG = Tolerances(
    memory=Tolerance(0.10, 8 * _MIB),
    fds=Tolerance(0.0, 32),
    threads=Tolerance(0.0, 4),
    live=Tolerance(0.15, 50),
    cpu=Tolerance(0.30, 0.05),
    p50=Tolerance(1.0, 5.0),
    p99=Tolerance(2.0, 200.0),
)
# For seconds rather than minutes: caches fill, and other work on the machine is not averaged out.
SHORT = Tolerances(
    memory=Tolerance(0.50, 64 * _MIB),
    fds=Tolerance(0.0, 64),
    threads=Tolerance(0.0, 8),
    live=Tolerance(0.50, 100),
    cpu=None,
    p50=None,
    p99=None,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure: the medians of its first and last third, its growth, and what is allowed."""

    name: str
    unit: str
    first: float
    last: float
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it did not grow by more than is allowed."""
        return self.growth <= self.allowed


def judge(windows: Sequence[Window], tolerances: Tolerances) -> list[Judged]:
    """Judge the windows after the warm-up; there must be WINDOWS_MIN."""
    found = [
        judge_series("memory", "MiB", [one.rss_bytes / _MIB for one in windows],
                     _in_mib(tolerances.memory)),
        judge_series("descriptors, less the engines'", "", [one.extra_fds for one in windows],
                     tolerances.fds),
        judge_series("threads", "", [one.threads for one in windows], tolerances.threads),
    ]  # fmt: skip
    for name in _told_by_all(windows, ("entries", "sessions", "parked_queries")):
        told = [float(one.told[name]) for one in windows]
        found.append(judge_series(name.replace("_", " "), "", told, tolerances.live))
    if tolerances.cpu:
        used = [_cpu_ms(one) for one in windows]
        found.append(judge_series("processor time of a request", "ms", used, tolerances.cpu))
    if tolerances.p99:
        requests = [one.cut.requests.p99_ms for one in windows]
        found.append(judge_series("p99, all requests", "ms", requests, tolerances.p99))
    if tolerances.p50:
        for kind in Kind:
            times = [one.cut.kinds[kind].p50_ms for one in windows if kind in one.cut.kinds]
            if len(times) >= WINDOWS_MIN:
                found.append(judge_series(f"p50, {kind}", "ms", times, tolerances.p50))
    return found


def judge_series(name: str, unit: str, values: Sequence[float], tolerance: Tolerance) -> Judged:
    """Judge one series of at least three figures."""
    third = len(values) // 3
    first, last = median(values[:third]), median(values[-third:])
    steps = len(values) - third  # from the middle of the first third to that of the last
    growth = min(last - first, _slope(values) * steps)
    return Judged(name, unit, first, last, growth, tolerance.of(first))


def judge_departure(before: float, after: float) -> Judged:
    """Judge the store's descriptors before the engines came and after they left."""
    name = "descriptors, before and after"
    return Judged(name, "", before, after, after - before, _LEFT_OVER_FDS)


def _slope(values: Sequence[float]) -> float:
    """Return how much a series grows with each figure, by Theil and Sen."""
    pairs = combinations(enumerate(values), 2)
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs)


def _cpu_ms(window: Window) -> float:
    asked = window.cut.requests.count + window.cut.polls
    return 1000 * window.cpu_share * window.seconds / max(1, asked)


def _told_by_all(windows: Sequence[Window], names: Sequence[str]) -> list[str]:
    return [name for name in names if all(name in one.told for one in windows)]


def _in_mib(tolerance: Tolerance) -> Tolerance:
    return Tolerance(tolerance.part, tolerance.amount / _MIB)

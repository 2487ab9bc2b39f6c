"""What this server is to reach: the targets, and whether a run meets them. Pure.

Targets are told, never asserted: a busy machine misses them, and nobody's work stops for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Results

__all__ = ["TARGETS", "Judged", "Target", "judge"]

_OURS = "ours"
_CONSUL = "consul"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to reach: a figure of ours, or what it is of another one.

    `against` is "" for the figure itself, "consul" for the same one of Consul's, and else another
    metric of ours in the same scenario.
    """

    scenario: str
    metric: str
    against: str
    at_least: bool
    bound: float
    unit: str = "x"

    @property
    def text(self) -> str:
        """What is to be reached, for a table."""
        sign = "≥" if self.at_least else "≤"
        bound = f"{self.bound:.3g}{'' if self.unit == 'x' else ' '}{self.unit}"
        beside = {"": "", _CONSUL: " of Consul's"}.get(self.against, f" of {self.against}")
        return f"{self.metric} {sign} {bound}{beside}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A target, and what was measured; None when it was not."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None when it was not measured."""
        if self.measured is None:
            return None
        if self.target.at_least:
            return self.measured >= self.target.bound
        return self.measured <= self.target.bound

    @property
    def verdict(self) -> str:
        """One word for a table."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]


def _more(scenario: str, metric: str, bound: float, against: str = _CONSUL) -> Target:
    return Target(scenario, metric, against, at_least=True, bound=bound)


def _less(scenario: str, metric: str, bound: float, against: str = _CONSUL) -> Target:
    return Target(scenario, metric, against, at_least=False, bound=bound)


def _most(scenario: str, metric: str, bound: float, unit: str) -> Target:
    return Target(scenario, metric, "", at_least=False, bound=bound, unit=unit)


TARGETS: Sequence[Target] = (
    _more("get", "rate", 2.5),
    _most("get", "CPU", 60, "µs"),
    _less("get", "p99", 1 / 3),
    _more("put", "rate", 3),
    _most("put", "CPU", 90, "µs"),
    _less("put", "p99", 1 / 2),
    _more("put-1", "rate", 1.5),
    _more("mix", "rate", 2.5),
    _more("list", "rate", 2),
    _more("list-new", "rate", 2),
    _most("parked", "memory each", 8, "KB"),
    _most("parked", "p99 of others, parking", 5, "ms"),
    _most("parked", "p99 of others, re-arming", 5, "ms"),
    _less("wake", "all answered", 1 / 2),
    _less("wake", "CPU of a write, parked", 1.1, "CPU of a write, none parked"),
    _less("million", "load", 1 / 1.5),
    _less("million", "memory", 0.4),
    _less("million", "restart", 0.4),
    _more("million", "get rate", 0.85, "get rate, small"),
    _more("million", "put rate", 0.85, "put rate, small"),
    _less("million", "CPU of a list of 1,000", 1.15, "CPU of a list of 1,000, small"),
    _less("million", "CPU of a delete of 1,000", 1.15, "CPU of a delete of 1,000, small"),
    _most("start", "first write", 0.25, "s"),
    _most("start", "idle memory", 35, "MB"),
    _most("engines", "CPU share", 30, "%"),
    _most("engines", "p99 of seen by all", 50, "ms"),
)


def judge(results: Results) -> list[Judged]:
    """Judge the targets of all scenarios that were measured."""
    ran = results.scenarios()
    return [Judged(one, _measured(one, results)) for one in TARGETS if one.scenario in ran]


def _measured(target: Target, results: Results) -> float | None:
    if target.against == _CONSUL:
        return results.ratio(target.scenario, target.metric, _OURS, _CONSUL)
    mine = results.find(target.scenario, _OURS, target.metric)
    if mine is None or not target.against:
        return mine.median if mine else None
    other = results.find(target.scenario, _OURS, target.against)
    return mine.median / other.median if other and other.median else None

"""All rounds of all scenarios, stores in turn: a busy minute of the machine hits them all."""

import http.client
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from benchmarks.errors import ServerDied, WrongAnswer
from benchmarks.figures import Results
from benchmarks.ground import Ground, Tell
from benchmarks.scenarios import Scenario
from benchmarks.stores import Store
from benchmarks.wrk import Wrk

__all__ = ["Outcome", "Plan", "run", "turns"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run of the benchmark is to do."""

    scenarios: Sequence[Scenario]
    stores: Sequence[Store]
    rounds: int
    short: bool
    load_s: int
    # Where servers have their folders: the disk of it is measured.
    folder: Path
    wrk: Wrk


@dataclass(slots=True)
class Outcome:
    """What a run found; `failures` are wrong answers and servers that died, a sentence each."""

    results: Results = field(default_factory=Results)
    failures: list[str] = field(default_factory=list)


def run(plan: Plan, tell: Tell) -> Outcome:
    """Run the plan. One server runs at a time, and no figure is kept of one that failed."""
    outcome = Outcome()
    for group in _groups(plan.scenarios):
        for number in range(_rounds(plan, group)):
            for store in turns(plan.stores, number):
                wanted = [one for one in group if store.name in one.stores]
                if wanted:
                    _visit(plan, store, wanted, number, outcome, tell)
    return outcome


def turns(stores: Sequence[Store], number: int) -> list[Store]:
    """Return the stores in the order of a round: each second one begins with the last."""
    return list(stores) if number % 2 == 0 else list(reversed(stores))


def _rounds(plan: Plan, group: Sequence[Scenario]) -> int:
    """Return how often a group is measured: what is long once in the short form."""
    rounds_max = min(one.rounds_max for one in group)
    return min(plan.rounds, rounds_max) if group[0].shares or not plan.short else 1


def _groups(scenarios: Sequence[Scenario]) -> list[list[Scenario]]:
    """Bring those together that can share a server; the others stay alone."""
    groups: list[list[Scenario]] = []
    for shares, some in groupby(scenarios, key=lambda one: one.shares):
        found = list(some)
        groups += [found] if shares else [[one] for one in found]
    return groups


def _visit(
    plan: Plan,
    store: Store,
    scenarios: Sequence[Scenario],
    number: int,
    outcome: Outcome,
    tell: Tell,
) -> None:
    """Measure some scenarios on one server of one store."""
    with tempfile.TemporaryDirectory(prefix="kvstore-bench-", dir=plan.folder) as folder:
        ground = Ground(store, Path(folder), plan.wrk, plan.short, tell, plan.load_s)
        try:
            for scenario in scenarios:
                tell(f"round {number + 1}: {scenario.name} on {store.name}")
                try:
                    outcome.results.add(scenario.name, store.name, scenario.run(ground))
                except WrongAnswer as wrong:
                    outcome.failures.append(f"{scenario.name}, {store.name}: {wrong}")
        except (ServerDied, OSError, http.client.HTTPException) as died:
            outcome.failures.append(f"{store.name}: {died}")
        finally:
            ground.close()

"""Runs scenarios one after another on a lab, and judges each.

Before a scenario the engines are fresh, after it the records in the store must be sound and all
that it made must be removable. A scenario that failed or wrecks the lab is followed by a new start
from nothing.
"""

import time
from collections.abc import Callable, Iterable

from conformance.overlay.errors import Mismatch, Skipped
from conformance.overlay.lab import Lab
from conformance.overlay.outcome import Outcome, Verdict
from conformance.overlay.scenario import Scenario

# The engine's own bug (moby#39036, spec 4.5): after the last container of an overlay network left
# a host, a dial of dockerd may land on a thread in a dead namespace. No store can prevent it, so
# a scenario that failed with this line in an engine's log is given one more try on fresh engines.
ENGINE_BUG = "network is unreachable"

Report = Callable[[Outcome], None]


class Runner:
    """Runs scenarios on `lab`. `begin` is told of each before it runs, `end` of its outcome."""

    def __init__(self, lab: Lab, begin: Callable[[Scenario], None], end: Report) -> None:
        self._lab = lab
        self._begin = begin
        self._end = end
        # Whether the lab has to start from nothing before the next scenario. If not, its engines
        # are fresh: cleaning up restarts them.
        self._spoiled = True

    def run(self, scenarios: Iterable[Scenario]) -> list[Outcome]:
        """Run all and return their outcomes in order. Never stops at a failure."""
        outcomes = []
        for scenario in scenarios:
            self._begin(scenario)
            outcome = self._judge(scenario)
            if outcome.verdict is Verdict.FAIL and self._engine_bug():
                outcome = self._judge(scenario, "second try: the first met moby#39036")
            outcomes.append(outcome)
            self._end(outcome)
        return outcomes

    def _judge(self, scenario: Scenario, *notes: str) -> Outcome:
        lab = self._lab
        lab.notes[:] = notes
        lab.differs.clear()
        started = time.monotonic()
        evidence = ""
        try:
            self._make_ready(scenario)
            scenario.run(lab)
            self._make_sure(scenario)
            verdict = Verdict.DIFFERS if lab.differs else Verdict.PASS
            note = "; ".join([*lab.differs, *lab.notes])
        except Skipped as reason:
            verdict, note = Verdict.SKIP, str(reason)
            self._spoiled = True
        except (Mismatch, OSError) as failure:
            verdict, note = Verdict.FAIL, "; ".join([str(failure) or repr(failure), *lab.notes])
            evidence = lab.evidence()
            self._spoiled = True
        finally:
            lab.closing.close()
        return Outcome(
            id=scenario.id,
            title=scenario.title,
            verdict=verdict,
            seconds=time.monotonic() - started,
            note=note,
            evidence=evidence,
        )

    def _make_ready(self, scenario: Scenario) -> None:
        for engine in self._lab.engines:
            engine.mark_log()
        if self._spoiled or scenario.wrecks:
            self._lab.start()
        self._spoiled = scenario.wrecks

    def _make_sure(self, scenario: Scenario) -> None:
        """Check the records as the scenario left them, remove everything, check again."""
        if scenario.wrecks:
            return
        self._lab.wait_sound(scenario.tolerates)
        self._lab.clean()
        self._lab.wait_sound(frozenset())

    def _engine_bug(self) -> bool:
        return any(ENGINE_BUG in engine.logged() for engine in self._lab.engines)

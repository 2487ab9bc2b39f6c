"""The overlay lab as the last chapter: real Docker engines on the store.

Only on request: it needs root, and engines and packages that `python -m conformance setup` gets.
"""

from collections.abc import Callable

from conformance.overlay.errors import LabUnavailable
from conformance.overlay.outcome import Outcome as LabOutcome
from conformance.overlay.outcome import Verdict as LabVerdict
from conformance.overlay.packages import prepare
from conformance.overlay.runner import Runner
from conformance.overlay.scenario import Scenario
from conformance.overlay.scenarios import ALL
from conformance.overlay.session import lab_session
from conformance.suite.case import Case, Ground
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.store import Store

CHAPTER = "overlay"

VERDICTS = {
    LabVerdict.PASS: Verdict.PASSED,
    LabVerdict.FAIL: Verdict.FAILED,
    LabVerdict.SKIP: Verdict.SKIPPED,
    LabVerdict.DIFFERS: Verdict.DIFFERS,
}


def play_lab(store: str, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Run the whole lab against a store, named as for `python -m conformance overlay --store`.

    `told` of each scenario as it ends. A machine that cannot run the lab makes one skipped outcome.
    """

    def begin(_: Scenario) -> None:
        """Nothing: a scenario is told of when it ends."""

    def end(outcome: LabOutcome) -> None:
        told(outcome_of(outcome))

    try:
        tools = prepare(lambda _: None)
        with lab_session(store, tools) as lab:
            played = Runner(lab, begin, end).run(ALL)
    except LabUnavailable as reason:
        skipped = Outcome(_case("lab", "The overlay lab"), Verdict.SKIPPED, 0.0, str(reason))
        told(skipped)
        return [skipped]
    return [outcome_of(one) for one in played]


def outcome_of(one: LabOutcome) -> Outcome:
    """Return the outcome of a scenario as one of the suite."""
    verdict = VERDICTS[one.verdict]
    failures = (f"{one.note}\n{one.evidence}".strip(),) if verdict is Verdict.FAILED else ()
    note = "" if failures else one.note
    return Outcome(_case(f"lab-{one.id}", one.title), verdict, one.seconds, note, failures)


def _case(case_id: str, title: str) -> Case:
    scenario = next((one for one in ALL if f"lab-{one.id}" == case_id), None)
    return Case(case_id, CHAPTER, title, _play, text=scenario.promise if scenario else "")


def _play(_store: Store, _ground: Ground) -> None:
    raise NotImplementedError("scenarios are played by the lab")

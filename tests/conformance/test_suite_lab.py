"""The overlay lab as a chapter: what becomes of its outcomes."""

import pytest

from conformance.overlay.errors import LabUnavailable
from conformance.overlay.outcome import Outcome as LabOutcome
from conformance.overlay.outcome import Verdict as LabVerdict
from conformance.suite import lab
from conformance.suite.outcome import Outcome, Verdict


@pytest.mark.parametrize(
    ("verdict", "expected", "note", "failures"),
    [
        (LabVerdict.PASS, Verdict.PASSED, "said", ()),
        (LabVerdict.DIFFERS, Verdict.DIFFERS, "said", ()),
        (LabVerdict.SKIP, Verdict.SKIPPED, "said", ()),
        (LabVerdict.FAIL, Verdict.FAILED, "", ("said\nlogs",)),
    ],
)
def test_a_scenario_is_a_case(
    verdict: LabVerdict, expected: Verdict, note: str, failures: tuple[str, ...]
) -> None:
    """Each verdict has its own; the case has the scenario's promise as its words."""
    outcome = lab.outcome_of(LabOutcome("A1", "Title", verdict, 2.5, "said", "logs"))
    assert (outcome.verdict, outcome.note, outcome.failures) == (expected, note, failures)
    assert (outcome.case.id, outcome.case.chapter) == ("lab-A1", "overlay")
    assert outcome.case.words


def test_a_machine_that_cannot_run_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chapter is skipped, and the reason is the next step."""

    def prepare(_: object) -> None:
        raise LabUnavailable("run it as root")

    monkeypatch.setattr(lab, "prepare", prepare)
    told: list[Outcome] = []
    (outcome,) = lab.play_lab("consul://h:1", told.append)
    assert told == [outcome]
    assert (outcome.verdict, outcome.note) == (Verdict.SKIPPED, "run it as root")

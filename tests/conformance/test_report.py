"""Reports: the table for people, JSON and JUnit for machines."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from conformance.overlay import report
from conformance.overlay.outcome import Outcome, Verdict
from conformance.overlay.scenario import Chapter

OUTCOMES = [
    Outcome("A1", "starts", Verdict.PASS, 1.5, "46 requests"),
    Outcome("A2", "idles [quietly]", Verdict.FAIL, 2.0, "expected 13; seen: 99", "store log:\nx"),
    Outcome("A3", "creates", Verdict.SKIP, 0.0, "not ours"),
    Outcome("A9", "renames", Verdict.DIFFERS, 3.0, "Consul ignores it"),
]


def test_the_table_has_a_row_for_each_and_a_sum() -> None:
    """Square brackets of a title are text, not markup."""
    console = Console(width=120)
    with console.capture() as captured:
        console.print(report.table("consul", OUTCOMES))

    shown = captured.get()
    assert "overlay lab against consul" in shown
    assert "idles [quietly]" in shown
    assert "1 pass, 1 fail, 1 skip, 1 differs" in shown


def test_json_is_one_object(tmp_path: Path) -> None:
    """Verdicts are words, and nothing of an outcome is left out."""
    file = tmp_path / "outcomes.json"

    report.write_json(file, "kvstore", OUTCOMES)

    written = json.loads(file.read_text())
    assert written["store"] == "kvstore"
    assert [row["verdict"] for row in written["scenarios"]] == ["pass", "fail", "skip", "differs"]
    assert written["scenarios"][1]["evidence"] == "store log:\nx"


def test_junit_counts_a_difference_as_a_pass(tmp_path: Path) -> None:
    """CI systems know failures and skips only."""
    file = tmp_path / "outcomes.xml"

    report.write_junit(file, "consul", OUTCOMES)

    suite = ET.parse(file).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.text == "store log:\nx"


@pytest.mark.parametrize("verbose", [False, True])
def test_the_story_tells_notes_of_a_pass_only_when_asked(*, verbose: bool) -> None:
    """A failure always shows its evidence."""
    console = Console(width=120)
    chapter = Chapter()
    chapter.scenario("A1", "starts")(lambda _: None)
    with console.capture() as captured, report.Story(console, 2, verbose=verbose) as story:
        story.begin(next(iter(chapter)))
        for outcome in OUTCOMES[:2]:
            story.end(outcome)

    shown = captured.get()
    assert ("46 requests" in shown) is verbose
    assert "store log:" in shown

"""What the suite holds: every promise of the contract, and nothing that is not its own."""

import subprocess
import sys
from pathlib import Path

import pytest

import conformance
from conformance.suite.chapters import SCRIPTS, cases, chapters
from conformance.suite.contract import IDS, NOT_SHOWN
from conformance.suite.rules import NOT_PLAYED, parse, rules

FOLDER = Path(conformance.__file__).parent


def test_every_promise_is_shown_or_has_a_reason() -> None:
    """Each id of the contract is covered by a case, or listed with why it cannot be."""
    covered = {contract_id for case in cases() for contract_id in case.contract_ids}
    assert [name for name in IDS if name not in covered | set(NOT_SHOWN)] == []
    assert [name for name in NOT_SHOWN if name in covered or name not in IDS] == []


def test_every_script_is_played() -> None:
    """A file in cases/ is a chapter."""
    there = {path.stem for path in (FOLDER / "cases").glob("*.txt")}
    assert set(SCRIPTS) == there
    assert len(SCRIPTS) == len(there)


def test_every_case_can_be_read() -> None:
    """A case has a title that is a sentence, and a text that explains it."""
    for chapter in chapters():
        assert chapter.title, chapter.name
        for case in chapter.cases:
            assert case.title, case.id
            assert case.words or not case.source, case.id


def test_every_rule_is_met_or_has_a_reason() -> None:
    """Each rule of the notes has a case, or is listed with why it has none; and says why it is."""
    met = {rule for case in cases() for rule in case.rules}
    assert set(rules()) == met | set(NOT_PLAYED)
    assert not met & set(NOT_PLAYED)
    assert all(rule.because and rule.summary for rule in rules().values())


def test_notes_are_read_by_their_headings() -> None:
    """A rule is a heading of the third level, under its reason."""
    notes = "# T\n\n## Because\n\n### one\n\nFirst\nline.\n\nMore.\n\n### two (x)\nT.\n## End\nE"
    found = parse(notes)
    assert list(found) == ["one", "two"]
    assert (found["one"].because, found["one"].summary) == ("Because", "First line.")
    assert found["one"].text.endswith("More.")
    assert found["two"].text == "T."


@pytest.mark.parametrize("module", ["conformance.suite.cli", "conformance.test_conformance"])
def test_the_suite_knows_no_server(module: str) -> None:
    """Importing the suite, its commands and all chapters imports nothing of kvstore."""
    code = (
        f"import sys, {module}; from conformance.suite.chapters import cases; cases(); "
        "print([name for name in sys.modules if name.split('.')[0] == 'kvstore'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"

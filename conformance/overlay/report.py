"""How a run is told: a line while a scenario runs, a table at the end, files for machines."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from conformance.overlay.outcome import Outcome, Verdict
from conformance.overlay.scenario import Scenario

_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.SKIP: "yellow",
    Verdict.DIFFERS: "cyan",
}


class Story:
    """Tells a person what happens, as it happens."""

    def __init__(self, console: Console, total: int, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._total = total
        self._done = 0
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("setting up")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Tell of a step that belongs to no scenario."""
        self._progress.reset(self._task, description=escape(text))
        if self._verbose or not self._console.is_terminal:
            self._console.print(escape(text), style="dim")

    def begin(self, scenario: Scenario) -> None:
        """Tell that a scenario starts."""
        where = f"{self._done + 1}/{self._total}"
        self._progress.reset(
            self._task, description=f"{where} {scenario.id} {escape(scenario.title)}"
        )

    def end(self, outcome: Outcome) -> None:
        """Tell how a scenario ended."""
        self._done += 1
        colour = _COLOURS[outcome.verdict]
        line = f"[{colour}]{outcome.verdict.value:8}[/] {outcome.id:6} {outcome.seconds:6.1f} s  "
        self._console.print(line + escape(outcome.title))
        if outcome.note and (self._verbose or outcome.verdict is not Verdict.PASS):
            self._console.print(f"{'':25}{escape(outcome.note)}", style="dim")
        if outcome.evidence:
            self._console.print(escape(outcome.evidence), style="dim", soft_wrap=True)


def table(store: str, outcomes: list[Outcome]) -> Table:
    """Return the table that ends a run."""
    shown = Table(title=f"overlay lab against {store}", title_justify="left", pad_edge=False)
    for name in ("id", "scenario", "outcome", "s", "note"):
        shown.add_column(name, justify="right" if name == "s" else "left", overflow="fold")
    for one in outcomes:
        verdict = f"[{_COLOURS[one.verdict]}]{one.verdict.value}[/]"
        seconds = f"{one.seconds:.1f}"
        shown.add_row(one.id, escape(one.title), verdict, seconds, escape(one.note))
    counts = Counter(one.verdict for one in outcomes)
    total = sum(one.seconds for one in outcomes)
    words = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    shown.caption = f"{', '.join(words)}; {total:.0f} s"
    return shown


def write_json(file: Path, store: str, outcomes: list[Outcome]) -> None:
    """Write the outcomes as one JSON object: the store, and a list of scenarios."""
    rows = [{**dataclasses.asdict(one), "verdict": one.verdict.value} for one in outcomes]
    text = json.dumps({"store": store, "scenarios": rows}, indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def write_junit(file: Path, store: str, outcomes: list[Outcome]) -> None:
    """Write the outcomes as JUnit XML, as CI systems read it. A difference is a pass."""
    counts = Counter(one.verdict for one in outcomes)
    suite = ET.Element(
        "testsuite",
        name=f"overlay lab against {store}",
        tests=str(len(outcomes)),
        failures=str(counts[Verdict.FAIL]),
        skipped=str(counts[Verdict.SKIP]),
    )
    for one in outcomes:
        case = ET.SubElement(
            suite, "testcase", classname="overlay", name=f"{one.id} {one.title}",
            time=f"{one.seconds:.3f}",
        )  # fmt: skip
        if one.verdict is Verdict.FAIL:
            ET.SubElement(case, "failure", message=one.note).text = one.evidence
        elif one.verdict is Verdict.SKIP:
            ET.SubElement(case, "skipped", message=one.note)
        elif one.note:
            ET.SubElement(case, "system-out").text = one.note
    ET.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)

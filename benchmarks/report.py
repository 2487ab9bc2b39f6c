"""What a run found, as tables on the screen and as JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks import wording
from benchmarks.machine import Machine
from benchmarks.runner import Outcome, Plan
from benchmarks.targets import Judged, judge

__all__ = ["show", "write_json"]

_STYLES = {True: "green", False: "red", None: "dim"}


def show(console: Console, plan: Plan, outcome: Outcome, machine: Machine) -> None:
    """Print what was measured, the targets, and what was wrong."""
    stores = [one.name for one in plan.stores]
    console.print(_figures(outcome, stores))
    judged = judge(outcome.results)
    if judged:
        console.print(_targets(judged))
    console.print(Text(machine.text, style="dim"))
    if plan.short:
        console.print(
            "Short form: small sizes (parked, wake, million, engines) and short loads; "
            "--long is for publication.",
            style="dim",
        )
    if machine.busy:
        console.print(machine.busy, style="yellow")
    if not machine.durable:
        console.print(
            f"The folder is on {machine.file_system}: a sync costs nothing there, "
            "so that durable writes are not what they seem. Take another with --folder.",
            style="yellow",
        )
    for failure in outcome.failures:
        console.print(Text(failure, style="red"))


def write_json(file: Path, plan: Plan, outcome: Outcome, machine: Machine) -> None:
    """Write all figures of all rounds as one JSON object."""
    told = {
        "machine": asdict(machine),
        "short": plan.short,
        "rounds": plan.rounds,
        "stores": {one.name: one.title for one in plan.stores},
        "figures": [{**asdict(one), "median": one.median} for one in outcome.results],
        "targets": [
            {
                "scenario": one.target.scenario,
                "target": one.target.text,
                "measured": one.measured,
                "met": one.met,
            }
            for one in judge(outcome.results)
        ],
        "failures": outcome.failures,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _figures(outcome: Outcome, stores: list[str]) -> Table:
    table = Table(title="medians of all rounds (smallest to largest)", title_justify="left")
    table.add_column("")
    table.add_column("figure")
    for store in stores:
        table.add_column(store, justify="right")
    table.add_column("ours/consul", justify="right")
    for scenario in outcome.results.scenarios():
        table.add_section()
        for place, metric in enumerate(outcome.results.metrics(scenario)):
            name = scenario if place == 0 else ""
            table.add_row(name, *wording.row(outcome.results, scenario, metric, stores))
    return table


def _targets(judged: list[Judged]) -> Table:
    table = Table(title="targets", title_justify="left")
    for name in ("", "target", "measured", "verdict"):
        table.add_column(name, justify="right" if name == "measured" else "left")
    for one in judged:
        measured = "" if one.measured is None else f"{one.measured:.3g} {one.target.unit}"
        style = _STYLES[one.met]
        table.add_row(one.target.scenario, one.target.text, measured, Text(one.verdict, style))
    return table

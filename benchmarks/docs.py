"""The tables of docs/performance.md, between two marks in it. Pure but for `write`."""

from pathlib import Path

from benchmarks import plot, wording
from benchmarks.machine import Machine
from benchmarks.runner import Outcome, Plan
from benchmarks.targets import judge

__all__ = ["PAGE", "between_marks", "markdown", "write"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_BEGIN = "<!-- figures: written by the benchmark, from here -->"
_END = "<!-- to here -->"


def write(page: Path, plan: Plan, outcome: Outcome, machine: Machine) -> None:
    """Replace what stands between the marks of a page; the plot is a file beside it."""
    text = page.read_text(encoding="utf-8")
    block = markdown(plan, outcome, machine)
    picture = page.with_suffix(".svg")
    stores = [one.name for one in plan.stores]
    if plot.drawable() and plot.plot(picture, outcome.results, stores):
        block += f"\n\n![Rates, slowest answers and processor time]({picture.name})"
    page.write_text(between_marks(text, block), encoding="utf-8")


def between_marks(text: str, block: str) -> str:
    """Return the text with another block between its marks. Raises ValueError without marks."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no marks {_BEGIN} and {_END}: put them back")
    return f"{head}{_BEGIN}\n\n{block.strip()}\n\n{_END}{tail}"


def markdown(plan: Plan, outcome: Outcome, machine: Machine) -> str:
    """Return machine, figures and targets of a run."""
    stores = [one.name for one in plan.stores]
    titles = ", ".join(one.title for one in plan.stores)
    form = "short" if plan.short else "long"
    lines = [
        f"Measured on {machine.text}: {titles}.",
        f"The {form} form, up to {plan.rounds} rounds, {plan.load_s} s of each load.",
        *([machine.busy] if machine.busy else []),
        "",
        *_line(["work", "figure", *stores, "ours to Consul's"]),
        *_line(["---", "---", *("---:" for _ in stores), "---:"]),
    ]
    for scenario in outcome.results.scenarios():
        for place, metric in enumerate(outcome.results.metrics(scenario)):
            name = f"**{scenario}**" if place == 0 else ""
            lines += _line([name, *wording.row(outcome.results, scenario, metric, stores)])
    lines += ["", *_line(["work", "target", "measured", ""]), *_line(["---", "---", "---:", "---"])]
    for one in judge(outcome.results):
        measured = "" if one.measured is None else f"{one.measured:.3g} {one.target.unit}"
        lines += _line([one.target.scenario, one.target.text, measured, one.verdict])
    return "\n".join(lines)


def _line(cells: list[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]

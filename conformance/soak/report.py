"""How a soak is told: a line while it runs, tables at the end, a file for machines."""

import dataclasses
import json
from pathlib import Path
from statistics import median
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from conformance.soak.meter import Kind
from conformance.soak.run import Outcome, Progress
from conformance.soak.verdict import Judged
from conformance.soak.windows import Window

_MIB = 1024 * 1024


class Story:
    """Tells a person what happens: a line that changes, or a line a window where none can."""

    def __init__(self, console: Console, engines: int, seconds: float) -> None:
        self._console = console
        self._what = f"of {_clock(seconds)}  {engines} engines"
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True
        )
        self._task = self._bar.add_task("starting the store")
        self._last = (0.0, 0)
        self._p99_ms = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, now: Progress) -> None:
        """Show where the soak is."""
        if now.window:
            self._p99_ms = now.window.cut.requests.p99_ms
        rate = (now.requests - self._last[1]) / max(0.001, now.elapsed_s - self._last[0])
        line = (
            f"{_clock(now.elapsed_s)} {self._what}  "
            f"{rate:.0f} requests/s  p99 {self._p99_ms:.0f} ms  "
            f"{now.store.rss_bytes / _MIB:.1f} MiB  {now.store.fds} descriptors  "
            f"{now.faults} faults"
        )
        if now.step:
            line += f"  {now.step}"
        if self._console.is_terminal:
            self._bar.update(self._task, description=line)
        elif now.window:  # its line has the mean over the window
            self._console.print(Text(line, style="dim"))
        else:
            return
        self._last = (now.elapsed_s, now.requests)


def show(console: Console, outcome: Outcome) -> None:
    """Print the tables and the verdict."""
    console.print(_windows_table(outcome))
    console.print(_kinds_table(outcome.judged_windows))
    console.print(_verdict_table(outcome.judged))
    if not outcome.long:
        console.print("Answer times are told, not judged: the run was too short.", style="dim")
    if outcome.late_heartbeats:
        console.print(
            f"{outcome.late_heartbeats} heartbeats were sent too late by the soak itself: "
            "the machine was too busy.",
            style="yellow",
        )
    for what, fault in outcome.faults.items():
        console.print(Text(f"{what}: {fault.count} times", style="red"))
        for example in fault.examples:
            console.print(Text(f"    {example}"), soft_wrap=True)
    if outcome.ok:
        console.print(f"Flat. {outcome.requests} requests, no fault.", style="green")
    else:
        grown = ", ".join(one.name for one in outcome.judged if not one.flat) or "nothing"
        faults = sum(fault.count for fault in outcome.faults.values())
        console.print(f"Not as it should be: {grown} grew, {faults} faults.", style="red")


def write_json(file: Path, outcome: Outcome) -> None:
    """Write all figures as one JSON object."""
    text = json.dumps(_plain(outcome), indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def _plain(outcome: Outcome) -> dict[str, Any]:
    judged = [{**dataclasses.asdict(one), "flat": one.flat} for one in outcome.judged]
    return {**dataclasses.asdict(outcome), "judged": judged, "ok": outcome.ok}


def _windows_table(outcome: Outcome) -> Table:
    shown = Table(
        title=f"{outcome.plan.engines} engines on {outcome.store}",
        title_justify="left",
        caption="~: warm-up, not judged. cpu and own: shares of one core. lag: of the soak itself.",
        caption_justify="left",
        pad_edge=False,
    )
    names = ("at", "req/s", "p50", "p99", "max ms", "watch p99", "MiB", "fds", "extra", "threads",
             "cpu %", "own %", "lag ms", "entries", "cas no", "faults")  # fmt: skip
    for name in names:
        shown.add_column(name, justify="right")
    for one in outcome.windows:
        judged = bool(outcome.warm_at_s) and one.start_s >= outcome.warm_at_s
        shown.add_row(*_row(one, "" if judged else "~"), style="" if judged else "dim")
    return shown


def _row(one: Window, mark: str) -> list[str]:
    cut = one.cut
    watch = cut.kinds.get(Kind.WATCH)
    return [
        mark + _clock(one.start_s),
        f"{(cut.requests.count + cut.polls) / one.seconds:.0f}",
        f"{cut.requests.p50_ms:.1f}",
        f"{cut.requests.p99_ms:.1f}",
        f"{cut.requests.max_ms:.0f}",
        f"{watch.p99_ms:.0f}" if watch else "",
        f"{one.rss_bytes / _MIB:.1f}",
        f"{one.fds:.0f}",
        f"{one.extra_fds:.0f}",
        f"{one.threads:.0f}",
        f"{one.cpu_share * 100:.0f}",
        f"{one.own_cpu_share * 100:.0f}",
        f"{one.own_lag_ms:.0f}",
        str(one.told.get("entries", "")),
        str(cut.cas_refused),
        str(one.faults),
    ]


def _kinds_table(windows: list[Window]) -> Table:
    shown = Table(title="after the warm-up, by kind", title_justify="left", pad_edge=False)
    for name in ("kind", "answers", "p50 ms", "p99 ms", "max ms"):
        shown.add_column(name, justify="left" if name == "kind" else "right")
    for kind in Kind:
        found = [one.cut.kinds[kind] for one in windows if kind in one.cut.kinds]
        if found:
            shown.add_row(
                kind.value,
                str(sum(one.count for one in found)),
                f"{median(one.p50_ms for one in found):.2f}",
                f"{median(one.p99_ms for one in found):.2f}",
                f"{max(one.max_ms for one in found):.0f}",
            )
    return shown


def _verdict_table(judged: list[Judged]) -> Table:
    shown = Table(
        title="first third against last third, after the warm-up",
        title_justify="left",
        pad_edge=False,
    )
    for name in ("figure", "first", "last", "growth", "allowed", ""):
        shown.add_column(name, justify="left" if name in ("figure", "") else "right")
    for one in judged:
        figures = (one.first, one.last, one.growth, one.allowed)
        unit = f" {one.unit}" if one.unit else ""
        shown.add_row(
            one.name,
            *(f"{value:.2f}{unit}" for value in figures),
            "[green]flat[/]" if one.flat else "[red]grows[/]",
        )
    return shown


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"

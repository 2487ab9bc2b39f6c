"""A line while cases run, a table by chapter, what it means in words, and the failures."""

from collections import Counter
from collections.abc import Iterable
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Table
from rich.text import Text

from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.result import Difference, Result, count
from conformance.suite.rules import rules
from conformance.suite.text import clean, one_line

COLOURS = {
    Verdict.PASSED: "green",
    Verdict.DIFFERS: "cyan",
    Verdict.FAILED: "red",
    Verdict.SKIPPED: "yellow",
}

MEANINGS = {
    Verdict.PASSED: "as Consul 1.8.7 does",
    Verdict.DIFFERS: "not as Consul, but as a rule of conformance/NOTES.md says",
    Verdict.FAILED: "neither, see below",
    Verdict.SKIPPED: "not played",
}
"""What each verdict says, on every line that counts them."""

PARTS = {"asked:": "bold", "expected:": "green", "got:": "red", "differs:": "bold yellow"}
"""How the parts of a failure are shown, by the word that each begins with."""

IDS_SHOWN = 8
"""So many failed cases are named in the command that plays them again."""


class Story:
    """Tells a person what happens, as it happens: a bar on a terminal, failures everywhere."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._failed = 0
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            Elapsed(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("playing", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def end(self, outcome: Outcome) -> None:
        """Tell of a case that ended."""
        if outcome.verdict is Verdict.FAILED:
            self._failed += 1
            case = outcome.case
            self._console.print(f"[red]failed[/] {case.id} {_shown(case.title)}", highlight=False)
        failed = f", [red]{self._failed} failed[/]" if self._failed else ""
        shown = f"{outcome.case.chapter} {outcome.case.id}{failed}"
        self._bar.update(self._task, advance=1, description=shown)


def table(result: Result, *, name: str = "Store") -> Table:
    """Return the table of a run: a row for each chapter, and their sum below."""
    who = f"{name}: {result.version or 'of unknown make'} at {result.url}"
    shown = Table(title=Text(one_line(who)), title_justify="left", pad_edge=False)
    shown.add_column("chapter")
    shown.add_column("cases", justify="right")
    for verdict in Verdict:
        shown.add_column(str(verdict), justify="right", header_style=COLOURS[verdict])
    for chapter, outcomes in result.by_chapter().items():
        shown.add_row(chapter, str(len(outcomes)), *_numbers(outcomes))
    shown.add_section()
    shown.add_row("all", str(len(result.outcomes)), *_numbers(result.outcomes), style="bold")
    return shown


def show_meaning(console: Console, result: Result) -> None:
    """Print what the numbers mean: how many did as Consul, by which rules, and why not played."""
    for verdict in Verdict:
        if number := result.counts[verdict]:
            said = f"[bold]{number:5} {verdict}[/]: {MEANINGS[verdict]}"
            console.print(f"[{COLOURS[verdict]}]{said}[/]", highlight=False)
        if verdict is Verdict.DIFFERS:
            _show_rules(console, result)
        if verdict is Verdict.SKIPPED:
            _show_reasons(console, result)
    if result.indents:
        console.print(
            "This store indents all JSON, as `consul agent -dev` does: bodies were compared by "
            "their tokens, in order, without the blanks between them.",
            highlight=False,
        )


def show_failures(console: Console, result: Result) -> None:
    """Print each failure: what was asked, expected and got, and where the two differ."""
    for one in result.failed:
        case = one.case
        console.print(f"\n[bold red]{case.id}[/] [bold]{_shown(case.title)}[/]", highlight=False)
        console.print(f"{case.chapter}  {case.source}".rstrip(), style="dim", highlight=False)
        for failure in one.failures:
            console.print(_coloured(clean(failure)), soft_wrap=True)
    if result.failed:
        console.print()


def show_verdict(console: Console, result: Result) -> None:
    """Print the last line, which says all of it, and after a failure the next step."""
    counts = result.counts
    played = len(result.outcomes) - counts[Verdict.SKIPPED]
    where = f"{played} cases in {result.seconds:.0f} s, with keys below {result.prefix or '/'}"
    if not result.failed:
        console.print(f"[bold green]PASSED[/]: none failed of {where}", highlight=False)
        return
    console.print(f"[bold red]FAILED[/]: {counts[Verdict.FAILED]} of {where}", highlight=False)
    ids = [one.case.id for one in result.failed]
    again = " ".join(f"--case {one}" for one in ids[:IDS_SHOWN])
    more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
    console.print(
        f"Play them alone: python -m conformance --url {one_line(result.url)} {again}{more}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "Each shows above what was asked, expected and got; conformance/cases/README.md explains "
        "the scripts.",
        highlight=False,
    )


def show_differences(console: Console, found: Iterable[Difference]) -> None:
    """Print the cases that ended differently on the oracle; those without a rule stand out."""
    shown = Table(title="Other than on the oracle", title_justify="left", pad_edge=False)
    for name in ("case", "title", "store", "oracle", "rule"):
        shown.add_column(name, overflow="fold")
    for one in found:
        mine, its = one.ours, one.oracle
        shown.add_row(
            mine.case.id,
            _shown(mine.case.title),
            f"[{COLOURS[mine.verdict]}]{mine.verdict}[/]",
            f"[{COLOURS[its.verdict]}]{its.verdict}[/]",
            ", ".join({*mine.intents, *its.intents}) if one.explained else "[red]none[/]",
        )
    console.print(shown)


def _show_rules(console: Console, result: Result) -> None:
    """Print the rules that the store follows, each with what it says first."""
    times = Counter(rule for one in result.outcomes for rule in one.intents if rule in rules())
    shown = Table.grid(padding=(0, 1), pad_edge=True)
    shown.add_column(justify="right", min_width=9)
    shown.add_column(style="cyan", no_wrap=True)
    shown.add_column()
    for rule, number in times.items():
        partly = "(in part) " if result.followed.get(rule) == {True, False} else ""
        shown.add_row(str(number), rule, partly + escape(rules()[rule].promise))
    if times:
        console.print(shown)


def _show_reasons(console: Console, result: Result) -> None:
    """Print why cases were skipped, and how many for each reason."""
    skipped = [one.note for one in result.outcomes if one.verdict is Verdict.SKIPPED]
    for reason, number in Counter(skipped).items():
        console.print(f"{number:10} {_shown(reason)}", highlight=False)


def _shown(text: str) -> str:
    """Return text for a line of a console, which obeys nothing in it."""
    return escape(one_line(text))


def _coloured(failure: str) -> Text:
    """Return a failure with each of its parts in the colour of what it is."""
    shown = Text()
    style = ""
    for line in failure.splitlines():
        style = next((PARTS[word] for word in PARTS if line.startswith(word)), style)
        shown.append(f"{line}\n", style if line.startswith((" ", *PARTS)) else "dim")
    shown.rstrip()
    return shown


def _numbers(outcomes: Iterable[Outcome]) -> list[str]:
    counts = count(outcomes)
    return [
        f"[{COLOURS[verdict]}]{counts[verdict]}[/]" if counts[verdict] else "[dim]·[/]"
        for verdict in Verdict
    ]

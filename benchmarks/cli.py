"""`python -m benchmarks`."""

import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from benchmarks import docs, machine, plot, programs, report
from benchmarks.errors import BenchmarkRefused, StoreMissing
from benchmarks.ground import Tell
from benchmarks.runner import Plan, run
from benchmarks.scenarios import SCENARIOS
from benchmarks.stores import NAMES, Store, find
from benchmarks.wrk import Wrk

__all__ = ["bench"]

EXIT_WRONG = 1
EXIT_UNAVAILABLE = 3
EXIT_INTERRUPTED = 130

_ROUNDS_SHORT, _ROUNDS_LONG = 2, 5
_LOAD_SHORT_S, _LOAD_LONG_S = 2, 10
# Simulated engines for half a minute each: too much for a form that is for every day.
_LONG_ONLY = ("engines",)

_HELP = """Measure this server beside a real Consul and etcd, on this machine, now.

\b
Everything, in a few minutes:   python -m benchmarks
Only reads, ours and Consul's:  python -m benchmarks --only get --stores ours,consul
For publication, with a plot:   python -m benchmarks --long --out results

Needs wrk; gets Consul and etcd from Debian. Leave the machine alone meanwhile: rates are of what
is left of it; processor time of a request, and ratios, are worth more.

Exit status: 0 measured, whether targets were met or not; 1 a store answered wrongly or died;
2 usage; 3 nothing can be measured here.
"""


def _what_there_is() -> str:
    """Return a line for each scenario: the first of its docstring."""
    lines = [f"{one.name:9} {(one.__doc__ or '').splitlines()[0]}" for one in SCENARIOS]
    return "\b\nScenarios:\n  " + "\n  ".join(lines)


def _names(_: click.Context, option: click.Parameter, text: str | None) -> list[str] | None:
    """Return the names in a list with commas, which must all be known."""
    if text is None:
        return None
    known = NAMES if option.name == "stores" else [one.name for one in SCENARIOS]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}")
    return names


@click.command(
    help=_HELP, epilog=_what_there_is(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--long/--short",
    "long",
    help="--short: small sizes, about three minutes. --long: as published, about an hour.",
)
@click.option(
    "--only", metavar="NAMES", callback=_names, help="Only these scenarios: get,put (see below)."
)
@click.option(
    "--stores",
    metavar="NAMES",
    callback=_names,
    help=f"Only these stores.  [default: {','.join(NAMES)}]",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    help=f"How often each is measured.  [default: {_ROUNDS_SHORT}; --long: {_ROUNDS_LONG}]",
)
@click.option(
    "--seconds",
    type=click.IntRange(1),
    help=f"How long each load lasts.  [default: {_LOAD_SHORT_S}; --long: {_LOAD_LONG_S}]",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write all figures here."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write results.json and results.svg into this folder.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=tempfile.gettempdir(),
    show_default=True,
    help="Where the servers keep their data; its disk is what durable writes are measured on.",
)
@click.option("--write-docs", is_flag=True, help="Put tables and plot into docs/.")
def bench(  # noqa: PLR0913 - one for each option
    *,
    long: bool,
    only: list[str] | None,
    stores: list[str] | None,
    rounds: int | None,
    seconds: int | None,
    json_file: Path | None,
    out: Path | None,
    folder: Path,
    write_docs: bool,
) -> None:
    """Measure the stores; see `_HELP`."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        with _telling(console) as tell:
            wrk = Wrk(programs.wrk(tell))
            plan = Plan(
                scenarios=[one for one in SCENARIOS if _wanted(one.name, only, long=long)],
                stores=_found(stores or NAMES, console, tell),
                rounds=rounds or (_ROUNDS_LONG if long else _ROUNDS_SHORT),
                short=not long,
                load_s=seconds or (_LOAD_LONG_S if long else _LOAD_SHORT_S),
                folder=folder,
                wrk=wrk,
            )
            _allow_files()
            where = machine.describe(folder)
            outcome = run(plan, tell)
    except BenchmarkRefused as reason:
        console.print(Text(f"Nothing was measured: {reason}", style="red"))
        sys.exit(EXIT_UNAVAILABLE)
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started has ended.", style="yellow")
        sys.exit(EXIT_INTERRUPTED)
    report.show(console, plan, outcome, where)
    for file in filter(None, (json_file, out and out / "results.json")):
        report.write_json(file, plan, outcome, where)
    if out and plot.drawable():
        plot.plot(out / "results.svg", outcome.results, [one.name for one in plan.stores])
    elif out:
        console.print(
            Text("No plot: it needs matplotlib (pip install 'kvstore[bench]').", style="dim")
        )
    if write_docs:
        docs.write(docs.PAGE, plan, outcome, where)
    if outcome.failures:
        sys.exit(EXIT_WRONG)


def _wanted(name: str, only: list[str] | None, *, long: bool) -> bool:
    return name in only if only is not None else long or name not in _LONG_ONLY


def _found(names: Iterable[str], console: Console, tell: Tell) -> list[Store]:
    """Return the stores that can be had; the others are told of. Raises BenchmarkRefused."""
    found = []
    for name in names:
        try:
            found.append(find(name, tell))
        except StoreMissing as reason:
            console.print(Text(f"Without {name}: {reason}", style="yellow"))
    if not found:
        raise BenchmarkRefused("none of the stores can be had; see above, or take --stores ours.")
    return found


@contextmanager
def _telling(console: Console) -> Iterator[Tell]:
    """Give a way to tell what is being done: one moving line on a terminal, else a line each.

    SIGTERM ends the block as Ctrl-C does, so that no server outlives it.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if console.is_terminal:
            with console.status("starting") as status:
                yield lambda text: status.update(Text(text))
        else:
            yield lambda text: console.print(Text(text, style="dim"))
    finally:
        signal.signal(signal.SIGTERM, before)


def _allow_files() -> None:
    """Let the servers, who inherit it, open as many files as this user may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""`python -m conformance overlay` and `python -m conformance setup`."""

import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from conformance.overlay import report
from conformance.overlay.base_image import base_archive
from conformance.overlay.errors import LabUnavailable
from conformance.overlay.npm import prepare_client
from conformance.overlay.outcome import Outcome, Verdict
from conformance.overlay.packages import prepare
from conformance.overlay.runner import Runner
from conformance.overlay.scenario import Scenario, select
from conformance.overlay.scenarios import ALL
from conformance.overlay.session import lab_session
from conformance.overlay.store import IMAGE

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3
EXIT_INTERRUPTED = 130


@click.command()
@click.option(
    "--store",
    default="kvstore",
    show_default=True,
    metavar="kvstore|image|consul|PROGRAM|consul://HOST:PORT",
    help="The store to run engines against: this server, the same in a container of its image, a "
    "Consul, a program of either kind; the last form is one that somebody else runs.",
)
@click.option("--quick", is_flag=True, help="Only the quick scenarios: about six minutes.")
@click.option("--only", metavar="A1,B2,…", help="Only these scenarios.")
@click.option("--list", "list_only", is_flag=True, help="Show the scenarios and end.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write outcomes here.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="The same for CI.")
@click.option("--keep", is_flag=True, help="Leave the lab running at the end, until Ctrl-C.")
@click.option("--verbose", is_flag=True, help="Show notes and steps of scenarios that pass.")
def overlay(
    *,
    store: str,
    quick: bool,
    only: str | None,
    list_only: bool,
    json_file: Path | None,
    junit_file: Path | None,
    keep: bool,
    verbose: bool,
) -> None:
    """Run real Docker engines in network namespaces against a store.

    Exit status: 0 all passed, 1 a scenario failed, 2 usage, 3 the lab cannot run here.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        scenarios = select(ALL, only.split(",") if only else None, quick=quick)
    except KeyError as unknown:
        raise click.BadParameter(f"no scenario {unknown.args[0]}; see --list") from None
    _check_store(store)
    if list_only:
        _show(console, scenarios, verbose=verbose)
        return
    try:
        outcomes = _play(console, store, scenarios, keep=keep, verbose=verbose)
    except LabUnavailable as reason:
        console.print(f"The lab cannot run: {reason}", style="red", markup=False, highlight=False)
        sys.exit(EXIT_UNAVAILABLE)
    except KeyboardInterrupt:
        console.print("Interrupted; everything the lab started has ended.", style="yellow")
        sys.exit(EXIT_INTERRUPTED)
    console.print(report.table(store, outcomes))
    if json_file:
        report.write_json(json_file, store, outcomes)
    if junit_file:
        report.write_junit(junit_file, store, outcomes)
    if any(one.verdict is Verdict.FAIL for one in outcomes):
        sys.exit(EXIT_FAILED)


@click.command()
def setup() -> None:
    """Get what the lab and tests of real clients need.

    Debian packages, the pinned engine and Consul, a base to build the container image on, and a
    client library for Node.js.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)

    def say(text: str) -> None:
        console.print(text, style="dim")

    try:
        tools = prepare(say)
        base_archive(say)
        prepare_client(say)
    except LabUnavailable as reason:
        console.print(f"Not ready: {reason}", style="red", markup=False, highlight=False)
        sys.exit(EXIT_UNAVAILABLE)
    console.print(f"Ready. Engine in {tools.engine}, Consul in {tools.consul}.", highlight=False)


def _check_store(store: str) -> None:
    """Refuse a --store that can mean nothing, before anything is started."""
    foreign = store.startswith("consul://")
    if foreign and not store.rpartition(":")[2].isdigit():
        raise click.BadParameter("expected consul://HOST:PORT", param_hint="--store")
    if not foreign and store not in ("kvstore", IMAGE, "consul") and not Path(store).is_file():
        raise click.BadParameter(f"no such program: {store}", param_hint="--store")


def _show(console: Console, scenarios: list[Scenario], *, verbose: bool) -> None:
    for one in scenarios:
        mark = "quick" if one.quick else ""
        console.print(f"{one.id:6} {mark:6} {one.title}", markup=False, highlight=False)
        if verbose:
            console.print(f"{one.promise}\n", style="dim", markup=False, highlight=False)


def _play(
    console: Console, store: str, scenarios: list[Scenario], *, keep: bool, verbose: bool
) -> list[Outcome]:
    with report.Story(console, len(scenarios), verbose=verbose) as story:
        story.say("looking for what the lab needs")
        tools = prepare(story.say)
        story.say(f"starting hosts and store ({store})")
        with lab_session(store, tools) as lab:
            outcomes = Runner(lab, story.begin, story.end).run(scenarios)
            if keep:
                for engine in lab.engines:
                    console.print(" ".join(engine.client_words), markup=False, soft_wrap=True)
                story.say("kept until Ctrl-C")
                _until_interrupted()
            story.say("ending engines, store and hosts")
    return outcomes


def _until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        return

"""`python -m conformance --url …`, also spelled `python -m conformance check --url …`."""

import random
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from conformance.suite.address import Address, AddressInvalid
from conformance.suite.case import UNREACHABLE, Case
from conformance.suite.chapters import chapters
from conformance.suite.outcome import Outcome
from conformance.suite.report import terminal
from conformance.suite.report.files import write_json, write_junit
from conformance.suite.report.page import write_page
from conformance.suite.result import Result, differences
from conformance.suite.runner import Stage
from conformance.suite.store import Store

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_DIFFERS = 4
EXIT_INTERRUPTED = 130

ON_REQUEST = {"overlay": "--overlay", "fuzz": "--fuzz"}
"""Chapters that are played only when asked for, and by what option."""

PACKAGES = {"--html": "jinja2", "--junit": "junitparser"}
"""What an option needs beyond the suite itself; the extra `conformance` has both."""

HELP = """
Play the conformance suite on a store that speaks Consul's key-value API.

The store may hold other people's data: all cases keep to keys below a random prefix and to
sessions of their own, and leave nothing behind. Somebody who writes at the same time can disturb
the few cases that look at indexes of the whole store; those are tried twice.

A case passes when the store does as Consul 1.8.7. It "differs by intent" when the store does as a
rule of conformance/NOTES.md says; that is no failure. Anything else fails.

\b
    python -m conformance --url http://127.0.0.1:8500
    python -m conformance --url https://store:8501 --ca-file ca.pem --token $TOKEN
    python -m conformance --url http://a:8500 --oracle http://b:8500 --html report.html
    python -m conformance --list --chapter locks
    python -m conformance --url http://127.0.0.1:8500 --case H7 --case S14

\b
Exit status:
    0  all passed, or differs by intent
    1  a case failed
    2  usage
    3  the store (or the oracle) cannot be reached
    4  all passed, but a case ended otherwise on the oracle, or fuzzing found a difference
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play."""

    cases: tuple[Case, ...]
    exclusive: bool
    fail_fast: bool
    timeout_s: float
    restart: str


@click.command(help=HELP)
@click.option("--url", help="The store: http://HOST:PORT, https://HOST:PORT or unix:///PATH.")
@click.option("--token", envvar="CONSUL_HTTP_TOKEN", help="A management token, for every request.")
@click.option("--ca-file", type=click.Path(exists=True, path_type=Path), help="Whom to trust.")
@click.option("--cert-file", type=click.Path(exists=True, path_type=Path), help="Who we are.")
@click.option("--key-file", type=click.Path(exists=True, path_type=Path), help="Its private key.")
@click.option("--oracle", metavar="URL", help="Play on this store too, and show what differs.")
@click.option("--chapter", "chosen", multiple=True, help="Only this chapter; repeatable.")
@click.option(
    "--case", "ids", multiple=True, metavar="ID", help="Only this case or contract id; repeatable."
)
@click.option("--list", "list_only", is_flag=True, help="Show the cases and end.")
@click.option("--exclusive", is_flag=True, help="Also cases that DELETE ALL DATA of the store.")
@click.option(
    "--restart",
    default="",
    metavar="COMMAND",
    help="Also cases that restart the store; this stops and starts it, on its data and address.",
)
@click.option("--overlay", is_flag=True, help="Also real Docker engines on the store (root).")
@click.option(
    "--fuzz",
    "fuzz_s",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Then compare with the oracle at random; both must be empty.",
)
@click.option("--seed", type=int, help="Repeat the choices of an earlier --fuzz.")
@click.option("--fail-fast", is_flag=True, help="Begin no case after a failure.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one golden script may take; cases about time have bounds of their own.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write outcomes here.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="The same for CI.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="The same as a page.")
def check(  # noqa: PLR0913 - an argument for each option
    *,
    url: str | None,
    token: str | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    oracle: str | None,
    chosen: tuple[str, ...],
    ids: tuple[str, ...],
    list_only: bool,
    exclusive: bool,
    restart: str,
    overlay: bool,
    fuzz_s: float | None,
    seed: int | None,
    fail_fast: bool,
    timeout_s: float,
    json_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
) -> None:
    """Play the suite; the words for `--help` are in HELP."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    cases = select(chosen, ids)
    if list_only:
        _list(console, cases)
        return
    _check_options(url, oracle, fuzz_s, {"--html": html_file, "--junit": junit_file})
    files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    stores = [_store(each, token, files) for each in (url, oracle) if each]
    plan = Plan(cases, exclusive, fail_fast, timeout_s, restart)
    try:
        results = _play(console, stores, plan, lab=overlay and (not chosen or "overlay" in chosen))
    except KeyboardInterrupt:
        console.print("Interrupted; what cases had begun is cleaned up.", style="yellow")
        sys.exit(EXIT_INTERRUPTED)
    status = _tell(console, results)
    for file, write in ((json_file, write_json), (html_file, _write_page)):
        if file:
            write(file, *results)
    if junit_file:
        write_junit(junit_file, results[0])
    if fuzz_s and not _agree(console, stores, fuzz_s, seed):
        status = status or EXIT_DIFFERS
    sys.exit(status)


def select(chosen: Iterable[str], ids: Iterable[str]) -> tuple[Case, ...]:
    """Return the cases of these chapters that have one of these ids, or show one of them.

    All chapters and all ids where none is named. Raises click.BadParameter for what is not there.
    """
    known = {chapter.name: chapter for chapter in chapters()}
    names = [name for name in chosen if name not in ON_REQUEST]
    for name in names:
        if name not in known:
            every = ", ".join([*known, *ON_REQUEST])
            raise click.BadParameter(f"no chapter {name}; there are {every}")
    wanted = [known[name] for name in names] if chosen else list(known.values())
    cases = [case for chapter in wanted for case in chapter.cases]
    named = set(ids)
    for name in named:
        if not any(_is_named(case, {name}) for case in cases):
            raise click.BadParameter(f"no case {name}; see --list")
    return tuple(case for case in cases if not named or _is_named(case, named))


def _is_named(case: Case, names: set[str]) -> bool:
    return case.id in names or bool(names & set(case.contract_ids))


def _list(console: Console, cases: Iterable[Case]) -> None:
    for case in cases:
        marks = " ".join([*case.needs, *case.rules])
        said = f"{case.chapter:18} {case.id:8} {case.title}" + (f"  [{marks}]" if marks else "")
        console.print(said, markup=False, highlight=False, soft_wrap=True)


def _check_options(
    url: str | None, oracle: str | None, fuzz_s: float | None, files: dict[str, Path | None]
) -> None:
    """Refuse options that can mean nothing, before anything is asked."""
    if not url:
        raise click.UsageError("no store: give --url http://HOST:PORT, or --list to see the cases")
    if fuzz_s and not oracle:
        raise click.UsageError("--fuzz compares with a Consul: give --oracle URL")
    for option, file in files.items():
        if file and find_spec(PACKAGES[option]) is None:
            raise click.UsageError(
                f"{option} needs the package {PACKAGES[option]}: pip install kvstore[conformance]"
            )


def _store(url: str, token: str | None, files: dict[str, Path | None]) -> Store:
    """Return a store that answers; end with a sentence when there is none."""
    try:
        store = Store(Address.parse(url, **files), token=token)
    except AddressInvalid as error:
        raise click.BadParameter(str(error)) from error
    try:
        store.ask("GET", "/v1/status/leader")
    except UNREACHABLE as error:
        click.echo(f"Error: no store answers at {store.url}: {error}", err=True)
        sys.exit(EXIT_UNREACHABLE)
    return store


def _play(console: Console, stores: list[Store], plan: Plan, *, lab: bool) -> list[Result]:
    """Play on all stores at once; the story is that of the first."""
    with terminal.Story(console, len(plan.cases)) as story, ThreadPoolExecutor() as pool:
        plans = [plan, replace(plan, restart="")]  # the command is about the first store
        told: list[Callable[[Outcome], None]] = [story.end, _in_silence]
        played = [
            pool.submit(_play_on, store, each, tell)
            for store, each, tell in zip(stores, plans, told, strict=False)
        ]
        results = [one.result() for one in played]
        if lab:
            results[0] = _with_lab(results[0], stores[0], story)
    return results


def _play_on(store: Store, plan: Plan, told: Callable[[Outcome], None]) -> Result:
    stage = Stage(store, exclusive=plan.exclusive, timeout_s=plan.timeout_s, restart=plan.restart)
    return stage.run(plan.cases, told, fail_fast=plan.fail_fast)


def _with_lab(result: Result, store: Store, story: terminal.Story) -> Result:
    from conformance.suite.lab import play_lab  # noqa: PLC0415 - only Linux has all it imports

    started = time.monotonic()
    played = play_lab(f"consul://{store.address.host}:{store.address.port}", story.end)
    seconds = result.seconds + time.monotonic() - started
    outcomes = (*result.outcomes, *played)
    return replace(result, seconds=seconds, outcomes=outcomes)


def _in_silence(_: Outcome) -> None:
    """Tell nobody."""


def _tell(console: Console, results: list[Result]) -> int:
    """Print how it went; return the exit status."""
    result = results[0]
    for each, name in zip(results, ("Store", "Oracle"), strict=False):
        console.print(terminal.table(each, name=name))
    found = differences(*results) if len(results) > 1 else []
    if found:
        terminal.show_differences(console, found)
    terminal.show_meaning(console, result)
    terminal.show_failures(console, result)
    terminal.show_verdict(console, result)
    if result.failed:
        return EXIT_FAILED
    return EXIT_DIFFERS if any(not one.explained for one in found) else 0


def _write_page(file: Path, *results: Result) -> None:
    write_page(file, chapters(), *results)


def _agree(console: Console, stores: list[Store], seconds: float, seed: int | None) -> bool:
    """Compare store and oracle at random; return whether no difference was found."""
    from conformance.fuzz.run import StoreUnfit, run  # noqa: PLC0415 - only when asked for

    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    console.print(f"Comparing at random for {seconds:g} s, --seed {seed}", highlight=False)
    try:
        findings = run(*stores, seed=seed, seconds=seconds)
    except (StoreUnfit, *UNREACHABLE) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, StoreUnfit) else EXIT_UNREACHABLE)
    console.print(findings.text(), markup=False, highlight=False, soft_wrap=True)
    return bool(findings.agree)

"""`python -m conformance soak`."""

import asyncio
import resource
import secrets
import signal
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from rich.console import Console

from conformance.soak import report
from conformance.soak.errors import SoakRefused
from conformance.soak.plan import Plan
from conformance.soak.process import ProcessGone, sample
from conformance.soak.run import Outcome, Tell
from conformance.soak.run import soak as run_soak
from conformance.soak.store import RunningStore, foreign_store, own_store, remove_keys

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3
EXIT_INTERRUPTED = 130

# Two standing polls, one for each watched network, one or two for the rest; more in a burst.
_CONNECTIONS_PER_ENGINE = 8
_FILES_BESIDE = 256


@click.command()
@click.option(
    "--engines",
    default=500,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many engines to simulate.",
)
@click.option(
    "--minutes",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.2),
    help="For how long; under two minutes answer times are not judged.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 30),
    help="How much faster than real ones the engines live.",
)
@click.option("--seed", type=int, help="Repeat the choices of an earlier run.")
@click.option(
    "--store",
    default="kvstore",
    show_default=True,
    metavar="kvstore|consul|PROGRAM",
    help="The store to start, on an empty folder.",
)
@click.option("--url", metavar="http://HOST:PORT", help="Use a store that runs; needs --pid.")
@click.option("--pid", type=int, help="The process of that store, on this machine.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write figures here.")
def soak(
    *,
    engines: int,
    minutes: float,
    speed: float,
    seed: int | None,
    store: str,
    url: str | None,
    pid: int | None,
    json_file: Path | None,
) -> None:
    """Let many simulated Docker engines live on a store, and see whether it stays as it is.

    Exit status: 0 flat and without fault, 1 not so, 2 usage, 3 the soak cannot run here.
    """
    console = Console(width=None if sys.stdout.isatty() else 140)
    where = _checked(store, url, pid)
    seed = secrets.randbelow(2**32) if seed is None else seed
    console.print(f"seed {seed}", style="dim", highlight=False)
    try:
        _allow_files(engines * _CONNECTIONS_PER_ENGINE + _FILES_BESIDE)
        with (
            _terminated_as_interrupted(),
            report.Story(console, engines, minutes * 60) as story,
            _running(store, where, pid, engines) as running,
        ):
            plan = Plan(
                engines=engines,
                seconds=minutes * 60,
                speed=speed,
                seed=seed,
                prefix=f"soak-{secrets.token_hex(4)}/" if where else "",
                ttl_min_s=running.ttl_min_s,
            )
            try:
                outcome = asyncio.run(_until_terminated(plan, running, story.tell))
            finally:
                if where:
                    with suppress(OSError):  # it has ended, which is in the outcome
                        remove_keys(*where, plan.prefix)
    except SoakRefused as reason:
        console.print(f"The soak cannot run: {reason}", style="red", markup=False)
        sys.exit(EXIT_UNAVAILABLE)
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Interrupted; everything the soak started has ended.", style="yellow")
        sys.exit(EXIT_INTERRUPTED)
    report.show(console, outcome)
    if json_file:
        report.write_json(json_file, outcome)
    if not outcome.ok:
        sys.exit(EXIT_FAILED)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, so that the store and its folder go then, too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _until_terminated(plan: Plan, store: RunningStore, tell: Tell) -> Outcome:
    """Run the soak; asyncio knows of Ctrl-C, and SIGTERM is to be the same to it."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await run_soak(plan, store, tell)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def _running(
    wanted: str, where: tuple[str, int] | None, pid: int | None, engines: int
) -> Iterator[RunningStore]:
    """Give the store to run against; one of our own ends with the block, and its data goes."""
    if where is not None and pid is not None:
        yield foreign_store(*where, pid)
        return
    with tempfile.TemporaryDirectory(prefix="kvstore-soak-") as folder:
        connections = engines * _CONNECTIONS_PER_ENGINE
        with own_store(wanted, Path(folder), connections) as running:
            yield running


def _checked(store: str, url: str | None, pid: int | None) -> tuple[str, int] | None:
    """Return host and port of --url, or None; refuse what can mean nothing."""
    if (url is None) != (pid is None):
        raise click.UsageError("--url and --pid go together: where the store is, and what it is")
    if url is None or pid is None:
        if store not in ("kvstore", "consul") and not Path(store).is_file():
            raise click.BadParameter(f"no such program: {store}", param_hint="--store")
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise click.BadParameter("expected http://HOST:PORT", param_hint="--url")
    try:
        sample(pid)
    except (ProcessGone, PermissionError) as error:
        raise click.BadParameter(f"cannot look at it: {error}", param_hint="--pid") from None
    return parts.hostname, port


def _allow_files(needed: int) -> None:
    """Raise our limit of open files, which the store inherits, to what is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise SoakRefused(
            f"it needs {needed} open files, the limit is {hard}: "
            "raise it with `ulimit -Hn`, or take fewer --engines."
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

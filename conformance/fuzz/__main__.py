"""`python -m conformance.fuzz`: the random differential test by itself."""

import random
import sys
from pathlib import Path

import click

from conformance.fuzz.drawing import ALL_KINDS, Kind
from conformance.fuzz.findings import Findings
from conformance.fuzz.run import StoreUnfit, replay, run
from conformance.fuzz.script import BadScript, parse_script
from conformance.suite.address import Address, AddressInvalid
from conformance.suite.store import Store

LEAVABLE = [kind.value for kind in Kind if kind != Kind.SNAPSHOTS]
DIFFERS = 1
UNFIT = 2
PROGRESS_EVERY = 50


@click.command()
@click.option("--url", required=True, help="The store that is tested.")
@click.option("--oracle", required=True, help="The store that is right: a Consul.")
@click.option("--seconds", type=float, help="Go on for so long.")
@click.option("--operations", type=int, help="Go on for so many operations.")
@click.option("--seed", type=int, help="Draw the operations of this seed; else of one by chance.")
@click.option("--without", multiple=True, type=click.Choice(LEAVABLE), help="Leave this out.")
@click.option("--snapshots", is_flag=True, help="Save and restore, too.")
@click.option("--replay", "script", type=click.Path(exists=True, path_type=Path), help="A script.")
def main(
    *,
    url: str,
    oracle: str,
    seconds: float | None,
    operations: int | None,
    seed: int | None,
    without: tuple[str, ...],
    snapshots: bool,
    script: Path | None,
) -> None:
    """Send the same operations to both stores, which must be empty, and show what differs."""
    try:
        stores = Store(Address.parse(url)), Store(Address.parse(oracle))
        if script is not None:
            difference = replay(*stores, parse_script(script.read_text()))
            click.echo(difference.script() if difference else "no difference")
            sys.exit(DIFFERS if difference else 0)
        findings = run(
            *stores,
            seed=random.SystemRandom().randrange(10**6) if seed is None else seed,
            seconds=60.0 if seconds is None and operations is None else seconds,
            operations=operations,
            kinds=_kinds(without, snapshots=snapshots),
            progress=_Progress().show,
        )
    except (StoreUnfit, BadScript, AddressInvalid, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(UNFIT)
    click.echo(findings.text())
    sys.exit(0 if findings.agree else DIFFERS)


def _kinds(without: tuple[str, ...], *, snapshots: bool) -> frozenset[Kind]:
    left_out = {Kind(name) for name in without} | (set() if snapshots else {Kind.SNAPSHOTS})
    return ALL_KINDS - left_out


class _Progress:
    """Tells of each difference when it is found, and now and then how far a run is."""

    def __init__(self) -> None:
        self._told = 0

    def show(self, findings: Findings) -> None:
        for difference in findings.differences[self._told :]:
            click.echo(difference.script(), err=True)
        self._told = len(findings.differences)
        if findings.episodes % PROGRESS_EVERY == 0:
            click.echo(findings.summary().replace("\n", "; "), err=True)


if __name__ == "__main__":
    main(prog_name="python -m conformance.fuzz")

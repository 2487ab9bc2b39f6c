"""`python -m conformance`: the commands of this package."""

import click

from conformance.overlay.cli import overlay, setup
from conformance.soak.cli import soak


@click.group()
def main() -> None:
    """Measure a store against real clients."""


main.add_command(overlay)
main.add_command(setup)
main.add_command(soak)

if __name__ == "__main__":
    main(prog_name="python -m conformance")

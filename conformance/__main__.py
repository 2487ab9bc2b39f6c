"""`python -m conformance`: the commands of this package."""

import click

from conformance.overlay.cli import overlay, setup
from conformance.soak.cli import soak
from conformance.suite.cli import check

DEFAULT = "check"


class DefaultGroup(click.Group):
    """A group of commands; options without a command belong to `check`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front of options that are not the group's own."""
        if args and args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup)
def main() -> None:
    r"""Measure a store that speaks Consul's key-value API, of whatever make.

    \b
    Does it keep Consul's contract? A minute, on any store, leaves nothing behind:
        python -m conformance --url http://HOST:8500
    The same, in full:
        python -m conformance check --url http://HOST:8500
    All options of it:
        python -m conformance check --help

    With pytest, each case a test: pytest --pyargs conformance --url http://HOST:8500
    """


main.add_command(check)
main.add_command(overlay)
main.add_command(setup)
main.add_command(soak)

if __name__ == "__main__":
    main(prog_name="python -m conformance")

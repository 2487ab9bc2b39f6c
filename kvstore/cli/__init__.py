"""The command line: one module for each command or family of commands.

A command's module is imported when the command is run: `serve` listens before anything slow is
loaded, and no other command should delay it.
"""

from collections.abc import Mapping
from importlib import import_module

import click

from kvstore import __version__
from kvstore.process import loading

__all__ = ["COMMANDS", "main"]

# Where each command is; in the order in which `--help` lists them.
COMMANDS: Mapping[str, str] = {
    "serve": "kvstore.cli.serve:serve",
    "agent": "kvstore.cli.agent:agent",
    "backup": "kvstore.cli.backup:backup",
    "restore": "kvstore.cli.restore:restore",
    "export": "kvstore.cli.transfer:export",
    "import": "kvstore.cli.transfer:import_",
    "verify": "kvstore.cli.verify:verify",
    "log": "kvstore.cli.history:log",
    "history": "kvstore.cli.history:history",
    "compact": "kvstore.cli.compact:compact",
    "health": "kvstore.cli.health:health",
    "token": "kvstore.cli.token:token",
}


class _Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take a flag where a command should be for the first of Consul's agent's.

        Images of Consul have the agent as their entry point: `docker run IMAGE -server`.
        """
        own = {flag for param in self.get_params(ctx) for flag in param.opts}
        if args and args[0].startswith("-") and args[0].strip("-") and args[0] not in own:
            args = ["agent", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        with loading():
            command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kvstore")
def main() -> None:
    """Serve a key-value store that speaks Consul's KV HTTP API.

    Docker engines up to 20.10 build overlay networks on it, with no change but a flag:

    \b
      dockerd --cluster-store=consul://HOST:8500 --cluster-advertise=ENGINE_IP:2376
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are

"""`kvstore agent`: the command line of Consul's agent → that of `kvstore serve`, which then runs.

Nothing is decided here that `kvstore serve` decides: what is not said comes from the environment,
from the file that KVSTORE_CONFIG names, and from serve's defaults, and serve checks it all.
"""

import logging
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from kvstore.cli.agent_flags import FLAGS, SAID_AS, Fate
from kvstore.cli.agent_words import HELP, Given, parse
from kvstore.cli.exits import EXIT_FOLDER_UNUSABLE, give_up
from kvstore.cli.serve import serve
from kvstore.journal.listing import Listing
from kvstore.listening import TcpAddress
from kvstore.logs import set_up_logging

__all__ = ["agent"]

log = logging.getLogger(__name__)

# Flags that serve has, too, for values as they are.
_SAME = ("data-dir", "node")
# Consul's first years said -dc.
_DATACENTER = ("datacenter", "dc")

# Consul's levels, in any case, and ours.
_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "err": "error",
    "error": "error",
}

_WORDS_OF_SERVE = (
    "Here, --listen https://… is -https-port, and other flags of `kvstore serve` are environment "
    "variables: KVSTORE_TLS_CERT_FILE for --tls-cert-file"
)

_TITLES: Mapping[Fate, str] = {
    "understood": "Understood (flags with two dashes are those of kvstore serve)",
    "ignored": "Ignored, and named in the log",
    "refused": "Refused",
}


class _Agent(click.Command):
    """A command whose words are read by the rules of Go, and whose help is the table of flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave the words as they are."""
        ctx.params["words"] = args
        return []

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table, by what becomes of the flags; those of one text together."""
        for fate, title in _TITLES.items():
            rows: dict[str, list[str]] = {}
            for flag in FLAGS.values():
                if flag.fate == fate:
                    rows.setdefault(flag.text, []).append(f"-{flag.name}")
            with formatter.section(title):
                for text, names in rows.items():
                    _write_whole(formatter, f"{', '.join(names)}: {text}")


def _write_whole(formatter: click.HelpFormatter, text: str) -> None:
    """Write a paragraph whose flags are not broken at their hyphens."""
    width = formatter.width - formatter.current_indent
    lines = textwrap.wrap(text, width, break_on_hyphens=False, subsequent_indent="  ")
    formatter.write_text("\n".join(["\b", *lines]))


@click.command(cls=_Agent, options_metavar="[FLAGS]")
@click.pass_context
def agent(ctx: click.Context, *, words: Sequence[str]) -> None:
    """Run the server with the flags of Consul's agent.

    \b
    kvstore agent -server -bootstrap-expect=1 -client=0.0.0.0 -data-dir=/var/lib/kvstore
    docker run -d -p 8500:8500 -h consul IMAGE -server -bootstrap

    The word `agent` may be left out. Flags are written as Go writes them: -flag or --flag,
    -flag=VALUE or -flag VALUE. What they do not say is said by the environment and the file that
    KVSTORE_CONFIG names, as for `kvstore serve`, which then runs; its help has exit codes, too.
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    given = parse(words)
    if HELP[0] in given:
        click.echo(ctx.get_help())
        return
    _require_sense(given)
    below = _below(ctx, given, [*_arguments(given), *_where(ctx, given)])
    if not below.params["dev"]:
        _require_no_consul(below.params["data_dir"])
    # As serve does again: the log's first line is about what serve never sees.
    set_up_logging(below.params["log_format"], below.params["log_level"])
    _tell_ignored(given)
    with _in_these_words(ctx, given), below:
        serve.invoke(below)


def _require_sense(given: Given) -> None:
    """Raise UsageError when the flags ask for what cannot be had."""
    for name in given:
        is_empty = name == "config-dir" and not any(map(_has_settings, given[name]))
        if FLAGS[name].fate == "refused" and not is_empty:
            raise click.UsageError(f"-{name} is refused: {FLAGS[name].text}.")
    expected = _number(given, "bootstrap-expect")
    if expected not in (None, 0, 1):
        raise click.UsageError(
            f"-bootstrap-expect {expected}: this is one server, and it never waits for others; "
            "say 1 or -bootstrap, start it once, and point every client to it"
        )
    if "server" not in given and "dev" not in given:
        raise click.UsageError(
            "-server is missing. Without it Consul's agent passes requests on to servers, and this "
            "one would be a store of its own: add -server, or -dev to try it in memory"
        )


def _has_settings(folder: str) -> bool:
    """Return whether Consul would read something here, as far as can be seen.

    Command lines for images name a folder by habit, also when there is nothing in it.
    """
    try:
        return any(name.endswith((".json", ".hcl")) for name in os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _arguments(given: Given) -> list[str]:
    """Return serve's flags for all but where to listen."""
    arguments = [f"--{name}={given[name][-1]}" for name in _SAME if name in given]
    datacenters = [given[name][-1] for name in _DATACENTER if name in given]
    arguments += [f"--datacenter={name.lower()}" for name in datacenters]
    if "dev" in given:
        arguments.append("--dev")
    if "log-json" in given:
        arguments.append("--log-format=json")
    if "log-level" in given:
        arguments.append(f"--log-level={_level(given['log-level'][-1])}")
    return arguments


def _level(text: str) -> str:
    if text.lower() not in _LEVELS:
        raise click.UsageError(f"-log-level is one of {', '.join(_LEVELS)}, not {text!r}")
    return _LEVELS[text.lower()]


def _where(ctx: click.Context, given: Given) -> list[str]:
    """Return serve's flags for where to listen: the short form unless that cannot say it."""
    hosts = _hosts(given)
    http, https = _number(given, "http-port"), _number(given, "https-port") or 0
    has_http = http is None or http > 0
    if len(hosts) <= 1 and has_http and https <= 0:
        return [*(f"--host={host}" for host in hosts), *([f"--port={http}"] if http else [])]
    around = _below(ctx, given, []).params
    ports = [(http or around["port"], False)] if has_http else []
    ports += [(https, True)] if https > 0 else []
    if not ports:
        raise click.UsageError(
            f"-http-port {http} is no HTTP, and there is no -https-port: nothing to listen on"
        )
    return [
        f"--listen={TcpAddress(host, port, tls)}"
        for port, tls in ports
        for host in hosts or [around["host"]]
    ]


def _hosts(given: Given) -> list[str]:
    """Return the addresses of -client; none when it was not said, or says nothing, as in Consul."""
    value = given.get("client", [""])[-1]
    if "{{" in value:
        raise click.UsageError(
            f"-client {value!r}: templates are not understood; name an address of this machine, "
            "0.0.0.0 for every interface"
        )
    return value.split()


def _number(given: Given, name: str) -> int | None:
    if name not in given:
        return None
    try:
        return int(given[name][-1])
    except ValueError:
        raise click.UsageError(f"-{name} is a number, not {given[name][-1]!r}") from None


def _below(ctx: click.Context, given: Given, arguments: list[str]) -> click.Context:
    """Return serve's context: arguments, environment, file and defaults, read and checked."""
    with _in_these_words(ctx, given):
        return serve.make_context("serve", arguments, parent=ctx.parent)


@contextmanager
def _in_these_words(ctx: click.Context, given: Given) -> Iterator[None]:
    """Let errors of serve's speak of the command and the flags that were used."""
    try:
        yield
    except click.BadParameter as error:
        error.ctx = ctx
        names = SAID_AS.get(str(error.param.name), ()) if error.param else ()
        error.param_hint = next((f"'-{name}'" for name in names if name in given), error.param_hint)
        raise
    except click.UsageError as error:
        raise click.UsageError(f"{error.message}. {_WORDS_OF_SERVE}.", ctx) from error


def _require_no_consul(folder: Path) -> None:
    """End the process at the data of a Consul server, on which this would be an empty store."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:  # not there yet, or not for this user: the start will say so
        return
    if "raft" in names and Listing.of(names).is_empty:
        give_up(
            EXIT_FOLDER_UNUSABLE,
            f"{folder} holds the data of a Consul server (raft), which kvstore does not read: it "
            "would begin with an empty store. Bring the data over first (`consul snapshot save` "
            "there, `kvstore restore` here), or choose another folder with -data-dir.",
        )


def _tell_ignored(given: Given) -> None:
    """Name the flags that do nothing here in one line of the log, without their values."""
    by_reason: dict[str, list[str]] = {}
    for name in given:
        if FLAGS[name].fate == "ignored":
            by_reason.setdefault(FLAGS[name].text, []).append(f"-{name}")
    if "config-dir" in given:
        by_reason["no settings in it"] = ["-config-dir"]
    if by_reason:
        groups = (f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
        log.info("flags of Consul's agent that do nothing here: %s", "; ".join(groups))

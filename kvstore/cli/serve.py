"""`kvstore serve`: flags, environment and file → Settings; errors → one sentence and an exit code.

Heavy modules are imported when they are needed: it listens before it loads the server.
"""

import asyncio
import difflib
import errno
import ipaddress
import signal
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from kvstore import __version__
from kvstore.cli.exits import (
    EXIT_CANNOT_LISTEN,
    EXIT_FOLDER_UNUSABLE,
    give_up,
    journal_exit,
)
from kvstore.cli.params import GoDuration, Name, Size
from kvstore.duration import NS_PER_MS, NS_PER_S
from kvstore.errors import JournalError, JournalUnwritable
from kvstore.journal.space import DEFAULT_SPACE, Space
from kvstore.listening import open_listener, reachable_host
from kvstore.logs import LogFormat, set_up_logging
from kvstore.maintenance.retention import (
    DEFAULT_RETENTION,
    DEFAULT_RULE,
    CompactionRule,
    Retention,
)
from kvstore.settings import Settings

__all__ = ["serve"]


def _read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Make the lines of a TOML file the defaults of the flags of the same names."""
    if path is None:
        return None
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} is not TOML: {error}") from error
    known = {param.name: param for param in ctx.command.params if param.name != "config"}
    defaults: dict[str, Any] = {}
    for name, value in lines.items():
        field = name.replace("-", "_")
        if field not in known:
            near = difflib.get_close_matches(field, [str(one) for one in known], n=1)
            hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            raise click.BadParameter(f"{path} has an unknown setting {name!r}{hint}")
        kind = _toml_kind(known[field])
        if type(value).__name__ != kind or "\0" in str(value):
            expected = _TOML_KINDS[kind]
            raise click.BadParameter(f"{path} has {name} = {value!r}, expected {expected}")
        defaults[field] = value
    ctx.default_map = defaults
    return path


_TOML_KINDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number with a point",
    "bool": "true or false",
}


def _toml_kind(param: click.Parameter) -> str:
    if isinstance(param, click.Option) and param.is_flag:
        return "bool"
    if isinstance(param.type, click.FloatRange):
        return "float"
    return "int" if isinstance(param.type, click.IntRange) else "str"


@click.command(
    epilog="Each flag is also an environment variable (--data-dir: KVSTORE_DATA_DIR) and a line in "
    'the file of --config (data-dir = "/var/lib/kvstore"); a flag beats the environment, the '
    "environment beats the file.\n\n"
    "Exit codes: 0 stopped by a signal, 2 wrong usage, 3 cannot listen, 4 data folder unusable, "
    "5 data folder in use, 6 journal damaged, 7 journal could not be written, 8 disk full, "
    "9 disk read-only."
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    envvar="KVSTORE_CONFIG",
    help="A TOML file with settings, named like the flags.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="KVSTORE_HOST",
    help="The address to listen on; 0.0.0.0 or :: is every interface, which engines on other "
    "hosts need. There is no access control yet: open it only to a network you trust.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8500,
    show_default=True,
    envvar="KVSTORE_PORT",
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("kvstore-data"),
    show_default=True,
    envvar="KVSTORE_DATA_DIR",
    help="The folder of the journal; made if it is not there. One server owns it at a time.",
)
@click.option(
    "--sync",
    type=click.Choice(["always", "never"]),
    default="always",
    show_default=True,
    envvar="KVSTORE_SYNC",
    help="When a write is on the disk for sure: before it is acknowledged, or whenever the system "
    "gets to it (a loss of power then loses writes that were acknowledged).",
)
@click.option(
    "--compact-min-size",
    type=Size(),
    default=DEFAULT_RULE.bytes_min,
    show_default="64MiB",
    envvar="KVSTORE_COMPACT_MIN_SIZE",
    help="Compact the journal, in a process beside the server, when what was written since the "
    "last snapshot is larger than this and than --compact-ratio snapshots.",
)
@click.option(
    "--compact-ratio",
    type=click.FloatRange(min=0),
    default=DEFAULT_RULE.ratio,
    show_default=True,
    envvar="KVSTORE_COMPACT_RATIO",
    help="See --compact-min-size. A restart reads a snapshot and at most this many times as much.",
)
@click.option(
    "--history",
    type=GoDuration(zero=True),
    default=DEFAULT_RETENTION.age_ms * NS_PER_MS,
    show_default="168h",
    envvar="KVSTORE_HISTORY",
    help="How long what was compacted is kept, for `kvstore log`, `history` and `restore --at`.",
)
@click.option(
    "--history-max-size",
    type=Size(),
    default=DEFAULT_RETENTION.bytes_max,
    show_default="512MiB",
    envvar="KVSTORE_HISTORY_MAX_SIZE",
    help="How much of it at most; the oldest goes first, when the journal is compacted.",
)
@click.option(
    "--data-max-size",
    type=Size(),
    default=DEFAULT_SPACE.folder_bytes_max,
    show_default="0, no limit",
    envvar="KVSTORE_DATA_MAX_SIZE",
    help="Refuse writes that add data (status 507) when the data folder holds this much; deletes "
    "go on.",
)
@click.option(
    "--disk-free-min",
    type=Size(),
    default=DEFAULT_SPACE.free_bytes_min,
    show_default="64MiB",
    envvar="KVSTORE_DISK_FREE_MIN",
    help="The same when less than this is left on the disk: before it is full, which would end "
    "all writes until a restart.",
)
@click.option(
    "--node",
    type=Name(),
    default=socket.gethostname,
    show_default="the host's name",
    envvar="KVSTORE_NODE",
    help="The node's name, shown to clients.",
)
@click.option(
    "--datacenter",
    type=Name(),
    default="dc1",
    show_default=True,
    envvar="KVSTORE_DATACENTER",
    help="The datacenter's name; requests for another one are refused.",
)
@click.option(
    "--session-ttl-min",
    type=GoDuration(),
    default=10 * NS_PER_S,
    show_default="10s",
    envvar="KVSTORE_SESSION_TTL_MIN",
    help="The shortest TTL a session may ask for.",
)
@click.option(
    "--adopt-lost-cas",
    is_flag=True,
    envvar="KVSTORE_ADOPT_LOST_CAS",
    help="After the loss of all data: let a check-and-set whose index this store never issued "
    "create its key, so that engines that still know the lost store get on instead of trying for "
    "minutes.",
)
@click.option(
    "--dev",
    is_flag=True,
    envvar="KVSTORE_DEV",
    help="Keep everything in memory; nothing survives the end of the process.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="KVSTORE_LOG_FORMAT",
    help="Lines for people, or a JSON object a line.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="KVSTORE_LOG_LEVEL",
    help="The least important kind of line to write; debug has a line for each request.",
)
def serve(  # noqa: PLR0913 - one parameter for each flag
    *,
    host: str,
    port: int,
    data_dir: Path,
    sync: Literal["always", "never"],
    compact_min_size: int,
    compact_ratio: float,
    history: int,
    history_max_size: int,
    data_max_size: int,
    disk_free_min: int,
    node: str,
    datacenter: str,
    session_ttl_min: int,
    adopt_lost_cas: bool,
    dev: bool,
    log_format: LogFormat,
    log_level: str,
) -> None:
    """Run the server until it is told to stop (SIGTERM or Ctrl-C).

    \b
    Try it:            kvstore serve --dev
    For Docker:        kvstore serve --host 0.0.0.0 --data-dir /var/lib/kvstore
    and each engine:   dockerd --cluster-store=consul://THIS_HOST:8500 --cluster-advertise=IP:2376
    """  # noqa: D301 - as above
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # until the server has something to drain
    set_up_logging(log_format, log_level)
    settings = Settings(
        data_dir=None if dev else data_dir,
        node=node,
        datacenter=datacenter,
        sync=sync == "always",
        compaction=CompactionRule(compact_min_size, compact_ratio),
        history=Retention(history // NS_PER_MS, history_max_size),
        space=Space(data_max_size, disk_free_min),
        session_ttl_min_ns=session_ttl_min,
        adopt_lost_cas=adopt_lost_cas,
    )
    try:
        listener = open_listener(host, port)
    except (OSError, UnicodeError) as error:
        give_up(EXIT_CANNOT_LISTEN, _cannot_listen(host, port, error))
    asyncio.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    """Start, wait for a signal, stop; whatever goes wrong ends in one sentence and its code."""
    from kvstore.cli.replaying import ReplayReport  # noqa: PLC0415
    from kvstore.process import allow_descriptors, map_large_blocks  # noqa: PLC0415
    from kvstore.server import Server  # noqa: PLC0415 - after the listener: see listening.py

    map_large_blocks()
    allow_descriptors()
    server = Server(settings, listener)
    try:
        with ReplayReport() as report:
            await server.start(report.step)
    except (JournalError, OSError) as error:
        give_up(*_cannot_start(settings, error))
    click.echo(_greeting(settings, listener), err=True)
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    stopping = asyncio.create_task(told_to_stop.wait())
    failing = asyncio.create_task(server.wait_failed())
    await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        await failing
    failing.cancel()
    try:
        await server.stop()
    except JournalUnwritable as failure:
        give_up(*journal_exit(failure))


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> str:
    own = "Choose an address of this machine with --host."
    if isinstance(error, UnicodeError):
        return f"cannot listen on {host}:{port}: that is no host's name. {own}"
    reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
    if error.errno == errno.EADDRINUSE:
        return f"{reason}. Another server has this port: stop it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"{reason}. Ports below 1024 need root: choose another with --port."
    return f"{reason}. {own}"


def _cannot_start(settings: Settings, error: JournalError | OSError) -> tuple[int, str]:
    """Return the exit code and the sentence for a start that failed."""
    if isinstance(error, JournalError):
        return journal_exit(error)
    return EXIT_FOLDER_UNUSABLE, (
        f"cannot use the data folder: {settings.data_dir}: {error.strerror or error}. "
        "Make it writable for this user, or choose another with --data-dir."
    )


def _greeting(settings: Settings, listener: socket.socket) -> str:
    """Return what people see at the start: where the data is, and how engines get here."""
    address, port = listener.getsockname()[:2]
    host = reachable_host(listener)
    where = "in memory only (--dev): nothing survives the end of this process"
    if settings.data_dir is not None:
        promise = "synced before it is acknowledged" if settings.sync else "synced now and then"
        where = f"in {settings.data_dir.absolute()}, each write {promise}"
    lines = [
        f"kvstore {__version__} listens on {_url(address, port)}",
        f"  node {settings.node}, datacenter {settings.datacenter}; data {where}",
    ]
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        lines += [
            "  Only this machine can reach it. To open it to the engines of other hosts:",
            f"    kvstore serve --host 0.0.0.0 --port {port}",
            "  Then, or for an engine on this machine:",
        ]
    else:
        lines += ["  Start each engine with:"]
    flag = f"--cluster-store={_url(host, port, 'consul')}"
    return "\n".join([*lines, f"    dockerd {flag} --cluster-advertise=ENGINE_IP:2376"])


def _url(host: str, port: int, scheme: str = "http") -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

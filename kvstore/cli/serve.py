"""`kvstore serve`: flags, environment and file → Settings and what to listen on."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click
from click.core import ParameterSource

from kvstore.api.limits import DEFAULT_LIMITS
from kvstore.cli.config_file import read_config
from kvstore.cli.params import GoDuration, ListenAddress, Name, Size
from kvstore.cli.running import inherited_or_give_up, run
from kvstore.duration import NS_PER_MS, NS_PER_S
from kvstore.engine.admission import SESSIONS_MAX
from kvstore.journal.space import DEFAULT_SPACE, Space
from kvstore.listening import Address, Listener, TcpAddress, assign
from kvstore.logs import LogFormat, set_up_logging
from kvstore.maintenance.retention import (
    DEFAULT_RETENTION,
    DEFAULT_RULE,
    CompactionRule,
    Retention,
)
from kvstore.settings import Settings
from kvstore.transport.credentials import TlsFiles, TlsVersion
from kvstore.transport.door import CONNECTIONS_MAX

__all__ = ["serve"]


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
    callback=read_config,
    envvar="KVSTORE_CONFIG",
    help="A TOML file with settings, named like the flags.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="KVSTORE_HOST",
    help="The address to listen on; 0.0.0.0 or :: is every interface, which engines on other "
    "hosts need. Without --tokens and TLS, open it only to a network you trust.",
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
    "--listen",
    type=ListenAddress(),
    multiple=True,
    envvar="KVSTORE_LISTEN",
    help="Instead of --host and --port, as often as you like: http://HOST:PORT, https://HOST:PORT "
    "(with TLS), unix:///PATH?mode=0660. A list in the file, with spaces in the environment.",
)
@click.option(
    "--tls-cert-file",
    type=click.Path(path_type=Path),
    envvar="KVSTORE_TLS_CERT_FILE",
    help="The certificate for https listeners, PEM, followed by those between it and its CA. "
    "SIGHUP has this and the next two read again, while connections go on.",
)
@click.option(
    "--tls-key-file",
    type=click.Path(path_type=Path),
    envvar="KVSTORE_TLS_KEY_FILE",
    help="Its private key, PEM, without a password.",
)
@click.option(
    "--tls-client-ca-file",
    type=click.Path(path_type=Path),
    envvar="KVSTORE_TLS_CLIENT_CA_FILE",
    help="Accept only clients with a certificate that one of the CAs in this file has signed.",
)
@click.option(
    "--tls-min-version",
    type=click.Choice(["1.2", "1.3"]),
    default="1.2",
    show_default=True,
    envvar="KVSTORE_TLS_MIN_VERSION",
    help="The oldest version of TLS that is spoken; engines before 20.10 may know 1.2 only.",
)
@click.option(
    "--tokens",
    type=click.Path(path_type=Path),
    envvar="KVSTORE_TOKENS",
    help="The file or folder of tokens, and what each may do; without it everybody may do "
    "everything. SIGHUP has it read again.",
)
@click.option(
    "--data-dir",
    # Whether it may be read is found out, and said, by who uses it.
    type=click.Path(file_okay=False, readable=False, path_type=Path),
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
    "--sessions-max",
    type=click.IntRange(1),
    default=SESSIONS_MAX,
    show_default=True,
    envvar="KVSTORE_SESSIONS_MAX",
    help="How many sessions there may be; one more is refused (status 503).",
)
@click.option(
    "--connections-max",
    type=click.IntRange(0),
    default=CONNECTIONS_MAX,
    show_default=True,
    envvar="KVSTORE_CONNECTIONS_MAX",
    help="How many connections there may be, 0 for as many as the limit of open files allows; one "
    "more is answered with a 503 and closed. An engine holds one for each of its networks.",
)
@click.option(
    "--client-connections-max",
    type=click.IntRange(0),
    default=0,
    show_default="0, three quarters of all",
    envvar="KVSTORE_CLIENT_CONNECTIONS_MAX",
    help="How many of them one address may have; one more is answered with a 429 and closed.",
)
@click.option(
    "--buffers-max-size",
    type=Size(),
    default=DEFAULT_LIMITS.received_bytes,
    show_default="256MiB",
    envvar="KVSTORE_BUFFERS_MAX_SIZE",
    help="How much memory all unfinished requests may take, and once more all large answers that "
    "were not read yet. Beyond it large requests and large answers are a 503.",
)
@click.option(
    "--slow-client-timeout",
    type=GoDuration(),
    default=int(DEFAULT_LIMITS.head_s * NS_PER_S),
    show_default="60s",
    envvar="KVSTORE_SLOW_CLIENT_TIMEOUT",
    help="How long a client may take to send the head of a request, and, beyond a second for every "
    "8 KiB, its body (status 408); five times as long to read an answer. Idle connections and "
    "blocking queries are never ended.",
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
@click.pass_context
def serve(  # noqa: PLR0913 - one parameter for each flag
    ctx: click.Context,
    *,
    host: str,
    port: int,
    listen: tuple[Address, ...],
    tls_cert_file: Path | None,
    tls_key_file: Path | None,
    tls_client_ca_file: Path | None,
    tls_min_version: TlsVersion,
    tokens: Path | None,
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
    sessions_max: int,
    connections_max: int,
    client_connections_max: int,
    buffers_max_size: int,
    slow_client_timeout: int,
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
    inherited, addresses = _shared_out(
        ctx, inherited_or_give_up(), _addresses(ctx, TcpAddress(host, port), listen)
    )
    everywhere = [*(one.address for one in inherited), *addresses]
    files = _tls_files(everywhere, tls_cert_file, tls_key_file, tls_client_ca_file, tls_min_version)
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
        sessions_max=sessions_max,
        connections_max=connections_max,
        client_connections_max=client_connections_max,
        limits=DEFAULT_LIMITS.changed(buffers_max_size, slow_client_timeout / NS_PER_S),
        adopt_lost_cas=adopt_lost_cas,
        tls=files,
        tokens=tokens,
    )
    run(settings, addresses, inherited)


# From the weakest to the strongest.
_SOURCES = (
    ParameterSource.DEFAULT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
)


def _addresses(
    ctx: click.Context, short: TcpAddress, listen: Sequence[Address]
) -> Sequence[Address]:
    """Return what to listen on, of the short form and --listen the one that was said last.

    A flag beats the environment, the environment beats the file; both from one source is an error.
    """
    host, port, long = (_strength(ctx, name) for name in ("host", "port", "listen"))
    if not listen or long < max(host, port):
        return [short]
    if long == max(host, port):
        raise click.UsageError(
            "--listen and --host or --port together: say --listen http://HOST:PORT instead"
        )
    if len(set(map(str, listen))) < len(listen):
        raise click.UsageError("--listen names one address twice")
    return listen


def _shared_out(
    ctx: click.Context, inherited: Sequence[Listener], addresses: Sequence[Address]
) -> tuple[Sequence[Listener], Sequence[Address]]:
    """Return the sockets that were handed over, and the addresses that are still to be opened.

    The default address is none of them: who hands over sockets has said where to listen.
    """
    if inherited and not any(_strength(ctx, name) for name in ("host", "port", "listen")):
        return inherited, ()
    try:
        return assign(inherited, addresses)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _strength(ctx: click.Context, name: str) -> int:
    """Return how much a setting's source counts; 0 for a default."""
    source = ctx.get_parameter_source(name)
    return _SOURCES.index(source) if source in _SOURCES else 0


def _tls_files(
    addresses: Sequence[Address],
    certificate: Path | None,
    key: Path | None,
    client_ca: Path | None,
    min_version: TlsVersion,
) -> TlsFiles | None:
    """Return the files of TLS; a listener without them and they without a listener are errors."""
    wanted = any(isinstance(one, TcpAddress) and one.tls for one in addresses)
    if not wanted:
        if certificate or key or client_ca:
            raise click.UsageError(
                "TLS files without a listener that uses them: add --listen https://HOST:PORT"
            )
        return None
    if certificate is None or key is None:
        raise click.UsageError("--listen https://… needs --tls-cert-file and --tls-key-file")
    return TlsFiles(certificate, key, client_ca, min_version)

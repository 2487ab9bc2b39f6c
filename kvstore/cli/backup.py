"""`kvstore backup`: a store in one file.

Backups have the format of `consul snapshot save`, so either server's can be restored on the other.
"""

import asyncio
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from kvstore.cli.output import print_json, progress
from kvstore.cli.params import ServerUrl, default_server
from kvstore.cli.past import POINTS_HELP, PointType, ends_in_a_sentence, now_ms, state_at
from kvstore.journal.space import format_bytes

if TYPE_CHECKING:
    from kvstore.maintenance.backup import Backup
    from kvstore.maintenance.point import Point

__all__ = ["EXIT_CODES", "backup"]

_PIECE_BYTES = 256 * 1024

EXIT_CODES = (
    " Exit codes: 0 done, 2 wrong usage, 4 cannot be read or written, 5 data folder in use, "
    "6 damaged, 7 could not be written, 8 disk full, 9 disk read-only, 10 server not reached or "
    "refused, 11 exists already, 12 the index or the time is not kept."
)
"""How backup and restore can end, for their help."""


@click.command(epilog=POINTS_HELP + EXIT_CODES)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to make. It gets its name when it is whole, verified and synced.",
)
@click.option(
    "--url",
    type=ServerUrl(),
    help="A running server, ours or a real Consul. Default without --data-dir: KVSTORE_URL, then "
    "CONSUL_HTTP_ADDR, then this machine's. A token comes from CONSUL_HTTP_TOKEN.",
)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A data folder instead; a server may be running on it.",
)
@click.option("--at", type=PointType(), help="With --data-dir: the store as it was then.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(
    *,
    output: Path,
    url: str | None,
    data_dir: Path | None,
    at: "Point | None",
    force: bool,
    as_json: bool,
) -> None:
    """Save the whole store, as it was at one index, in one file.

    The file has the format of `consul snapshot save`: a real Consul restores it too.

    \b
      kvstore backup -o nightly.snap
      kvstore backup -o nightly.snap --url http://HOST:8500
      kvstore backup -o before.snap --data-dir /var/lib/kvstore --at '2026-11-23 10:30'
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    if url is not None and data_dir is not None:
        raise click.UsageError("--url and --data-dir exclude each other: name one source")
    if at is not None and data_dir is None:
        raise click.UsageError("--at looks into the history of a folder: name it with --data-dir")
    from kvstore.durable import new_file  # noqa: PLC0415 - slow to load
    from kvstore.maintenance.backup import read_backup  # noqa: PLC0415 - slow to load

    taken = "Choose another name, or replace it with --force."
    with ends_in_a_sentence(data_dir, when_taken=taken):
        with new_file(output, replace=force) as file:
            if data_dir is None:
                asyncio.run(_save(url or default_server(), file))
            else:
                _write(data_dir, at, file)
            made = read_backup(file)
        _tell_backup(output, made, as_json=as_json)


async def _save(url: str, file: IO[bytes]) -> None:
    from kvstore.client import Client  # noqa: PLC0415 - aiohttp is heavy

    async with Client(url) as client, client.stream("GET", "/v1/snapshot") as response:
        with progress("saving", response.content_length) as advance:
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                file.write(piece)
                advance(len(piece))


def _write(folder: Path, at: "Point | None", file: IO[bytes]) -> None:
    from kvstore.archive.archive import write_archive  # noqa: PLC0415 - slow to load

    state, _ = state_at(folder, at)
    write_archive(state.image(), file, made_ms=now_ms())


def _tell_backup(path: Path, made: "Backup", *, as_json: bool) -> None:
    state = made.state
    facts = {
        "file": str(path),
        "index": state.last_index,
        "keys": state.entry_count,
        "sessions": state.session_count,
        "size_bytes": made.size_bytes,
    }
    if as_json:
        print_json(facts)
        return
    click.echo(
        f"saved {path}: index {state.last_index}, {state.entry_count} keys, "
        f"{state.session_count} sessions, {format_bytes(made.size_bytes)}, verified"
    )

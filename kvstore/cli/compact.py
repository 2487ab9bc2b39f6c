"""`kvstore compact`: make a snapshot now, on a running server or in a folder without one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from kvstore.cli.exits import EXIT_FOLDER_UNUSABLE, EXIT_SERVER, give_up, journal_exit
from kvstore.cli.params import GoDuration, ServerUrl, Size, default_server
from kvstore.duration import NS_PER_MS
from kvstore.errors import CallFailed, CompactionFailed, JournalError
from kvstore.journal.listing import Listing
from kvstore.journal.space import Space, format_bytes
from kvstore.maintenance.retention import DEFAULT_RETENTION, CompactionRule, Retention

__all__ = ["compact"]


@click.command()
@click.option(
    "--url", type=ServerUrl(), help="The running server; default KVSTORE_URL, or this machine's."
)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that no server is using, instead of a server.",
)
@click.option(
    "--history",
    type=GoDuration(zero=True),
    default=DEFAULT_RETENTION.age_ms * NS_PER_MS,
    show_default="168h",
    help="With --data-dir: how long what is compacted is kept to look back.",
)
@click.option(
    "--history-max-size",
    type=Size(),
    default=DEFAULT_RETENTION.bytes_max,
    show_default="512MiB",
    help="With --data-dir: how much of it at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compact(
    *, url: str | None, data_dir: Path | None, history: int, history_max_size: int, as_json: bool
) -> None:
    """Write a snapshot of the store, so that the journal before it need not be read again.

    A server does this by itself when it is due (`kvstore serve --compact-min-size`); requests do
    not wait for it, then or now. Older files stay as long as the history is kept.

    \b
      kvstore compact
      kvstore compact --data-dir /var/lib/kvstore --history 0
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    if data_dir is None:
        result = asyncio.run(_ask(url or default_server()))
    else:
        result = asyncio.run(_compact_folder(data_dir, history // NS_PER_MS, history_max_size))
    if as_json:
        click.echo(json.dumps(result))
    elif result["compacted"]:
        size = format_bytes(result["size_bytes"])
        click.echo(
            f"compacted up to index {result['last_index']}: "
            f"{result['entry_count']} keys in a snapshot of {size}"
        )
    else:
        click.echo("nothing to compact: nothing was written since the last snapshot")


async def _ask(url: str) -> dict[str, Any]:
    from kvstore.client import Client  # noqa: PLC0415 - aiohttp is heavy

    try:
        async with Client(url) as client:
            answer = await client.call("PUT", "/v1/kvstore/compact")
    except CallFailed as error:
        give_up(EXIT_SERVER, f"{error}. For a folder without a server there is --data-dir.")
    result: dict[str, Any] = json.loads(answer.body)
    return result


async def _compact_folder(folder: Path, age_ms: int, bytes_max: int) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 - with the rest of what is heavy

    from kvstore.clock import SystemClock  # noqa: PLC0415
    from kvstore.journal.disk import Folder, FolderDisk  # noqa: PLC0415
    from kvstore.journal.file import FileJournal  # noqa: PLC0415
    from kvstore.maintenance.compactor import Compactor, build_in_process  # noqa: PLC0415

    if Listing.of(Folder(folder).names()).is_empty:
        give_up(EXIT_FOLDER_UNUSABLE, f"there is no store in {folder}. Name the right --data-dir.")
    try:
        journal = FileJournal(FolderDisk(folder))
        try:
            journal.base()
            for _ in journal.replay():
                pass
            never = CompactionRule(bytes_min=2**63, ratio=0)
            kept = Retention(age_ms, bytes_max)
            compactor = Compactor(journal, SystemClock(), never, kept, Space(), build_in_process)
            built = await compactor.compact()
        finally:
            await journal.close()
    except JournalError as error:
        give_up(*journal_exit(error))
    except (CompactionFailed, OSError) as error:
        give_up(EXIT_FOLDER_UNUSABLE, f"{folder}: {error}. Nothing was lost.")
    return {"compacted": built is not None, **(asdict(built) if built else {})}

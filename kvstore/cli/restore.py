"""`kvstore restore`: a store brought back, from a backup, from a folder's past, or from damage."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from kvstore.cli.backup import EXIT_CODES
from kvstore.cli.exits import EXIT_FOLDER_LOCKED, give_up
from kvstore.cli.output import print_json, progress
from kvstore.cli.params import ServerUrl
from kvstore.cli.past import (
    POINTS_HELP,
    PointType,
    ends_in_a_sentence,
    json_time,
    now_ms,
    shown_time,
    state_at,
)
from kvstore.errors import JournalCorrupt, JournalLocked, NoStore
from kvstore.journal.disk import Folder

if TYPE_CHECKING:
    from kvstore.maintenance.point import Moment, Point
    from kvstore.state.store import State

__all__ = ["restore"]


@dataclass(frozen=True, slots=True)
class _Told:
    """What came of a restore, for people and for programs."""

    lines: list[str]
    facts: dict[str, Any]


@click.command(epilog=POINTS_HELP + EXIT_CODES)
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The new folder to make; with --at alone, the folder to bring back the past of.",
)
@click.option(
    "--url",
    type=ServerUrl(),
    help="A running server, ours or a real Consul, to send the content to. A token comes from "
    "CONSUL_HTTP_TOKEN.",
)
@click.option(
    "--from",
    "damaged",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A damaged folder, to make a new one of what it still has. It is only read.",
)
@click.option("--at", type=PointType(), help="The point of a folder's past to bring back.")
@click.option(
    "--bump",
    type=click.IntRange(0, 2**62),
    show_default="1000000",
    help="How far behind its last index a new folder goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(
    *,
    file: Path | None,
    data_dir: Path | None,
    url: str | None,
    damaged: Path | None,
    at: "Point | None",
    bump: int | None,
    as_json: bool,
) -> None:
    """Bring a store back.

    From a backup FILE, also of a real Consul, into a new data folder, or into a running server:

    \b
      kvstore restore nightly.snap --data-dir /var/lib/kvstore-new
      kvstore restore nightly.snap --url http://HOST:8500

    Undo: the content becomes what it was at a point of the folder's own history. That is one more
    write: nothing is lost, indexes go forward, and the undo can be undone. Without a server on the
    folder, or with --url through the one that runs on it:

    \b
      kvstore restore --at -1h --data-dir /var/lib/kvstore
      kvstore restore --at 4711 --data-dir /var/lib/kvstore --url http://127.0.0.1:8500

    From a damaged folder, what can still be read, into a new one:

    \b
      kvstore restore --from /var/lib/kvstore --data-dir /var/lib/kvstore-new

    A new folder keeps the indexes of all keys, and goes on --bump behind the last one. Clients of
    the lost store may know indexes that it gave out after the backup. If the new one gave them out
    again, for something else, a check-and-set would overwrite what its client has never seen, and
    a watch would wait for what has been. The default is more than is written between two backups;
    0 is for a store that was stopped before the backup was made, and whose clients are gone.

    Sessions come back too, and what they hold; one with a TTL ends by itself if nobody renews it.
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    _require_one_way(file, data_dir, url, damaged, at)
    if bump is not None and (url is not None or (file is None and damaged is None)):
        raise click.UsageError("--bump is for a new folder: with FILE or --from, and --data-dir")
    taken = "Choose a new folder."
    with ends_in_a_sentence(damaged or data_dir, when_taken=taken):
        if damaged is not None and data_dir is not None:
            told = _from_damaged(damaged, data_dir, at, bump)
        elif file is not None and data_dir is not None:
            told = _from_file(file, data_dir, bump)
        elif file is not None and url is not None:
            told = _file_to_server(file, url)
        elif url is not None and data_dir is not None:
            told = _past_to_server(data_dir, at, url)
        else:
            assert data_dir is not None
            assert at is not None
            told = _undo(data_dir, at)
    if as_json:
        print_json(told.facts)
    else:
        click.echo("\n".join(told.lines))


def _require_one_way(
    file: Path | None,
    data_dir: Path | None,
    url: str | None,
    damaged: Path | None,
    at: "Point | None",
) -> None:
    """See that the flags name one of the ways."""
    given = (file is not None, data_dir is not None, url is not None, damaged is not None)
    ways = {
        (True, True, False, False): at is None,  # a file into a new folder
        (True, False, True, False): at is None,  # a file to a server
        (False, True, False, True): True,  # a damaged folder into a new one
        (False, True, False, False): at is not None,  # undo
        (False, True, True, False): at is not None,  # undo through a server
    }
    if not ways.get(given, False):
        raise click.UsageError(
            "name one way: FILE --data-dir NEW, FILE --url URL, --at POINT --data-dir FOLDER "
            "[--url URL], or --from DAMAGED --data-dir NEW [--at POINT]"
        )


def _from_file(path: Path, folder: Path, bump: int | None) -> _Told:
    from kvstore.maintenance.backup import read_backup  # noqa: PLC0415 - slow to load

    with path.open("rb") as file:
        read = read_backup(file)
    told = _new_folder(folder, read.state, bump)
    first = f"{path} is restored as {folder}: {_content(read.state)}."
    lines = [first, *_left_out(read.left_out), *told.lines]
    return _Told(lines, {**told.facts, "left_out": read.left_out})


def _left_out(left_out: dict[str, int]) -> list[str]:
    counts = ", ".join(f"{kind}: {count}" for kind, count in left_out.items())
    return [f"Left out, as no business of this store: {counts}."] if counts else []


def _new_folder(folder: Path, state: "State", bump: int | None) -> _Told:
    from kvstore.maintenance.restore import BUMP, new_store  # noqa: PLC0415 - slow to load

    bump = BUMP if bump is None else bump
    with progress("writing", 2 * state.entry_count, unit="keys") as advance:
        built = new_store(folder, state.image(), bump, now_ms(), advance)
    lines = [
        f"Its last index was {state.last_index}; the next write has {built.last_index + 1}.",
        f"Start it: kvstore serve --data-dir {folder}",
    ]
    facts = {
        "data_dir": str(folder),
        "index": state.last_index,
        "next_index": built.last_index + 1,
        "keys": state.entry_count,
        "sessions": state.session_count,
    }
    return _Told(lines, facts)


def _content(state: "State") -> str:
    return f"{state.entry_count} keys, {state.session_count} sessions"


def _from_damaged(damaged: Path, folder: Path, at: "Point | None", bump: int | None) -> _Told:
    from kvstore.maintenance.point import find, settled  # noqa: PLC0415 - slow to load
    from kvstore.maintenance.restore import recover  # noqa: PLC0415 - as above

    files = Folder(damaged)
    upto = None if at is None else find(files, at, damaged=True).index
    found = settled(files, lambda: recover(files, upto))
    state = found.state
    told = _new_folder(folder, state, bump)
    lines = [
        f"{damaged} is restored as {folder} up to index {state.last_index}: {_content(state)}."
    ]
    if found.damage is not None:
        lines += [
            _damage(found.damage),
            f"What was written after index {state.last_index} is lost.",
        ]
    reason = None if found.damage is None else str(found.damage)
    return _Told([*lines, *told.lines], {**told.facts, "damage": reason})


def _damage(damage: JournalCorrupt) -> str:
    text = str(damage)
    return f"{text[0].upper()}{text[1:]}."


def _undo(folder: Path, at: "Point") -> _Told:
    from kvstore.maintenance.restore import undo  # noqa: PLC0415 - slow to load

    _require_folder(folder)
    try:
        done = asyncio.run(undo(folder, at, now_ms()))
    except JournalLocked as error:
        step = "Stop it, or let it do the restore: name its address with --url."
        give_up(EXIT_FOLDER_LOCKED, f"{error}. {step}")
    changed = f"{_content(done.state)}, {done.changed_count} keys changed"
    lines = [
        f"Index {done.index} made {folder} what it was at {_when(done.moment)}: {changed}.",
        f"Take it back: kvstore restore --at {done.index - 1} --data-dir {folder}",
    ]
    facts = {
        "data_dir": str(folder),
        "index": done.index,
        "restored_index": done.moment.index,
        "restored_time": json_time(done.moment.written_ms),
        "keys": done.state.entry_count,
        "sessions": done.state.session_count,
        "changed_keys": done.changed_count,
    }
    return _Told(lines, facts)


def _require_folder(folder: Path) -> None:
    """See that there is a store, so that no folder is made where there is none."""
    from kvstore.maintenance.point import require_store  # noqa: PLC0415 - slow to load

    if not folder.is_dir():
        raise NoStore(folder)
    require_store(Folder(folder))


def _when(moment: "Moment") -> str:
    written = shown_time(moment.written_ms)
    return f"index {moment.index}" + (f" ({written})" if written else "")


def _file_to_server(path: Path, url: str) -> _Told:
    from kvstore.maintenance.backup import read_backup  # noqa: PLC0415 - slow to load

    with path.open("rb") as file:
        read = read_backup(file)
        file.seek(0)
        asyncio.run(_send(url, file))
    facts = {
        "url": url,
        "keys": read.state.entry_count,
        "sessions": read.state.session_count,
    }
    return _Told([f"{url} has the content of {path}: {_content(read.state)}."], facts)


def _past_to_server(folder: Path, at: "Point | None", url: str) -> _Told:
    from kvstore.archive.archive import write_archive  # noqa: PLC0415 - slow to load

    _require_folder(folder)
    state, moment = state_at(folder, at)
    with tempfile.TemporaryFile() as file:
        write_archive(state.image(), file, made_ms=now_ms())
        file.seek(0)
        asyncio.run(_send(url, file))
    facts = {
        "url": url,
        "restored_index": moment.index,
        "restored_time": json_time(moment.written_ms),
        "keys": state.entry_count,
        "sessions": state.session_count,
    }
    first = f"{url} has the content that {folder} had at {_when(moment)}: {_content(state)}."
    return _Told([first], facts)


async def _send(url: str, file: IO[bytes]) -> None:
    from kvstore.client import Client  # noqa: PLC0415 - aiohttp is heavy

    async with Client(url) as client:
        await client.call("PUT", "/v1/snapshot", file)

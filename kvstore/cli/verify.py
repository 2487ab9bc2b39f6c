"""`kvstore verify`: whether all of a data folder, or of a backup, is what it should be."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstore.cli.exits import EXIT_JOURNAL_DAMAGED
from kvstore.cli.output import print_json, print_table, progress
from kvstore.cli.past import ends_in_a_sentence, json_time, shown_time, size_to_read
from kvstore.errors import ArchiveUnreadable
from kvstore.journal.disk import Folder
from kvstore.journal.space import format_bytes

if TYPE_CHECKING:
    from kvstore.maintenance.verify import FileReport, FolderReport

__all__ = ["verify"]


@click.command(
    epilog="Exit codes: 0 sound, 2 wrong usage, 4 cannot be read, or no store there, 6 damaged."
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(*, path: Path, as_json: bool) -> None:
    """Read all of a data folder, or of a backup, and tell what is sound in it.

    Every checksum of every file, the history too; whether a record is missing; whether each
    snapshot is what the journal before it comes to; and whether the store agrees with itself. It
    goes on after damage, changes nothing, and may run beside a server.

    \b
      kvstore verify /var/lib/kvstore
      kvstore verify nightly.snap
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    with ends_in_a_sentence():
        is_sound = _verify_folder(path, as_json) if path.is_dir() else _verify_file(path, as_json)
    if not is_sound:
        sys.exit(EXIT_JOURNAL_DAMAGED)


def _verify_folder(path: Path, as_json: bool) -> bool:  # noqa: FBT001 - as the flag is
    from kvstore.maintenance.verify import verify_folder  # noqa: PLC0415 - slow to load

    files = Folder(path)
    with progress("verifying", size_to_read(files)) as advance:
        report = verify_folder(files, advance)
    if as_json:
        print_json(_folder_json(path, report))
    else:
        columns = ["file", "kind", "first", "last", "holds", "size", "from", "to", "verdict"]
        print_table(columns, map(_file_row, report.files))
        click.echo("\n".join([*_remarks(report), *_conclusion(path, report)]))
    return not report.problems


def _file_row(one: "FileReport") -> list[object]:
    things = {"segment": "records", "snapshot": "keys"}.get(one.kind.value)
    return [
        one.name,
        one.kind.value,
        "" if one.first_index is None else str(one.first_index),
        "" if one.last_index is None else str(one.last_index),
        f"{one.count} {things}" if things else "",
        format_bytes(one.size_bytes),
        shown_time(one.first_ms).partition(".")[0],
        shown_time(one.last_ms).partition(".")[0],
        _verdict(one),
    ]


def _verdict(one: "FileReport") -> str:
    if one.problem is not None:
        return "GAP BEFORE IT" if one.problem.is_gap else "DAMAGED"
    return "unfinished" if one.kind.value == "unfinished" else "sound"


def _remarks(report: "FolderReport") -> list[str]:
    """Say what there is to say of single files; too long for a table."""
    lines = []
    for one in report.files:
        if one.problem is not None:
            problem = one.problem
            lines.append(f"DAMAGED: {one.name}, offset {problem.offset}: {problem.reason}")
        if one.note:
            lines.append(f"{one.name}: {one.note}")
    return lines


def _conclusion(path: Path, report: "FolderReport") -> list[str]:
    """Say how far the folder is sound, and what to do."""
    lines = []
    if report.torn_bytes:
        lines.append(
            f"At the end are {report.torn_bytes} bytes of a write that was never acknowledged: "
            "either one under way, or what a crash left; the next start cuts it off."
        )
    if not report.problems:
        return [*lines, f"Sound up to index {report.last_index}, the newest record."]
    lines.append(f"{len(report.problems)} of {len(report.files)} files are damaged.")
    salvage = f"kvstore restore --from {path} --data-dir NEW"
    if report.recoverable is None:
        lines.append(
            "No store can be made of what is left: `kvstore restore BACKUP --data-dir NEW`."
        )
    elif report.starts:
        lines.append(
            f"The store is sound up to index {report.recoverable}, and a server starts on it: the "
            "damage is in its history, so that not every point can be looked back to. Make a "
            f"backup now: `kvstore backup -o FILE --data-dir {path}`."
        )
    else:
        lines.append(
            f"The store is sound up to index {report.recoverable}; a server refuses to start on "
            f"it. `{salvage}` makes a new folder of that much; what was written later is lost but "
            "for what a backup has (`kvstore restore BACKUP --data-dir NEW`)."
        )
    return lines


def _folder_json(path: Path, report: "FolderReport") -> dict[str, Any]:
    return {
        "path": str(path),
        "sound": not report.problems,
        "starts": report.starts,
        "sound_up_to_index": report.recoverable,
        "last_index_seen": report.last_index,
        "unfinished_write_bytes": report.torn_bytes,
        "files": [_file_json(one) for one in report.files],
    }


def _file_json(one: "FileReport") -> dict[str, Any]:
    problem = one.problem
    return {
        "name": one.name,
        "kind": one.kind.value,
        "first_index": one.first_index,
        "last_index": one.last_index,
        "count": one.count,
        "size_bytes": one.size_bytes,
        "first_time": json_time(one.first_ms),
        "last_time": json_time(one.last_ms),
        "note": one.note,
        "damage": problem
        and {"offset": problem.offset, "reason": problem.reason, "is_gap": problem.is_gap},
    }


def _verify_file(path: Path, as_json: bool) -> bool:  # noqa: FBT001 - as the flag is
    from kvstore.maintenance.backup import read_backup  # noqa: PLC0415 - slow to load

    with path.open("rb") as file:
        try:
            backup = read_backup(file)
        except ArchiveUnreadable as error:
            if not as_json:
                raise
            print_json({"path": str(path), "sound": False, "damage": str(error)})
            return False
    state = backup.state
    facts = {
        "last_index": state.last_index,
        "keys": state.entry_count,
        "sessions": state.session_count,
        "size_bytes": backup.size_bytes,
    }
    if as_json:
        print_json({"path": str(path), "sound": True, **facts, "left_out": backup.left_out})
    else:
        row = [path.name, "backup", *facts.values(), "sound"]
        print_table(["file", "kind", "index", "keys", "sessions", "bytes", "verdict"], [row])
        if backup.left_out:
            counts = ", ".join(f"{kind}: {count}" for kind, count in backup.left_out.items())
            click.echo(f"A restore leaves out what is no business of this store: {counts}.")
    return True

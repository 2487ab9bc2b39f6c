"""`kvstore log` and `kvstore history`: what was in a data folder, and how it came to be.

They only read, so a server may be running on the folder.
"""

import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstore.cli.output import print_json, print_table, progress
from kvstore.cli.past import (
    POINTS_HELP,
    PointType,
    bytes_fields,
    ends_in_a_sentence,
    json_time,
    shown,
    shown_time,
    shown_value,
    size_to_read,
)
from kvstore.journal.disk import Folder
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)

if TYPE_CHECKING:
    from kvstore.maintenance.history import Change, KeyHistory, Step
    from kvstore.maintenance.point import Point

__all__ = ["history", "log"]

_LIMIT = 100

_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("kvstore-data"),
    show_default=True,
    envvar="KVSTORE_DATA_DIR",
    help="The folder of the journal; a server may be running on it.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


# --- log ------------------------------------------------------------------------------------


@click.command(
    epilog=POINTS_HELP + " Exit codes: 0 done, 2 wrong usage, 4 cannot be read, or no "
    "store there, 6 damaged, 12 the index or the time is not kept."
)
@_data_dir_option
@click.option("--key", help="Only what names this key or changed it.")
@click.option("--prefix", help="Only what names a key under this prefix or changed one.")
@click.option("--from", "since", type=PointType(), help="Begin with this record, or this time.")
@click.option("--to", "upto", type=PointType(), help="End with this record, or this time.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=_LIMIT,
    show_default=True,
    help="Show the newest that many; 0 is all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def log(
    *,
    data_dir: Path,
    key: str | None,
    prefix: str | None,
    since: "Point | None",
    upto: "Point | None",
    limit: int,
    as_json: bool,
) -> None:
    """Show what was written when, and what came of it, oldest first.

    Refused writes too: a check-and-set that lost, a lock held by another. As far back as the
    journal is kept (`kvstore serve --history`).

    \b
      kvstore log --data-dir /var/lib/kvstore --from -1h
      kvstore log --prefix docker/network/ --limit 20
      kvstore log --from 4000 --to 4711 --json
    """  # noqa: D301 - as above
    if key is not None and prefix is not None:
        raise click.UsageError("--key and --prefix exclude each other: name one")
    wanted = _wanted(key, prefix)
    with (
        ends_in_a_sentence(data_dir),
        progress("reading", size_to_read(Folder(data_dir))) as advance,
    ):
        from kvstore.maintenance.point import settled  # noqa: PLC0415 - slow to load

        files = Folder(data_dir)
        found, matching = settled(
            files, lambda: _newest_steps(files, (since, upto), wanted, limit, advance)
        )
    if as_json:
        for one in found:
            click.echo(json.dumps(_step_json(one), ensure_ascii=False))
        return
    print_table(
        ["index", "time", "command", "key", "value", "session", "outcome"], map(_step_row, found)
    )
    if matching > len(found):
        click.echo(
            f"{matching - len(found)} older ones are not shown: --limit 0 shows all", err=True
        )


def _newest_steps(
    files: Folder,
    ends: "tuple[Point | None, Point | None]",
    wanted: "Callable[[Step], bool]",
    limit: int,
    advance: Callable[[int], None],
) -> "tuple[deque[Step], int]":
    """Return the newest steps that are wanted, and how many there are in all."""
    from kvstore.maintenance.history import steps  # noqa: PLC0415 - slow to load
    from kvstore.maintenance.point import find, first_since, oldest  # noqa: PLC0415 - as above

    since, upto = ends
    first = oldest(files).index + 1 if since is None else first_since(files, since)
    last = find(files, upto).index
    found: deque[Step] = deque(maxlen=limit or None)
    matching = 0
    for one in steps(files, first, last, advance):
        if wanted(one):
            found.append(one)
            matching += 1
    return found, matching


def _wanted(key: str | None, prefix: str | None) -> "Callable[[Step], bool]":
    from kvstore.maintenance.history import keys_named  # noqa: PLC0415 - slow to load

    if key is None and prefix is None:
        return lambda _: True
    name = _typed(key if key is not None else prefix or "")

    def fits(one: bytes) -> bool:
        return one == name if key is not None else one.startswith(name)

    def wanted(step: "Step") -> bool:
        named = keys_named(step.record.command)
        return any(map(fits, (*named, *step.applied.changed_keys)))

    return wanted


def _typed(text: str) -> bytes:
    """Return the bytes of a key as the shell gave them."""
    return text.encode("utf-8", "surrogateescape")


_NAMES: dict[type[Command | TxnOp], str] = {
    CreateStore: "create store",
    SetKey: "set",
    CasKey: "check-and-set",
    DeleteKey: "delete",
    DeleteKeyCas: "delete by check-and-set",
    DeleteTree: "delete tree",
    LockKey: "lock",
    UnlockKey: "unlock",
    CreateSession: "create session",
    DestroySession: "destroy session",
    RestoreStore: "restore",
    Txn: "transaction",
    GetKey: "get",
    GetTree: "get tree",
    CheckIndex: "check index",
    CheckSession: "check session",
    CheckNotExists: "check not exists",
    ImpossibleOp: "unknown operation",
}


def _step_row(one: "Step") -> list[object]:
    command, outcome, reason = one.record.command, _outcome(one), _reason(one)
    value = getattr(command, "value", None)
    if isinstance(command, RestoreStore):
        told = f"{len(command.entries)} keys, {len(command.sessions)} sessions"
    elif isinstance(command, Txn):
        told = f"{len(command.ops)} operations"
    else:
        told = "" if value is None else shown_value(value)
    name = _name_of(command)
    return [
        one.record.index,
        shown_time(one.record.written_ms),
        _NAMES[type(command)],
        "" if name is None else shown(name),
        told,
        _session_of(command) or "",
        f"{outcome}: {reason}" if reason else outcome,
    ]


def _step_json(one: "Step") -> dict[str, Any]:
    command = one.record.command
    return {
        "index": one.record.index,
        "time": json_time(one.record.written_ms),
        **_asked_json(command),
        "operations": list(map(_asked_json, command.ops)) if isinstance(command, Txn) else None,
        "outcome": _outcome(one),
        "reason": _reason(one) or None,
        "changed_keys": len(one.applied.changed_keys),
    }


def _asked_json(command: Command | TxnOp) -> dict[str, Any]:
    value: bytes | None = getattr(command, "value", None)
    return {
        "command": _NAMES[type(command)],
        **bytes_fields("key", _name_of(command)),
        "value_bytes": None if value is None else len(value),
        "value_base64": None if value is None else b64encode(value).decode("ascii"),
        "flags": getattr(command, "flags", None),
        "session": _session_of(command),
    }


def _name_of(command: Command | TxnOp) -> bytes | None:
    """Return the key or the prefix that a command names."""
    name: bytes | None = getattr(command, "key", getattr(command, "prefix", None))
    return name


def _session_of(command: Command | TxnOp) -> str | None:
    if isinstance(command, LockKey | UnlockKey | CheckSession):
        return shown(_typed(command.session))
    return (
        shown(_typed(command.id)) if isinstance(command, CreateSession | DestroySession) else None
    )


def _outcome(one: "Step") -> str:
    applied = one.applied
    if not applied.done:
        return "refused"
    did = applied.changed_keys or applied.created or applied.destroyed
    return "done" if did or isinstance(one.record.command, CreateStore) else "no change"


def _reason(one: "Step") -> str:
    """Say why a command was refused, or how much it did to more than one key."""
    command, applied, before = one.record.command, one.applied, one.before
    if applied.refusal is not None:
        return shown(_typed(str(applied.refusal)))
    if applied.done:
        is_many = isinstance(command, DeleteTree | DestroySession | RestoreStore | Txn)
        return f"{len(applied.changed_keys)} keys" if is_many and applied.changed_keys else ""
    if applied.txn is not None:
        first = applied.txn.failures[0]
        return f"operation {first.position + 1} failed: {_NAMES[type(first.op)]}"
    if isinstance(command, CasKey | DeleteKeyCas):
        was = "it was absent" if before is None else f"it was at {before.modify_index}"
        return f"expected at {command.cas_index}, {was}"
    if before is not None and before.session:
        return f"held by {before.session}"
    return "not locked"


# --- history --------------------------------------------------------------------------------


@click.command(
    epilog="Exit codes: 0 done, 2 wrong usage, 4 cannot be read, or no store there, 6 damaged."
)
@click.argument("key")
@_data_dir_option
@_json_option
def history(*, key: str, data_dir: Path, as_json: bool) -> None:
    """Show every change of KEY, as far back as the journal is kept.

    Also what others did to it: a tree deleted above it, a lock released because its session ended.

    \b
      kvstore history docker/network/v1.0/idm/vxlan --data-dir /var/lib/kvstore
    """  # noqa: D301 - as above
    with (
        ends_in_a_sentence(data_dir),
        progress("reading", size_to_read(Folder(data_dir))) as advance,
    ):
        from kvstore.maintenance.history import key_history  # noqa: PLC0415 - slow to load
        from kvstore.maintenance.point import settled  # noqa: PLC0415 - as above

        files = Folder(data_dir)
        found = settled(files, lambda: key_history(files, _typed(key), advance))
    if as_json:
        print_json(_history_json(_typed(key), found))
        return
    if found.changes:
        columns = ["index", "time", "what", "value", "flags", "holder"]
        print_table(columns, map(_change_row, found.changes))
    else:
        click.echo("no change of this key is known")
    since = shown_time(found.since.written_ms)
    begin = f"index {found.since.index}" if found.since.index else "the store's beginning"
    click.echo(f"known since {begin}" + (f", {since}" if since else ""), err=True)


def _change_row(one: "Change") -> list[object]:
    entry = one.entry
    about = [shown_value(entry.value), str(entry.flags), entry.session] if entry else ["", "", ""]
    return [one.index, shown_time(one.written_ms), one.what, *about]


def _history_json(key: bytes, found: "KeyHistory") -> dict[str, Any]:
    return {
        **bytes_fields("key", key),
        "known_since_index": found.since.index,
        "known_since_time": json_time(found.since.written_ms),
        "changes": [_change_json(one) for one in found.changes],
    }


def _change_json(one: "Change") -> dict[str, Any]:
    entry = one.entry
    return {
        "index": one.index,
        "time": json_time(one.written_ms),
        "what": one.what,
        "exists": entry is not None,
        "value_base64": entry and b64encode(entry.value).decode("ascii"),
        "flags": entry and entry.flags,
        "holder": entry and (entry.session or None),
    }

"""What the commands share that look back: points as people type them, and how things are shown."""

import errno
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kvstore.cli.exits import (
    EXIT_DISK_FULL,
    EXIT_EXISTS,
    EXIT_FOLDER_UNUSABLE,
    EXIT_JOURNAL_DAMAGED,
    EXIT_NOT_KEPT,
    EXIT_READ_ONLY,
    EXIT_SERVER,
    give_up,
    journal_exit,
)
from kvstore.cli.output import progress
from kvstore.duration import NS_PER_MS, InvalidDuration, parse_duration
from kvstore.errors import ArchiveUnreadable, CallFailed, JournalError, NoStore, NotKept
from kvstore.journal.disk import Files, Folder

if TYPE_CHECKING:
    from kvstore.maintenance.point import Moment, Point
    from kvstore.state.store import State

__all__ = [
    "POINTS_HELP",
    "PointType",
    "bytes_fields",
    "ends_in_a_sentence",
    "json_time",
    "now_ms",
    "shown",
    "shown_time",
    "shown_value",
    "size_to_read",
    "state_at",
]

POINTS_HELP = (
    "INDEX|TIME is an index (4711), a time of day here ('2026-11-23 10:30', with or without "
    "seconds) or anywhere (2026-11-23T10:30:00Z), or how long ago (-1h, '1h30m ago'). A time means "
    "after the last write at or before it."
)

_MS_PER_S = 1000
_VALUE_CHARS_MAX = 40
_AGO = re.compile(r"-(.+)|(.+) ago")


def now_ms() -> int:
    """Return the time of day in milliseconds since 1970."""
    return time.time_ns() // NS_PER_MS


class PointType(click.ParamType["Point"]):
    """An index, or a time: see POINTS_HELP."""

    name = "index|time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Point":
        """Return the point."""
        from kvstore.maintenance.point import AtIndex, AtTime  # noqa: PLC0415 - slow to load

        text = str(value).strip()
        if text.isascii() and text.isdigit():
            return AtIndex(int(text))
        now = now_ms()
        time_ms = _time_ms(text, now)
        if time_ms is None:
            expected = "an index such as 4711, '2026-11-23 10:30', 2026-11-23T10:30:00Z or -1h"
            self.fail(f"{text!r} is neither an index nor a time; expected {expected}", param, ctx)
        if time_ms > now:
            self.fail(f"{text!r} is in the future", param, ctx)
        return AtTime(time_ms, text)


def _time_ms(text: str, now: int) -> int | None:
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            past_ns = parse_duration(ago[1] or ago[2])
            return now - past_ns // NS_PER_MS if past_ns >= 0 else None
        # Without a zone it is the time of day here.
        return int(datetime.fromisoformat(text).astimezone().timestamp() * _MS_PER_S)
    except (InvalidDuration, ValueError, OverflowError, OSError):
        return None


def shown(name: bytes) -> str:
    r"""Return a key as text for people: what cannot be printed as \xNN, a backslash doubled."""
    text = name.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def shown_value(value: bytes) -> str:
    """Return a value as people can take it in: escaped, and cut with its size behind it."""
    text = shown(value[: 2 * _VALUE_CHARS_MAX])
    if len(text) <= _VALUE_CHARS_MAX:
        return text
    return f"{text[:_VALUE_CHARS_MAX]}… ({len(value)} bytes)"


def shown_time(time_ms: int | None) -> str:
    """Return a time in milliseconds since 1970 as the clock here shows it; can be typed again."""
    moment = _moment(time_ms)
    if moment is None:
        return ""
    return moment.astimezone().replace(tzinfo=None).isoformat(" ", "milliseconds")


def json_time(time_ms: int | None) -> str | None:
    """Return a time in milliseconds since 1970 in the form of RFC 3339."""
    moment = _moment(time_ms)
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(time_ms: int | None) -> datetime | None:
    if time_ms is None:
        return None
    try:
        return datetime.fromtimestamp(time_ms / _MS_PER_S, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the calendar
        return None


def bytes_fields(name: str, data: bytes | None) -> dict[str, str | None]:
    """Return two members for JSON: the bytes as text for people, and exactly, in base64."""
    if data is None:
        return {name: None, f"{name}_base64": None}
    return {name: shown(data), f"{name}_base64": b64encode(data).decode("ascii")}


@contextmanager
def ends_in_a_sentence(folder: Path | None = None, *, when_taken: str = "") -> Iterator[None]:
    """End the process with a sentence and its exit code when the block cannot do its work.

    `folder` is the one that points are looked for in; `when_taken` the next step when what is to
    be made is there already.
    """
    try:
        yield
    except JournalError as error:
        give_up(*journal_exit(error))
    except NoStore as error:
        step = "Name the folder that `kvstore serve --data-dir` was given."
        give_up(EXIT_FOLDER_UNUSABLE, f"{error}. {step}")
    except NotKept as error:
        give_up(EXIT_NOT_KEPT, _not_kept(error, folder))
    except ArchiveUnreadable as error:
        step = "Nothing was changed. Try another backup."
        give_up(EXIT_JOURNAL_DAMAGED, f"the backup is damaged, or is none: {error}. {step}")
    except CallFailed as error:
        give_up(EXIT_SERVER, f"{error}.")
    except FileExistsError as error:
        give_up(EXIT_EXISTS, f"{error}. Nothing was changed. {when_taken}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        step = "Check the disk and the file's permissions."
        give_up(_system_exit(error), f"{where}{error.strerror or error}. {step}")


def _not_kept(error: NotKept, folder: Path | None) -> str:
    first, last = (
        f"index {index}" + (f" ({shown_time(time_ms)})" if time_ms is not None else "")
        for index, time_ms in (error.first, error.last)
    )
    where = f" in {folder}" if folder is not None else ""
    return f"{error.asked} is not kept{where}: it has {first} to {last}. Choose a point in between."


def _system_exit(error: OSError) -> int:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EXIT_DISK_FULL
    return EXIT_READ_ONLY if error.errno == errno.EROFS else EXIT_FOLDER_UNUSABLE


def size_to_read(files: Files) -> int | None:
    """Return about how much there is to read; None when that cannot be told."""
    try:
        return sum(files.size(name) for name in files.names())
    except OSError:
        return None


def state_at(folder: Path, at: "Point | None") -> "tuple[State, Moment]":
    """Return a folder's store at a point, the newest one without, and which point that was.

    Shows how far it is; a server may be running on the folder. Raises as `point.store_at`.
    """
    from kvstore.maintenance.point import settled, store_at  # noqa: PLC0415 - slow to load

    files = Folder(folder)
    with progress("reading", size_to_read(files)) as advance:
        return settled(files, lambda: store_at(files, at, advance))

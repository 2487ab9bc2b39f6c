"""What commands show: tables, JSON for programs, and how far they are.

Results go to standard output, progress to standard error. rich is imported when it is needed.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

__all__ = ["EVERY_S", "Advance", "print_json", "print_table", "progress"]

# Seconds between two lines about how far a command is, where no bar can be drawn.
EVERY_S = 10.0

# Characters in a line of a file, for a table that is to be whole.
_WIDER_THAN_ANY = 100_000

Advance = Callable[[int], None]
"""Told how much was done since the last time."""


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = ""
) -> None:
    """Print rows under the names of their columns; numbers stand to the right.

    Nothing is cut or wrapped when standard output is no terminal.
    """
    from rich.console import Console  # noqa: PLC0415 - most commands print no table
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    lines = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for position, name in enumerate(columns):
        numbers = bool(lines) and all(isinstance(line[position], int) for line in lines)
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(str(cell)) for cell in line))  # a Text, lest "[a]" be read as markup
    console = Console(width=None if sys.stdout.isatty() else _WIDER_THAN_ANY)
    console.print(table)


def print_json(value: Any) -> None:
    """Print plain values (dicts, lists, texts, numbers, None) as JSON, for `--json`."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def progress(
    doing: str,
    total: int | None = None,
    *,
    unit: str = "bytes",
    stream: IO[str] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Show how far something is while the block lasts; gives a function to tell it.

    On a terminal a bar; elsewhere a line every EVERY_S seconds, so that what is soon done says
    nothing. `total` is None when nobody knows it; `unit` names what is counted, in the plural.
    `stream` is standard error unless another is given.
    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        with _bar(doing, total, unit, stream) as advance:
            yield advance
    else:
        yield _lines(doing, total, unit, stream, now)


@contextmanager
def _bar(doing: str, total: int | None, unit: str, stream: IO[str]) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415 - on a terminal only
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = [TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn()]
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda done: bar.advance(task, done)


def _lines(
    doing: str, total: int | None, unit: str, stream: IO[str], now: Callable[[], float]
) -> Advance:
    done_so_far, next_at = 0, now() + EVERY_S

    def advance(done: int) -> None:
        nonlocal done_so_far, next_at
        done_so_far += done
        if now() >= next_at:
            next_at = now() + EVERY_S
            of = "" if total is None else f" of {total:,}"
            click.echo(f"kvstore: {doing}: {done_so_far:,}{of} {unit}", file=stream)

    return advance

"""What people see while a large journal is read: a bar on a terminal, lines in a log."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from kvstore.journal.space import format_bytes

__all__ = ["ReplayReport"]

log = logging.getLogger(__name__)

_LINE_EVERY_S = 5.0


class ReplayReport:
    """Tells how far a start has come; nothing when it is done within a moment."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._next_line = self._began + _LINE_EVERY_S
        self._steps = 0
        self._bar = _Bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, count: int, read_bytes: int, total_bytes: int) -> None:
        """Count entries and records; now and then say how far it is."""
        self._steps += count
        elapsed_s = time.monotonic() - self._began
        rate = self._steps / max(elapsed_s, 1e-9)
        if self._bar is not None:
            self._bar.show(f"{rate:,.0f} keys and records per second", read_bytes, total_bytes)
        elif time.monotonic() >= self._next_line:
            self._next_line += _LINE_EVERY_S
            left_s = elapsed_s * (total_bytes - read_bytes) / max(read_bytes, 1)
            log.info(
                "reading the journal: %s of %s, %d keys and records so far, %d per second, "
                "about %.0f s left",
                format_bytes(read_bytes),
                format_bytes(total_bytes),
                self._steps,
                rate,
                left_s,
            )


class _Bar:
    """A progress bar on standard error, from the first time it is shown."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only for a terminal
        from rich.progress import Progress, TimeRemainingColumn  # noqa: PLC0415

        columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("reading the journal")

    def show(self, what: str, read_bytes: int, total_bytes: int) -> None:
        """Draw the bar."""
        self._progress.start()
        description = f"reading the journal, {what}"
        self._progress.update(
            self._task, description=description, completed=read_bytes, total=total_bytes
        )

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

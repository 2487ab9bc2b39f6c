"""How the log is written: lines for people or one JSON object a line for machines.

It goes to standard error, at the level that the operator chose, and to whoever reads along
(`follow_log`), each at a level and in a format of their own.
"""

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Literal

__all__ = ["FOLLOWED_LINES_MAX", "LINE_CHARS_MAX", "LogFormat", "follow_log", "set_up_logging"]

LogFormat = Literal["text", "json"]

# How many lines wait for one who reads slower than the log is written, and how much of each: a
# line may hold what a client sent.
FOLLOWED_LINES_MAX = 512
LINE_CHARS_MAX = 4096

_TEXT = "%(asctime)s %(levelname)s %(message)s"


class _JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(log_format: LogFormat, level: str) -> None:
    """Send kvstore's log, and aiohttp's, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(log_format))
    handler.setLevel(level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


async def follow_log(log_format: LogFormat, level: int) -> AsyncGenerator[str, None]:
    """Yield each line that is logged from now on, at this level or above, without its end.

    Whoever is slow loses lines and is told how many; nobody waits for them. Close the generator
    (`aclose`) when no more lines are wanted.
    """
    follower = _Follower(log_format, level)
    _followers.begin(follower)
    try:
        while True:
            yield await follower.next_line()
    finally:
        _followers.end(follower)


class _Follower(logging.Handler):
    """What one reader has still to read; filled from any thread."""

    def __init__(self, log_format: LogFormat, level: int) -> None:
        super().__init__(level)
        self.setFormatter(_formatter(log_format))
        self._loop = asyncio.get_running_loop()
        self._lines: deque[str] = deque()
        self._lost_count = 0
        self._filled = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, or count it when too many wait; called with the handler's lock."""
        if len(self._lines) >= FOLLOWED_LINES_MAX:
            self._lost_count += 1
            return
        self._lines.append(self.format(record)[:LINE_CHARS_MAX])
        with suppress(RuntimeError):  # the loop has ended, and with it whoever read along
            self._loop.call_soon_threadsafe(self._filled.set)

    async def next_line(self) -> str:
        """Wait for a line; behind those that waited comes how many were lost."""
        await self._filled.wait()
        with self.lock:  # type: ignore[union-attr]  # every handler makes one
            if self._lines:
                line = self._lines.popleft()
            else:
                line = f"{self._lost_count} lines were lost here: they came faster than they went"
                self._lost_count = 0
            if not self._lines and not self._lost_count:
                self._filled.clear()
        return line


class _Followers:
    """Everybody who follows the log of this process, and the level that it has without them."""

    def __init__(self) -> None:
        self._all: list[_Follower] = []
        self._own_level = logging.NOTSET

    def begin(self, follower: _Follower) -> None:
        root = logging.getLogger()
        if not self._all:
            self._own_level = root.level
        self._all.append(follower)
        root.addHandler(follower)
        self._settle()

    def end(self, follower: _Follower) -> None:
        self._all.remove(follower)
        logging.getLogger().removeHandler(follower)
        follower.close()
        self._settle()

    def _settle(self) -> None:
        """Let every line be made that somebody wants."""
        levels = [self._own_level, *(follower.level for follower in self._all)]
        logging.getLogger().setLevel(min(levels))


_followers = _Followers()


def _formatter(log_format: LogFormat) -> logging.Formatter:
    return _JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT)

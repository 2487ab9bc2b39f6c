"""A journal whose appends end when, and how, the test says."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from kvstore.errors import JournalUnwritable
from kvstore.journal.journal import Record
from kvstore.journal.memory import MemoryJournal
from kvstore.state.command import Command
from kvstore.state.image import Image

__all__ = ["GatedJournal", "unwritable"]


def unwritable() -> JournalUnwritable:
    """Return a failure as a full disk gives it."""
    return JournalUnwritable(Path("/fake/1.journal"), OSError(28, "No space left on device"))


class GatedJournal:
    """A MemoryJournal with a gate that `append` waits at; open until `shut`."""

    def __init__(self) -> None:
        self._memory = MemoryJournal()
        self._gate = asyncio.Event()
        self._gate.set()
        self._failure: JournalUnwritable | None = None
        # Every batch that came to the gate, the one that waits there included.
        self.batches: list[list[Command]] = []
        self.is_closed = False
        # Why there is no room, when a test says so.
        self.full: str | None = None

    def shut(self) -> None:
        """Let the next append wait until `open`."""
        self._gate.clear()

    def open(self) -> None:
        """Let the append that waits go on, and all that follow."""
        self._gate.set()

    def fail(self) -> None:
        """Fail the append that waits, and all that follow."""
        self._failure = unwritable()
        self._gate.set()

    def base(self) -> Image | None:
        """Return the base of the journal behind it."""
        return self._memory.base()

    def replay(self) -> Iterator[Record]:
        """Yield every record in order."""
        return self._memory.replay()

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Keep a batch when the gate is open."""
        self.batches.append(list(commands))
        await self._gate.wait()
        if self._failure is not None:
            raise self._failure
        return await self._memory.append(commands, written_ms)

    async def close(self) -> None:
        """Note that it was closed; the commands stay for the next replay."""
        self.is_closed = True

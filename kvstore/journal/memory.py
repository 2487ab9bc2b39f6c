"""The journal for `--dev` and for servers inside tests: lasts as long as the object.

Held to the same tests as the journal in files.
"""

from collections.abc import Iterator, Sequence

from kvstore.journal.journal import Record
from kvstore.state.command import Command
from kvstore.state.image import Image

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A Journal in memory.

    Keeps its records, so that a second engine can replay them as after a restart; with
    `keep=False` it only counts, for a server that runs long and is never replayed.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self._keep = keep
        self._records: list[Record] = []
        self._next_index = 1

    @property
    def full(self) -> str | None:
        """Nothing: memory has no limit of its own."""
        return None

    def base(self) -> Image | None:
        """Return None: all records are kept."""
        return None

    def replay(self) -> Iterator[Record]:
        """Yield every record in order."""
        yield from list(self._records)

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Keep a batch; never fails and never waits."""
        first = self._next_index
        self._next_index += len(commands)
        if self._keep:
            numbered = enumerate(commands, first)
            self._records.extend(Record(index, written_ms, one) for index, one in numbered)
        return first

    async def close(self) -> None:
        """Do nothing: the commands stay for the next replay."""

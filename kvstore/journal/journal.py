"""The port between the engine and whatever makes commands last.

A journal numbers commands and keeps them in that order. The engine has these duties:
first, call `base` and then `replay`, each once and to its end; then `append` one batch at a time,
the next only when the last has returned; at the end, `close`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from kvstore.state.command import Command
from kvstore.state.image import Image

__all__ = ["BATCH_BYTES_MAX", "BATCH_COMMANDS_MAX", "Journal", "Record"]

# One batch is one write and one sync. 1,024 is more than writers ever wait at once on a machine
# that this server is meant for; 4 MiB holds eight values of Consul's largest size.
BATCH_COMMANDS_MAX = 1024
BATCH_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True, unsafe_hash=True)
class Record:
    """One command as the journal keeps it; why its fields are `Final` is in `state/entry.py`."""

    # 1 for the first command of a store, then one more each.
    index: Final[int]
    # Time of day of its batch, in milliseconds since 1970; for people, the state never sees it.
    written_ms: Final[int]
    command: Final[Command]


class Journal(Protocol):
    """Commands in order, durable when `append` has returned."""

    @property
    def full(self) -> str | None:
        """Why there is no room for commands that add data, as a clause; None while there is."""

    def base(self) -> Image | None:
        """Return the store that the records continue; None when they begin with the first.

        Its entries are read as they are taken. Raises JournalCorrupt when it cannot be read, and
        so do its entries.
        """

    def replay(self) -> Iterator[Record]:
        """Yield every record behind the base, in order.

        Raises JournalCorrupt when acknowledged records cannot be read. Afterwards the journal is
        ready for `append`.
        """

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Make a batch last and return the index of its first command; the rest follow it.

        When this returns, the batch survives the end of the process, and of the machine's power
        if the journal syncs. Raises JournalUnwritable when that cannot be had: whether the batch
        will be seen by a later replay is then unknown, and every further append raises the same.
        Cancellation: the batch may or may not be written, as if the process had died; do not
        append again.
        """

    async def close(self) -> None:
        """Give up the journal; a second call does nothing."""

"""Crashes at every moment of a small life of a journal, and what is wrong with what they leave."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kvstore.errors import JournalUnwritable, KVStoreError
from kvstore.journal.file import FileJournal
from kvstore.state.command import Command

from .batches import SEGMENT_BYTES, Batch, flat, recover, replayed, small_batches, write
from .fake_disk import FakeDisk, Image

__all__ = ["AfterCall", "Life", "MakeDisk", "Moment", "complaints", "live", "whole_batches"]

# Is told each call to a disk.
AfterCall = Callable[[str], None]

# Makes the disk of a life, which tells its calls to the life.
MakeDisk = Callable[[AfterCall], FakeDisk]


@dataclass(frozen=True)
class Moment:
    """The disk right after a call to it, or after an answer to whoever appends."""

    after: str
    disk: FakeDisk
    # How many batches must survive from then on, and how many the journal had been given.
    lasting: int
    submitted: int


class Life:
    """A journal that is opened, written, closed and opened again, with every moment of it.

    What must last is what was acknowledged; with `sync=False` only what was when it was closed.
    """

    def __init__(self, make_disk: MakeDisk, batches: Sequence[Batch], *, sync: bool = True) -> None:
        self.disk = make_disk(self._remember)
        self.batches = batches
        self.moments: list[Moment] = []
        self._sync = sync
        self._acknowledged = 0
        self._lasting = 0
        self._submitted = 0
        # What stopped it, if its disk failed.
        self.failure: JournalUnwritable | None = None

    @property
    def acknowledged(self) -> list[Command]:
        """The commands of all batches whose append returned."""
        return flat(self.batches[: self._acknowledged])

    async def run(self, *, closed_after: int) -> None:
        """Append all batches, with a clean restart in between; ends without a close."""
        try:
            await self._open_and_append(closed_after)
            await self._open_and_append(len(self.batches))
        except JournalUnwritable as failure:
            self.failure = failure

    async def _open_and_append(self, until: int) -> None:
        journal = FileJournal(self.disk, sync=self._sync, segment_bytes_max=SEGMENT_BYTES)
        replayed(journal)
        self._remember("replay")
        for batch in self.batches[self._acknowledged : until]:
            self._submitted += 1
            await write(journal, [batch])
            self._acknowledged += 1
            if self._sync:
                self._lasting = self._acknowledged
            self._remember("append")
        if until < len(self.batches):
            await journal.close()
            self._lasting = self._acknowledged
            self._remember("close")

    def _remember(self, after: str) -> None:
        moment = Moment(after, self.disk.fork(), self._lasting, self._submitted)
        self.moments.append(moment)

    def states(self) -> Iterator[tuple[Moment, Image]]:
        """Yield every state in which a loss of power may leave the files, moment by moment."""
        for moment in self.moments:
            for image in moment.disk.crash_images():
                yield moment, image


async def live(
    make_disk: MakeDisk, *, batches: int = 7, closed_after: int = 3, sync: bool = True
) -> Life:
    """Return a life that has been lived: by default with a restart, and three segments."""
    life = Life(make_disk, small_batches(batches), sync=sync)
    await life.run(closed_after=closed_after)
    return life


def whole_batches(batches: Sequence[Batch], commands: Sequence[Command]) -> int | None:
    """Return how many batches the commands are; None if they do not end with one."""
    for count in range(len(batches) + 1):
        if flat(batches[:count]) == list(commands):
            return count
    return None


def complaints(life: Life) -> Iterator[str]:
    """Recover every state of a life, and yield what is wrong with it, if anything is.

    What must last must be there, nothing that was not submitted may be, and the start must
    not refuse.
    """
    seen: dict[tuple[tuple[str, bytes], ...], list[Command] | str] = {}
    for moment, image in life.states():
        key = tuple(image.items())
        if key not in seen:
            seen[key] = _recovered(image)
        found = seen[key]
        if isinstance(found, str):
            yield f"after {moment.after}: {found}"
            continue
        count = whole_batches(life.batches, found)
        if count is None:
            yield f"after {moment.after}: half a batch, or one never written"
        elif not moment.lasting <= count <= moment.submitted:
            yield (
                f"after {moment.after}: recovered {count} batches, "
                f"lasting {moment.lasting}, submitted {moment.submitted}"
            )


def _recovered(image: Image) -> list[Command] | str:
    try:
        return recover(image)
    except KVStoreError as error:
        return f"the start refused: {error}"

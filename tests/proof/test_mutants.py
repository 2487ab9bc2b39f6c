"""Journals that keep one promise less: the proof of the crashes finds each of them out."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from zlib import crc32

import pytest
from journal.fake_disk import FakeDisk, FakeFile

from kvstore.errors import KVStoreError
from kvstore.journal.disk import Files
from kvstore.journal.file import FileJournal
from kvstore.journal.frame import FILE_HEADER_BYTES
from kvstore.journal.listing import Listing, segment_name, unfinished_name
from kvstore.journal.snapshot import write_snapshot
from kvstore.maintenance.compaction import build_snapshot
from kvstore.maintenance.rebuild import rebuild

from .judge import Judge
from .life import Life, the_plan

# --- disks: what the journal asks for and does not get -------------------------------------------


class NoSyncOfSegments(FakeDisk):
    """As if the journal did not sync what it appends."""

    def sync_file(self, name: str) -> None:
        """Do it for headers, for snapshots, and for what was replayed."""
        if not _is_of_batch(self, name):
            super().sync_file(name)


def _is_of_batch(disk: FakeDisk, name: str) -> bool:
    """Tell whether a sync that is asked for now follows the write of a batch."""
    just_written = disk.calls[-1] in (f"write {name}", f"reserve {name}")
    return just_written and name.endswith(".journal") and disk.size(name) > FILE_HEADER_BYTES


class NoSyncOfNewHeaders(FakeDisk):
    """As if the journal did not sync the header of a new segment."""

    def sync_file(self, name: str) -> None:
        """Do it only when there is something behind the header."""
        if self.size(name) != FILE_HEADER_BYTES:
            super().sync_file(name)


class NoSyncOfFolder(FakeDisk):
    """As if the journal did not sync the folder after one kind of call."""

    after = ""

    def sync_folder(self) -> None:
        """Do it only when another kind of call changed the folder last."""
        changes = [call.split()[0] for call in self.calls]
        of_names = [call for call in changes if call in ("create", "rename", "remove")]
        if of_names[-1:] != [self.after]:
            super().sync_folder()


class NoSyncOfFolderAfterCreate(NoSyncOfFolder):
    """The name of a new segment is not synced."""

    after = "create"


class NoSyncOfFolderAfterRename(NoSyncOfFolder):
    """The name of an adopted snapshot is not synced."""

    after = "rename"


class NoSyncOfSnapshots(FakeDisk):
    """As if a snapshot were not synced before it is adopted."""

    def sync_file(self, name: str) -> None:
        """Do it only for segments."""
        if name.endswith(".journal"):
            super().sync_file(name)


class SyncsLate(FakeDisk):
    """As if the journal acknowledged a batch, and synced it before the next write."""

    _due: str | None = None

    def sync_file(self, name: str) -> None:
        """Put it off to the next write."""
        if _is_of_batch(self, name):
            self._due = name
        else:
            super().sync_file(name)

    def write_file(self, name: str, data: bytes) -> None:
        """Do first what was put off."""
        if self._due in self.names():
            super().sync_file(self._due)
        self._due = None
        super().write_file(name, data)


class CutsNoTail(FakeDisk):
    """As if the journal left a torn tail where it is."""

    def truncate(self, name: str, size_bytes: int) -> None:
        """Leave the file as it is."""


class TrimsNothing(FakeDisk):
    """As if the journal left room at the end of a full segment."""

    def trim_room(self, name: str) -> None:
        """Leave it there."""


class NoSyncOfTrims(FakeDisk):
    """As if the journal began a segment before the end of the last one was synced."""

    def sync_file(self, name: str) -> None:
        """Leave out the one that follows a trim."""
        if self.calls[-1] != f"trim {name}":
            super().sync_file(name)


class WritesHalf(FakeDisk):
    """As if the journal took a short write for a whole one."""

    def write_file(self, name: str, data: bytes) -> None:
        """Leave out the end of what is no header."""
        whole = not self.size(name)
        super().write_file(name, data if whole else data[: len(data) // 2 + 1])


class WritesTwice(FakeDisk):
    """As if the journal tried again a write that had been done."""

    def write_file(self, name: str, data: bytes) -> None:
        """Do it two times, but for headers."""
        if self.size(name):
            super().write_file(name, data)
        super().write_file(name, data)


class NoSyncOfReplayed(FakeDisk):
    """As if a start did not sync what it found."""

    _opened: str | None = None

    def append_to(self, name: str) -> FakeFile:
        """Remember that the next sync is the start's."""
        self._opened = name
        return super().append_to(name)

    def sync_file(self, name: str) -> None:
        """Leave out the first one after the opening of an old segment."""
        if name != self._opened:
            super().sync_file(name)
        self._opened = None


class GarblesSnapshots(FakeDisk):
    """A disk that writes something else than it was given, into snapshots."""

    def write_file(self, name: str, data: bytes) -> None:
        """Change the last byte."""
        garbled = data[:-1] + bytes([data[-1] ^ 1])
        super().write_file(name, garbled if name.endswith(".unfinished") else data)


# --- journals that do things in another order ----------------------------------------------------


def names_up_to(disk: FakeDisk, last_index: int) -> list[str]:
    """Return the names of the segments that a snapshot of this index makes needless."""
    segments = Listing.of(disk.names()).segments
    return [segment_name(first) for first in segments if first <= last_index]


class RemovesBeforeAdopting(FileJournal):
    """Removes old files before the snapshot's name is synced."""

    async def adopt_snapshot(self, last_index: int) -> None:
        """Remove first, in the other order."""
        assert isinstance(self.disk, FakeDisk)
        for name in names_up_to(self.disk, last_index):
            self.disk.remove(name)
        await super().adopt_snapshot(last_index)

    async def remove(self, names: Iterable[str]) -> None:
        """Nothing is left to do."""


class RemovesWithoutSnapshot(FileJournal):
    """Removes old files though the snapshot was never adopted."""

    async def adopt_snapshot(self, last_index: int) -> None:
        """Do the last step only."""
        assert isinstance(self.disk, FakeDisk)
        for name in names_up_to(self.disk, last_index):
            self.disk.remove(name)
        self.disk.sync_folder()


# --- functions that are replaced -----------------------------------------------------------------


def no_checksum(data: bytes, salt: int | None = None) -> int:
    """Stand for a crc32 that is the same for all that has a salt, which is frames."""
    return crc32(data) if salt is None else 0


def build_half(files: Files, last_index: int, now_ms: int) -> object:
    """Stand for a build_snapshot that is not verified and was cut short."""
    built = build_snapshot(files, last_index, now_ms)
    assert isinstance(files, FakeDisk)
    (name,) = Listing.of(files.names()).unfinished
    files.truncate(name, files.size(name) // 2)
    return built


def build_unverified(files: Files, last_index: int, now_ms: int) -> None:
    """Stand for a build_snapshot that believes the disk."""
    file = files.create(unfinished_name(last_index))
    image = rebuild(files, upto=last_index).image()
    write_snapshot(image, file, 1, now_ms, lambda _: None)
    file.close()


# --- the test -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """What is different, and what the proof must say of it."""

    complaint: str
    disk: type[FakeDisk] = FakeDisk
    journal: type[FileJournal] = FileJournal
    # The name of a function, and what stands for it.
    replaced: tuple[str, Callable[..., object]] | None = None


LOST = "after append: 0 batches came back, lasting 1"
MISSING = "a segment is missing"
UNFINISHED = "ends in an unfinished frame, yet a later segment exists"

MUTANTS = {
    "no sync of a segment": Mutant(LOST, disk=NoSyncOfSegments),
    "no sync of a new segment's header": Mutant(
        "at offset 0: the header's checksum does not match", disk=NoSyncOfNewHeaders
    ),
    "no sync of the folder after create": Mutant(LOST, disk=NoSyncOfFolderAfterCreate),
    "no sync of the folder after rename": Mutant(MISSING, disk=NoSyncOfFolderAfterRename),
    "no sync of a snapshot before rename": Mutant(".snapshot at offset", disk=NoSyncOfSnapshots),
    "acknowledged before the sync": Mutant(LOST, disk=SyncsLate),
    "old files removed before the rename is synced": Mutant(MISSING, journal=RemovesBeforeAdopting),
    "old files removed without a snapshot": Mutant(MISSING, journal=RemovesWithoutSnapshot),
    "no checksum of a frame": Mutant(
        "the start refused", replaced=("kvstore.journal.frame.crc32", no_checksum)
    ),
    "torn tail not cut": Mutant(UNFINISHED, disk=CutsNoTail),
    "room left in a full segment": Mutant(UNFINISHED, disk=TrimsNothing),
    "no sync of a trimmed segment": Mutant(UNFINISHED, disk=NoSyncOfTrims),
    "short write taken for a whole one": Mutant(LOST, disk=WritesHalf),
    "write repeated": Mutant("expected index 2, found 1", disk=WritesTwice),
    "no sync of what was replayed": Mutant("killed after", disk=NoSyncOfReplayed),
    "snapshot adopted in part": Mutant(
        ".snapshot at offset", replaced=("proof.life.build_snapshot", build_half)
    ),
    "snapshot adopted unverified": Mutant(
        ".snapshot at offset",
        disk=GarblesSnapshots,
        replaced=("proof.life.build_snapshot", build_unverified),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
async def test_mutant_is_found_out(
    name: str, chance: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof complains, and of what the mutant does."""
    mutant = MUTANTS[name]
    if mutant.replaced:
        monkeypatch.setattr(*mutant.replaced)
    complaint = await first_complaint(mutant, chance)
    assert complaint is not None
    assert mutant.complaint in complaint


async def first_complaint(mutant: Mutant, chance: Random) -> str | None:
    """Return what the proof says of a mutant, whose life may have ended early."""
    life = Life(the_plan(), lambda after_call: mutant.disk(after_call=after_call), mutant.journal)
    with suppress(KVStoreError):
        await life.run()
    return await Judge(life, chance, disk_class=mutant.disk).everything()


@pytest.mark.slow
async def test_journal_itself_is_not_found_out(chance: Random) -> None:
    """The same without a mutant: nothing; nor if the disk spoils every snapshot."""
    assert await first_complaint(Mutant(""), chance) is None
    assert await first_complaint(Mutant("", disk=GarblesSnapshots), chance) is None

"""Real folders with several segments and snapshots, and the stores that their journals come to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kvstore.journal.disk import Folder, FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.maintenance.compaction import build_snapshot
from kvstore.state.command import (
    CasKey,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteTree,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.image import Image
from kvstore.state.store import State

__all__ = ["BEGAN_MS", "SESSION", "STORY", "grow", "image_at", "ms_of", "plain", "session"]

BEGAN_MS = 1_700_000_000_000
"""A second before the first record; each later one is written a second later."""

SESSION = "aaaaaaaa-0000-4000-8000-00000000000b"


def ms_of(index: int) -> int:
    """Return when a record of these folders was written."""
    return BEGAN_MS + 1000 * index


def session(behavior: Literal["release", "delete"] = "release") -> CreateSession:
    """Return the command that makes the session of the story."""
    return CreateSession(SESSION, "", "n", 0, behavior, "", 0, None, None, ())


STORY: list[Command] = [
    CreateStore("bbbbbbbb-0000-4000-8000-00000000000b"),  # 1
    SetKey(b"a", b"1", 0),
    SetKey(b"tree/x", b"x", 5),
    session(),
    LockKey(b"lock", b"me", 0, SESSION),  # 5
    CasKey(b"a", b"2", 0, 2),
    CasKey(b"a", b"3", 0, 2),  # refused
    DeleteTree(b"tree/"),
    UnlockKey(b"lock", b"free", 0, SESSION),
    LockKey(b"lock", b"me again", 0, SESSION),  # 10
    DestroySession(SESSION),
    SetKey(b"tree/x", b"y", 0),
    DeleteKey(b"a"),
    SetKey(b"odd\xff\x00", b"\xfe" * 50, 0),
    SetKey(b"a", b"4", 0),  # 15
]


async def grow(
    folder: Path, commands: Sequence[Command] = STORY, *, snapshots: Sequence[int] = ()
) -> None:
    """Write commands to a new folder, each a batch, with a snapshot after each index named.

    Segments have room for a few.
    """
    journal = FileJournal(FolderDisk(folder), segment_bytes_max=200)
    assert journal.base() is None
    assert list(journal.replay()) == []
    for number, command in enumerate(commands, 1):
        assert await journal.append([command], ms_of(number)) == number
        if number in snapshots:
            assert await journal.rotate(ms_of(number)) == number
            build_snapshot(Folder(folder), number, ms_of(number))
            await journal.adopt_snapshot(number)
    await journal.close()


def image_at(index: int, commands: Sequence[Command] = STORY) -> Image:
    """Return the image of the store after this many commands."""
    state = State()
    for number, command in enumerate(commands[:index], 1):
        state.apply(number, command)
    return plain(state)


def plain(state: State) -> Image:
    """Return a state's image with its entries in a list, so that it can be compared."""
    image = state.image()
    return Image(image.facts, image.sessions, image.tombstones, list(image.entries))

"""Backups: a store in one file, in the format of Consul's snapshot archive."""

import os
from dataclasses import dataclass
from typing import IO

from kvstore.archive.archive import read_archive
from kvstore.errors import ArchiveUnreadable, InvariantBroken
from kvstore.state.store import State

__all__ = ["Backup", "read_backup"]


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds, verified."""

    state: State
    # Number of records of a Consul that are no business of a key-value store, by what they are.
    left_out: dict[str, int]
    size_bytes: int


def read_backup(file: IO[bytes]) -> Backup:
    """Return what is in a file, every sum and every rule of the store checked.

    Raises ArchiveUnreadable, and what the file raises.
    """
    file.seek(0)
    archive = read_archive(file)
    state = State()
    state.load(archive.image)
    try:
        state.check()
    except InvariantBroken as error:
        raise ArchiveUnreadable(str(error), "a store that agrees with itself") from error
    return Backup(state, archive.left_out, file.seek(0, os.SEEK_END))

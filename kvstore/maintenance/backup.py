"""Backups: a store in one file, in the format of Consul's snapshot archive, whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kvstore.archive.archive import read_archive
from kvstore.errors import ArchiveUnreadable, InvariantBroken
from kvstore.state.store import State

__all__ = ["Backup", "new_file", "read_backup"]


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


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Give a file to write and read back, which gets its name, synced, when the block has ended.

    Until then it has another name in the same folder, and it is gone when the block fails. Raises
    FileExistsError when the name is taken and not to be replaced, and what the system raises.
    """
    _require_free(path, replace=replace)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{path.name}.", suffix=".part", delete=False
    ) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _require_free(path, replace=replace)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_free(path: Path, *, replace: bool) -> None:
    if not replace and os.path.lexists(path):
        raise FileExistsError(f"{path} exists")

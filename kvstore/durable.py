"""Files that are there whole, under their name and synced, or not at all.

For what commands write: backups, exports, tokens. The journal has a door of its own to the disk.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["new_file"]


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Give a file to write and read back, which gets its name, synced, when the block has ended.

    Until then it has another, hidden name in the same folder, and it is gone when the block fails.
    It has mode 0600 unless the block gives it another. Raises FileExistsError when the name is
    taken and not to be replaced, and what the system raises.
    """
    _require_free(path, replace=replace)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
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
    _sync_folder(path.parent)


def _require_free(path: Path, *, replace: bool) -> None:
    if not replace and os.path.lexists(path):
        raise FileExistsError(f"{path} exists")


def _sync_folder(folder: Path) -> None:
    """Make names last: a file's own sync does not."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

"""The process that makes a snapshot beside the server, so that no request waits for it.

    python -m kvstore.maintenance.worker FOLDER LAST_INDEX LEFT_BYTES

Prints what it has built as JSON, and leaves so many bytes free on the disk. It reads closed files
and writes one new one, and needs nothing of the server but its being there: its standard input is a
pipe that ends with the server.
"""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kvstore.errors import CompactionFailed, KVStoreError
from kvstore.journal.disk import AppendFile, Folder
from kvstore.journal.space import format_bytes
from kvstore.maintenance.compaction import build_snapshot

__all__ = ["main"]

# The lowest there is: it takes what the server and everybody else leaves.
_NICE = 19
_TURN_S = 0.02


class _Pace:
    """Rests as long as it has worked, in turns of a fiftieth of a second.

    The priority leaves the processor to others, but not the disk, whose syncs the server waits for.
    """

    def __init__(self) -> None:
        self._rested = time.monotonic()

    def __call__(self, _done: int) -> None:
        worked_s = time.monotonic() - self._rested
        if worked_s >= _TURN_S:
            time.sleep(worked_s)
            self._rested = time.monotonic()


class _BoundedFolder(Folder):
    """A folder in which nothing is written that would leave less than this on its disk."""

    def __init__(self, folder: Path, left_bytes: int) -> None:
        super().__init__(folder)
        self._left_bytes = left_bytes

    def create(self, name: str) -> AppendFile:
        return _BoundedFile(super().create(name), self.require_room)

    def require_room(self, size_bytes: int) -> None:
        free_bytes = self.free_bytes()
        if free_bytes - size_bytes < self._left_bytes:
            raise CompactionFailed(
                f"the disk has {format_bytes(free_bytes)} left, a snapshot must leave "
                f"{format_bytes(self._left_bytes)} of it for the journal"
            )


class _BoundedFile:
    def __init__(self, file: AppendFile, require_room: Callable[[int], None]) -> None:
        self._require_room = require_room
        self._write = file.write
        self.sync = file.sync
        self.close = file.close

    def write(self, *pieces: bytes | memoryview) -> None:
        self._require_room(sum(map(len, pieces)))
        self._write(*pieces)


def main() -> None:
    """Build one snapshot; exits with 1 and a sentence on standard error when that fails."""
    last_index, left_bytes = int(sys.argv[2]), int(sys.argv[3])
    folder = _BoundedFolder(Path(sys.argv[1]), left_bytes)
    os.nice(_NICE)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    # Millions of values and no cycles among them: nothing to collect before the process ends.
    gc.disable()
    try:
        built = build_snapshot(folder, last_index, time.time_ns() // 1_000_000, _Pace())
    except (KVStoreError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(asdict(built)))


def _end_with_the_server() -> None:
    while os.read(0, 1):  # not `sys.stdin`: its lock, held here, would spoil a regular end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

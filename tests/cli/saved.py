"""What stores and backups hold, for the tests of backup and restore."""

from pathlib import Path
from typing import Any

from maintenance.stories import STORY, image_at
from running import Process

from kvstore.maintenance.backup import read_backup
from kvstore.state.store import State

__all__ = ["CONSULS", "LAST", "content", "content_at", "entries", "names", "saved"]

LAST = len(STORY)
CONSULS = Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap"


def content(state: State) -> list[tuple[bytes, bytes, int, str]]:
    """Return what is in a store, without indexes."""
    return [(one.key, one.value, one.flags, one.session) for one in state.image().entries]


def content_at(index: int) -> list[tuple[bytes, bytes, int, str]]:
    """Return what the story has come to after a record."""
    return [(one.key, one.value, one.flags, one.session) for one in image_at(index).entries]


def saved(path: Path) -> State:
    """Return the store in a backup."""
    with path.open("rb") as file:
        return read_backup(file).state


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def entries(process: Process) -> list[dict[str, Any]]:
    """Return all entries of a server."""
    found: list[dict[str, Any]] = process.call("GET", "/v1/kv/?recurse").json
    return found

"""A whole store as values: what a snapshot holds, what a backup holds, what a restore brings back.

`State.image` gives one and `State.load` takes one; replaying a journal up to an index and loading
the image of that index come to the same state.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kvstore.state.entry import Entry, Session

__all__ = ["Facts", "Image", "Tombstone"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store knows beside its tables."""

    store_id: str
    # Index of the last command; of the last one that changed an entry; a session.
    last_index: int
    kv_index: int
    session_index: int
    # See `Graveyard.floor`.
    tombstone_floor: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The trace of a delete; see `graveyard.py`."""

    name: bytes
    index: int
    # Whether it is a key that went with its tree, and not what a delete named.
    with_tree: bool


@dataclass(frozen=True, slots=True)
class Image:
    """A store at an index.

    `entries`, the bulk of it, may be an iterator that reads a file as it goes: take it once.
    """

    facts: Facts
    # In the order of the bytes of their ids.
    sessions: list[Session]
    # In the order of their names, those of one kind after the other.
    tombstones: list[Tombstone]
    # In the order of their keys.
    entries: Iterable[Entry]

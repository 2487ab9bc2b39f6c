"""From files to a store: a snapshot and the records behind it, applied."""

from collections.abc import Callable

from kvstore.journal.disk import Files
from kvstore.journal.listing import Chain
from kvstore.journal.reader import JournalReader, read_listing
from kvstore.state.image import Image
from kvstore.state.store import State

__all__ = ["begun_with", "rebuild"]


def begun_with(base: Image | None) -> State:
    """Return the store of an image, an empty one without; raises what the image's entries raise."""
    state = State()
    if base is not None:
        state.load(base)
    return state


def rebuild(
    files: Files,
    *,
    chain: Chain | None = None,
    upto: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> State:
    """Return the store that a folder holds, after the record `upto` if one is given.

    Reads the newest chain unless another is given. `progress` is told how many bytes were read
    since the last time. Raises JournalCorrupt and JournalUnreadable.
    """
    reader = JournalReader(files, read_listing(files), chain, upto=upto, progress=progress)
    state = begun_with(reader.base())
    for record in reader.records():
        state.apply(record.index, record.command)
    return state

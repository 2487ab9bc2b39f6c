"""What was made for a read and is still true: whole responses, and entries of lists.

A write wakes a thousand watchers of one prefix, and clients read the same keys over and over: what
they are all told is made once, and compressed once, as long as the index of what it shows stays.
"""

from collections.abc import Hashable, Sequence

from kvstore.api.exchange import Response
from kvstore.api.render import render_entry
from kvstore.state.entry import Entry

__all__ = ["RENDERINGS_BYTES_MAX", "RenderedEntries", "Renderings"]

# Room for the lists of a thousand engines and some thousand keys.
RENDERINGS_BYTES_MAX = 16 * 1024 * 1024
# What a response takes beside its body, with its compressed form counted as another half.
_OVERHEAD_BYTES = 1024


class Renderings:
    """Keeps responses by name, each with the index it is true at; the oldest go first."""

    def __init__(self, bytes_max: int = RENDERINGS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: dict[Hashable, tuple[int, Response]] = {}
        self._bytes = 0

    def get(self, name: Hashable, index: int) -> Response | None:
        """Return the response that was kept under a name at this index; None without one."""
        kept = self._kept.get(name)
        return kept[1] if kept is not None and kept[0] == index else None

    def keep(self, name: Hashable, index: int, response: Response) -> Response:
        """Keep a response in the place of an older one of its name, and return it."""
        older = self._kept.pop(name, None)
        if older is not None:
            self._bytes -= _size_bytes(older[1])
        size_bytes = _size_bytes(response)
        if size_bytes <= self._bytes_max:
            self._kept[name] = (index, response)
            self._bytes += size_bytes
        while self._bytes > self._bytes_max:
            oldest = next(iter(self._kept))
            self._bytes -= _size_bytes(self._kept.pop(oldest)[1])
        return response


def _size_bytes(response: Response) -> int:
    return _OVERHEAD_BYTES + len(response.body) * 3 // 2


# Entries of lists that are kept as JSON. A list of more of them is rendered anew each time: it
# would push out all others, and its own beginning before its end.
_ENTRIES_MAX = 16_384
_ENTRIES_BYTES_MAX = 32 * 1024 * 1024


class RenderedEntries:
    """Keeps the JSON of entries that were listed; the oldest go first."""

    def __init__(
        self, entries_max: int = _ENTRIES_MAX, bytes_max: int = _ENTRIES_BYTES_MAX
    ) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        # By key, with the entry that it is the JSON of.
        self._kept: dict[bytes, tuple[Entry, bytes]] = {}
        self._bytes = 0

    def render(self, entries: Sequence[Entry]) -> bytes:
        """Return a JSON list of entries that are in the store now."""
        render = self._render if len(entries) <= self._entries_max else render_entry
        return b"[" + b",".join(map(render, entries)) + b"]"

    def _render(self, entry: Entry) -> bytes:
        kept = self._kept.get(entry.key)
        if kept is not None and kept[0] is entry:
            return kept[1]
        rendered = render_entry(entry)
        if kept is not None:
            del self._kept[entry.key]
            self._bytes -= len(kept[1])
        self._kept[entry.key] = entry, rendered
        self._bytes += len(rendered)
        while self._bytes > self._bytes_max or len(self._kept) > self._entries_max:
            oldest = next(iter(self._kept))
            self._bytes -= len(self._kept.pop(oldest)[1])
        return rendered

"""What was made for a read and is still true: whole responses, and entries of lists.

A write wakes a thousand watchers of one prefix, and clients read the same keys over and over: what
they are all told is made once, and compressed once, as long as the index of what it shows stays.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from kvstore.api.exchange import Response
from kvstore.api.render import render_entry
from kvstore.state.entry import Entry

__all__ = ["RENDERINGS_BYTES_MAX", "NewestRenderings", "RenderedEntries", "Renderings"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Room for the lists of a thousand engines and some thousand keys.
RENDERINGS_BYTES_MAX = 16 * 1024 * 1024
# Entries of lists that are kept as JSON. A list of more of them is rendered anew each time: it
# would push out all others, and its own beginning before its end.
_ENTRIES_MAX = 16_384
_ENTRIES_BYTES_MAX = 32 * 1024 * 1024
# Small entries whose responses are kept.
_NEWEST_MAX = 64
# What is kept takes so much beside its bytes: a response, an entry.
_RESPONSE_BYTES = 1024
_ENTRY_BYTES = 256


class _Kept(Generic[K, V]):
    """Values by name, at most so many bytes of them; the oldest go first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._sizes: dict[K, int] = {}
        self._bytes = 0
        self.values: dict[K, V] = {}

    def put(self, name: K, value: V, size_bytes: int) -> None:
        """Keep a value in the place of an older one of its name, unless it is too large."""
        self._drop(name)
        if size_bytes > self._bytes_max:
            return
        self.values[name] = value
        self._sizes[name] = size_bytes
        self._bytes += size_bytes
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._sizes)))

    def _drop(self, name: K) -> None:
        self._bytes -= self._sizes.pop(name, 0)
        self.values.pop(name, None)


class Renderings:
    """Keeps responses by name, each with the index it is true at."""

    def __init__(self, bytes_max: int = RENDERINGS_BYTES_MAX) -> None:
        self._kept: _Kept[Hashable, tuple[int, Response]] = _Kept(bytes_max)

    def get(self, name: Hashable, index: int) -> Response | None:
        """Return the response that was kept under a name at this index; None without one."""
        kept = self._kept.values.get(name)
        return kept[1] if kept is not None and kept[0] == index else None

    def keep(self, name: Hashable, index: int, response: Response) -> Response:
        """Keep a response in the place of an older one of its name, and return it."""
        # Its compressed form counts as another half.
        size_bytes = _RESPONSE_BYTES + len(response.body) * 3 // 2
        self._kept.put(name, (index, response), size_bytes)
        return response


class NewestRenderings:
    """Keeps the responses that show a small entry, by name: the newest few of them.

    That is enough for what many ask for at once: all who waited for a key, all who read the one
    that everybody reads. For other reads it must cost nothing, so there is no bookkeeping: one too
    many, and all are forgotten.
    """

    def __init__(self, responses_max: int = _NEWEST_MAX) -> None:
        self._responses_max = responses_max
        self._kept: dict[Hashable, tuple[Entry, Response]] = {}

    def get(self, name: Hashable, entry: Entry) -> Response | None:
        """Return the response that was kept under a name for this very entry; None without one."""
        kept = self._kept.get(name)
        return kept[1] if kept is not None and kept[0] is entry else None

    def keep(self, name: Hashable, entry: Entry, response: Response) -> Response:
        """Keep a response in the place of an older one of its name, and return it."""
        if len(self._kept) >= self._responses_max:
            self._kept.clear()
        self._kept[name] = entry, response
        return response


class RenderedEntries:
    """Keeps the JSON of entries that were listed."""

    def __init__(
        self, entries_max: int = _ENTRIES_MAX, bytes_max: int = _ENTRIES_BYTES_MAX
    ) -> None:
        self._entries_max = entries_max
        # By key, with the entry that it is the JSON of.
        self._kept: _Kept[bytes, tuple[Entry, bytes]] = _Kept(bytes_max)

    def render(self, entries: Sequence[Entry]) -> bytes:
        """Return a JSON list of entries that are in the store now."""
        render = self._render if len(entries) <= self._entries_max else render_entry
        return b"[" + b",".join(map(render, entries)) + b"]"

    def _render(self, entry: Entry) -> bytes:
        kept = self._kept.values.get(entry.key)
        if kept is not None and kept[0] is entry:
            return kept[1]
        rendered = render_entry(entry)
        # The entry may be gone from the store and live only here.
        size_bytes = _ENTRY_BYTES + len(rendered) + len(entry.value)
        self._kept.put(entry.key, (entry, rendered), size_bytes)
        return rendered

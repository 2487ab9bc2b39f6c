"""Values by name, in the order of the names' bytes, and the newest index of any range of them.

A dict finds one. Pieces of some hundred names, each in order, find a range; each knows the newest
index in it, so that the index of a prefix costs a look at its pieces and not at its values.

Invariants (`check` verifies them):
- the pieces, one after the other, hold the names of the dict in order, each with its value;
- piece `i` has the names from `_starts[i]` to before `_starts[i + 1]`; the first starts with `b""`;
- `newest` of a piece is the largest index in it, or `_UNKNOWN`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Generic, TypeVar

from kvstore.errors import InvariantBroken
from kvstore.state.prefix import prefix_end

__all__ = ["Ordered"]

V = TypeVar("V")

# As few names as make it cheap to put one between them, as many as make pieces few.
_PIECE_MAX = 512
# A piece that has become smaller is joined with one beside it.
_PIECE_MIN = 64
# To load a table takes, for each value, a part of the time that it takes to put one.
_LOAD_TIMES = 8
# `newest` is found again when it is asked for.
_UNKNOWN = -1


class _Piece(Generic[V]):
    """Some names that follow each other, and their values in the same order."""

    __slots__ = ("is_shared", "names", "newest", "values")

    def __init__(self, names: list[bytes], values: list[V]) -> None:
        self.names = names
        self.values = values
        self.newest = _UNKNOWN
        # Whether somebody keeps `values` as they are: then they are copied before a change.
        self.is_shared = False

    def unshare(self) -> None:
        """Get values of its own, to be changed."""
        self.values = self.values.copy()
        self.is_shared = False


class Ordered(Generic[V]):
    """A table of values by name; `index_of` tells a value's index."""

    __slots__ = ("_by_name", "_index_of", "_pieces", "_starts", "get")

    def __init__(self, index_of: Callable[[V], int]) -> None:
        self._index_of = index_of
        self._by_name: dict[bytes, V] = {}
        # The value under a name, None without one; the dict's own, since reads are many.
        self.get: Callable[[bytes], V | None] = self._by_name.get
        self._pieces: list[_Piece[V]] = [_Piece([], [])]
        self._starts: list[bytes] = [b""]

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: bytes) -> V:
        return self._by_name[name]

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the names in order."""
        return chain.from_iterable(piece.names for piece in self._pieces)

    def __setitem__(self, name: bytes, value: V) -> None:
        """Put a value under a name, in the place of one that is there."""
        piece_at = bisect_right(self._starts, name) - 1
        piece = self._pieces[piece_at]
        if piece.is_shared:
            piece.unshare()
        names = piece.names
        at = bisect_left(names, name)
        is_there = name in self._by_name
        if is_there:
            piece.values[at] = value
        else:
            names.insert(at, name)
            piece.values.insert(at, value)
        self._by_name[name] = value
        if piece.newest != _UNKNOWN:
            index = self._index_of(value)
            if index >= piece.newest:
                piece.newest = index
            elif is_there:  # which may have been the newest
                piece.newest = _UNKNOWN
        if len(names) > _PIECE_MAX:
            self._split(piece_at)

    def __delitem__(self, name: bytes) -> None:
        """Take out a name that is there."""
        value = self._by_name.pop(name)
        piece_at = bisect_right(self._starts, name) - 1
        piece = self._pieces[piece_at]
        if piece.is_shared:
            piece.unshare()
        at = bisect_left(piece.names, name)
        del piece.names[at]
        del piece.values[at]
        if self._index_of(value) >= piece.newest:
            piece.newest = _UNKNOWN
        self._tidy(piece_at)

    def update(self, items: Mapping[bytes, V]) -> None:
        """Put some values under their names; if they are many, as `load` does."""
        if len(items) * _LOAD_TIMES > len(self):
            self.load(chain(self._by_name.copy().items(), items.items()))
            return
        for name, value in items.items():
            self[name] = value

    def load(self, items: Iterable[tuple[bytes, V]]) -> None:
        """Hold these names and values, in any order, and no others; faster than one by one."""
        self._by_name.clear()
        self._by_name.update(items)
        names = sorted(self._by_name)
        values = list(map(self._by_name.__getitem__, names))
        # Half full, so that what is written next does not split every piece it comes to.
        step = _PIECE_MAX // 2
        self._pieces = [
            _Piece(names[at : at + step], values[at : at + step])
            for at in range(0, len(names), step)
        ] or [_Piece([], [])]
        self._starts = [b"", *(piece.names[0] for piece in self._pieces[1:])]

    def values(self) -> Iterator[V]:
        """Iterate over the values in the order of their names."""
        return chain.from_iterable(piece.values for piece in self._pieces)

    def frozen_values(self) -> Iterator[V]:
        """Iterate over the values in order as they are now, whatever is written meanwhile.

        O(1) in the values: what is written next copies the piece it is in.
        """
        for piece in self._pieces:
            piece.is_shared = True
        return chain.from_iterable([piece.values for piece in self._pieces])

    def under(self, prefix: bytes) -> list[V]:
        """Return the values whose names start with `prefix`, in order."""
        parts = [piece.values[start:end] for piece, start, end in self._parts(prefix)]
        return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))

    def names(self, prefix: bytes) -> list[bytes]:
        """Return the names that start with `prefix`, in order."""
        parts = [piece.names[start:end] for piece, start, end in self._parts(prefix)]
        return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))

    def cut_names(self, prefix: bytes, separator: bytes) -> list[bytes]:
        """Return what `prefix.cut_names` makes of the names under `prefix`.

        O(log n) for each name in the result, however many there are behind its separator.
        """
        if not separator:
            return self.names(prefix)
        cut_ones: list[bytes] = []
        piece_at, at = self._place(prefix)
        while piece_at < len(self._pieces):
            names = self._pieces[piece_at].names
            if at == len(names):
                piece_at, at = piece_at + 1, 0
                continue
            name = names[at]
            if not name.startswith(prefix):
                break
            cut = name.find(separator, len(prefix))
            if cut < 0:
                cut_ones.append(name)
                at += 1
                continue
            cut_ones.append(name[: cut + len(separator)])
            piece_at, at = self._end_place(cut_ones[-1])
        return cut_ones

    def newest(self, prefix: bytes) -> int:
        """Return the largest index of what is under `prefix`, 0 when there is nothing.

        O(the pieces under the prefix), and what was written since the last time is looked at.
        """
        index_of = self._index_of
        newest = 0
        for piece, start, end in self._parts(prefix):
            if end - start < len(piece.values):
                here = max(map(index_of, piece.values[start:end]), default=0)
            else:
                if piece.newest == _UNKNOWN:
                    piece.newest = max(map(index_of, piece.values), default=0)
                here = piece.newest
            newest = max(newest, here)
        return newest

    def remove_under(self, prefix: bytes) -> None:
        """Take out every name that starts with `prefix`."""
        (first_at, first), (last_at, last) = self._place(prefix), self._end_place(prefix)
        for name in self.names(prefix):
            del self._by_name[name]
        if first_at == last_at:
            self._cut(first_at, first, last)
        else:
            if last_at < len(self._pieces):
                self._cut(last_at, 0, last)
            self._cut(first_at, first, None)
            del self._pieces[first_at + 1 : last_at]
            del self._starts[first_at + 1 : last_at]
            self._tidy(min(first_at + 1, len(self._pieces) - 1))
        self._tidy(min(first_at, len(self._pieces) - 1))

    def check(self) -> None:
        """Verify the invariants; O(n). Raises InvariantBroken."""
        ends = [*self._starts[1:], None]
        sound = self._starts[0] == b"" and len(self._starts) == len(self._pieces)
        for piece, start, end in zip(self._pieces, self._starts, ends, strict=sound):
            names, values = piece.names, piece.values
            newest = max(map(self._index_of, values), default=0)
            sound = (
                sound
                and all(start <= name and (end is None or name < end) for name in names)
                and values == [self._by_name.get(name) for name in names]
                and piece.newest in (newest, _UNKNOWN)
            )
        if not sound or list(self) != sorted(self._by_name):
            raise InvariantBroken("the pieces of a table differ from what is in it")

    def _place(self, name: bytes) -> tuple[int, int]:
        """Return the piece of a name, and where it is or would be in it."""
        piece_at = bisect_right(self._starts, name) - 1
        return piece_at, bisect_left(self._pieces[piece_at].names, name)

    def _end_place(self, prefix: bytes) -> tuple[int, int]:
        """Return the place behind all names that start with `prefix`."""
        end = prefix_end(prefix)
        return (len(self._pieces), 0) if end is None else self._place(end)

    def _parts(self, prefix: bytes) -> Iterator[tuple[_Piece[V], int, int]]:
        """Yield the pieces that have names under `prefix`, and from where to where."""
        (first_at, first), (last_at, last) = self._place(prefix), self._end_place(prefix)
        for piece_at in range(first_at, min(last_at + 1, len(self._pieces))):
            piece = self._pieces[piece_at]
            end = last if piece_at == last_at else len(piece.names)
            yield piece, first if piece_at == first_at else 0, end

    def _cut(self, piece_at: int, start: int, end: int | None) -> None:
        piece = self._pieces[piece_at]
        if piece.is_shared:
            piece.unshare()
        del piece.names[start:end]
        del piece.values[start:end]
        piece.newest = _UNKNOWN

    def _split(self, piece_at: int) -> None:
        """Make two pieces of one; as copies, which take no more memory than they need."""
        piece = self._pieces[piece_at]
        middle = len(piece.names) // 2
        halves = [
            _Piece(piece.names[:middle], piece.values[:middle]),
            _Piece(piece.names[middle:], piece.values[middle:]),
        ]
        self._pieces[piece_at : piece_at + 1] = halves
        self._starts.insert(piece_at + 1, halves[1].names[0])

    def _tidy(self, piece_at: int) -> None:
        """Join a piece that has become small with one beside it."""
        pieces = self._pieces
        if len(pieces[piece_at].names) >= _PIECE_MIN or len(pieces) == 1:
            return
        left_at = max(piece_at - 1, 0)
        left, right = pieces[left_at : left_at + 2]
        joined = _Piece(left.names + right.names, left.values + right.values)
        pieces[left_at : left_at + 2] = [joined]
        del self._starts[left_at + 1]
        if len(joined.names) > _PIECE_MAX:
            self._split(left_at)

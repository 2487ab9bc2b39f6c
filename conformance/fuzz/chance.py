"""Chance that is the same on any machine and any version of Python.

Only `random.Random.random` promises that; everything here is made of it.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")


class Chance:
    """One stream of draws, given by its seed."""

    def __init__(self, seed: str) -> None:
        self._next = random.Random(seed).random  # noqa: S311 - repeatable by intent

    def below(self, bound: int) -> int:
        """Draw a number from 0 to `bound` - 1."""
        return int(self._next() * bound)

    def one_in(self, count: int) -> bool:
        """Say yes once in `count` times."""
        return self._next() * count < 1

    def choice(self, items: Sequence[T]) -> T:
        """Draw one item."""
        return items[int(self._next() * len(items))]

    def some(self, items: Sequence[T], most: int) -> list[T]:
        """Draw up to `most` items, fewer more often; one may come twice."""
        return [self.choice(items) for _ in range(min(self.below(most + 1), self.below(most + 1)))]

    def weighed(self, table: "Weighed[T]") -> T:
        """Draw an item of a table."""
        return table.at(self._next())


class Weighed(Generic[T]):
    """Items with weights: an item of weight 2 is drawn twice as often as one of weight 1."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self._items = list(weights)
        self._ends = list(accumulate(weights.values()))

    def at(self, share: float) -> T:
        """Return the item at that share, from 0 up to 1, of the sum of all weights."""
        sought = share * self._ends[-1]
        for item, end in zip(self._items, self._ends, strict=True):
            if sought < end:
                return item
        return self._items[-1]

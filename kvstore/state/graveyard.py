"""Tombstones: what keeps a prefix's index from going back when its newest key is deleted.

A read of a prefix answers with the largest modify_index under it. Delete the newest key and that
number would drop, and a client that waits for "more than what I have" would miss the delete. So a
delete leaves a tombstone with its index.

Invariants:
- a name has at most one tombstone, with the index of its last delete;
- tombstones are forgotten, oldest first, when there are too many; `floor` then remembers the
  newest of the forgotten ones and counts for every prefix.

With them `kv.py` keeps the promise that no index answered for a prefix is larger than what is
answered later.

Consul forgets its tombstones after 15 minutes and lets the index drop
(Source: Consul 1.8.7, tombstone_gc.go; contract I8). Ours, since a client cannot tell a lower
index from lost data: bounded by count, and the index never drops.

Knows nothing of entries, sessions or time.
"""

from sortedcontainers import SortedDict

from kvstore.state.prefix import prefix_end

__all__ = ["TOMBSTONES_MAX", "Graveyard"]

# About 4 MB with Docker's keys of 170 bytes. Forgetting costs every waiting prefix watcher one
# answer without news, so it should be rare: once in 8,192 deletes of distinct keys.
TOMBSTONES_MAX = 16_384


class Graveyard:
    """The tombstones of one store."""

    def __init__(self, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self._tombstones_max = tombstones_max
        # Index of the last delete, by name. A tree's name is its prefix.
        self._tombstones: SortedDict[bytes, int] = SortedDict()
        # The names that were deleted as whole trees.
        self._trees: dict[bytes, int] = {}
        # The largest index among the forgotten tombstones; 0 while none was forgotten.
        self.floor = 0

    def __len__(self) -> int:
        return len(self._tombstones)

    def bury(self, key: bytes, index: int) -> None:
        """Remember that `key` was deleted at `index`."""
        self._tombstones[key] = index
        if len(self._tombstones) > self._tombstones_max:
            self._forget_oldest_half()

    def bury_tree(self, prefix: bytes, index: int) -> None:
        """Remember that everything under `prefix` was deleted at `index`."""
        self._trees[prefix] = index
        self.bury(prefix, index)

    def latest(self, prefix: bytes) -> int:
        """Return the index of the last delete under `prefix`, 0 if none is remembered.

        A delete of a whole tree above `prefix` counts when something under `prefix` is
        remembered too (Consul forgets it and answers late; contract B9).
        O(t) in the tombstones under the prefix.
        """
        tombstones = self._tombstones
        under = tombstones.irange(prefix, prefix_end(prefix), inclusive=(True, False))
        latest: int = max((tombstones[name] for name in under), default=0)
        if latest and self._trees:
            for length in range(len(prefix)):
                latest = max(latest, self._trees.get(prefix[:length], 0))
        return latest

    def _forget_oldest_half(self) -> None:
        by_age = sorted(self._tombstones.items(), key=lambda item: item[1])
        for name, index in by_age[: len(by_age) // 2]:
            del self._tombstones[name]
            self._trees.pop(name, None)
            self.floor = max(self.floor, index)

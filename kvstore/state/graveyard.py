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

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain

from kvstore.state.image import Tombstone
from kvstore.state.ordered import Ordered

__all__ = ["TOMBSTONES_MAX", "Graveyard"]

# About 4 MB with Docker's keys of 170 bytes. Forgetting costs every waiting prefix watcher one
# answer without news, so it should be rare: once in 8,192 deletes of distinct keys.
TOMBSTONES_MAX = 16_384


class Graveyard:
    """The tombstones of one store."""

    def __init__(self, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self._tombstones_max = tombstones_max
        # Index of the last delete, by name. A tree that was deleted as a whole has one tombstone,
        # named by its prefix (I7).
        self._tombstones: Ordered[int] = Ordered(int)
        # The same for the keys that went with a tree. Consul does not know them, so they count
        # only where there is a tombstone: see `latest`.
        self._gone_with_tree: Ordered[int] = Ordered(int)
        # The largest index among the forgotten tombstones; 0 while none was forgotten.
        self.floor = 0
        # Burials that wait for the end of a transaction; None outside of one.
        self._held: list[Callable[[], None]] | None = None

    def __len__(self) -> int:
        return len(self._tombstones) + len(self._gone_with_tree)

    def bury(self, key: bytes, index: int) -> None:
        """Remember that `key` was deleted at `index`."""
        if self._held is not None:
            self._held.append(partial(self.bury, key, index))
            return
        self._tombstones[key] = index
        self._forget_if_full()

    def bury_tree(self, prefix: bytes, keys: Sequence[bytes], index: int) -> None:
        """Remember that `keys`, which is all there was under `prefix`, were deleted at `index`."""
        if self._held is not None:
            self._held.append(partial(self.bury_tree, prefix, keys, index))
            return
        if len(keys) > self._tombstones_max:
            self._forget_up_to(index)  # too many to remember them, and all else is older
            return
        if prefix:
            self._tombstones[prefix] = index
        self._gone_with_tree.update(dict.fromkeys(keys, index))
        self._forget_if_full()

    def latest(self, prefix: bytes) -> int:
        """Return the index of the last delete under `prefix`, 0 if it has no tombstone.

        What went with a tree above the prefix counts too when the prefix has a tombstone of its
        own; Consul goes back to that tombstone's index then, and answers late (contract B9).
        """
        latest = self._tombstones.newest(prefix)
        return latest and max(latest, self._gone_with_tree.newest(prefix))

    def hold(self) -> None:
        """Put off all burials until `release` or `drop_held`."""
        self._held = []

    def release(self) -> None:
        """Do what was put off, in its order."""
        held, self._held = self._held or [], None
        for bury in held:
            bury()

    def drop_held(self) -> None:
        """Forget what was put off."""
        self._held = None

    def tombstones(self) -> list[Tombstone]:
        """Return all tombstones."""
        named = [Tombstone(name, self._tombstones[name], False) for name in self._tombstones]
        gone = [Tombstone(name, self._gone_with_tree[name], True) for name in self._gone_with_tree]
        return named + gone

    def load(self, tombstones: Iterable[Tombstone], floor: int) -> None:
        """Take over another graveyard's tombstones and floor; only into an empty one."""
        for one in tombstones:
            table = self._gone_with_tree if one.with_tree else self._tombstones
            table[one.name] = one.index
        self.floor = floor
        self._forget_if_full()

    def _forget_if_full(self) -> None:
        """Forget the oldest half when there are too many, or more after a large tree."""
        count = len(self)
        if count <= self._tombstones_max:
            return
        ages = sorted(chain(self._tombstones.values(), self._gone_with_tree.values()))
        self._forget_up_to(ages[max(count // 2, count - self._tombstones_max) - 1])

    def _forget_up_to(self, floor: int) -> None:
        """Forget the tombstones that are not newer."""
        self.floor = floor
        for table in (self._tombstones, self._gone_with_tree):
            kept = [(name, table[name]) for name in table if table[name] > floor]
            table.load(kept)

"""The tables behind `State`, and the three indexes of the store.

Invariants (`State.check` verifies them):
- `entries[k].key == k`; `sessions[b].id` parses to `b`;
- `entries` is what `ordered.py` says;
- `held` names exactly the keys whose entry has a session, under that session's bytes;
- no stored index is larger than `last_index`.
"""

from dataclasses import dataclass, field
from operator import attrgetter

from sortedcontainers import SortedDict

from kvstore.state.entry import Entry, Session
from kvstore.state.graveyard import Graveyard
from kvstore.state.ordered import Ordered
from kvstore.state.session_id import parse_session_id

__all__ = ["Tables"]


@dataclass(slots=True)
class _Undo:
    """How things were when a transaction began."""

    kv_index: int
    # Each change's key and what was there before it, in order; None for nothing.
    changes: list[tuple[bytes, Entry | None]] = field(default_factory=list)


def _no_entries() -> Ordered[Entry]:
    return Ordered(attrgetter("modify_index"))


@dataclass(slots=True)
class Tables:
    """Everything a store holds; only the modules of commands change it."""

    # By key, in the order of its bytes.
    entries: Ordered[Entry] = field(default_factory=_no_entries)
    # By the bytes of the id.
    sessions: SortedDict[bytes, Session] = field(default_factory=SortedDict)
    # The keys each session holds, by the bytes of its id; no empty sets.
    held: dict[bytes, set[bytes]] = field(default_factory=dict)
    graveyard: Graveyard = field(default_factory=Graveyard)
    # The store's name, given once by `CreateStore`; empty before it.
    store_id: str = ""
    # Index of the last command applied; 0 before the first.
    last_index: int = 0
    # Index of the last command that changed an entry.
    kv_index: int = 0
    # Index of the last command that made or destroyed a session.
    session_index: int = 0
    # What to put back if the transaction under way fails; None outside of one.
    _undo: _Undo | None = None

    def put(self, old: Entry | None, new: Entry) -> None:
        """Store `new` in the place of `old` (None when the key is absent)."""
        if self._undo is not None:
            self._undo.changes.append((new.key, old))
        if old is not None and old.session and old.session != new.session:
            self._drop_hold(old)
        if new.session and (old is None or old.session != new.session):
            self.held.setdefault(parse_session_id(new.session), set()).add(new.key)
        self.entries[new.key] = new
        self.kv_index = new.modify_index

    def remove(self, entry: Entry, index: int) -> None:
        """Take out an entry that is there; leaves no tombstone, the caller does."""
        if self._undo is not None:
            self._undo.changes.append((entry.key, entry))
        if entry.session:
            self._drop_hold(entry)
        del self.entries[entry.key]
        self.kv_index = index

    def remove_tree(self, prefix: bytes, index: int) -> list[Entry]:
        """Take out all entries under a prefix and return them; leaves no tombstones."""
        doomed = self.entries.under(prefix)
        if not doomed:
            return doomed
        if self._undo is not None:
            self._undo.changes += [(entry.key, entry) for entry in doomed]
        for entry in doomed:
            if entry.session:
                self._drop_hold(entry)
        self.entries.remove_under(prefix)
        self.kv_index = index
        return doomed

    def begin(self) -> None:
        """Begin a transaction of entries: what follows is kept by `commit`, undone by `roll_back`.

        Tombstones are made by `commit` only. Sessions must not change meanwhile.
        """
        self._undo = _Undo(self.kv_index)
        self.graveyard.hold()

    def commit(self) -> None:
        """End the transaction and keep what it did."""
        self._undo = None
        self.graveyard.release()

    def roll_back(self) -> None:
        """End the transaction and leave everything as it was before. O(changes)."""
        assert self._undo is not None
        undo, self._undo = self._undo, None
        for key, old in reversed(undo.changes):
            current = self.entries.get(key)
            if old is not None:
                self.put(current, old)
            elif current is not None:
                self.remove(current, undo.kv_index)
        self.kv_index = undo.kv_index
        self.graveyard.drop_held()

    def _drop_hold(self, entry: Entry) -> None:
        owner = parse_session_id(entry.session)
        keys = self.held[owner]
        keys.discard(entry.key)
        if not keys:
            del self.held[owner]

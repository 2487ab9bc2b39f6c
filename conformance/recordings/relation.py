"""Session ids and indexes: what stands in a recording, and what a store says in its place.

An id may be any; the same one must come back. Indexes may be any numbers, but one index of the
recording is always the same one of the store, and a larger one is larger.
"""

from bisect import bisect_left, insort
from typing import Any

INDEXES = {"CreateIndex", "ModifyIndex"}
SESSIONS = {"ID", "Session"}


class Unlike(Exception):
    """An answer that is not what was recorded; the text says what of it."""


class Relation:
    """What is known so far, by what was compared."""

    def __init__(self, prefix: str) -> None:
        # What the store's keys begin with, and those of the recording do not.
        self._prefix = prefix
        self._sessions: dict[str, str] = {}
        self._indexes: dict[int, int] = {}
        self._recorded: list[int] = []
        # Indexes of what was not there, which tell of the store as a whole; by path.
        self._absent: dict[tuple[str, int], int] = {}

    # --- from the recording to the store ----------------------------------------------------

    def session(self, recorded: str) -> str:
        """Return the store's id for a recorded one; itself if the store has never told."""
        return self._sessions.get(recorded, recorded)

    def index(self, recorded: int, path: str) -> int | None:
        """Return the store's index for a recorded one of `path`; None when it has never told."""
        return self._absent.get((path, recorded)) or self._indexes.get(recorded)

    def text(self, recorded: str) -> str:
        """Return a text, such as an error, with the recorded session ids replaced."""
        for mine, theirs in self._sessions.items():
            recorded = recorded.replace(mine, theirs)
        return recorded

    # --- what the store says ----------------------------------------------------------------

    def know(self, recorded: str, session: str) -> None:
        """Note the store's id for a recorded one. Raises Unlike."""
        if self._sessions.setdefault(recorded, session) != session:
            raise Unlike(f"session {session}, expected {self._sessions[recorded]}")

    def see_index(self, recorded: int, index: int, what: str) -> None:
        """Take the store's index for a recorded one. Raises Unlike."""
        known = self._indexes.get(recorded)
        if known is None:
            known = self._place(recorded, index, what)
        if known != index:
            raise Unlike(f"{what} {index}, expected {known}, which stands for {recorded}")

    def see_absent(self, recorded: int, index: int, path: str) -> None:
        """Take the index of what is not there: at least that of any change before it.

        Raises Unlike.
        """
        at = bisect_left(self._recorded, recorded + 1)
        least = self._indexes[self._recorded[at - 1]] if at else 1
        if index < least:
            raise Unlike(f"X-Consul-Index {index}, expected at least {least}")
        self._absent[path, recorded] = index

    def compare(self, recorded: Any, got: Any, where: str = "the answer") -> None:
        """Compare two bodies: equal but for ids, indexes, keys' prefix and the node's name.

        Raises Unlike, with the place in the body that differs.
        """
        if isinstance(recorded, dict) and isinstance(got, dict):
            if list(recorded) != list(got):
                raise Unlike(f"{where} has {', '.join(got)}, expected {', '.join(recorded)}")
            for name, value in recorded.items():
                self._compare_member(name, value, got[name], where)
        elif isinstance(recorded, list) and isinstance(got, list):
            if len(recorded) != len(got):
                raise Unlike(f"{where} has {len(got)} entries, expected {len(recorded)}")
            for number, (mine, theirs) in enumerate(zip(recorded, got, strict=True)):
                self.compare(mine, theirs, f"{where}[{number}]")
        elif type(recorded) is not type(got) or recorded != got:
            raise Unlike(f"{where} is {got!r}, expected {recorded!r}")

    def _compare_member(self, name: str, recorded: Any, got: Any, where: str) -> None:
        where = f"{where}.{name}"
        if name in INDEXES and isinstance(got, int):
            self.see_index(recorded, got, where)
        elif name in SESSIONS and isinstance(got, str):
            self.know(recorded, got)
        elif name == "Key":
            self.compare(self._prefix + recorded, got, where)
        elif name != "Node":
            self.compare(recorded, got, where)

    def _place(self, recorded: int, index: int, what: str) -> int:
        """Find room for a new pair between those known. Raises Unlike when there is none."""
        at = bisect_left(self._recorded, recorded)
        before = self._indexes[self._recorded[at - 1]] if at else 0
        behind = self._indexes[self._recorded[at]] if at < len(self._recorded) else None
        if index <= before or (behind is not None and index >= behind):
            limit = "" if behind is None else f" and less than {behind}"
            raise Unlike(f"{what} {index}, expected more than {before}{limit}")
        insort(self._recorded, recorded)
        self._indexes[recorded] = index
        return index

"""How the indexes of two stores pair up: the same order, whatever the numbers are."""

from bisect import bisect_left


class Pairing:
    """The pairs seen so far, each of an index of the oracle and one of the store.

    Both sides count writes, but not the same ones: numbers differ, their order must not.
    """

    def __init__(self) -> None:
        self._theirs: list[int] = []
        self._ours: list[int] = []
        # After a restore the orders differ (rule restore-is-a-write).
        self.suspended = False

    def fits(self, theirs: int, ours: int) -> bool:
        """Return whether this pair keeps the order of all pairs seen; remember it if so."""
        if self.suspended:
            return True
        at = bisect_left(self._theirs, theirs)
        if at < len(self._theirs) and self._theirs[at] == theirs:
            return self._ours[at] == ours
        after_lower = at == 0 or self._ours[at - 1] < ours
        before_higher = at == len(self._ours) or ours < self._ours[at]
        if not (after_lower and before_higher):
            return False
        self._theirs.insert(at, theirs)
        self._ours.insert(at, ours)
        return True

    def theirs(self, ours: int) -> int | None:
        """Return the oracle's index that was seen with this one of the store's, if any was."""
        at = bisect_left(self._ours, ours)
        found = at < len(self._ours) and self._ours[at] == ours
        return self._theirs[at] if found else None

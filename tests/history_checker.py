"""Everything that is checked of a history, round by round, with figures to tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from history import Call, Entries, Listing, ReadSessions, ReadTree
from history_checks import HistoryBroken, Holders, Indexes, Observations
from history_model import Group, State
from linearizability import UNKNOWN, Operation, linearize

__all__ = ["Checker", "Figures", "HistoryBroken", "Layout"]

# What shows the whole store.
_ALL: tuple[Call, ...] = (ReadTree(""), ReadSessions())


@dataclass(frozen=True)
class Layout:
    """Which keys there are: groups by their prefixes, and which of the keys are counters."""

    groups: dict[str, tuple[str, ...]]
    counters: tuple[str, ...] = ()

    @property
    def key_count(self) -> int:
        """Number of keys."""
        return sum(map(len, self.groups.values()))


@dataclass
class Figures:
    """How much was checked."""

    rounds: int = 0
    acknowledged: int = 0
    unknown: int = 0

    def add(self, operations: Sequence[Operation]) -> None:
        """Count a round."""
        unknown = sum(one.outcome is UNKNOWN for one in operations)
        self.rounds += 1
        self.unknown += unknown
        self.acknowledged += len(operations) - unknown


class Checker:
    """A store's whole life as its clients saw it, checked as it goes on."""

    def __init__(self, layout: Layout) -> None:
        self.figures = Figures()
        self._indexes = Indexes()
        self._holders = Holders()
        self._observations = Observations(layout.counters)
        self._groups: list[Group] = []
        # What may be in each group.
        self._states: dict[Group, frozenset[State]] = {}
        for prefix, keys in layout.groups.items():
            group = Group(prefix, keys, self._indexes.seen)
            self._groups.append(group)
            self._states[group] = frozenset([group.empty])
        self._keys = {key for keys in layout.groups.values() for key in keys}

    def check(self, operations: Sequence[Operation]) -> None:
        """Verify a round that is over; one that reads the whole store does so before the rest.

        Raises HistoryBroken or NotLinearizable.
        """
        self._check_observation(operations)
        self._indexes.check(operations)
        self._holders.check(operations)
        for group in self._groups:
            concerned = [one for one in operations if group.concerns(one)]
            self._states[group] = linearize(group, self._states[group], concerned)
        self._observations.add(operations)
        self.figures.add(operations)

    def _check_observation(self, operations: Sequence[Operation]) -> None:
        first = sorted(operations, key=lambda one: one.invoked_ns)[: len(_ALL)]
        if tuple(one.call for one in first) != _ALL:
            return
        entries, listing = (one.outcome for one in first)
        assert isinstance(entries, Entries)
        assert isinstance(listing, Listing)
        strange = entries.by_key.keys() - self._keys
        if strange:
            raise HistoryBroken(f"nobody has such keys: {sorted(strange)}")
        self._observations.check(entries, listing)

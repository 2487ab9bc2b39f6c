"""What a history must hold beside an order of its operations: indexes, holders, counts, sessions.

Each check is fed a round at a time, in the order of the rounds, and remembers what it needs. A
round is a history that is over: every client has left, and the server too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from history import (
    Answer,
    Cas,
    CreateSession,
    Delete,
    DeleteCas,
    DeleteTree,
    DestroySession,
    Entries,
    Listing,
    Lock,
    Names,
    ReadKey,
    ReadNames,
    ReadSessions,
    ReadTree,
    Seen,
    Set,
    Unlock,
    parts,
)
from linearizability import UNKNOWN, Operation

__all__ = ["HistoryBroken", "Holders", "Indexes", "Observations", "scope_of"]

_WITH_VALUE = (Set, Cas, Lock, Unlock)
_WITH_INDEX = (Entries, Names, Listing)


class HistoryBroken(AssertionError):
    """Something was seen that a store must not show; the text says what."""


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise HistoryBroken(otherwise)


def _in_time(operations: Sequence[Operation]) -> Iterator[tuple[Operation, bool]]:
    """Yield each operation at its beginning and at its end (True); beginnings first in a tie."""
    events = [(one.invoked_ns, False, number) for number, one in enumerate(operations)]
    events += [(one.returned_ns, True, number) for number, one in enumerate(operations)]
    for _time, is_end, number in sorted(events):
        yield operations[number], is_end


def scope_of(operation: Operation) -> object:
    """Return what a read asks for, however it asks; None of a write."""
    match operation.call:
        case ReadKey(key):
            return ("key", key)
        case ReadTree(prefix) | ReadNames(prefix):
            return ("tree", prefix)
        case ReadSessions():
            return "sessions"
    return None


class Indexes:
    """What each index means, for ever, and that indexes only go up.

    - An index means one write, and one content of each key that it wrote.
    - One content has one index: no write is done twice.
    - A write gets an index above every one that anybody had been shown when it was sent.
    - What is asked twice is not answered with a lower index than before.
    - Nothing is shown that nobody wrote.
    """

    def __init__(self) -> None:
        self.seen: dict[tuple[str, int], Seen] = {}
        """Every entry that anybody saw, by its key and modify_index."""
        self._values: dict[int, str] = {}
        self._index_of: dict[tuple[str, str, str], int] = {}
        # What was sent, by key and value: the newest index anybody had been shown by then.
        self._floors: dict[tuple[str, str], int] = {}
        self._newest = 0
        self._newest_of: dict[object, int] = {}

    def check(self, operations: Sequence[Operation]) -> None:
        """Verify a round and remember it."""
        # By the operation's identity: the newest index of its scope when it was sent.
        before: dict[int, int] = {}
        for one, is_end in _in_time(operations):
            if is_end and isinstance(one.outcome, _WITH_INDEX):
                self._check_answer(one, before[id(one)])
            elif not is_end:
                before[id(one)] = self._newest_of.get(scope_of(one), 0)
                for part in parts(one.call):
                    if isinstance(part, _WITH_VALUE):
                        self._floors[part.key, part.value] = self._newest

    def _check_answer(self, one: Operation, before: int) -> None:
        index = one.outcome.index
        scope = scope_of(one)
        _require(index >= before, f"{scope} was at index {before}, and went back: {one}")
        if isinstance(one.outcome, Entries):
            for seen in one.outcome.by_key.values():
                self._check_entry(seen)
                _require(seen.modify_index <= index, f"{seen} is newer than its answer: {one}")
        self._newest_of[scope] = max(index, self._newest_of.get(scope, 0))
        self._newest = max(index, self._newest)

    def _check_entry(self, seen: Seen) -> None:
        index = seen.modify_index
        same = self.seen.setdefault((seen.key, index), seen)
        _require(same == seen, f"index {index} meant {same}, and now {seen}")
        value = self._values.setdefault(index, seen.value)
        _require(value == seen.value, f"index {index} was that of {value!r}, and now {seen}")
        content = (seen.key, seen.value, seen.session)
        once = self._index_of.setdefault(content, index)
        _require(once == index, f"what was done once at {once} is there again: {seen}")
        floor = self._floors.get((seen.key, seen.value))
        if floor is None:
            raise HistoryBroken(f"nobody wrote {seen}")
        _require(index > floor, f"index {floor} was out before this was written: {seen}")
        _require(0 < seen.create_index <= index, f"made after it was changed: {seen}")


class Holders:
    """No two sessions hold a key at once, as far as they have been told.

    A session holds for sure from the answer to its acquisition until anybody asks for what could
    end it. Said once more apart from the linearization, since it is what locks are for.
    """

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}

    def check(self, operations: Sequence[Operation]) -> None:
        """Verify a round and remember who holds what."""
        asked: list[Operation] = []
        # By the acquisition's identity: how many ends had been asked for, and whether all were
        # answered, when it was sent.
        before: dict[int, tuple[int, bool]] = {}
        unanswered = 0
        for one, is_end in _in_time(operations):
            if self._could_end(one):
                unanswered += -1 if is_end else 1
                if not is_end:
                    asked.append(one)
                    self._asked(one)
            elif not is_end:
                before[id(one)] = (len(asked), unanswered == 0)
            elif one.outcome is Answer.YES:
                count, is_quiet = before[id(one)]
                for lock in parts(one.call):
                    if not isinstance(lock, Lock) or not is_quiet:
                        continue
                    if not any(self._ends(end, lock) for end in asked[count:]):
                        self._acquired(lock, one)

    def _acquired(self, lock: Lock, one: Operation) -> None:
        holder = self._holders.setdefault(lock.key, lock.session)
        _require(holder == lock.session, f"{holder!r} holds the key already: {one}")

    def _asked(self, one: Operation) -> None:
        gone = [key for key, name in self._holders.items() if self._ends(one, Lock(key, "", name))]
        for key in gone:
            del self._holders[key]

    def _could_end(self, one: Operation) -> bool:
        ends = (Unlock, Delete, DeleteCas, DeleteTree, DestroySession)
        return any(isinstance(part, ends) for part in parts(one.call))

    def _ends(self, one: Operation, held: Lock) -> bool:
        return any(self._is_end(part, held) for part in parts(one.call))

    def _is_end(self, part: object, held: Lock) -> bool:
        match part:
            case Unlock(key, _value, session):
                return (key, session) == (held.key, held.session)
            case Delete(key) | DeleteCas(key):
                return key == held.key
            case DeleteTree(prefix):
                return held.key.startswith(prefix)
            case DestroySession(name):
                return name == held.session
        return False


class Observations:
    """What nobody disturbs, read between two rounds, against the sum of what was told before.

    Counters have the steps that were acknowledged, and some that were not; sessions that were
    acknowledged are there, until their end was asked for; those whose end was acknowledged are not.
    """

    def __init__(self, counters: Sequence[str]) -> None:
        self._counters = counters
        self._told: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._made: set[str] = set()
        self._gone: set[str] = set()

    def add(self, operations: Sequence[Operation]) -> None:
        """Remember what a round's clients were told."""
        made: set[str] = set()
        ended: set[str] = set()
        for one in operations:
            is_told = one.outcome is Answer.YES
            match one.call:
                case Cas(key) if key in self._counters:
                    self._told[key] += is_told
                    self._untold[key] += one.outcome is UNKNOWN
                case CreateSession(name) if is_told:
                    made.add(name)
                case DestroySession(name):
                    ended.add(name)
                    if is_told:
                        self._gone.add(name)
        self._made = (self._made | made) - ended

    def check(self, entries: Entries, listing: Listing) -> None:
        """Verify what is there when all is quiet."""
        for key in self._counters:
            seen = entries.by_key.get(key)
            count = 0 if seen is None else int(seen.value.split()[0])
            least, most = self._told[key], self._told[key] + self._untold[key]
            _require(least <= count <= most, f"expected {key} in {least}..{most}, found {count}")
            # From here on it is known which steps were done.
            self._told[key], self._untold[key] = count, 0
        lost, back = self._made - listing.names, self._gone & listing.names
        _require(not lost, f"sessions that were acknowledged are gone: {sorted(lost)}")
        _require(not back, f"sessions that were destroyed are back: {sorted(back)}")

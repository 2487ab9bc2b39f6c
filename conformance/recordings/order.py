"""The order in which a store served what ran at the same time.

Each exchange took effect at one moment between its request and its answer. A search over those
moments finds an order that explains every answer; it is the one question of linearizability
(Wing and Gong, 1993), on a history that is nearly sequential.
A read that fits is taken at once, which loses nothing. Only writes are ever tried in another order,
and those whose index some answer tells are kept in that of their indexes.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.clients.ttl import parse_s
from conformance.recordings.errors import NotRecorded
from conformance.recordings.model import KV, OK, World, encoded, key_of
from conformance.recordings.trace import Exchange

# How long before its answer a long poll may have read what it tells.
_POLL_READS_S = 0.25
# How much before twice its TTL a session may seem to end: two clocks, and the way to them.
_EARLY_S = 0.5
# Far more than traffic of a few dozen clients needs.
DEAD_ENDS_MAX = 200_000

CLOCK = "the store's clock"
"""The connection of what no client asked for: the end of a session whose time was up."""


def in_order(exchanges: Sequence[Exchange], start: World) -> list[Exchange]:
    """Return the exchanges in an order that explains all answers, ends of sessions put in.

    Long polls that ended with nothing new are left out: they can be anywhere.
    Raises NotRecorded when there is no such order.
    """
    operations = sorted((each for each in exchanges if not each.expired), key=_begins_s)
    search = _Search(operations, list(_endings(exchanges)))
    frames = [_Frame.begin(search, start)]
    while search.left():
        if frames[-1].choices:
            frames.append(_Frame.after(search, frames[-1]))
            continue
        search.note_dead_end()
        search.give_back(frames.pop().taken)
        if not frames:
            raise NotRecorded(f"no order explains the answers; the furthest: {search.furthest}")
    return [each for frame in frames for each in frame.taken]


class _Search:
    """What is still to be put in order. `furthest` is where it went on least, in words."""

    def __init__(self, operations: list[Exchange], endings: list[Exchange]) -> None:
        self.furthest = ""
        self._operations = operations
        self._endings = endings
        self._indexes = told_indexes(operations)
        self._done: set[int] = set()
        # No operation before this one is left.
        self._first = 0
        self._dead_ends = 0
        self._most_done = -1

    def left(self) -> int:
        """Return how many operations are left."""
        return len(self._operations) - len(self._done)

    def take(self, exchange: Exchange) -> None:
        """Put an exchange in order. The end of a session is none of the operations."""
        if exchange.connection == CLOCK:
            return
        self._done.add(id(exchange))
        while self._first < len(self._operations) and self._is_done(self._first):
            self._first += 1

    def give_back(self, exchanges: list[Exchange]) -> None:
        """Take exchanges out of the order again."""
        self._done.difference_update(map(id, exchanges))
        self._first = 0

    def under_way(self) -> list[Exchange]:
        """Return the operations that may be next: nothing that is left had ended before them.

        In the order in which they were answered.
        """
        found, until_s = [], float("inf")
        for number in range(self._first, len(self._operations)):
            operation = self._operations[number]
            if _begins_s(operation) > until_s:
                break
            if not self._is_done(number):
                found.append(operation)
                until_s = min(until_s, operation.answered_s)
        return sorted(found, key=lambda operation: operation.answered_s)

    def choices(self, world: World) -> list[Exchange]:
        """Return the writes that may be next and fit, most likely first; then ends of sessions."""
        under_way = self.under_way()
        writes = [each for each in under_way if not _is_read(each)]
        told = [self._indexes.get(id(each), 0) for each in writes]
        least = min((index for index in told if index), default=0)
        in_turn = [each for each, index in zip(writes, told, strict=True) if index in {0, least}]
        now_s = max((each.answered_s for each in under_way), default=0.0)
        due = [
            each
            for each in self._endings
            if each.sent_s <= now_s and each.path.rpartition("/")[2] in world.sessions
        ]
        return [each for each in [*in_turn, *due] if world.after(each) is not None]

    def note_dead_end(self) -> None:
        """Remember how far the order went, for the words of a failure."""
        self._dead_ends += 1
        if len(self._done) > self._most_done:
            self._most_done = len(self._done)
            self.furthest = "\n  ".join(map(str, ["", *self.under_way()]))
        if self._dead_ends > DEAD_ENDS_MAX:
            raise NotRecorded(f"no order found in time; the furthest: {self.furthest}")

    def _is_done(self, number: int) -> bool:
        return id(self._operations[number]) in self._done


@dataclass
class _Frame:
    """One choice: what was taken by it, a write and the reads that fit behind, and what is next."""

    world: World
    taken: list[Exchange] = field(default_factory=list)
    choices: list[Exchange] = field(default_factory=list)

    @classmethod
    def begin(cls, search: _Search, start: World) -> "_Frame":
        """Return the frame before any write."""
        frame = cls(start)
        frame._go_on(search)
        return frame

    @classmethod
    def after(cls, search: _Search, frame: "_Frame") -> "_Frame":
        """Return the frame behind the next choice of another."""
        choice = frame.choices.pop(0)
        world = frame.world.after(choice)
        assert world is not None, "only what fits is a choice"
        search.take(choice)
        after = cls(world, [choice])
        after._go_on(search)
        return after

    def _go_on(self, search: _Search) -> None:
        """Take all reads that fit, and see what can be next."""
        while (read := self._fitting_read(search)) is not None:
            self.world = self.world.after(read) or self.world
            search.take(read)
            self.taken.append(read)
        self.choices = search.choices(self.world)

    def _fitting_read(self, search: _Search) -> Exchange | None:
        reads = (each for each in search.under_way() if _is_read(each))
        return next((each for each in reads if self.world.after(each) is not None), None)


def told_indexes(exchanges: Sequence[Exchange]) -> dict[int, int]:
    """Return the index of each write whose index some answer tells, by the exchange's `id`."""
    sessions: dict[str, int] = {}
    versions: dict[tuple[str, str | None], dict[int, dict[str, Any]]] = defaultdict(dict)
    for each in exchanges:
        for row in each.answer if isinstance(each.answer, list) else []:
            if "Key" in row:
                versions[row["Key"], row["Value"]][row["ModifyIndex"]] = row
            else:
                sessions[row["ID"]] = row["CreateIndex"]
    told = {}
    for each in exchanges:
        if each.path == "/v1/session/create" and each.status == OK:
            told[id(each)] = sessions.get(each.answer["ID"], 0)
        elif each.method == "PUT" and each.answer is True and each.path.startswith(KV):
            shown = versions[key_of(each), encoded(each.body)]
            indexes = sorted(index for index, row in shown.items() if _can_be_of(each, row))
            if indexes and ("cas" in each.query or len(indexes) == 1):
                told[id(each)] = indexes[0]
    return told


def _can_be_of(write: Exchange, row: dict[str, Any]) -> bool:
    """Return whether an entry can be what this write of its value left."""
    if "acquire" in write.query:
        return bool(row.get("Session") == write.query["acquire"] and row["LockIndex"])
    return bool(row["ModifyIndex"] > int(write.query.get("cas", "0")) and not row["LockIndex"])


def _is_read(exchange: Exchange) -> bool:
    return exchange.method == "GET" or "/session/renew/" in exchange.path


def _begins_s(exchange: Exchange) -> float:
    if exchange.polled:
        return max(exchange.sent_s, exchange.answered_s - _POLL_READS_S)
    return exchange.sent_s


def _endings(exchanges: Sequence[Exchange]) -> Iterator[Exchange]:
    """Yield the end of each session that has a TTL, as if the store's clock had asked for it."""
    ends_s: dict[str, float] = {}
    ttl_s: dict[str, float] = {}
    for each in exchanges:
        if each.path == "/v1/session/create" and each.status == OK:
            ttl_s[each.answer["ID"]] = parse_s(json.loads(each.body)["TTL"])
            ends_s[each.answer["ID"]] = each.sent_s
        elif "/session/renew/" in each.path and each.status == OK:
            ends_s[each.path.rpartition("/")[2]] = each.sent_s
    for session, renewed_s in ends_s.items():
        at_s = renewed_s + 2 * ttl_s.get(session, 0.0) - _EARLY_S
        target = f"/v1/session/destroy/{session}"
        yield Exchange(CLOCK, "PUT", target, "", at_s, at_s, 200, 0, answer=True)

"""Making a recording of a trace: a script that one player can play, step by step.

What ran at the same time is put in the order in which the store served it. Long polls alone stay
side by side with everything else: opened where they were, answered behind the write that they
were answered by. Time is left out: what a clock did, the end of a session or of a wait, is a step.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.recordings.errors import NotRecorded
from conformance.recordings.model import Entry, World, entries_in
from conformance.recordings.order import CLOCK, in_order
from conformance.recordings.recording import Do, Recording, Step
from conformance.recordings.trace import Exchange, read_trace

HEADERS = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
"""What every request of Docker's and Swarm's carries."""

FIRST = "Li4u"
"""The first value of what had another before the recording began."""


def make_recording(name: str, about: str, trace: Iterable[str]) -> Recording:
    """Return a recording of a trace. Raises NotRecorded when no order explains its answers."""
    exchanges = read_trace(trace)
    seeds = _Seeds(exchanges)
    ordered = in_order(exchanges, seeds.world)
    worlds = _worlds(ordered, seeds.world)
    script = _Script(ordered, worlds)
    positions = {id(exchange): position for position, exchange in enumerate(ordered)}
    for position, exchange in enumerate(ordered):
        if not exchange.polled:
            script.put(position, exchange)
    for exchange in exchanges:
        if exchange.expired:
            script.put_expired_poll(exchange)
        elif exchange.polled:
            script.put_answered_poll(positions[id(exchange)], exchange)
    return Recording(name, about, HEADERS, (*seeds.steps(), *script.steps()))


class _Seeds:
    """What was there before the trace began, as far as its answers show it."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        began_s = min((each.sent_s for each in exchanges if each.method != "GET"), default=0.0)
        index = max((each.index for each in exchanges if each.answered_s <= began_s), default=0)
        self._rows: dict[str, dict[str, Any]] = {}
        entries: dict[str, Entry] = {}
        sessions: dict[str, str] = {}
        for each in exchanges:
            if each.method != "GET" or not isinstance(each.answer, list):
                continue
            rows = {row["Key"]: row for row in each.answer}
            for key, entry in entries_in(each):
                if entry.modify_index <= index and key not in entries:
                    entries[key], self._rows[key] = entry, rows[key]
                    if entry.session:
                        sessions[entry.session] = "delete"
        self.world = World(entries, sessions)

    def steps(self) -> Iterator[Step]:
        """Yield the writes that bring all of it about, in the order of the indexes they had."""
        writes = []
        for key, row in self._rows.items():
            if row["CreateIndex"] != row["ModifyIndex"]:
                first = replace(self.world.entries[key], value=FIRST)
                writes.append((row["CreateIndex"], key, first))
            writes.append((row["ModifyIndex"], key, self.world.entries[key]))
        for index, key, entry in sorted(writes, key=lambda write: write[:2]):
            yield Step(
                Do.SEED,
                target=f"/v1/kv/{key}?flags={entry.flags}",
                index=index,
                answer=entry.value,
                session=entry.session,
            )


def _worlds(ordered: Sequence[Exchange], start: World) -> list[World]:
    """Return the world before each exchange, and the one at the end."""
    worlds = [start]
    for exchange in ordered:
        after = worlds[-1].after(exchange)
        assert after is not None, "the order explains all answers"
        worlds.append(after)
    return worlds


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a step stands: before the exchange at `position`, or what becomes of it."""

    position: int
    rank: int
    at_s: float


_ANSWERS, _POLLS, _ITSELF = range(3)


class _Script:
    """Steps, each with its place among the exchanges in order."""

    def __init__(self, ordered: Sequence[Exchange], worlds: Sequence[World]) -> None:
        self._ordered = ordered
        self._worlds = worlds
        self._steps: dict[_Place, list[Step]] = defaultdict(list)
        # Up to where each connection was busy.
        self._busy: dict[str, int] = defaultdict(int)

    def steps(self) -> Iterator[Step]:
        """Yield all steps in their order."""
        for place in sorted(self._steps):
            yield from self._steps[place]

    def put(self, position: int, exchange: Exchange) -> None:
        """Put an exchange at its own position."""
        place = _Place(position, _ITSELF, exchange.sent_s)
        if exchange.connection == CLOCK:
            session = exchange.path.rpartition("/")[2]
            at = round(self._ordered[max(0, position - 1)].answered_s, 3)
            self._put(place, Step(Do.EXPIRED, at=at, session=session))
            return
        self._put(place, _asked(Do.ASK, exchange))

    def put_answered_poll(self, position: int, exchange: Exchange) -> None:
        """Put a long poll that was answered with news where it was opened, and behind the news."""
        begin = self._opened(exchange, position)
        news = self._news(exchange, begin, position)
        if len(news) != 1:
            # It knew less than there was, or it missed a step: it was answered at once, or is now.
            self.put(position, exchange)
            return
        self._put(_Place(begin, _POLLS, exchange.sent_s), _opening(exchange))
        place = _Place(news[0] + 1, _ANSWERS, exchange.answered_s)
        self._busy[exchange.connection] = news[0] + 1
        self._put(place, _asked(Do.ANSWERED, exchange))

    def put_expired_poll(self, exchange: Exchange) -> None:
        """Put a long poll that ended with nothing new where it was opened and where it ended."""
        begin = self._opened(exchange, len(self._ordered))
        end = begin
        while end < len(self._ordered) and self._ordered[end].sent_s <= exchange.answered_s:
            end += 1
        while end >= begin and self._worlds[end].after(exchange) is None:
            end -= 1
        if end < begin:
            raise NotRecorded(f"a long poll ended with what was not there: {exchange}")
        begin = max([begin, *(position + 1 for position in self._news(exchange, begin, end))])
        self._busy[exchange.connection] = end
        self._put(_Place(begin, _POLLS, exchange.sent_s), _opening(exchange))
        place = _Place(end, _POLLS, exchange.answered_s)
        self._put(place, _asked(Do.UNANSWERED, exchange))

    def _put(self, place: _Place, step: Step) -> None:
        self._steps[place].append(step)

    def _opened(self, exchange: Exchange, end: int) -> int:
        """Return the first position at which a long poll can have been opened."""
        begin = self._busy[exchange.connection]
        for position in range(begin, end):
            if self._ordered[position].answered_s <= exchange.sent_s:
                begin = position + 1
        return begin

    def _news(self, exchange: Exchange, begin: int, end: int) -> list[int]:
        """Return the positions of writes that changed what a long poll looks at."""
        return [
            position
            for position in range(begin, end)
            if self._ordered[position].method != "GET"
            and self._worlds[position].covered(exchange)
            != self._worlds[position + 1].covered(exchange)
        ]


def _opening(exchange: Exchange) -> Step:
    return replace(
        _asked(Do.OPEN, exchange), at=round(exchange.sent_s, 3), status=0, index=0, answer=None
    )


def _asked(do: Do, exchange: Exchange) -> Step:
    return Step(
        do,
        on=exchange.connection,
        at=round(exchange.answered_s, 3),
        method=exchange.method,
        target=exchange.target,
        body=exchange.body,
        status=exchange.status,
        index=exchange.index,
        answer=exchange.answer,
    )

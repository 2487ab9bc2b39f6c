"""Parked queries: which of them each write wakes, on both stores, under rule exact-wakeups."""

from dataclasses import dataclass

from conformance.fuzz import rules
from conformance.fuzz.episode import Differs, Episode
from conformance.fuzz.operation import Call, Park
from conformance.fuzz.rules import Intent
from conformance.fuzz.side import Line
from conformance.suite.wire import Answer

PARKED_MAX = 6
"""So many queries wait at once; the oldest gives its place to the next."""

WAIT = "60s"
"""Longer than any episode."""

LATE_S = 5.0
"""How long an answer may be late, on a busy machine, before it is missing."""

SOON_S = 0.003
"""How long an answer takes that the store has begun to write."""

_BARRIER = Call("GET", "/v1/status/leader")


@dataclass
class Parked:
    """A query that waits at both stores, and what a plain one answered when it was parked."""

    plain: Call
    # What stands for `plain` at each store, filled when it was parked: names may change since.
    filled: tuple[Call, Call]
    their_line: Line
    our_line: Line
    # The index that it waits to be passed, at the oracle.
    their_index: int
    # What the oracle answered to the plain query.
    their_body: bytes
    was_absent: bool

    def close(self) -> None:
        """Give it up."""
        self.their_line.close()
        self.our_line.close()


class Lot:
    """The queries that wait at both stores."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._parked: list[Parked] = []

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, park: Park) -> None:
        """Park a query, or see it through when it has a wait of its own. Raises Differs."""
        plain = Call("GET", park.target)
        filled = self._episode.fill(plain)
        theirs, ours = self._ask(plain, filled)
        if theirs.get("X-Consul-Index") is None:
            return  # refused: nothing to wait for
        indexes = [max(1, answer.index + park.ahead) for answer in (theirs, ours)]
        lines = self._open(park, filled, indexes)
        absent = rules.is_absent(theirs)
        parked = Parked(plain, filled, *lines, indexes[0], theirs.body, absent)
        if park.wait:
            self._compare_both(parked)
            return
        if len(self._parked) >= PARKED_MAX:
            self._parked.pop(0).close()
        self._parked.append(parked)
        self._episode.pair.ask(_BARRIER, _BARRIER)

    def _ask(self, plain: Call, filled: tuple[Call, Call]) -> tuple[Answer, Answer]:
        answers = self._episode.send_filled(filled)
        self._episode.compare(plain, *answers)
        return answers

    def _open(self, park: Park, filled: tuple[Call, Call], indexes: list[int]) -> tuple[Line, Line]:
        mark = "&" if "?" in park.target else "?"
        queries = [f"{mark}index={index}&wait={park.wait or WAIT}" for index in indexes]
        episode = self._episode
        episode.tally.requests += 1
        return (
            episode.pair.oracle.park(filled[0].target + queries[0]),
            episode.pair.store.park(filled[1].target + queries[1]),
        )

    def _let_pass(self) -> None:
        """Let the store do what it has begun: one event loop, so one more request is enough."""
        self._episode.pair.store.send(_BARRIER)
        self._episode.pair.store.receive()

    def settle(self, *, mended: bool) -> None:
        """See whom the last write has woken. Raises Differs.

        `mended`: there were several writes, and what is answered depends on which of them woke.
        """
        if not self._parked:
            return
        self._let_pass()
        for parked in list(self._parked):
            woke_ours = parked.our_line.answered()
            if woke_ours or parked.their_line.answered():
                self._parked.remove(parked)
                try:
                    self._judge(parked, woke_ours=woke_ours, mended=mended)
                finally:
                    parked.close()

    def _judge(self, parked: Parked, *, woke_ours: bool, mended: bool) -> None:
        if not woke_ours and not parked.our_line.answered(SOON_S):
            self._judge_theirs_alone(parked)
        elif not parked.their_line.answered(SOON_S) and self._is_hidden(parked):
            self._episode.tally.rules[Intent.EXACT_WAKEUPS] += 1
        elif mended and parked.their_line.answered(LATE_S):
            self._read(parked)
            self._ask(parked.plain, parked.filled)
        else:
            self._compare_both(parked)

    def _judge_theirs_alone(self, parked: Parked) -> None:
        """Consul may wake who waits for what is not there, for a neighbour (exact-wakeups, B6)."""
        theirs = self._answer(parked.their_line)
        now = self._ask(parked.plain, parked.filled)
        nothing = parked.was_absent and rules.is_absent(theirs) and rules.is_absent(now[1])
        if not nothing and not self._was_begun_late(parked, theirs):
            raise Differs("only the oracle woke", parked.plain, theirs, None)
        self._episode.tally.rules[Intent.EXACT_WAKEUPS] += 1

    def _was_begun_late(self, parked: Parked, theirs: Answer) -> bool:
        """Return whether the oracle may have begun a query of one session after the last write.

        It does so on a busy machine. The index of one session is that of all sessions, so such a
        query is answered at once, with the same session as before.
        """
        return rules.is_one_session(parked.plain) and theirs.body == parked.their_body

    def _is_hidden(self, parked: Parked) -> bool:
        """Return whether Consul must miss this delete of an ancestor (exact-wakeups, B9).

        An older tombstone hides it: a plain query has no newer index for the emptied tree.
        """
        if not rules.is_tree(parked.plain):
            return False
        theirs, ours = self._ask(parked.plain, parked.filled)
        absent = rules.is_absent(theirs) and rules.is_absent(ours)
        return absent and theirs.index <= parked.their_index

    def _compare_both(self, parked: Parked) -> None:
        if not parked.their_line.answered(LATE_S):
            raise Differs("only the store woke", parked.plain, None, self._answer(parked.our_line))
        theirs, ours = self._read(parked)
        if parked.was_absent and rules.is_absent(theirs) and not rules.is_absent(ours):
            # Consul woke for an earlier write nearby, and what came since woke ours alone.
            self._episode.tally.rules[Intent.EXACT_WAKEUPS] += 1
            self._ask(parked.plain, parked.filled)
            return
        try:
            self._episode.compare(parked.plain, theirs, ours)
        except Differs as differs:
            raise Differs(f"woken: {differs.why}", parked.plain, theirs, ours) from differs

    def _read(self, parked: Parked) -> tuple[Answer, Answer]:
        answers = self._answer(parked.their_line), self._answer(parked.our_line)
        self._episode.learn(*answers)
        return answers

    def _answer(self, line: Line) -> Answer:
        return line.answer()

    def close(self) -> None:
        """Give up all queries."""
        for parked in self._parked:
            parked.close()
        self._parked.clear()

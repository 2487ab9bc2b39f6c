"""Plays the operations of an episode on both stores, and mends what a rule has made differ."""

import json
import time
from collections.abc import Sequence

from conformance.fuzz import rules
from conformance.fuzz.episode import Differs, Episode, Pair, Tally
from conformance.fuzz.findings import Difference
from conformance.fuzz.naming import NOBODY
from conformance.fuzz.operation import WRITES, Call, Operation, Park
from conformance.fuzz.parking import Lot
from conformance.fuzz.rules import Intent
from conformance.suite.wire import Answer

STATE_EVERY = 20
"""All that an episode has made is compared after so many operations."""

EPISODE_S_MAX = 8.0
"""An episode is cut short before the TTL of any session of it can run out."""

_NEWEST = Call("GET", "/v1/kv/{P}no/such/key")
_STATE = [Call("GET", "/v1/kv/{P}?recurse"), _NEWEST, Call("GET", "/v1/session/list")]
_HIDDEN_STATE = Call("PUT", rules.TXN, b'[{"KV":{"Verb":"get-tree","Key":"/{P}"}}]')
_HIDDEN_CLEANING = Call("PUT", rules.TXN, b'[{"KV":{"Verb":"delete-tree","Key":"/{P}"}}]')


def play(
    pair: Pair,
    operations: Sequence[Operation],
    prefix: str,
    tally: Tally,
    *,
    state_every: int = STATE_EVERY,
) -> tuple[int, Difference | None]:
    """Play operations; return how many were played, and what differed first.

    Leaves no key under the prefix and no session behind. Raises OSError when a store is gone.
    """
    player = _Player(Episode(pair, prefix, tally))
    player.has_txns = any(isinstance(each, Call) and each.path == rules.TXN for each in operations)
    deadline = time.monotonic() + EPISODE_S_MAX
    played = 0
    try:
        player.level()
        for played, operation in enumerate(operations, 1):
            player.play(operation)
            if played % state_every == 0 or played == len(operations):
                player.compare_state()
            if time.monotonic() > deadline:
                break
    except Differs as differs:
        return played, Difference.of(differs, operations[:played])
    finally:
        player.clean()
    return played, None


class _Player:
    """Plays one operation after the other."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._lot = Lot(episode)
        self._mended = 0
        self.has_txns = False

    def level(self) -> None:
        """Write to both, so that what an earlier episode has left is the same to both."""
        self._level_sessions()
        self._episode.send(Call("PUT", "/v1/kv/{P}level"))
        self._episode.send(Call("DELETE", "/v1/kv/{P}level"))

    def play(self, operation: Operation) -> None:
        """Play one operation. Raises Differs."""
        if isinstance(operation, Park):
            self._lot.park(operation)
            return
        mended = self._mended
        self._call(operation)
        if rules.deletes_trees(operation):
            self._episode.ask(_NEWEST)  # rule index-never-back asks which indexes are of one moment
        if operation.method in WRITES:
            self._lot.settle(mended=self._mended > mended)

    def _call(self, call: Call) -> None:
        filled = self._episode.fill(call)
        theirs, ours = self._episode.peek(filled)
        place = rules.writes_in_place(call, theirs, ours)
        if place is not None:
            self._episode.tally.rules[Intent.UNCLEAN_WRITE_IN_PLACE] += 1
            theirs = self._follow(filled[0], place)
        if call.path == rules.CREATE:
            self._note_session(theirs, ours)
        if rules.refuses_chunks(call, theirs, ours):
            self._mend_refused_chunks(call)
        elif rules.reads_chunks(call, theirs) and call.body:
            self._mend_read_chunks()
        elif call.path == rules.SNAPSHOT:
            self._snapshot(call, theirs, ours)
        elif not self._mends_identical_cas(call, filled, (theirs, ours)):
            self._episode.learn(theirs, ours)
            self._episode.compare(call, theirs, ours)

    def _follow(self, call: Call, place: str) -> Answer:
        """Send a write to the place that Consul named, as no client should have to."""
        oracle = self._episode.pair.oracle
        oracle.send(Call(call.method, place, call.body, call.headers, call.chunked))
        return oracle.receive()

    def _note_session(self, theirs: Answer, ours: Answer) -> None:
        if rules.OK in {theirs.status, ours.status}:
            self._episode.theirs.add_session(_created(theirs))
            self._episode.ours.add_session(_created(ours))

    # --- mending ----------------------------------------------------------------------------

    def _write_both(self, path: str) -> None:
        self._mended += 1
        self._episode.send(Call("PUT", path, b"mended %d" % self._mended))

    def _mend_refused_chunks(self, call: Call) -> None:
        """Rule chunked-limit: Consul has stored the value; bring the key level."""
        self._episode.tally.rules[Intent.CHUNKED_LIMIT] += 1
        self._episode.send(Call("DELETE", call.path))
        self._write_both(call.path)

    def _mend_read_chunks(self) -> None:
        """Rule chunked-limit: the sessions are not the same; end them, and level the indexes."""
        self._episode.tally.rules[Intent.CHUNKED_LIMIT] += 1
        last = len(self._episode.theirs.sessions) - 1
        self._episode.send(Call("PUT", f"/v1/session/destroy/{{s{last}}}"))
        self._episode.theirs.sessions[last] = self._episode.ours.sessions[last] = NOBODY
        self._level_sessions()
        self._mended += 1

    def _level_sessions(self) -> None:
        """Create a session and end it, so that both stores' sessions have changed just now."""
        for names, answer in zip(
            (self._episode.theirs, self._episode.ours),
            self._episode.send(Call("PUT", rules.CREATE)),
            strict=True,
        ):
            names.sessions.append(_created(answer))
        last = len(self._episode.theirs.sessions) - 1
        self._episode.send(Call("PUT", f"/v1/session/destroy/{{s{last}}}"))
        self._episode.theirs.sessions.pop()
        self._episode.ours.sessions.pop()

    def _mends_identical_cas(
        self, call: Call, filled: tuple[Call, Call], answers: tuple[Answer, Answer]
    ) -> bool:
        """Rule cas-identical-wakes: ours moves, Consul does not. Return whether it was so."""
        indexes = [rules.cas_index(each) for each in filled]
        path = rules.cas_path(call)
        if path is None or not all(rules.has_set(answer) for answer in answers):
            return False
        if indexes[0] is None or indexes[1] is None or not indexes[0]:
            return False
        theirs, ours = self._episode.peek(self._episode.fill(Call("GET", path)))
        if theirs.get("Location"):
            path = str(theirs.get("Location"))
            theirs, ours = self._episode.peek(self._episode.fill(Call("GET", path)))
        if theirs.status != rules.OK or theirs.index != indexes[0]:
            return False
        if ours.status != rules.OK or ours.index <= indexes[1]:
            raise Differs("an identical CAS write did not move the index", call, theirs, ours)
        self._episode.tally.rules[Intent.CAS_IDENTICAL_WAKES] += 1
        self._write_both(path)
        self._episode.ask(Call("GET", path))
        return True

    def _snapshot(self, call: Call, theirs: Answer, ours: Answer) -> None:
        """Rule restore-is-a-write: indexes cannot be compared once something is restored."""
        if call.method == "GET" and theirs.status == ours.status == rules.OK:
            self._episode.theirs.archive, self._episode.ours.archive = theirs.plain, ours.plain
            return
        self._episode.compare(call, theirs, ours)
        if theirs.status == rules.OK and call.method == "PUT":
            self._episode.tally.rules[Intent.RESTORE_IS_A_WRITE] += 1
            self._episode.pairing.suspended = True
            self._episode.theirs.forget_indexes()
            self._episode.ours.forget_indexes()

    # --- state ------------------------------------------------------------------------------

    def compare_state(self) -> None:
        """Compare everything under the prefix, the sessions, and the index of all keys."""
        for call in [*_STATE, *([_HIDDEN_STATE] if self.has_txns else [])]:
            self._episode.ask(call)

    def clean(self) -> None:
        """Destroy the sessions and delete the keys of this episode, whatever the stores say."""
        self._lot.close()
        for number in range(len(self._episode.theirs.sessions)):
            self._episode.send(Call("PUT", f"/v1/session/destroy/{{s{number}}}"))
        self._episode.send(Call("DELETE", "/v1/kv/{P}?recurse"))
        if self.has_txns:
            self._episode.send(_HIDDEN_CLEANING)


def _created(answer: Answer) -> str:
    try:
        return str(json.loads(answer.plain)["ID"]) if answer.status == rules.OK else ""
    except (ValueError, KeyError, TypeError):
        return ""

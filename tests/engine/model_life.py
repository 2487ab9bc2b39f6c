"""One engine beside one model: rules that do the same to both and compare all there is to see."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from fake_clock import FakeClock

from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.engine.engine import Engine
from kvstore.engine.watch import ALL_SESSIONS, Scope
from kvstore.errors import InvalidSessionId
from kvstore.state.applied import Applied, Read
from kvstore.state.command import DeleteKey, DestroySession, Txn

from .model import ID_LENGTH, Model, Told
from .model_choices import ID_REST, KEYS, PREFIXES, SESSIONS_MAX, Choices, Pick, Wish
from .model_storage import Storage
from .model_waiting import JITTER, Waiting, concerned
from .store import NODE, Watching, key_scope, session_scope, tree_scope

__all__ = ["RULES", "Life"]

WAITS_S = (1, 10, 600)
WAITING_MAX = 6


class Life:
    """An engine and its model from the first command on, over restarts."""

    def __init__(self, storage: Storage) -> None:
        self.operations = 0
        """How many were done and compared."""
        # No two ids alike, and not in order; the same in every run.
        ids = (f"{n * 0x9E3779B9 % 2**32:08x}{ID_REST}" for n in itertools.count(1))
        self._rules = SessionRules(NODE, NS_PER_S, draw_id=lambda: next(ids))
        self._clock = FakeClock(start_s=0)
        self._storage = storage
        self._engine = Engine(storage.open(), self._clock, self._rules)
        self._model = Model(self._clock.monotonic())
        self._choices = Choices(self._model)
        self._waiting: list[Waiting] = []

    async def start(self) -> None:
        """Start the first engine."""
        await self._engine.start()
        self._check()

    async def end(self) -> None:
        """Close the last engine, also after a failure: nothing is compared."""
        await self._engine.close()

    # --- rules -------------------------------------------------------------------------------

    async def write(self, pick: Pick) -> None:
        """Do some writes that are sent together."""
        count = pick((1, 1, 1, 1, 2, 3, 5))
        await self._submit([self._choices.write(pick) for _ in range(count)])

    async def create(self, pick: Pick) -> None:
        """Make a session, if there are not too many."""
        if len(self._model.holders) < SESSIONS_MAX:
            await self._submit([self._choices.session(pick)])

    async def renew(self, pick: Pick) -> None:
        """Renew a session that may have gone, or never was."""
        self.operations += 1
        session_id = self._choices.session_id(pick)
        if len(session_id) != ID_LENGTH:
            try:
                self._engine.renew_session(session_id)
            except InvalidSessionId:
                return
            raise AssertionError(f"{session_id!r} was taken for the id of a session")
        if not self._choices.ties(session_id):
            assert self._engine.renew_session(session_id) == self._model.renew(session_id)

    async def advance(self, pick: Pick) -> None:
        """Let time pass; who runs out goes, and is gone when a write after it is done."""
        passes_s = pick([1, *self._choices.moments(), 0.5, 3, 10, 70])
        self._clock.advance(passes_s)
        self._model.now += passes_s
        self._waiting = [one for one in self._waiting if one.stays_until(self._model.now)]
        due = self._model.due()
        for session_id in due:
            self._look(self._model.submit(DestroySession(session_id)))
        self.operations += 1 + len(due)
        await self._submit([DeleteKey(b"nobody writes this"), *self._choices.locks(pick)])

    async def wait(self, pick: Pick) -> None:
        """Ask a blocking query, which may be answered at once."""
        self.operations += 1
        if len(self._waiting) == WAITING_MAX:
            self._waiting.pop(0).watching.cancel()
        scope, query, answer = self._query(pick)
        expected = answer()
        past = max(
            0, pick((expected.index, expected.index, expected.index - 1, 1, self._choices.ahead()))
        )
        wait_s = pick(WAITS_S)
        watching = Watching(self._engine.read(query, scope, past, wait_s))
        if past == 0 or expected.index > past:
            assert watching.answer == expected
            return
        assert watching.waits
        soonest = self._model.now + wait_s
        latest = soonest + wait_s * JITTER
        self._waiting.append(Waiting(scope, answer, past, watching, soonest, latest, [expected]))

    async def leave(self, pick: Pick) -> None:
        """Give up a blocking query."""
        if self._waiting:
            self.operations += 1
            one = pick(self._waiting)
            one.watching.cancel()
            self._waiting.remove(one)
            self._check()

    async def restart(self, pick: Pick) -> None:
        """Close the engine, or let it lose its power, and start another on what is left."""
        self.operations += 1
        if pick((False, True)):
            self._storage.lose_power(pick)
        await self._close()
        self._engine = Engine(self._storage.open(), self._clock, self._rules)
        await self._engine.start()
        self._model.restart()
        self._check()

    # --- what they do ------------------------------------------------------------------------

    def _query(self, pick: Pick) -> tuple[Scope, Callable[[], Read[Any]], Callable[[], Read[Any]]]:
        """Return a scope, and how to ask the engine and the model about it."""
        state, model = self._engine.state, self._model
        match pick(("key", "tree", "session", "sessions")):
            case "key":
                key = pick(KEYS)
                return key_scope(key), lambda: state.get(key), lambda: model.key(key)
            case "tree":
                prefix = pick(PREFIXES)
                scope = tree_scope(prefix)
                return scope, lambda: state.get_tree(prefix), lambda: model.tree(prefix)
            case "session":
                one = pick([*model.holders, *self._choices.ids])
                scope = session_scope(one)
                return scope, lambda: state.get_session(one), lambda: model.session(one)
        return ALL_SESSIONS, state.list_sessions, model.sessions

    async def _submit(self, wishes: list[Wish]) -> None:
        """Submit writes together and compare all that comes of them."""
        engine = self._engine
        futures = [
            engine.create_session(one) if isinstance(one, SessionRequest) else engine.submit(one)
            for one in wishes
        ]
        for wish, future in zip(wishes, futures, strict=True):
            applied = await future
            told = self._tell(wish, applied)
            assert (applied.done, _class(applied.refusal)) == (told.done, told.refusal), wish
            assert told.index in (None, applied.index), wish
            assert frozenset(applied.changed_keys) == told.keys, wish
            if isinstance(wish, Txn):
                assert applied.txn is not None
                assert tuple(one.position for one in applied.txn.failures) == told.failed, wish
                shown = tuple((one.key, one.entry) for one in applied.txn.results)
                assert shown == told.shown, wish
            session = applied.created or applied.destroyed
            assert (session and session.id) == told.session, wish
            self._look(told)
        self.operations += len(wishes)
        self._waiting = [one for one in self._waiting if one.stays()]
        self._check()

    def _tell(self, wish: Wish, applied: Applied) -> Told:
        """Have the model do a write."""
        if not isinstance(wish, SessionRequest):
            return self._model.submit(wish)
        made = applied.created
        assert made is not None
        asked = (wish.ttl, wish.lock_delay_ns, wish.behavior)
        assert asked == (made.ttl, made.lock_delay_ns, made.behavior)
        assert made.id not in self._model.holders
        self._choices.note(made.id)
        return self._model.create(made)

    async def _close(self) -> None:
        """Close the engine; who waits is answered with what was last seen."""
        await self._engine.close()
        for one in self._waiting:
            one.check_last()
        self._waiting.clear()

    # --- checks ------------------------------------------------------------------------------

    def _look(self, told: Told) -> None:
        """Show a command to everybody who waits."""
        if self._waiting:
            scopes = concerned(told, PREFIXES)
            for one in self._waiting:
                one.look(scopes)

    def _check(self) -> None:
        """Compare all that can be read."""
        state, model = self._engine.state, self._model
        state.check()
        assert state.last_index == model.index
        assert state.list_sessions() == model.sessions()
        for key in KEYS:
            assert state.get(key) == model.key(key)
        for prefix in PREFIXES:
            assert state.get_tree(prefix) == model.tree(prefix)
        assert self._engine.parked_count == len(self._waiting)


RULES: dict[Callable[[Life, Pick], Awaitable[None]], int] = {
    Life.write: 40,
    Life.create: 5,
    Life.renew: 4,
    Life.wait: 8,
    Life.leave: 1,
    Life.advance: 4,
    Life.restart: 1,
}
"""What can happen, and how often beside the others."""


def _class(refusal: Exception | None) -> type[Exception] | None:
    return None if refusal is None else type(refusal)

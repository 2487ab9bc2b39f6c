"""Random lives of an engine against a plain model: writes, locks, sessions, time, restarts."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fake_clock import FakeClock, settle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRequest, SessionRules
from kvstore.engine.engine import Engine
from kvstore.journal.memory import MemoryJournal
from kvstore.state.applied import Applied
from kvstore.state.command import (
    Command,
    DeleteKey,
    DeleteTree,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)

from .store import NODE, Watching, key_scope

KEYS = (b"a", b"a/b", b"b")
# Sessions are told apart by their place in the order in which they were made.
PLACES = st.integers(0, 3)


@dataclass
class Holder:
    """A session as the model sees it."""

    ttl_s: float
    delay_s: float
    behavior: str
    deadline: float


@dataclass
class Model:
    """What the store ought to hold: holders by id, values and locks by key."""

    now: float
    holders: dict[str, Holder] = field(default_factory=dict)
    values: dict[bytes, bytes] = field(default_factory=dict)
    locks: dict[bytes, str] = field(default_factory=dict)
    free_at: dict[bytes, float] = field(default_factory=dict)

    def submit(self, command: Command) -> bool:
        """Do a write, and return whether it ought to be done."""
        match command:
            case SetKey(key, value):
                self.values[key] = value
            case DeleteKey(key):
                self.delete(key)
            case DeleteTree(prefix):
                for key in [key for key in self.values if key.startswith(prefix)]:
                    self.delete(key)
            case LockKey(key, value, _, session_id):
                return self.lock(key, value, session_id)
            case UnlockKey(key, value, _, session_id):
                if self.locks.get(key) != session_id:
                    return False
                del self.locks[key]
                self.values[key] = value
            case DestroySession(session_id):
                self.end(session_id)
        return True

    def delete(self, key: bytes) -> None:
        """Forget a key and its lock."""
        self.values.pop(key, None)
        self.locks.pop(key, None)

    def lock(self, key: bytes, value: bytes, session_id: str) -> bool:
        """Acquire a key, if nobody else has it and no lock-delay covers it."""
        if self.free_at.get(key, 0) > self.now or session_id not in self.holders:
            return False
        if self.locks.setdefault(key, session_id) != session_id:
            return False
        self.values[key] = value
        return True

    def end(self, session_id: str) -> None:
        """Invalidate a session."""
        holder = self.holders.pop(session_id, None)
        if holder is None:
            return
        for key in [key for key, owner in self.locks.items() if owner == session_id]:
            del self.locks[key]
            if holder.behavior == "delete":
                del self.values[key]
            if holder.delay_s:
                self.free_at[key] = max(self.free_at.get(key, 0), self.now + holder.delay_s)

    def advance(self, seconds: float) -> None:
        """Let time pass; whose deadline is reached goes, the earliest first."""
        end = self.now + seconds
        while self.holders:
            session_id = min(self.holders, key=lambda one: self.holders[one].deadline)
            if self.holders[session_id].deadline > end:
                break
            self.now = self.holders[session_id].deadline
            self.end(session_id)
        self.now = end

    def restart(self) -> None:
        """Give every session its full time, and forget the lock-delays."""
        self.free_at.clear()
        for holder in self.holders.values():
            holder.deadline = self.now + 2 * holder.ttl_s


class Run:
    """One engine beside one model, and every session id ever made."""

    def __init__(self) -> None:
        self.clock = FakeClock(start_s=0)
        self.journal = MemoryJournal()
        self.model = Model(0)
        self.ids: list[str] = ["00000000-0000-0000-0000-000000000000"]
        self.engine = Engine(self.journal, self.clock, SessionRules(NODE, NS_PER_S))

    def session_id(self, place: int) -> str:
        """Return one of the ids, an unknown one among them."""
        return self.ids[place % len(self.ids)]

    async def submit(self, commands: list[Command]) -> None:
        """Submit writes together, and watch every key meanwhile."""
        watchings = [self.watch(key) for key in KEYS]
        before = [self.entry(key) for key in KEYS]
        outcomes: list[Applied] = await asyncio.gather(*map(self.engine.submit, commands))
        expected = [self.model.submit(command) for command in commands]
        assert [applied.done for applied in outcomes] == expected
        touched = {key for applied in outcomes for key in applied.changed_keys}
        for key, watching, entry in zip(KEYS, watchings, before, strict=True):
            assert watching.waits == (key not in touched)
            assert key in touched or entry == self.entry(key)
            if watching.parked is not None:
                watching.parked.cancel()

    async def create(self, ttl_s: int, delay_s: int, behavior: str) -> None:
        """Make a session; TTL 0 is none."""
        request = SessionRequest(
            ttl=f"{ttl_s}s", lock_delay_ns=delay_s * NS_PER_S, behavior=behavior
        )
        applied = await self.engine.create_session(request)
        assert applied.created is not None
        deadline = self.model.now + 2 * ttl_s if ttl_s else float("inf")
        holder = Holder(ttl_s or float("inf"), delay_s, behavior, deadline)
        self.ids.append(applied.created.id)
        self.model.holders[applied.created.id] = holder

    def renew(self, place: int) -> None:
        """Renew a session that may have gone."""
        session_id = self.session_id(place)
        holder = self.model.holders.get(session_id)
        assert (self.engine.renew_session(session_id) is None) == (holder is None)
        if holder is not None:
            holder.deadline = self.model.now + 2 * holder.ttl_s

    async def advance(self, seconds: int) -> None:
        """Let time pass, a second at a time, so that ends are applied when they are due."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.model.advance(1)
            await settle()

    async def restart(self) -> None:
        """Close the engine and start another on the same journal."""
        await self.engine.close()
        self.engine = Engine(self.journal, self.clock, SessionRules(NODE, NS_PER_S))
        await self.engine.start()
        self.model.restart()

    def watch(self, key: bytes) -> Watching:
        """Wait for a key to change from what it is."""
        state = self.engine.state
        seen = max(state.get(key).index, 1)
        return Watching(self.engine.read(lambda: state.get(key), key_scope(key), seen, 10))

    def entry(self, key: bytes) -> object:
        """Return what is there under a key."""
        return self.engine.state.get(key).value

    def check(self) -> None:
        """Compare all that can be read."""
        state = self.engine.state
        state.check()
        assert {one.id for one in state.list_sessions().value} == set(self.model.holders)
        entries = state.get_tree(b"").value
        assert {entry.key: entry.value for entry in entries} == self.model.values
        held = {entry.key: entry.session for entry in entries if entry.session}
        assert held == self.model.locks


_key = st.sampled_from(KEYS)
_value = st.sampled_from([b"", b"x", b"y"])
# A write: its kind, a key, a value and a session's place; which of them count depends on the kind.
_write = st.tuples(st.sampled_from("sdtlluLe"), _key, _value, PLACES)
_step = st.one_of(
    st.lists(_write, min_size=1, max_size=4),
    st.tuples(st.just("create"), st.sampled_from([0, 1, 2, 5]), st.sampled_from([0, 1, 4])),
    st.tuples(st.just("renew"), PLACES),
    st.tuples(st.just("advance"), st.integers(1, 12)),
    st.just("restart"),
)


def command(run: Run, kind: str, key: bytes, value: bytes, place: int) -> Command:
    """Return the command of a random write."""
    session_id = run.session_id(place)
    match kind:
        case "s":
            return SetKey(key, value, 0)
        case "d":
            return DeleteKey(key)
        case "t":
            return DeleteTree(key)
        case "u":
            return UnlockKey(key, value, 0, session_id)
        case "e":
            return DestroySession(session_id)
    return LockKey(key, value, 0, session_id)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_step, max_size=25), st.sampled_from(["release", "delete"]))
async def test_random_lives_go_as_the_model_says(steps: list[Any], behavior: str) -> None:
    """Outcomes, entries, locks and sessions are the model's after every step."""
    run = Run()
    await run.engine.start()
    for step in steps:
        match step:
            case "restart":
                await run.restart()
            case ("create", ttl_s, delay_s):
                await run.create(ttl_s, delay_s, behavior)
            case ("renew", place):
                run.renew(place)
            case ("advance", seconds):
                await run.advance(seconds)
            case list():
                await run.submit([command(run, *write) for write in step])
        run.check()
    assert run.engine.parked_count == 0
    await run.engine.close()

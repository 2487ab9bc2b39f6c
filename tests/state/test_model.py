"""Random commands against a dict: the state, a forgetful twin and a naive model, step by step."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kvstore.state.applied import Applied, Read
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Behavior
from kvstore.state.store import State

from .apply import S1, S2, S3, make_session
from .model import Model
from .twin import TOMBSTONES_MAX, ForgetfulTwin

KEYS = [b"\x00", b"a", b"a/", b"a/\x00", b"a/b", b"a/b/c", b"a/b/d", b"a/\xff", b"a\xff\xff"]
KEYS += [b"ab", b"b", b"\xff", b"\xff\xff/"]
PREFIXES = [*KEYS, b"", b"a/b/", b"a\xff", b"a/b/c/d", b"z"]
LISTINGS = [(prefix, b"/") for prefix in PREFIXES]
LISTINGS += [(b"", b""), (b"a", b""), (b"", b"/b"), (b"a", b"b"), (b"a/", b"\xff")]
NODES = ["n1", "N1", "n2"]
SESSIONS = [S1, S2, S3]
# Other spellings, and a well-formed id that nobody has.
SPELLINGS = [*SESSIONS, S1.upper(), S2.upper(), "-a-a-a-" + S1.replace("-", "")[3:], "0" * 36]

# What was asked, and what it read.
Answers = dict[tuple[object, ...], Read[Any]]

keys = st.sampled_from(KEYS)
# Few, so that they meet their holders again.
lock_keys = st.sampled_from([b"a/b", b"a/b/c", b"\xff"])
prefixes = st.sampled_from(PREFIXES)
values = st.sampled_from([b"", b"1", b"2"])
flags = st.sampled_from([0, 0, 0, 2**64 - 1])
# Mostly the plain ids, so that locks are often held and released.
holders = st.sampled_from([*SESSIONS * 3, *SPELLINGS, "x", ""])
offs = st.sampled_from([0, 0, 0, -1, 1])


@dataclass(frozen=True)
class Idea:
    """An operation of a transaction, but for what depends on the store."""

    kind: type[TxnOp]
    key: bytes
    prefix: bytes
    value: bytes
    # Beside the index of the key.
    off: int
    # None: whoever holds the key.
    holder: str | None


# Those that may fail, and those that do not or seldom do.
_RISKY = [CasKey, DeleteKeyCas, LockKey, UnlockKey, CheckIndex, CheckSession, CheckNotExists]
_RISKY += [GetKey, ImpossibleOp]
_SAFE = [SetKey, SetKey, DeleteKey, DeleteTree, GetTree, CasKey, DeleteKeyCas]


def ideas(kinds: list[Any], keys: st.SearchStrategy[bytes], offs: st.SearchStrategy[int]) -> Any:
    """Return up to six operations of these kinds."""
    who = st.none() | holders
    one = st.builds(Idea, st.sampled_from(kinds), keys, prefixes, values, offs, who)
    return st.lists(one, min_size=1, max_size=6)


def ask(source: State | ForgetfulTwin) -> Answers:
    """Ask every query about keys."""
    answers: Answers = {("get", key): source.get(key) for key in KEYS}
    answers |= {("get_tree", prefix): source.get_tree(prefix) for prefix in PREFIXES}
    answers |= {("keys", *listing): source.keys(*listing) for listing in LISTINGS}
    for (_, name, *_), read in answers.items():
        assert isinstance(name, bytes)
        by_itself = source.tree_index if isinstance(read.value, list) else source.key_index
        assert by_itself(name) == read.index
    return answers


def ask_sessions(state: State) -> Answers:
    """Ask every query about sessions."""
    answers: Answers = {("session", typed): state.get_session(typed) for typed in SPELLINGS}
    answers |= {("node", node): state.node_sessions(node) for node in NODES}
    return answers | {("sessions",): state.list_sessions()}


def expected(model: Model) -> Answers:
    """Answer every query about keys from the naive model."""
    answers: Answers = {
        ("get", key): Read(model.key_index(key), model.entries.get(key)) for key in KEYS
    }
    for prefix in PREFIXES:
        answers["get_tree", prefix] = Read(model.tree_index(prefix), model.tree(prefix))
    for prefix, separator in LISTINGS:
        index = answers["get_tree", prefix].index
        answers["keys", prefix, separator] = Read(index, model.names(prefix, separator))
    return answers


def check_moves(before: Answers, after: Answers, index: int) -> None:
    """No index goes back, and a query whose answer the write changed is at the write's index."""
    for query, read in after.items():
        old = before[query]
        assert old.index <= read.index, f"{query} went back from {old.index} to {read.index}"
        if read.value != old.value:
            assert read.index == index > old.index, f"{query} changed at {index} unseen"


def check_stays(before: Answers, after: Answers, touched: set[bytes]) -> None:
    """See that a key or tree that is there and was not touched keeps its index: no wake-up."""
    for query, read in after.items():
        if query[0] not in {"get", "get_tree"} or not read.value:
            continue
        if query[0] == "get":
            is_touched = query[1] in touched
        else:  # the root is at the index of the whole store
            is_touched = not query[1] or any(key.startswith(query[1]) for key in touched)
        if not is_touched:
            assert read == before[query], f"{query} moved without a change"


class CommandsAgainstADict(RuleBasedStateMachine):
    """Applies every command to the state, its twin and the model, and compares all they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.twin = ForgetfulTwin()
        self.model = Model()
        self.commands: list[Command] = []
        self.outcomes: list[Applied] = []
        self.answers = ask(self.state)
        self.twin_answers = ask(self.twin)
        self.session_answers = ask_sessions(self.state)

    @initialize()
    def create_two_sessions(self) -> None:
        """Begin with a session of each behavior."""
        self.write(make_session(S1, behavior="release"))
        self.write(make_session(S2, behavior="delete", node="N1"))

    @rule(store_id=st.sampled_from(["one", "two"]))
    def create_store(self, store_id: str) -> None:
        """Name the store."""
        self.write(CreateStore(store_id))

    @rule(key=keys, value=values, flags=flags)
    def set_key(self, key: bytes, value: bytes, flags: int) -> None:
        """Write a key."""
        self.write(SetKey(key, value, flags))

    @rule(key=keys, value=values, off=st.sampled_from([0, 0, 0, -1, 1]), adopt_lost=st.booleans())
    def cas_key(self, key: bytes, value: bytes, off: int, *, adopt_lost: bool) -> None:
        """Write a key at its own index, or one beside it."""
        cas_index = max(0, self.model_index(key) + off)
        self.write(CasKey(key, value, 0, cas_index, adopt_lost=adopt_lost))

    @rule(key=keys, value=values, ahead=st.integers(-1, 2))
    def adopt_key(self, key: bytes, value: bytes, ahead: int) -> None:
        """Write a key at an index about where indexes have not been issued."""
        cas_index = max(0, self.state.last_index + ahead)
        self.write(CasKey(key, value, 0, cas_index, adopt_lost=True))

    @rule(key=keys)
    def delete_key(self, key: bytes) -> None:
        """Delete a key."""
        self.write(DeleteKey(key))

    @rule(churned=st.lists(keys, min_size=2, max_size=4, unique=True))
    def set_and_delete_keys(self, churned: list[bytes]) -> None:
        """Leave some tombstones at once, so that the twin forgets older ones."""
        for key in churned:
            self.write(SetKey(key, b"churn", 0))
        for key in churned:
            self.write(DeleteKey(key))

    @rule(filled=st.lists(keys, min_size=2, max_size=4, unique=True), cut=st.integers(0, 3))
    def delete_key_and_the_tree_above(self, filled: list[bytes], cut: int) -> None:
        """Delete a key and then a tree that it was in, with what else is there."""
        for key in filled:
            self.write(SetKey(key, b"fill", 0))
        self.write(DeleteKey(filled[0]))
        self.write(DeleteTree(filled[0][:cut]))

    @rule(key=keys, off=st.sampled_from([0, 0, -1, 1]))
    def delete_key_cas(self, key: bytes, off: int) -> None:
        """Delete a key at its own index, or one beside it."""
        self.write(DeleteKeyCas(key, max(0, self.model_index(key) + off)))

    @rule(prefix=prefixes)
    def delete_tree(self, prefix: bytes) -> None:
        """Delete everything under a prefix."""
        self.write(DeleteTree(prefix))

    @rule(key=lock_keys, value=values, flags=flags, holder=holders)
    def lock_key(self, key: bytes, value: bytes, flags: int, holder: str) -> None:
        """Acquire a key."""
        self.write(LockKey(key, value, flags, holder))

    @rule(key=lock_keys, value=values, flags=flags, holder=holders)
    def unlock_key(self, key: bytes, value: bytes, flags: int, holder: str) -> None:
        """Release a key, mostly without right."""
        self.write(UnlockKey(key, value, flags, holder))

    @precondition(lambda self: self.model.held())
    @rule(pick=st.integers(0), again=st.booleans(), other=st.sampled_from(SPELLINGS))
    def write_held_key(self, pick: int, other: str, *, again: bool) -> None:
        """Write a key that is held in every way, with its own value or another."""
        held = self.model.held()
        entry = held[pick % len(held)]
        key, holder, flags = entry.key, entry.session, entry.flags
        value = entry.value if again else b"other"
        self.write(LockKey(key, value, flags, holder))
        self.write(LockKey(key, value, flags, holder.swapcase()))
        if pick % 3 == 0:
            self.write(SetKey(key, value, flags))
            self.write(LockKey(key, value, flags, holder))
        if pick % 2:
            self.write(UnlockKey(key, value, flags, holder))
            self.write(LockKey(key, value, flags, other))

    @rule(ideas=ideas(_SAFE + _RISKY, keys | lock_keys, offs))
    def run_any_txn(self, ideas: list[Idea]) -> None:
        """Try several operations of all kinds at once."""
        self.write(Txn(tuple(map(self.op, ideas))))

    @rule(ideas=ideas(_SAFE, keys, st.just(0)))
    def run_txn(self, ideas: list[Idea]) -> None:
        """Do several writes at once."""
        self.write(Txn(tuple(map(self.op, ideas))))

    @rule(
        session_id=st.sampled_from(SESSIONS),
        behavior=st.sampled_from(["release", "delete"]),
        node=st.sampled_from(NODES),
    )
    def create_session(self, session_id: str, behavior: Behavior, node: str) -> None:
        """Make a session, or go on when it is alive: ids are drawn fresh."""
        if not self.model.is_live(session_id):
            self.write(make_session(session_id, behavior=behavior, node=node))

    @rule(session_id=holders)
    def destroy_session(self, session_id: str) -> None:
        """Invalidate a session."""
        self.write(DestroySession(session_id))

    def model_index(self, key: bytes) -> int:
        """Return the modify_index of a key, 0 when it is absent."""
        entry = self.model.entries.get(key)
        return entry.modify_index if entry else 0

    def op(self, idea: Idea) -> TxnOp:  # noqa: PLR0911 - a table
        """Make an operation that fits the store as it is before the transaction."""
        key, value, kind = idea.key, idea.value, idea.kind
        entry = self.model.entries.get(key)
        index = max(0, self.model_index(key) + idea.off)
        holder = idea.holder
        if holder is None:
            holder = entry.session if entry else S1
        if kind is ImpossibleOp:
            return ImpossibleOp("unknown")
        if kind in (DeleteTree, GetTree):
            return kind(idea.prefix)
        if kind is SetKey:
            return SetKey(key, value, 0)
        if kind is CasKey:
            return CasKey(key, value, 0, index)
        if kind in (LockKey, UnlockKey):
            return kind(key, value, 0, holder)
        if kind is CheckSession:
            return CheckSession(key, holder)
        if kind in (DeleteKeyCas, CheckIndex):
            return kind(key, index)
        return GetKey(key, or_empty=idea.off != 0) if kind is GetKey else kind(key)

    def write(self, command: Command) -> None:
        """Apply the command everywhere, then compare every answer."""
        index = self.state.last_index + 1
        before_entries = dict(self.model.entries)
        before_sessions = dict(self.model.sessions)
        done, refusal = self.model.apply(index, command)
        applied = self.state.apply(index, command)

        assert (applied.index, self.state.last_index) == (index, index)
        assert (applied.done, refusal) == (done, applied.refusal and type(applied.refusal))
        changed = {
            key
            for key in before_entries.keys() | self.model.entries.keys()
            if before_entries.get(key) != self.model.entries.get(key)
        }
        touched = self.model.touched(index)
        assert changed <= touched
        if isinstance(command, Txn):
            self.check_txn(applied)
            assert len(applied.changed_keys) == len(touched)
            assert set(applied.changed_keys) == touched
        else:
            assert list(applied.changed_keys) == sorted(changed) == sorted(touched)
        created = self.model.sessions.items() - before_sessions.items()
        assert [applied.created] == [made for _, made in created] or not (
            created or applied.created
        )
        destroyed = before_sessions.items() - self.model.sessions.items()
        assert applied.destroyed == next((gone for _, gone in destroyed), None)

        self.commands.append(command)
        self.outcomes.append(applied)
        self.state.check()
        self.check_state(index, touched)
        self.check_twin(index, command, applied)

    def check_txn(self, applied: Applied) -> None:
        """Compare what came of each operation."""
        outcome = applied.txn
        assert outcome is not None
        results = [(one.key, one.entry, one.with_value) for one in outcome.results]
        assert results == self.model.shown
        failures = [
            (one.position, one.met, one.refusal and type(one.refusal)) for one in outcome.failures
        ]
        assert failures == self.model.failed
        assert not any(one.lock_delayed for one in outcome.failures)

    def check_state(self, index: int, touched: set[bytes]) -> None:
        """Compare the state with the model and with what it said before."""
        answers, session_answers = ask(self.state), ask_sessions(self.state)
        assert answers == expected(self.model)
        check_moves(self.answers, answers, index)
        check_stays(self.answers, answers, touched)
        alive = [self.model.sessions[name] for name in sorted(self.model.sessions)]
        assert session_answers["sessions",].value == alive
        for node in NODES:
            there = [one for one in alive if one.node.upper() == node.upper()]
            assert session_answers["node", node].value == there
        assert {read.index for read in session_answers.values()} == {self.model.session_index}
        check_moves(self.session_answers, session_answers, index)
        self.answers, self.session_answers = answers, session_answers

    def check_twin(self, index: int, command: Command, applied: Applied) -> None:
        """Compare the twin: the same values, and indexes that forgetting may only raise."""
        floor = self.twin.floor
        outcome = self.twin.apply(index, command)
        # By their texts, since two refusals of one kind are not equal as exceptions.
        assert repr(outcome) == repr(applied)
        assert self.twin.tombstone_count <= TOMBSTONES_MAX
        answers = ask(self.twin)
        for query, read in answers.items():
            assert read.value == self.answers[query].value
            assert self.answers[query].index <= read.index <= self.model.kv_index()
        check_moves(self.twin_answers, answers, index)
        if self.twin.floor == floor:
            check_stays(self.twin_answers, answers, set(applied.changed_keys))
        self.twin_answers = answers

    def teardown(self) -> None:
        """Replay what was done into a fresh state, which must answer the same."""
        replayed = State()
        for index, command in enumerate(self.commands, start=1):
            assert repr(replayed.apply(index, command)) == repr(self.outcomes[index - 1])
        assert ask(replayed) == self.answers
        assert ask_sessions(replayed) == self.session_answers
        assert replayed.store_id == self.state.store_id
        assert replayed.last_index == self.state.last_index


TestModel = pytest.mark.slow(CommandsAgainstADict.TestCase)
TestModel.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, print_blob=True
)

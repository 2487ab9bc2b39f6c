"""Waiters by key, prefix and session: whoever is concerned fires once, and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.engine.watch import ALL_SESSIONS, CATALOG, Scope, ScopeKind, Watch
from kvstore.state.applied import Applied
from kvstore.state.entry import Session

from .store import key_scope, session_scope, tree_scope

S1 = "aaaaaaaa-0000-4000-8000-00000000000b"
S2 = "bbbbbbbb-0000-4000-8000-00000000000c"


class Counted:
    """A waiter that counts how often it fired."""

    def __init__(self) -> None:
        self.count = 0

    def fire(self) -> None:
        """Count."""
        self.count += 1


def session(session_id: str) -> Session:
    """Return a session without anything special."""
    return Session(session_id, "", "n1", 0, "release", "", 0, (), None, (), 1)


def fired(scope: Scope, applied: Applied) -> int:
    """Return how often a waiter of the scope fires."""
    watch, waiter = Watch(), Counted()
    watch.add(scope, waiter)
    watch.notify(applied)
    return waiter.count


@pytest.mark.parametrize(
    ("scope", "keys", "count"),
    [
        (key_scope(b"a/b"), [b"a/b"], 1),
        (key_scope(b"a/b"), [b"a/b", b"a/c"], 1),
        (key_scope(b"a/b"), [b"a/", b"a/bc", b"a", b"", b"A/B"], 0),
        (key_scope(b""), [b""], 1),
        (tree_scope(b"a/"), [b"a/b"], 1),
        (tree_scope(b"a/"), [b"a/"], 1),
        (tree_scope(b"a/"), [b"a/b", b"a/c", b"a/d"], 1),
        (tree_scope(b"a/"), [b"a", b"b/a/", b"ab"], 0),
        (tree_scope(b""), [b"anything"], 1),
        (tree_scope(b"a/b/c/d"), [b"a/b/c"], 0),
        (ALL_SESSIONS, [b"a"], 0),
        (session_scope(S1), [b"a", S1.encode()], 0),
        (CATALOG, [b"a", b""], 0),
        (key_scope(b"a"), [], 0),
    ],
)
def test_write_fires_whoever_it_concerns(scope: Scope, keys: list[bytes], count: int) -> None:
    """Once each, however many keys of a scope a command changed."""
    assert fired(scope, Applied(1, changed_keys=tuple(keys))) == count


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        (session_scope(S1), 1),
        (session_scope(S1.upper()), 1),
        (session_scope(S2), 0),
        (ALL_SESSIONS, 1),
        (key_scope(b"a"), 0),
        (tree_scope(b""), 0),
        (CATALOG, 0),
    ],
)
def test_session_fires_its_own_waiters_and_those_of_all(scope: Scope, count: int) -> None:
    """When it comes and when it goes, in any spelling of its id."""
    assert fired(scope, Applied(1, created=session(S1))) == count
    assert fired(scope, Applied(1, destroyed=session(S1))) == count


def test_session_that_goes_fires_the_waiters_of_its_keys() -> None:
    """A waiter of both fires once."""
    watch, key, both = Watch(), Counted(), Counted()
    watch.add(key_scope(b"a"), key)
    watch.add(tree_scope(b"a"), both)
    watch.add(session_scope(S1), both)
    watch.notify(Applied(1, changed_keys=(b"a",), destroyed=session(S1)))
    assert (key.count, both.count) == (1, 1)


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        (key_scope(b"a/b"), 1),
        (key_scope(b"a/c"), 0),
        (tree_scope(b"a/"), 1),
        (tree_scope(b"b"), 0),
        (session_scope(S1), 1),
        (ALL_SESSIONS, 1),
        (CATALOG, 0),
    ],
)
def test_restore_fires_waiters_of_what_changed_and_of_any_session(scope: Scope, count: int) -> None:
    """Any session may be another one now; of keys those are named that changed."""
    assert fired(scope, Applied(1, changed_keys=(b"a/b", b"a/"), restored=True)) == count


def test_restore_fires_each_waiter_once() -> None:
    """Also one that waits for several of the things that changed."""
    watch, waiter = Watch(), Counted()
    for scope in (key_scope(b"a"), tree_scope(b""), session_scope(S1), ALL_SESSIONS):
        watch.add(scope, waiter)
    watch.notify(Applied(1, changed_keys=(b"a",), restored=True))
    assert waiter.count == 1


def test_waiters_fire_in_the_order_they_came() -> None:
    """So the one that waits longest is answered first."""
    watch, order = Watch(), list[int]()

    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

        def fire(self) -> None:
            order.append(self.number)

    for number in range(20):
        watch.add(key_scope(b"a"), Numbered(number))
    watch.notify(Applied(1, changed_keys=(b"a",)))
    assert order == list(range(20))


def test_waiter_fires_until_it_is_removed() -> None:
    """Removing it twice, or one that never was there, changes nothing."""
    watch, waiter, other = Watch(), Counted(), Counted()
    change = Applied(1, changed_keys=(b"a",))
    watch.add(tree_scope(b"a"), waiter)
    watch.add(tree_scope(b"a"), other)
    watch.notify(change)
    watch.notify(change)
    for _ in range(2):
        watch.remove(tree_scope(b"a"), waiter)
    watch.remove(tree_scope(b"b"), other)
    watch.remove(key_scope(b"a"), other)
    watch.notify(change)
    assert (waiter.count, other.count) == (2, 3)
    assert len(watch) == 1


def test_waiter_that_leaves_while_it_fires() -> None:
    """As every answered query does; the others fire all the same."""
    watch = Watch()

    class Leaving(Counted):
        def fire(self) -> None:
            super().fire()
            watch.remove(tree_scope(b"a"), self)

    waiters = [Leaving() for _ in range(5)]
    for waiter in waiters:
        watch.add(tree_scope(b"a"), waiter)
    for _ in range(2):
        watch.notify(Applied(1, changed_keys=(b"a", b"ab")))
    assert [waiter.count for waiter in waiters] == [1] * 5
    assert len(watch) == 0


def test_waiter_that_comes_while_others_fire_waits_for_the_next_change() -> None:
    """It looked at the state after the change."""
    watch, late = Watch(), Counted()

    class Bringing(Counted):
        def fire(self) -> None:
            super().fire()
            watch.add(key_scope(b"a"), late)

    watch.add(key_scope(b"a"), Bringing())
    watch.notify(Applied(1, changed_keys=(b"a",)))
    assert late.count == 0
    watch.notify(Applied(2, changed_keys=(b"a",)))
    assert late.count == 1


_short = st.text("ab/", max_size=5).map(str.encode)


@given(
    st.lists(st.tuples(st.booleans(), _short), max_size=8),
    st.lists(st.integers(0, 7), max_size=4),
    st.lists(_short, max_size=3),
)
def test_whoever_fires_is_whoever_is_concerned(
    scopes: list[tuple[bool, bytes]], gone: list[int], changed: list[bytes]
) -> None:
    """For any keys and prefixes, waiters that left among them: exactly by the definition."""
    watch = Watch()
    waiters = []
    for is_tree, name in scopes:
        scope = tree_scope(name) if is_tree else key_scope(name)
        waiters.append((scope, Counted(), is_tree, name))
        watch.add(scope, waiters[-1][1])
    for number in set(gone) & set(range(len(waiters))):
        watch.remove(waiters[number][0], waiters[number][1])
    watch.notify(Applied(1, changed_keys=tuple(changed)))
    for number, (_, waiter, is_tree, name) in enumerate(waiters):
        concerned = any(key.startswith(name) if is_tree else key == name for key in changed)
        assert waiter.count == (concerned and number not in gone)


NAMES = st.binary(max_size=4).map(lambda name: bytes(byte % 3 + 97 for byte in name))


@given(
    scopes=st.lists(st.builds(Scope, st.sampled_from([ScopeKind.KEY, ScopeKind.TREE]), NAMES)),
    keys=st.sets(NAMES, min_size=1),
)
def test_it_does_not_matter_how_many_keys_change(scopes: list[Scope], keys: set[bytes]) -> None:
    """Those whom a write of many keys concerns are those of the writes of one each."""
    watch, waiters = Watch(), [Counted() for _ in scopes]
    for scope, waiter in zip(scopes, waiters, strict=True):
        watch.add(scope, waiter)
    watch.notify(Applied(1, changed_keys=tuple(keys)))
    for scope, waiter in zip(scopes, waiters, strict=True):
        assert waiter.count == max(fired(scope, Applied(1, changed_keys=(key,))) for key in keys)

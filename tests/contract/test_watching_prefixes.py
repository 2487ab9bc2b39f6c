"""Blocking queries on prefixes (B8, B9)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.store import PARKED_S

from .rules import by_intent
from .stores import Store

RULE = "exact-wakeups"
AT_ONCE_S = 5.0

PREFIX_CHANGES = [
    ("put", "p/a", b"new"),
    ("put", "p/deep/b", b"new"),
    ("put", "p/new", b""),
    ("put", "p/", b""),
    ("delete", "p/a", b""),
    ("delete", "p/deep/?recurse", b""),
    ("delete", "p/?recurse", b""),
    ("delete", "p?recurse", b""),
    ("delete", "?recurse", b""),
]


@pytest.mark.parametrize("query", ["recurse", "keys", "keys&separator=/"])
@pytest.mark.parametrize(("method", "target", "value"), PREFIX_CHANGES)
def test_B8_prefix_changed(
    store: Store, prefix: str, query: str, method: str, target: str, value: bytes
) -> None:
    """Every change under the prefix wakes its watcher, also of what the list does not show."""
    store.write(f"{prefix}p/a", b"v")
    index = store.write(f"{prefix}p/deep/b", b"v")
    with store.park(f"/v1/kv/{prefix}p/?{query}&index={index}") as waiting:
        store.ask(method.upper(), f"/v1/kv/{prefix}{target}", value)
        answer = waiting.answer(within_s=AT_ONCE_S)
    assert answer.index == store.kvs_index() > index
    now = store.get(f"{prefix}p/?{query}")
    assert (answer.status, answer.body) == (now.status, now.body)


def test_B8_prefix_untouched(store: Store, prefix: str) -> None:
    """Writes elsewhere and deletes of nothing leave the watcher of a prefix waiting."""
    index = store.write(f"{prefix}p/a", b"v")
    with store.park(f"/v1/kv/{prefix}p/?recurse&index={index}") as query:
        store.write(f"{prefix}p")
        store.write(f"{prefix}q/a")
        store.write(f"{prefix}p0")
        store.put(f"{prefix}p/a", b"v")
        store.delete(f"{prefix}p/nope")
        store.delete(f"{prefix}p/nope?recurse")
        store.delete(f"{prefix}q/?recurse")
        assert query.waits()
        changed = store.write(f"{prefix}p/b")
        assert query.answer(within_s=AT_ONCE_S).index == changed


def test_B8_emptied_prefix(store: Store, prefix: str) -> None:
    """The watcher of an emptied prefix waits through writes elsewhere, then sees the next key."""
    store.write(f"{prefix}p/a")
    store.delete(f"{prefix}p/?recurse")
    index = store.kvs_index()
    with store.park(f"/v1/kv/{prefix}p/?keys&index={index}") as query:
        store.write(f"{prefix}q")
        assert query.waits()
        store.write(f"{prefix}p/b")
        assert query.answer(within_s=AT_ONCE_S).json == [f"{prefix}p/b"]


def test_B8_never_used_prefix(store: Store, prefix: str) -> None:
    """A prefix that never had a key wakes for its first one; Consul's for neighbours too."""
    store.write(f"{prefix}other")
    with store.park(f"/v1/kv/{prefix}p/?recurse&index={store.kvs_index()}") as query:
        store.write(f"{prefix}q")
        waits = by_intent(store, consul=False, kvstore=True, rule=RULE)
        assert query.waits(PARKED_S if waits else AT_ONCE_S) == waits
        if waits:
            created = store.write(f"{prefix}p/a")
            assert query.answer(within_s=AT_ONCE_S).index == created


@pytest.mark.slow
def test_B9_ancestor_deleted_over_an_older_tombstone(store: Store, prefix: str) -> None:
    """Consul leaves this watcher waiting; ours answers with the delete's index."""
    store.write(f"{prefix}p/old")
    store.delete(f"{prefix}p/old")
    index = store.write(f"{prefix}p/new")
    with store.park(f"/v1/kv/{prefix}p/?recurse&index={index}&wait=1s") as query:
        store.delete(f"{prefix}?recurse")
        waits = by_intent(store, consul=True, kvstore=False, rule=RULE)
        assert query.waits(PARKED_S if waits else AT_ONCE_S) == waits
        answer = query.answer(within_s=AT_ONCE_S)
    assert answer.status == 404
    assert (answer.index == store.kvs_index()) == (not waits)

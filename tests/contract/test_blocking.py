"""Blocking queries: when they wait, and watching one key (B1-B6, B12, B13).

No test sleeps to let things happen: a query is proved to wait, then something is written.
"""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import time

import pytest

from conformance.suite.store import PARKED_S

from .rules import by_intent
from .stores import Store

RULE = "exact-wakeups"
AT_ONCE_S = 5.0
"""An answer to a wake-up takes milliseconds; five seconds leave room for a busy machine."""


@pytest.mark.parametrize("query", ["wait=9s", "index=0&wait=9s", "index=&wait=9s", "index=1"])
def test_B1_only_a_known_index_blocks(store: Store, prefix: str, query: str) -> None:
    """Without an index, with index 0 and with an old one the answer comes at once."""
    store.write(f"{prefix}k")
    for target in ("k?x", "nope?x", "?recurse", "?keys", "none/?recurse"):
        with store.call_blocking(f"/v1/kv/{prefix}{target}&{query}") as query_:
            query_.answer(within_s=AT_ONCE_S)
            assert query_.took_s < 2


def test_B1_only_reads_block(store: Store, prefix: str) -> None:
    """PUT, DELETE, renew and status answer at once, whatever the index."""
    session = store.session()
    start = time.monotonic()
    store.put(f"{prefix}k?index=999999999&wait=9s")
    store.delete(f"{prefix}k?index=999999999&wait=9s")
    store.ask("PUT", f"/v1/session/renew/{session}?index=999999999&wait=9s")
    store.ask("GET", "/v1/status/leader?index=999999999&wait=9s")
    assert time.monotonic() - start < AT_ONCE_S
    store.destroy(session)


@pytest.mark.slow
def test_B2_future_index_blocks_across_changes(store: Store, prefix: str) -> None:
    """An index that is not reached is waited for; the time limit then answers with what is."""
    index = store.write(f"{prefix}k", b"old")
    with store.park(f"/v1/kv/{prefix}k?index={index + 1000}&wait=500ms") as query:
        changed = store.write(f"{prefix}k", b"new")
        answer = query.answer(within_s=AT_ONCE_S)
        assert query.took_s >= 0.5
    assert (answer.index, answer.json[0]["Value"]) == (changed, "bmV3")


@pytest.mark.parametrize("wait", ["200ms", "0.2s", "200000us", "%2B200ms"])
def test_B3_time_limit(store: Store, prefix: str, wait: str) -> None:
    """The limit is `wait` and up to a sixteenth more."""
    index = store.write(f"{prefix}k")
    with store.call_blocking(f"/v1/kv/{prefix}k?index={index}&wait={wait}") as query:
        assert query.answer(within_s=AT_ONCE_S).status == 200
        assert 0.199 <= query.took_s < 0.2125 + 1


@pytest.mark.parametrize("wait", ["", "&wait=", "&wait=0s", "&wait=0", "&wait=-5s", "&wait=100h"])
def test_B3_defaults(store: Store, prefix: str, wait: str) -> None:
    """No wait, none and less than none mean five minutes; a change is answered all the same."""
    index = store.write(f"{prefix}k")
    with store.park(f"/v1/kv/{prefix}k?index={index}{wait}") as query:
        changed = store.write(f"{prefix}k", b"new")
        assert query.answer(within_s=AT_ONCE_S).index == changed


def test_B4_time_limit_is_no_error(store: Store, prefix: str) -> None:
    """At the limit the answer is that of a plain GET, headers included."""
    index = store.write(f"{prefix}p/k", b"v")
    for target in ("p/k?x", "p/k?raw", "p/?recurse", "p/?keys", "nope?x", "none/?keys"):
        plain = store.get(prefix + target)
        with store.call_blocking(f"/v1/kv/{prefix}{target}&index={index}&wait=30ms") as query:
            answer = query.answer(within_s=AT_ONCE_S)
            assert query.took_s >= 0.03
        assert (answer.status, answer.body) == (plain.status, plain.body)
        assert [each for each in answer.headers if each[0] != "Date"] == [
            each for each in plain.headers if each[0] != "Date"
        ]


CHANGES = [
    ("value", "k", b"new"),
    ("flags", "k?flags=9", b"v"),
    ("cas", "k?cas={index}", b"new"),
    ("acquire", "k?acquire={session}", b"v"),
]


@pytest.mark.parametrize(("change", "target", "value"), CHANGES)
def test_B5_key_changed(store: Store, prefix: str, change: str, target: str, value: bytes) -> None:
    """A change of value, flags or session wakes the key's watcher with the new index."""
    session = store.session()
    index = store.write(f"{prefix}k", b"v")
    with store.park(f"/v1/kv/{prefix}k?index={index}") as query:
        target = target.format(index=index, session=session)
        assert store.put(prefix + target, value).body == b"true"
        answer = query.answer(within_s=AT_ONCE_S)
    assert answer.json == [store.entry(f"{prefix}k")]
    assert answer.index == answer.json[0]["ModifyIndex"] > index
    store.destroy(session)


@pytest.mark.parametrize("target", ["d/k", "d/?recurse", "d?recurse", "?recurse", "d/k?recurse"])
def test_B5_key_deleted(store: Store, prefix: str, target: str) -> None:
    """A delete of the key or of any prefix of it wakes with 404 and the delete's index."""
    index = store.write(f"{prefix}d/k")
    with store.park(f"/v1/kv/{prefix}d/k?index={index}") as query:
        store.delete(prefix + target)
        answer = query.answer(within_s=AT_ONCE_S)
    assert (answer.status, answer.body) == (404, b"")
    assert answer.index == store.kvs_index() > index


@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_B5_session_invalidated(store: Store, prefix: str, behavior: str) -> None:
    """The end of the session that holds the key wakes the key's and the prefix's watchers."""
    session = store.session(Behavior=behavior)
    index = store.write(f"{prefix}k?acquire={session}", b"v")
    key, tree = f"/v1/kv/{prefix}k?index={index}", f"/v1/kv/{prefix}?recurse&index={index}"
    with store.park(key) as on_key, store.park(tree) as on_tree:
        store.destroy(session)
        answers = [query.answer(within_s=AT_ONCE_S) for query in (on_key, on_tree)]
    assert {answer.index for answer in answers} == {store.sessions_index()}
    assert {answer.status for answer in answers} == {200 if behavior == "release" else 404}
    if behavior == "release":
        assert answers[0].json[0].get("Session") is None


def test_B5_key_untouched(store: Store, prefix: str) -> None:
    """Identical writes, siblings, children and refused writes leave the watcher waiting."""
    index = store.write(f"{prefix}k", b"v")
    store.write(f"{prefix}k/child")
    with store.park(f"/v1/kv/{prefix}k?index={index}") as query:
        store.put(f"{prefix}k", b"v")
        store.put(f"{prefix}k?cas=1", b"w")
        store.put(f"{prefix}k?cas=0", b"w")
        store.write(f"{prefix}k2")
        store.write(f"{prefix}j")
        store.write(f"{prefix}k/child", b"new")
        store.write(f"{prefix}k/other")
        store.delete(f"{prefix}k/?recurse")
        store.delete(f"{prefix}k?cas=1")
        assert query.waits()
        changed = store.write(f"{prefix}k", b"new")
        assert query.answer(within_s=AT_ONCE_S).index == changed


def test_cas_identical_wakes(store: Store, prefix: str) -> None:
    """A CAS of the same value is a change with us, and none on Consul."""
    index = store.write(f"{prefix}k", b"v")
    with store.park(f"/v1/kv/{prefix}k?index={index}") as query:
        assert store.put(f"{prefix}k?cas={index}", b"v").body == b"true"
        waits = by_intent(store, consul=True, kvstore=False, rule="cas-identical-wakes")
        assert query.waits(PARKED_S if waits else AT_ONCE_S) == waits
        if not waits:
            assert query.answer(within_s=AT_ONCE_S).index == store.modify_index(f"{prefix}k")


def test_B6_missing_key_created(store: Store, prefix: str) -> None:
    """The watcher of a missing key is answered when the key is created."""
    store.write(f"{prefix}other")
    with store.park(f"/v1/kv/{prefix}k?index={store.kvs_index()}") as query:
        created = store.write(f"{prefix}k", b"v")
        answer = query.answer(within_s=AT_ONCE_S)
    assert (answer.status, answer.index) == (200, created)


def test_B6_missing_key_and_its_neighbours(store: Store, prefix: str) -> None:
    """Consul wakes the watcher of a missing key for a neighbour; ours does not."""
    store.write(f"{prefix}ka")
    with store.park(f"/v1/kv/{prefix}k?index={store.kvs_index()}") as query:
        store.write(f"{prefix}kb")
        waits = by_intent(store, consul=False, kvstore=True, rule=RULE)
        assert query.waits(PARKED_S if waits else AT_ONCE_S) == waits
        if waits:
            store.write("elsewhere", prefix.encode())
            assert query.waits()
            created = store.write(f"{prefix}k")
            assert query.answer(within_s=AT_ONCE_S).index == created


def test_B6_missing_key_with_a_stale_index(store: Store, prefix: str) -> None:
    """A missing key's watcher that comes with an older index is answered at once."""
    index = store.kvs_index()
    store.write(f"{prefix}other")
    with store.call_blocking(f"/v1/kv/{prefix}k?index={index}") as query:
        answer = query.answer(within_s=AT_ONCE_S)
    assert (answer.status, answer.index) == (404, store.kvs_index())


@pytest.mark.slow
def test_B12_shutdown_ends_blocking_queries(fresh: Store) -> None:
    """A store that stops does not leave its watchers hanging."""
    index = fresh.write("k", b"v")
    with fresh.park(f"/v1/kv/k?index={index}&wait=60s") as query:
        fresh.stop()
        assert query.ends(), "neither answered nor closed"


def test_B13_many_watchers(store: Store, prefix: str) -> None:
    """All watchers of a key are answered by one write."""
    index = store.write(f"{prefix}k")
    queries = [store.call_blocking(f"/v1/kv/{prefix}k?index={index}") for _ in range(50)]
    try:
        assert queries[-1].waits()
        changed = store.write(f"{prefix}k", b"new")
        assert {query.answer(within_s=AT_ONCE_S).index for query in queries} == {changed}
    finally:
        for query in queries:
            query.close()


def test_B13_watching_goes_on(store: Store, prefix: str) -> None:
    """A client that asks again with each index sees every step of a chain of changes."""
    index = store.write(f"{prefix}k", b"0")
    seen = []
    for step in range(1, 6):
        with store.call_blocking(f"/v1/kv/{prefix}k?raw&index={index}") as query:
            store.put(f"{prefix}k", b"%d" % step)
            answer = query.answer(within_s=AT_ONCE_S)
        seen.append(answer.body)
        index = answer.index
    assert seen == [b"1", b"2", b"3", b"4", b"5"]

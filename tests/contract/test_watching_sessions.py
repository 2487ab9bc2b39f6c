"""Blocking queries on sessions (B10)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .rules import by_intent
from .stores import Store

AT_ONCE_S = 5.0
UNKNOWN = "11111111-2222-3333-4444-555555555555"


@pytest.mark.slow
def test_B10_info_wakes_when_the_session_goes(store: Store) -> None:
    """The watcher of a session sees it go, and neither renewals nor other sessions."""
    session = store.session(TTL="60s")
    other = store.session()
    index = store.sessions_index()
    with store.park(f"/v1/session/info/{session}?index={index}") as query:
        store.ask("PUT", f"/v1/session/renew/{session}")
        store.destroy(other)
        store.destroy(store.session())
        assert query.waits()
        store.destroy(session)
        answer = query.answer(within_s=AT_ONCE_S)
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.index == store.sessions_index() > index


@pytest.mark.slow
def test_B10_list_and_node_wake_on_any(store: Store) -> None:
    """The watchers of the session list and of the node see every session come and go."""
    session = store.session()
    node = store.ask("GET", f"/v1/session/info/{session}").json[0]["Node"]
    for change in (lambda: store.session(Name="B10"), lambda: store.destroy(session)):
        index = store.sessions_index()
        listing = f"/v1/session/list?index={index}"
        of_node = f"/v1/session/node/{node}?index={index}"
        with store.park(listing) as on_list, store.park(of_node) as on_node:
            store.ask("PUT", f"/v1/session/renew/{session}")
            store.destroy(UNKNOWN)
            store.write("B10", str(index).encode())
            assert on_list.waits()
            change()
            answers = [query.answer(within_s=AT_ONCE_S) for query in (on_list, on_node)]
        assert {answer.index for answer in answers} == {store.sessions_index()}
        assert answers[0].index > index


@pytest.mark.slow
def test_B10_unknown_id(store: Store) -> None:
    """An unknown session never comes: Consul wakes its watcher for others, ours need not."""
    index = store.sessions_index()
    with store.call_blocking(f"/v1/session/info/{UNKNOWN}?index={index}&wait=300ms") as query:
        session = store.session()
        answer = query.answer(within_s=AT_ONCE_S)
        at_limit = query.took_s >= 0.3
    assert (answer.status, answer.body) == (200, b"[]")
    assert by_intent(store, consul=True, kvstore=at_limit, rule="exact-wakeups")
    store.destroy(session)


def test_B4_session_time_limit(store: Store) -> None:
    """At the limit session calls answer what a plain GET would."""
    session = store.session()
    for target in (f"info/{session}", "list", "node/nope"):
        plain = store.ask("GET", f"/v1/session/{target}")
        with store.call_blocking(f"/v1/session/{target}?index={plain.index}&wait=50ms") as query:
            answer = query.answer(within_s=AT_ONCE_S)
            assert query.took_s >= 0.05
        assert (answer.status, answer.body, answer.index) == (200, plain.body, plain.index)
    store.destroy(session)

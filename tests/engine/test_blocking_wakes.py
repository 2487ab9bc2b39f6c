"""Which write wakes which blocking query, told on a whole engine; names have the contract's ids."""
# ruff: noqa: N802 - the ids of the contract, as they are written there

import asyncio

import pytest
from fake_clock import settle

from kvstore.engine.engine import Engine
from kvstore.state.command import (
    CasKey,
    CheckNotExists,
    Command,
    DeleteKey,
    DeleteTree,
    GetKey,
    GetTree,
    LockKey,
    SetKey,
    Txn,
    UnlockKey,
)

from .journals import GatedJournal
from .store import Store


def cancel_all(*watchings: object) -> None:
    """End what still waits, so that the test leaves no query parked."""
    for watching in watchings:
        watching.cancel()  # type: ignore[attr-defined]


async def test_I3_index_1_of_a_new_store_waits_for_the_first_write(store: Store) -> None:
    """The store's own name took index 1, so whatever a client writes is newer."""
    watching = store.watch_key(b"k", index=1)
    assert await store.set(b"k") == 2
    assert watching.answer.index == 2


async def test_B5_existing_key_wakes_on_each_kind_of_change(store: Store) -> None:
    """Value, flags, lock, unlock, and the delete of an ancestor prefix."""
    session = await store.create_session()
    await store.set(b"a/k")
    changes: list[Command] = [
        SetKey(b"a/k", b"other", 0),
        SetKey(b"a/k", b"other", 1),
        CasKey(b"a/k", b"other", 1, 4 + 1),
        LockKey(b"a/k", b"other", 1, session),
        UnlockKey(b"a/k", b"other", 1, session),
        DeleteTree(b"a"),
    ]
    for change in changes:
        watching = store.watch_key(b"a/k")
        neighbour, parent = store.watch_key(b"a/kk"), store.watch_key(b"a/")
        applied = await store.engine.submit(change)
        assert applied.done
        assert watching.answer.index == applied.index, change
        assert neighbour.waits, change
        assert parent.waits, change
        cancel_all(neighbour, parent)
    assert store.entry(b"a/k") is None


async def test_B5_existing_key_sleeps_through_what_does_not_concern_it(store: Store) -> None:
    """Siblings, children, parents, the same value again, a refused check-and-set."""
    await store.set(b"a/k")
    watching = store.watch_key(b"a/k")
    for key in (b"a/j", b"a/l", b"a/k/child", b"a/", b"a", b"a/kk"):
        await store.set(key)
        await store.delete(key)
    await store.set(b"a/k")
    assert not (await store.engine.submit(CasKey(b"a/k", b"x", 0, 1))).done
    assert not (await store.engine.submit(UnlockKey(b"a/k", b"x", 0, "nobody"))).done
    await store.engine.submit(DeleteTree(b"a/k/"))
    assert watching.waits
    await store.delete(b"a/k")
    assert watching.answer.value is None


@pytest.mark.parametrize("behavior", ["release", "delete"])
async def test_B5_S17_end_of_a_session_wakes_keys_prefixes_and_sessions(
    store: Store, behavior: str
) -> None:
    """All of them with the one index of the end."""
    session = await store.create_session(behavior=behavior)
    assert await store.lock(b"a/k", session)
    await store.set(b"a/free")
    watchings = [
        store.watch_key(b"a/k"),
        store.watch_tree(b"a/"),
        store.watch_tree(b""),
        store.watch_session(session),
        store.watch_sessions(),
    ]
    free = store.watch_key(b"a/free")
    applied = await store.destroy(session)
    assert [watching.answer.index for watching in watchings] == [applied.index] * 5
    assert free.waits
    free.cancel()


async def test_B6_missing_key_wakes_on_its_creation_only(store: Store) -> None:
    """Ours: Consul also answers it for writes in the neighbourhood."""
    await store.set(b"m/k1")
    watching = store.watch_key(b"m/k")
    for key in (b"m/k1", b"m/k0", b"m/", b"z"):
        await store.set(key, b"again")
        await store.delete(key)
    assert watching.waits
    index = await store.set(b"m/k")
    assert watching.answer.index == index


async def test_B7_create_and_delete_while_waiting_is_an_answer(
    store: Store, journal: GatedJournal
) -> None:
    """Also when both are one batch: the key is missing again, the index tells of the delete."""
    await store.set(b"other")
    watching = store.watch_key(b"k")
    journal.shut()
    under_way = asyncio.create_task(store.set(b"x"))
    await settle()
    both = asyncio.gather(store.set(b"k"), store.delete(b"k"))
    await settle()
    journal.open()
    await under_way
    _, deleted = await both
    assert watching.answer.value is None
    assert watching.answer.index == deleted


async def test_B8_prefix_wakes_on_any_change_under_it(store: Store) -> None:
    """A new key, a new value, a lock, a delete, the delete of the prefix or an ancestor."""
    session = await store.create_session()
    for change in (
        SetKey(b"p/a", b"1", 0),
        SetKey(b"p/a", b"2", 0),
        LockKey(b"p/deep/er", b"", 0, session),
        DeleteTree(b"p/deep/"),
        DeleteTree(b"p/"),
        SetKey(b"p/a", b"3", 0),
        DeleteTree(b""),
    ):
        watching = store.watch_tree(b"p/")
        elsewhere = store.watch_tree(b"q/")
        applied = await store.engine.submit(change)
        assert watching.answer.index == applied.index, change
        assert elsewhere.waits, change
        elsewhere.cancel()


async def test_B8_prefix_sleeps_through_writes_elsewhere(store: Store) -> None:
    """Also one that was emptied, and one where an absent key is deleted."""
    await store.set(b"p/a")
    await store.set(b"e/a")
    await store.delete(b"e/a")
    watchings = [store.watch_tree(b"p/"), store.watch_tree(b"e/"), store.watch_tree(b"never/")]
    for key in (b"p", b"q", b"e", b"pp/a"):
        await store.set(key)
    await store.delete(b"p/absent")
    await store.engine.submit(DeleteTree(b"p/absent"))
    assert all(watching.waits for watching in watchings)
    cancel_all(*watchings)


async def test_T9_transaction_wakes_each_watcher_of_what_it_changes_once(store: Store) -> None:
    """At its one index, with all of it done: nobody sees a half; nobody else is woken."""
    for key in (b"a/1", b"a/2", b"b", b"d/x", b"other"):
        await store.set(key)
    concerned = [store.watch_key(key) for key in (b"a/1", b"a/2", b"b", b"c", b"d/x")]
    trees = [store.watch_tree(prefix) for prefix in (b"", b"a", b"a/", b"c", b"d/")]
    others = [store.watch_key(b"other"), store.watch_tree(b"other"), store.watch_sessions()]
    ops = (
        SetKey(b"a/1", b"1", 0),
        SetKey(b"a/1", b"2", 0),
        DeleteKey(b"a/2"),
        CasKey(b"b", b"1", 0, 4),
        SetKey(b"c", b"", 0),
        DeleteTree(b"d/"),
        GetKey(b"other"),
        SetKey(b"other", b"v", 0),
    )
    applied = await store.engine.submit(Txn(ops))
    assert applied.done
    assert {one.answer.index for one in concerned + trees} == {applied.index}
    assert trees[0].answer.value == store.engine.state.get_tree(b"").value
    assert trees[1].answer.value == [store.entry(b"a/1")]
    assert all(one.waits for one in others)
    cancel_all(*others)


async def test_T4_transaction_that_fails_wakes_nobody(store: Store) -> None:
    """Nor does one that changes nothing."""
    await store.set(b"a/k")
    watching = [store.watch_key(b"a/k"), store.watch_key(b"a/new"), store.watch_tree(b"a/")]
    watching += [store.watch_tree(b""), store.watch_tree(b"gone/")]
    ops = (SetKey(b"a/new", b"", 0), DeleteTree(b"a/"), CheckNotExists(b"a/k"), GetKey(b"a/k"))
    assert not (await store.engine.submit(Txn(ops))).done
    ops = (SetKey(b"a/k", b"v", 0), DeleteKey(b"gone/k"), GetTree(b""), CheckNotExists(b"a/new"))
    assert (await store.engine.submit(Txn(ops))).done
    assert all(one.waits for one in watching)
    cancel_all(*watching)


@pytest.mark.parametrize("ancestor", [b"", b"t/"])
async def test_B9_ancestor_delete_wakes_a_prefix_with_an_older_tombstone(
    store: Store, ancestor: bytes
) -> None:
    """At once and with the delete's index; Consul lets it sleep and go back."""
    await store.set(b"t/p/a")
    await store.delete(b"t/p/a")
    await store.set(b"t/p/b")
    watching = store.watch_tree(b"t/p/")
    applied = await store.engine.submit(DeleteTree(ancestor))
    assert watching.answer.index == applied.index
    assert watching.answer.value == []


async def test_B10_session_wakes_when_it_goes_and_lists_on_any(store: Store) -> None:
    """Another session concerns the list only; a renewal concerns nobody."""
    session = await store.create_session(ttl="10s")
    watching, listing = store.watch_session(session), store.watch_sessions()
    assert store.engine.renew_session(session) is not None
    await settle()
    assert listing.waits
    other = await store.create_session()
    assert watching.waits
    assert len(listing.answer.value) == 2
    listing = store.watch_sessions()
    await store.destroy(other)
    assert watching.waits
    assert len(listing.answer.value) == 1
    applied = await store.destroy(session)
    assert watching.answer.value == []
    assert watching.answer.index == applied.index


async def test_B10_key_traffic_wakes_no_session_watch(store: Store) -> None:
    """Nor does the end of a session that is not there."""
    session = await store.create_session()
    watchings = [store.watch_session(session), store.watch_sessions()]
    await store.lock(b"k", session)
    await store.destroy("00000000-0000-0000-0000-000000000000")
    assert all(watching.waits for watching in watchings)
    cancel_all(*watchings)


async def test_B12_close_answers_every_query(engine: Engine, store: Store) -> None:
    """As soon as the engine is told to release them, before it is closed."""
    await store.set(b"k")
    watchings = [store.watch_key(b"k"), store.watch_tree(b""), store.watch_sessions()]
    assert engine.parked_count == 3
    engine.release_parked()
    assert not any(watching.waits for watching in watchings)
    assert not store.watch_key(b"k").waits


async def test_B3_engine_waits_five_minutes_and_a_sixteenth_by_default(store: Store) -> None:
    """The engine draws the extra by chance."""
    await store.set(b"k")
    watching = store.watch_key(b"k", wait_s=0)
    store.clock.advance(300 - 0.001)
    assert watching.waits
    store.clock.advance(300 / 16 + 0.001)
    assert not watching.waits

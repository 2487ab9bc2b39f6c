"""A restore on the whole engine: who is woken, and how long sessions last that it brought."""

from dataclasses import replace

from fake_clock import settle

from kvstore.state.applied import Applied
from kvstore.state.command import LockKey, RestoreStore

from .store import Store


def backup(store: Store) -> RestoreStore:
    """Return the command that brings back what a store holds now."""
    image = store.engine.state.image()
    return RestoreStore(tuple(image.sessions), tuple(image.entries))


async def restore(store: Store, command: RestoreStore) -> Applied:
    """Bring back a backup, and let everybody hear of it."""
    applied = await store.engine.submit(command)
    await settle()
    return applied


async def test_whoever_waits_for_what_changes_is_answered(store: Store) -> None:
    """With the restore's index: a changed key, a removed one, a new one, and their prefixes."""
    for key in (b"changed", b"back", b"same/1"):
        await store.set(key, b"1")
    saved = backup(store)
    await store.set(b"changed", b"2")
    await store.delete(b"back")
    await store.set(b"gone/1", b"1")
    concerned = [
        *map(store.watch_key, (b"changed", b"back", b"gone/1")),
        *map(store.watch_tree, (b"", b"gone/", b"ba")),
    ]
    others = [store.watch_key(b"same/1"), store.watch_key(b"never"), store.watch_tree(b"same/")]
    applied = await restore(store, saved)
    assert [one.answer.index for one in concerned] == [applied.index] * len(concerned)
    assert all(one.waits for one in others)
    assert store.entry(b"gone/1") is None
    assert concerned[0].answer.value.value == b"1"
    for one in others:
        one.cancel()


async def test_whoever_waits_for_sessions_is_answered(store: Store) -> None:
    """One that goes, one that comes back, and the list of all."""
    goes_later = await store.create_session()
    saved = backup(store)
    await store.destroy(goes_later)
    goes = await store.create_session()
    watching = [
        store.watch_session(goes),
        store.watch_session(goes_later),
        store.watch_sessions(),
    ]
    applied = await restore(store, saved)
    assert [one.answer.index for one in watching] == [applied.index] * 3
    assert store.is_live(goes_later)
    assert not store.is_live(goes)


async def test_a_restore_that_changes_nothing_answers_nobody(store: Store) -> None:
    """Nobody's answer would be another one."""
    session = await store.create_session()
    await store.set(b"a")
    watching = [
        store.watch_key(b"a"),
        store.watch_tree(b""),
        store.watch_session(session),
        store.watch_sessions(),
    ]
    await restore(store, backup(store))
    assert all(one.waits for one in watching)
    for one in watching:
        one.cancel()


async def test_sessions_get_their_full_time(store: Store) -> None:
    """Those that come back and those that stayed, as after a restart."""
    stays = await store.create_session(ttl="10s")
    comes_back = await store.create_session(ttl="20s")
    saved = backup(store)
    await store.destroy(comes_back)
    store.clock.advance(19)
    await restore(store, saved)
    store.clock.advance(19.999)
    await settle()
    assert store.is_live(stays)
    store.clock.advance(0.001)
    await settle()
    assert not store.is_live(stays)
    assert store.is_live(comes_back)
    store.clock.advance(20)
    await settle()
    assert not store.is_live(comes_back)


async def test_a_restored_session_can_be_renewed(store: Store) -> None:
    """It is a session like any other."""
    session = await store.create_session(ttl="10s")
    saved = backup(store)
    await store.destroy(session)
    assert store.engine.renew_session(session) is None
    await restore(store, saved)
    store.clock.advance(15)
    assert store.engine.renew_session(session) is not None
    store.clock.advance(15)
    await settle()
    assert store.is_live(session)


async def test_sessions_that_are_gone_leave_no_timer(store: Store) -> None:
    """Their time does not run out for nobody."""
    await store.create_session(ttl="10s")
    assert store.clock.pending_count == 1
    await restore(store, RestoreStore((), ()))
    assert store.clock.pending_count == 0


async def test_a_session_with_another_time(store: Store) -> None:
    """The backup's counts, not the one that was there."""
    session = await store.create_session(ttl="10s")
    saved = backup(store)
    longer = replace(saved.sessions[0], ttl="100s", ttl_ns=100 * 10**9)
    await restore(store, replace(saved, sessions=(longer,)))
    store.clock.advance(199)
    await settle()
    assert store.is_live(session)
    store.clock.advance(1)
    await settle()
    assert not store.is_live(session)


async def test_locks_that_come_back_are_released_with_their_session(store: Store) -> None:
    """And whoever waits for the key hears of it."""
    session = await store.create_session(delay_s=0)
    await store.lock(b"l", session)
    saved = backup(store)
    await store.destroy(session)
    await restore(store, saved)
    entry = store.entry(b"l")
    assert entry is not None
    assert entry.session == session
    watching = store.watch_key(b"l")
    applied = await store.destroy(session)
    assert watching.answer.index == applied.index


async def test_lock_delay_ends_with_the_store_it_was_in(store: Store) -> None:
    """Also for a lock that is asked for together with the restore."""
    saved = backup(store)
    lost, other = await store.create_session(), await store.create_session()
    for key in (b"k", b"l"):
        assert await store.lock(key, lost)
    await store.destroy(lost)
    assert not await store.lock(b"k", other)
    living = (*saved.sessions, *store.engine.state.get_session(other).value)
    restoring = store.engine.submit(RestoreStore(living, ()))
    locking = store.engine.submit(LockKey(b"l", b"", 0, other))
    assert (await restoring).restored
    assert (await locking).done
    assert await store.lock(b"k", other)

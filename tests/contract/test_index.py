"""Indexes: which write moves which number, and what X-Consul-Index says (I1-I7, I9)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .rules import by_intent
from .stores import Store

UNKNOWN = "11111111-2222-3333-4444-555555555555"


def test_I1_one_destroy_is_one_index(store: Store, prefix: str) -> None:
    """All keys that one session destroy releases share its index."""
    session = store.session()
    for name in ("a", "b", "c"):
        store.write(f"{prefix}{name}?acquire={session}")
    store.destroy(session)
    indexes = {entry["ModifyIndex"] for entry in store.get(f"{prefix}?recurse").json}
    assert indexes == {store.sessions_index()} == {store.kvs_index()}


def test_I2_no_op_writes_move_no_index(store: Store, prefix: str) -> None:
    """Writes that change nothing leave every visible index where it was."""
    session = store.session()
    index = store.write(f"{prefix}k", b"v")
    before = (store.kvs_index(), store.sessions_index())
    assert store.put(f"{prefix}k", b"v").body == b"true"
    assert store.put(f"{prefix}k?cas=0", b"w").body == b"false"
    assert store.put(f"{prefix}k?release={session}", b"w").body == b"false"
    assert store.put(f"{prefix}k?acquire={UNKNOWN}", b"w").status == 500
    assert store.delete(f"{prefix}nope").body == b"true"
    assert store.delete(f"{prefix}nope?recurse").body == b"true"
    assert store.delete(f"{prefix}k?cas=1").body == b"false"
    store.destroy(UNKNOWN)
    assert store.ask("PUT", f"/v1/session/renew/{session}").status == 200
    assert (store.kvs_index(), store.sessions_index()) == before
    assert store.modify_index(f"{prefix}k") == index
    store.destroy(session)


def test_I4_keys_and_sessions_count_apart(store: Store, prefix: str) -> None:
    """Key traffic does not move the sessions' index, nor sessions without locks that of keys."""
    sessions = store.sessions_index()
    written = store.write(f"{prefix}k", b"v")
    assert store.sessions_index() == sessions
    assert store.kvs_index() == written
    session = store.session()
    created = store.sessions_index()
    assert created > written
    assert store.kvs_index() == written
    store.destroy(session)
    assert store.sessions_index() > created
    assert store.kvs_index() == written


def test_I4_what_moves_the_keys_index(store: Store, prefix: str) -> None:
    """Set, lock, unlock, delete, tree delete and invalidation move it; each says its own index."""
    session = store.session()
    seen = [store.kvs_index()]
    for query in ("", "?cas=0", f"?acquire={session}", f"?release={session}"):
        seen.append(store.write(f"{prefix}{'c' if 'cas' in query else 'k'}{query}", b"v"))
        assert store.kvs_index() == seen[-1]
    for target in ("c", "?recurse"):
        assert store.delete(prefix + target).body == b"true"
        seen.append(store.kvs_index())
    store.write(f"{prefix}k?acquire={session}")
    seen.append(store.kvs_index())
    store.destroy(session)
    seen.append(store.kvs_index())
    assert seen == sorted(set(seen))


def test_I5_key(store: Store, prefix: str) -> None:
    """An existing key answers with its own ModifyIndex, a missing one with that of all keys."""
    first = store.write(f"{prefix}a")
    second = store.write(f"{prefix}b")
    assert store.get(f"{prefix}a").index == first
    assert store.get(f"{prefix}a?raw").index == first
    assert store.get(f"{prefix}nope").index == second
    assert store.get(f"{prefix}nope?raw").index == second


def test_I5_prefix(store: Store, prefix: str) -> None:
    """A prefix answers with the newest of its keys and tombstones."""
    first = store.write(f"{prefix}p/a")
    second = store.write(f"{prefix}p/b")
    other = store.write(f"{prefix}q")
    for query in ("?recurse", "?keys", "?keys&separator=/"):
        assert store.get(f"{prefix}p/{query}").index == second
        assert store.get(f"{prefix}p/a{query}").index == first
        assert store.get(f"{prefix}none/{query}").index == other
    store.delete(f"{prefix}p/b")
    deleted = store.kvs_index()
    store.write(f"{prefix}q", b"later")
    for query in ("?recurse", "?keys"):
        assert store.get(f"{prefix}p/{query}").index == deleted
        assert store.get(f"{prefix}p/b{query}").index == deleted
        assert store.get(f"{prefix}p/a{query}").index == first


def test_I5_emptied_prefix(store: Store, prefix: str) -> None:
    """A prefix whose keys are all gone answers with its newest tombstone."""
    for name in ("a", "b"):
        store.write(f"{prefix}p/{name}")
        store.delete(f"{prefix}p/{name}")
    deleted = store.kvs_index()
    store.write(f"{prefix}q")
    answer = store.get(f"{prefix}p/?recurse")
    assert (answer.status, answer.index) == (404, deleted)
    assert store.get(f"{prefix}p/?keys").index == deleted


def test_I5_root_and_sessions(store: Store, prefix: str) -> None:
    """The root answers with the index of all keys, session calls with that of all sessions."""
    session = store.session()
    created = store.sessions_index()
    written = store.write(f"{prefix}k")
    assert store.get("?keys").index == written
    assert store.get("?recurse").index == written
    node = store.ask("GET", f"/v1/session/info/{session}").json[0]["Node"]
    for target in (f"info/{session}", f"info/{UNKNOWN}", f"node/{node}", "node/nope", "list"):
        assert store.ask("GET", f"/v1/session/{target}").index == created
    store.destroy(session)


def test_I7_tree_delete_leaves_one_tombstone(store: Store, prefix: str) -> None:
    """A tree delete marks its prefix; prefixes over it see that, and so do those re-created."""
    store.write(f"{prefix}p/a")
    store.write(f"{prefix}p/b")
    store.delete(f"{prefix}p/?recurse")
    deleted = store.kvs_index()
    assert deleted > 0
    later = store.write(f"{prefix}q")
    assert store.get(f"{prefix}p/?recurse").index == deleted
    assert store.get(f"{prefix}p?keys").index == deleted
    again = store.write(f"{prefix}p/a")
    assert store.get(f"{prefix}p/?recurse").index == again > later


def test_I7_tree_delete_of_nothing_leaves_none(store: Store, prefix: str) -> None:
    """A tree delete that finds nothing marks nothing."""
    store.delete(f"{prefix}p/?recurse")
    later = store.write(f"{prefix}q")
    assert store.get(f"{prefix}p/?recurse").index == later


def test_I7_recreated_key_keeps_its_tombstone(store: Store, prefix: str) -> None:
    """Creating a key again and deleting it again moves the prefix each time."""
    seen = []
    for _ in range(2):
        seen.append(store.write(f"{prefix}p/k"))
        assert store.get(f"{prefix}p/?keys").index == seen[-1]
        store.delete(f"{prefix}p/k")
        seen.append(store.get(f"{prefix}p/?keys").index)
    assert seen == sorted(set(seen))


def test_index_never_back(store: Store, prefix: str) -> None:
    """Deleting a whole tree over an older tombstone sends Consul's prefix index back."""
    store.write(f"{prefix}p/old")
    store.delete(f"{prefix}p/old")
    held = store.write(f"{prefix}p/new")
    store.delete(f"{prefix}?recurse")
    index = store.get(f"{prefix}p/?recurse").index
    assert (index > held) == by_intent(store, consul=False, kvstore=True, rule="index-never-back")


@pytest.mark.slow
def test_I9_restart_keeps_indexes(fresh: Store) -> None:
    """After a restart every index is what it was, and new writes go on from there."""
    session = fresh.session()
    fresh.write("p/a", b"1")
    fresh.write("p/b", b"2")
    fresh.write(f"lock?acquire={session}", b"3")
    fresh.delete("p/b")
    targets = ["kv/p/a", "kv/p/?recurse", "kv/p/b?keys", "kv/lock", "kv/nope", "session/list"]
    before = [fresh.ask("GET", f"/v1/{target}") for target in targets]
    fresh.stop()
    fresh.start()
    after = [fresh.ask("GET", f"/v1/{target}") for target in targets]
    assert [(each.status, each.body, each.index) for each in after] == [
        (each.status, each.body, each.index) for each in before
    ]
    assert fresh.write("next") > max(each.index for each in before)

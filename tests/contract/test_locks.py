"""Acquire, release and lock-delay (5.1, L1-L8)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import time
from collections.abc import Iterator

import pytest

from .stores import Store

UNKNOWN = "abcdef00-2222-3333-4444-555555555555"
NOT_36 = "UUID must be 36 characters"

BAD_IDS = [
    ("", "missing session"),
    ("x", f"failed session lookup: index error: {NOT_36}"),
    (
        UNKNOWN.replace("5", "z"),
        "failed session lookup: index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",
    ),
    (f"{UNKNOWN}-", f"failed session lookup: index error: {NOT_36}"),
    (UNKNOWN, f'invalid session "{UNKNOWN}"'),
    (UNKNOWN.upper(), f'invalid session "{UNKNOWN.upper()}"'),
]


@pytest.fixture
def sessions(store: Store) -> Iterator[tuple[str, str]]:
    """Create two sessions without lock-delay."""
    both = store.session(Name="mine"), store.session(Name="other")
    yield both
    for session in both:
        store.destroy(session)


def state(store: Store, key: str) -> tuple[str | None, int, int, str | None]:
    """Return holder, LockIndex, Flags and Value of the key."""
    entry = store.entry(key)
    return entry.get("Session"), entry["LockIndex"], entry["Flags"], entry["Value"]


def test_5_1_acquire_creates(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """Acquiring a missing key creates it, held, with LockIndex 1."""
    mine, _ = sessions
    assert store.put(f"{prefix}k?acquire={mine}&flags=7", b"v").body == b"true"
    assert state(store, f"{prefix}k") == (mine, 1, 7, "dg==")


def test_5_1_acquire_unlocked(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """Each acquisition of a free key counts one up, whoever acquires."""
    key = f"{prefix}k"
    store.write(key, b"v")
    for count, session in enumerate([*sessions, *sessions], start=1):
        index = store.write(f"{key}?acquire={session}", b"v")
        assert state(store, key) == (session, count, 0, "dg==")
        assert store.write(f"{key}?release={session}", b"v") > index
        assert state(store, key) == (None, count, 0, "dg==")


def test_5_1_acquire_again(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """The holder may acquire again: value and flags change, LockIndex does not."""
    mine, _ = sessions
    key = f"{prefix}k?acquire={mine}"
    first = store.write(key, b"1")
    assert store.write(key, b"1") == first
    assert store.write(f"{key}&flags=3", b"2") > first
    assert state(store, f"{prefix}k") == (mine, 1, 3, "Mg==")


def test_5_1_held_by_other(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """Another session can neither acquire nor release a held key."""
    mine, other = sessions
    index = store.write(f"{prefix}k?acquire={mine}", b"v")
    for operation in ("acquire", "release"):
        answer = store.put(f"{prefix}k?{operation}={other}", b"w")
        assert (answer.status, answer.body) == (200, b"false")
    assert store.modify_index(f"{prefix}k") == index
    assert state(store, f"{prefix}k") == (mine, 1, 0, "dg==")


def test_5_1_release_of_what_is_not_held(
    store: Store, prefix: str, sessions: tuple[str, str]
) -> None:
    """Releasing a missing or a free key is `false` and makes nothing."""
    mine, _ = sessions
    assert store.put(f"{prefix}k?release={mine}", b"v").body == b"false"
    assert store.get(f"{prefix}k").status == 404
    store.write(f"{prefix}k", b"v")
    assert store.put(f"{prefix}k?release={mine}", b"w").body == b"false"
    assert state(store, f"{prefix}k") == (None, 0, 0, "dg==")


def test_L1_release_replaces_value_and_flags(
    store: Store, prefix: str, sessions: tuple[str, str]
) -> None:
    """A release without a body wipes the value and the flags."""
    mine, _ = sessions
    key = f"{prefix}k"
    store.write(f"{key}?acquire={mine}&flags=7", b"v")
    store.write(f"{key}?release={mine}&flags=8", b"w")
    assert state(store, key) == (None, 1, 8, "dw==")
    store.write(f"{key}?acquire={mine}&flags=7", b"v")
    assert store.ask("PUT", f"/v1/kv/{key}?release={mine}").body == b"true"
    assert state(store, key) == (None, 2, 0, None)


def test_L2_first_acquire_is_a_change(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """Acquiring a free key with its own value still moves ModifyIndex."""
    index = store.write(f"{prefix}k", b"v")
    assert store.write(f"{prefix}k?acquire={sessions[0]}", b"v") > index


@pytest.mark.parametrize(("session", "said"), BAD_IDS)
def test_L3_bad_session_ids(store: Store, prefix: str, session: str, said: str) -> None:
    """Acquiring with no, a malformed or an unknown session id is a 500."""
    answer = store.put(f"{prefix}k?acquire={session}", b"v")
    assert (answer.status, answer.text) == (500, said)
    assert store.get(f"{prefix}k").status == 404


def test_L3_bad_session_on_a_held_key(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """A bad session id is an error also where the lock is held."""
    store.write(f"{prefix}k?acquire={sessions[0]}")
    assert store.put(f"{prefix}k?acquire={UNKNOWN}").status == 500
    assert store.put(f"{prefix}k?acquire=").body == b"missing session"


def test_L4_release_does_not_look_the_session_up(
    store: Store, prefix: str, sessions: tuple[str, str]
) -> None:
    """Releasing with any unknown id is `false`; only an empty one is an error."""
    store.write(f"{prefix}k?acquire={sessions[0]}", b"v")
    for key in ("k", "missing"):
        for session in ("garbage", UNKNOWN, "x" * 36):
            answer = store.put(f"{prefix}{key}?release={session}")
            assert (answer.status, answer.body) == (200, b"false")
        answer = store.put(f"{prefix}{key}?release=")
        assert (answer.status, answer.body) == (500, b"missing session")


def test_L5_holder_is_compared_by_exact_string(store: Store, prefix: str) -> None:
    """An id in capitals names the session, but is another holder."""
    session = store.session()
    key = f"{prefix}k"
    store.write(f"{key}?acquire={session}", b"v")
    assert store.put(f"{key}?acquire={session.upper()}", b"w").body == b"false"
    assert store.put(f"{key}?release={session.upper()}", b"w").body == b"false"
    store.write(f"{prefix}free?acquire={session.upper()}", b"v")
    assert store.entry(f"{prefix}free")["Session"] == session.upper()
    assert store.put(f"{prefix}free?release={session}", b"w").body == b"false"
    store.destroy(session)
    for name in ("k", "free"):
        assert store.entry(prefix + name).get("Session") is None


def test_L6_locks_are_advisory(store: Store, prefix: str, sessions: tuple[str, str]) -> None:
    """Anyone may write, CAS and delete a held key; its next life starts at LockIndex 1."""
    mine, other = sessions
    index = store.write(f"{prefix}k?acquire={mine}", b"v")
    assert store.put(f"{prefix}k?cas={index}", b"w").body == b"true"
    assert store.put(f"{prefix}k", b"x").body == b"true"
    assert store.delete(f"{prefix}k").body == b"true"
    assert store.put(f"{prefix}k?acquire={other}", b"y").body == b"true"
    assert state(store, f"{prefix}k") == (other, 1, 0, "eQ==")


def test_L7_destroy_without_lock_delay(store: Store, prefix: str) -> None:
    """With LockDelay 0 the key is free at once."""
    first, second = store.session(LockDelay=0), store.session(LockDelay=0)
    store.write(f"{prefix}k?acquire={first}", b"v")
    store.destroy(first)
    assert store.put(f"{prefix}k?acquire={second}", b"v").body == b"true"
    assert store.entry(f"{prefix}k")["LockIndex"] == 2
    store.destroy(second)


@pytest.mark.slow
@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_L7_lock_delay(store: Store, prefix: str, behavior: str) -> None:
    """After an invalidation nobody can acquire for LockDelay; plain writes go on."""
    first = store.session(LockDelay="1s", Behavior=behavior)
    second = store.session()
    key = f"{prefix}k"
    store.write(f"{key}?acquire={first}", b"v")
    store.destroy(first)
    destroyed_at = time.monotonic()
    answer = store.put(f"{key}?acquire={second}", b"w")
    assert (answer.status, answer.body) == (200, b"false")
    for bad, _ in BAD_IDS:
        assert store.put(f"{key}?acquire={bad}").body == b"false", "L8: no error while it lasts"
    store.write(key, b"plain")
    store.delete(key)
    store.write(key, b"again")
    assert store.put(f"{key}?acquire={second}", b"w").body == b"false"
    assert store.put(f"{prefix}other?acquire={second}", b"w").body == b"true"
    while store.put(f"{key}?acquire={second}", b"w").body == b"false":
        assert time.monotonic() - destroyed_at < 9, "lock-delay does not end"
        store.park(f"/v1/kv/{prefix}other?index={store.kvs_index() + 99}").close()
    assert time.monotonic() - destroyed_at >= 0.95
    store.destroy(second)


def test_L7_no_delay_after_release_or_delete(store: Store, prefix: str) -> None:
    """Release and delete by anyone cause no lock-delay, nor does a key given back before."""
    first, second = store.session(LockDelay="15s"), store.session()
    store.write(f"{prefix}released?acquire={first}")
    store.write(f"{prefix}released?release={first}")
    store.write(f"{prefix}deleted?acquire={first}")
    store.delete(f"{prefix}deleted")
    for name in ("released", "deleted"):
        assert store.put(f"{prefix}{name}?acquire={second}").body == b"true"
        store.write(f"{prefix}{name}?release={second}")
    store.destroy(first)
    for name in ("released", "deleted"):
        assert store.put(f"{prefix}{name}?acquire={second}").body == b"true"
    store.destroy(second)

"""What the end of a session does to its keys and watchers; when a TTL ends it (S13-S17)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from dataclasses import dataclass

import pytest

from conformance.suite.store import Parked

from .stores import Store

TTL_S = 2
RENEWED_AFTER_S = 1.5
LATE_S = 5.0
"""How much later than twice its TTL a session may go."""


@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_S15_destroy(store: Store, prefix: str, behavior: str) -> None:
    """The keys a session holds are released, or deleted, all at the sessions' new index."""
    session = store.session(Behavior=behavior)
    for name in ("a", "b"):
        store.write(f"{prefix}{name}?acquire={session}&flags=7", b"v")
    store.destroy(session)
    index = store.sessions_index()
    listing = store.get(f"{prefix}?recurse")
    assert listing.index == index == store.kvs_index()
    if behavior == "delete":
        assert listing.status == 404
    else:
        for entry in listing.json:
            assert entry.get("Session") is None
            assert (entry["LockIndex"], entry["Flags"], entry["Value"]) == (1, 7, "dg==")
            assert entry["ModifyIndex"] == index > entry["CreateIndex"]


def test_S16_only_keys_it_holds_now(store: Store, prefix: str) -> None:
    """Keys given back, taken over or re-created are not touched by the session's end."""
    session, other = store.session(Behavior="delete"), store.session()
    for name in ("released", "taken", "recreated"):
        store.write(f"{prefix}{name}?acquire={session}")
        store.write(f"{prefix}{name}?release={session}")
    store.write(f"{prefix}taken?acquire={other}")
    store.delete(f"{prefix}recreated")
    store.write(f"{prefix}recreated")
    store.write(f"{prefix}held?acquire={session}")
    store.write(f"{prefix}held", b"plain")
    before = store.get(f"{prefix}?recurse").json
    store.destroy(session)
    after = store.get(f"{prefix}?recurse").json
    assert after == [entry for entry in before if entry["Key"] != f"{prefix}held"]
    store.destroy(other)


@dataclass
class Scene:
    """On one store: sessions that will expire, and who watches."""

    store: Store
    released: str
    deleted: str
    renewed: str
    lasting: str
    on_released: Parked
    on_deleted: Parked
    on_tree: Parked
    on_session: Parked
    on_renewed: Parked

    def close(self) -> None:
        """Stop watching, and end the session that does not end by itself."""
        for query in (self.on_released, self.on_deleted, self.on_tree):
            query.close()
        self.on_session.close()
        self.on_renewed.close()
        self.store.destroy(self.lasting)


def set_scene(store: Store, prefix: str) -> Scene:
    """Create sessions with a TTL and without, let each hold a key, and watch them."""
    ttl = f"{TTL_S}s"
    released = store.session(TTL=ttl, LockDelay="15s")
    deleted = store.session(TTL=ttl, Behavior="delete")
    renewed = store.session(TTL=ttl)
    lasting = store.session(TTL="0s")
    for name, session in [("r", released), ("d", deleted), ("n", renewed), ("l", lasting)]:
        store.write(f"{prefix}{name}/k?acquire={session}", b"v")
    index, sessions_index = store.kvs_index(), store.sessions_index()
    return Scene(
        *(store, released, deleted, renewed, lasting),
        store.call_blocking(f"/v1/kv/{prefix}r/k?index={index}"),
        store.call_blocking(f"/v1/kv/{prefix}d/k?index={index}"),
        store.call_blocking(f"/v1/kv/{prefix}d/?keys&index={index}"),
        store.call_blocking(f"/v1/session/info/{deleted}?index={sessions_index}"),
        store.call_blocking(f"/v1/kv/{prefix}n/k?index={index}"),
    )


def renew_later(scenes: list[Scene], prefix: str) -> None:
    """Renew one session on each store after a while; blocking queries tell the time."""
    query = f"/v1/kv/{prefix}l/k?index={10**9}&wait={RENEWED_AFTER_S}s"
    timers = [scene.store.call_blocking(query) for scene in scenes]
    for scene, timer in zip(scenes, timers, strict=True):
        with timer:
            timer.answer()
        assert scene.store.ask("PUT", f"/v1/session/renew/{scene.renewed}").status == 200


def check_expired(scene: Scene, prefix: str) -> None:
    """Wait for the sessions that nobody renewed, and look at what they left."""
    store = scene.store
    within_s = 2 * TTL_S + LATE_S
    answer = scene.on_released.answer(within_s)
    assert (answer.status, answer.json[0].get("Session")) == (200, None)
    assert 2 * TTL_S - 0.1 < scene.on_released.took_s < within_s
    for query, status in [(scene.on_deleted, 404), (scene.on_tree, 404), (scene.on_session, 200)]:
        assert query.answer(within_s).status == status
        assert 2 * TTL_S - 0.1 < query.took_s < within_s
    for session in (scene.released, scene.deleted):
        assert store.ask("GET", f"/v1/session/info/{session}").json == []
        assert store.ask("PUT", f"/v1/session/renew/{session}").status == 404
    assert store.entry(f"{prefix}l/k")["Session"] == scene.lasting
    taken = store.put(f"{prefix}r/k?acquire={scene.lasting}")
    assert taken.body == b"false", "expiry starts the lock-delay"
    assert store.put(f"{prefix}d/k?acquire={scene.lasting}").body == b"true"


def check_renewed(scene: Scene, prefix: str) -> None:
    """Wait for the session that was renewed once: it goes later, by as much."""
    full_s = RENEWED_AFTER_S + 2 * TTL_S
    assert scene.on_renewed.answer(full_s + LATE_S).json[0].get("Session") is None
    assert full_s - 0.1 < scene.on_renewed.took_s < full_s + LATE_S


@pytest.mark.slow
def test_S14_ttl_ends_after_twice_its_length(brief: list[Store], prefix: str) -> None:
    """An unrenewed session goes after twice its TTL, with all that S15 to S17 say; both at once."""
    scenes = [set_scene(store, prefix) for store in brief]
    try:
        renew_later(scenes, prefix)
        for check in (check_expired, check_renewed):
            for scene in scenes:
                check(scene, prefix)
    finally:
        for scene in scenes:
            scene.close()


def test_S5_smallest_ttl_is_a_setting(brief: list[Store]) -> None:
    """The smallest TTL can be set, and shows in the refusal of a smaller one."""
    for store in brief:
        answer = store.ask("PUT", "/v1/session/create", b'{"TTL":"500ms"}')
        said = "Invalid Session TTL '500000000', must be between [1s=24h0m0s]"
        assert (answer.status, answer.text) == (500, said)
        store.destroy(store.session(TTL="1s"))

"""Restarts.

What lasts, and what does not, when the command of `--restart` stops the store and starts it again.
"""

from functools import partial

from conformance.clients.looking import FALSE, OK, TRUE, asking, claim, equal
from conformance.clients.restart import restart
from conformance.suite.case import Case, Ground, Need, Store


def keeps_indexes(store: Store, ground: Ground) -> None:
    """Look at a locked key, at a prefix whose last change was a delete, and at a session (I9)."""
    session = store.session(TTL="1h")
    key, deleted = f"{ground.prefix}d/k", f"{ground.prefix}d/deleted"
    store.write(f"{key}?acquire={session}&flags=7", b"v")
    newest = store.write(deleted)
    store.delete(deleted)
    targets = (
        f"/v1/kv/{key}",
        f"/v1/kv/{ground.prefix}d/?recurse",
        f"/v1/session/info/{session}",
    )
    before = [asking(store, "GET", target, status=OK) for target in targets]
    restart(store, ground)
    for target, was in zip(targets, before, strict=True):
        now = asking(store, "GET", target, status=OK)
        equal(f"GET {target} after the restart", (now.index, now.text), (was.index, was.text))
    later = store.write(f"{ground.prefix}later")
    claim("the index of a later write", f"more than {newest + 1}", later, so=later > newest + 1)


def lock_delay_and_restart(store: Store, ground: Ground) -> None:
    """Destroy a holder whose lock-delay is long, restart, and acquire its key (L9).

    Consul begins the delay again when it meets the destroy in its log.
    """
    holder, other = store.session(LockDelay="50s"), store.session(TTL="1h")
    key = f"{ground.prefix}k"
    store.write(f"{key}?acquire={holder}", b"v")
    store.destroy(holder)
    acquire = f"/v1/kv/{key}?acquire={other}"
    asking(store, "PUT", acquire, b"w", text=FALSE)
    restart(store, ground)
    wanted = ground.by_intent("lock-delay-ends-with-the-process", consul=FALSE, ours=TRUE)
    asking(store, "PUT", acquire, b"w", text=wanted)


def ends_parked_queries(store: Store, ground: Ground) -> None:
    """Restart while queries wait: of a key, of a prefix, of a key that is not there (B12)."""
    index = store.write(f"{ground.prefix}d/k", b"v")
    targets = [f"{ground.prefix}{each}index={index}" for each in ("d/k?", "d/?recurse&", "none?")]
    queries = [store.park(f"/v1/kv/{target}") for target in targets]
    try:
        restart(store, ground)
        for target, query in zip(targets, queries, strict=True):
            wanted = "an answer, or the end of its connection"
            claim(f"GET /v1/kv/{target} at a restart", wanted, "neither", so=query.ends())
    finally:
        for query in queries:
            query.close()


_case = partial(Case, chapter="restarts", needs=(Need.RESTART,))

CASES = (
    _case("I9", title="keeps all indexes over a restart", run=keeps_indexes),
    _case(
        "L9",
        title="enforces a lock-delay anew after a restart",
        run=lock_delay_and_restart,
        rules=("lock-delay-ends-with-the-process",),
    ),
    _case("B12", title="ends waiting queries when it stops", run=ends_parked_queries),
)

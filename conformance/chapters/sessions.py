"""Sessions and time.

When a session ends, what becomes of its keys, and who is told. The cases use the shortest TTL that
the store takes, 10 s on a Consul, and wait side by side.
"""

import json
import time
from functools import partial
from typing import Any

from conformance.clients.looking import (
    AT_ONCE_S,
    ERROR,
    FALSE,
    NOT_FOUND,
    OK,
    TRUE,
    answered,
    asking,
    check_gone,
    claim,
    equal,
    renew,
)
from conformance.clients.speaker import Speaker
from conformance.clients.together import Stopwatch, each
from conformance.clients.ttl import EARLY_S, check_expiry, lasts_s, shortest_ttl
from conformance.suite.case import Case, Ground, Need, Skipped, Store
from conformance.suite.store import PARKED_S, Parked

CROWD = 100
CLIENTS = 10
LOCK_DELAY_S = 3.0
WATCHES_MAX = 50


def ends_after_twice_its_ttl(store: Store, ground: Ground) -> None:
    """Let a session of each behaviour run out, with watchers on all they held."""
    ttl, ttl_s = shortest_ttl(store)
    released = store.session(TTL=ttl, LockDelay="15s")
    deleted = store.session(TTL=ttl, Behavior="delete")
    watch = Stopwatch()
    for name, session in (("r", released), ("d", deleted)):
        store.write(f"{ground.prefix}{name}/k?acquire={session}&flags=7", b"v")
    index = store.modify_index(f"{ground.prefix}d/k")
    targets = {
        f"/v1/kv/{ground.prefix}r/k?index={index}": OK,
        f"/v1/kv/{ground.prefix}d/k?index={index}": NOT_FOUND,
        f"/v1/kv/{ground.prefix}d/?keys&index={index}": NOT_FOUND,
        f"/v1/kv/{ground.prefix}?recurse&index={index}": OK,
    }
    queries = {target: store.call_blocking(target) for target in targets}
    _, within_s = lasts_s(ttl_s)
    for target, query in queries.items():
        with query:
            answered(f"GET {target}", query.answer(within_s), targets[target])
        check_expiry(f"GET {target}", watch, ttl_s)
    entry = store.entry(f"{ground.prefix}r/k")
    left = entry.get("Session"), entry["LockIndex"], entry["Flags"], entry["Value"]
    equal("Session, LockIndex, Flags, Value of the released key", left, (None, 1, 7, "dg=="))
    for session in (released, deleted):
        check_gone(store, session)
    other = store.session()
    acquire = f"?acquire={other}"
    asking(store, "PUT", f"/v1/kv/{ground.prefix}r/k{acquire}", b"", text=FALSE)
    asking(store, "PUT", f"/v1/kv/{ground.prefix}d/k{acquire}", b"", text=TRUE)


def renewal_counts_from_itself(store: Store, ground: Ground) -> None:
    """Renew one session once, another again and again."""
    ttl, ttl_s = shortest_ttl(store)
    once, often = store.session(TTL=ttl), store.session(TTL=ttl)
    for name, session in (("once", once), ("often", often)):
        store.write(f"{ground.prefix}{name}?acquire={session}")
    index = store.modify_index(f"{ground.prefix}once")
    _, within_s = lasts_s(ttl_s)
    with store.call_blocking(f"/v1/kv/{ground.prefix}once?index={index}") as query:
        time.sleep(ttl_s / 2)
        watch = Stopwatch()
        renew(store, once)
        while query.waits(ttl_s / 2) and watch.seconds < within_s:
            renew(store, often)
        entry = query.answer().json[0]
    check_expiry("the end of a session renewed once", watch, ttl_s)
    equal("Session of the key that it held", entry.get("Session"), None)
    held = store.entry(f"{ground.prefix}often").get("Session")
    equal("Session of a key whose holder is renewed all the time", held, often)


def crowd_ends(store: Store, ground: Ground) -> None:
    """Let a hundred sessions of many clients run out at once, half of them renewed meanwhile."""
    ttl, ttl_s = shortest_ttl(store)
    least_s, most_s = lasts_s(ttl_s)
    body = json.dumps({"TTL": ttl, "Behavior": "delete", "LockDelay": 0}).encode()
    crowd: list[str] = []

    def create(first: int) -> None:
        with Speaker(store) as speaker:
            for number in range(first, CROWD, CLIENTS):
                answer = speaker.ask("PUT", "/v1/session/create", body)
                session = json.loads(answer.plain)["ID"]
                crowd.append(session)
                target = f"/v1/kv/{ground.prefix}{number:03}?acquire={session}"
                equal(f"PUT {target}", speaker.true("PUT", target), expected=True)

    first = Stopwatch()
    each(create, range(CLIENTS))
    last = Stopwatch()
    equal("ids of sessions that many create at once", len(set(crowd)), CROWD)
    time.sleep(ttl_s)
    for session in crowd[::2]:
        renew(store, session)
    while (keys := _keys(store, ground)) > CROWD // 2 or first.seconds < 2 * ttl_s:
        if first.seconds < least_s:  # an answer that took longer shows nothing
            equal("keys held before twice the TTL", keys, CROWD)
        if last.seconds > most_s:
            break
        time.sleep(PARKED_S)
    equal("keys held after it, half of the sessions renewed", _keys(store, ground), CROWD // 2)


def lock_delay(store: Store, ground: Ground) -> None:
    """Destroy holders whose lock-delay is nothing, a millisecond, seconds, fifteen."""
    delays: dict[str, Any] = {
        "none": 0,
        "short": "1ms",
        "seconds": f"{LOCK_DELAY_S:g}s",
        "default": "15s",
    }
    holders = {name: store.session(LockDelay=delay) for name, delay in delays.items()}
    other = store.session()
    targets = {name: f"/v1/kv/{ground.prefix}{name}?acquire={other}" for name in delays}
    for name, session in holders.items():
        store.write(f"{ground.prefix}{name}?acquire={session}", b"v")
    watch = Stopwatch()
    for session in holders.values():
        store.destroy(session)
    for name in ("seconds", "default"):
        asking(store, "PUT", targets[name], b"", text=FALSE)
    asking(store, "PUT", targets["none"], b"", text=TRUE)
    _acquire_soon(store, targets["short"])
    _acquire_soon(store, targets["seconds"])
    watch.check(
        f"acquire after a lock-delay of {LOCK_DELAY_S:g} s",
        LOCK_DELAY_S - EARLY_S,
        LOCK_DELAY_S + AT_ONCE_S,
    )
    asking(store, "PUT", targets["default"], b"", text=FALSE)


def destroy_tells_watchers(store: Store, ground: Ground) -> None:
    """Destroy a session and look at who is answered, and at what."""
    session = store.session(Behavior="delete", LockDelay=0)
    index = store.write(f"{ground.prefix}a/k?acquire={session}", b"v")
    targets = [
        f"/v1/kv/{ground.prefix}a/k?index={index}",
        f"/v1/kv/{ground.prefix}a?recurse&index={index}",
        f"/v1/kv/{ground.prefix}?keys&index={index}",
    ]
    queries = [store.call_blocking(target) for target in targets]
    info = _park_info(store, session)
    try:
        for target, query in zip(targets, queries, strict=True):
            claim(f"GET {target}", "no answer yet", "one", so=query.waits(PARKED_S / 3))
        store.destroy(session)
        for target, query in zip(targets, queries, strict=True):
            answered(f"GET {target}", query.answer(AT_ONCE_S), NOT_FOUND)
        answered(f"GET /v1/session/info/{session}?index=…", info.answer(AT_ONCE_S), OK, "[]")
    finally:
        for query in (*queries, info):
            query.close()


def renewal_tells_nobody(store: Store, ground: Ground) -> None:
    """Renew a session that holds a watched key."""
    session = store.session(TTL="60s")
    index = store.write(f"{ground.prefix}k?acquire={session}", b"v")
    (before,) = store.ask("GET", f"/v1/session/info/{session}").json
    info = _park_info(store, session)
    with info, store.park(f"/v1/kv/{ground.prefix}k?index={index}") as query:
        for _ in range(3):
            renew(store, session)
        claim("the watcher of its key", "no answer", "one", so=query.waits())
        (after,) = store.ask("GET", f"/v1/session/info/{session}").json
        equal("the session after renewals", after, before)
        store.destroy(session)
        answered(f"GET /v1/session/info/{session}?index=…", info.answer(AT_ONCE_S), OK, "[]")


def is_shown(store: Store, ground: Ground) -> None:
    """Look for a session in the list, at its node and by its id, before its end and after."""
    name = ground.prefix.rstrip("/")
    session = store.session(Name=name, TTL="60s", Behavior="delete", LockDelay="1ms")
    (shown,) = store.ask("GET", f"/v1/session/info/{session}").json
    node = shown["Node"]
    wanted = {
        "ID": session,
        "Name": name,
        "Node": node,
        "LockDelay": 1_000_000,
        "Behavior": "delete",
        "TTL": "60s",
        "NodeChecks": ["serfHealth"],
        "ServiceChecks": None,
        "CreateIndex": shown["CreateIndex"],
        "ModifyIndex": shown["CreateIndex"],
    }
    equal(f"GET /v1/session/info/{session}", shown, wanted)
    places = (f"/v1/session/node/{node}", f"/v1/session/node/{node.upper()}", "/v1/session/list")
    for there in (True, False):
        for target in places:
            listed = store.ask("GET", target).json
            ids = [one["ID"] for one in listed]
            equal(f"order of GET {target}", ids, sorted(ids))
            equal(f"whether GET {target} shows {session}", shown in listed, there)
        if there:
            store.destroy(session)
    check_gone(store, session)


def ttl_bounds(store: Store, _: Ground) -> None:
    """Ask for TTLs at and beyond the bounds."""
    least, least_s = shortest_ttl(store)
    for ttl in (least, f"{least_s * 1000:.0f}ms", "24h", "23h59m60s", "0s", ""):
        session = store.session(TTL=ttl)
        shown = store.ask("GET", f"/v1/session/info/{session}").json[0]["TTL"]
        equal("TTL, which is stored as typed", shown, ttl)
        store.destroy(session)
    bounds = f"must be between [{least}=24h0m0s]"
    below_ns = int(least_s * 1e9) - 1
    for ttl, text in (
        (f"{below_ns}ns", f"Invalid Session TTL '{below_ns}', {bounds}"),
        ("24h1ns", f"Invalid Session TTL '86400000000001', {bounds}"),
        ("-20s", f"Invalid Session TTL '-20000000000', {bounds}"),
        ("20", "Session TTL '20' invalid: time: missing unit in duration \"20\""),
    ):
        body = json.dumps({"TTL": ttl}).encode()
        asking(store, "PUT", "/v1/session/create", body, status=ERROR, text=text)


# --- looking ------------------------------------------------------------------------------------


def _keys(store: Store, ground: Ground) -> int:
    """Return how many keys there are."""
    answer = store.get(f"{ground.prefix}?keys")
    return len(answer.json) if answer.status == OK else 0


def _acquire_soon(store: Store, target: str) -> None:
    """Acquire until it is granted."""
    watch = Stopwatch()
    while store.ask("PUT", target, b"").plain != TRUE.encode():
        watch.check(f"PUT {target}, which was under lock-delay", 0, LOCK_DELAY_S + AT_ONCE_S)
        time.sleep(0.01)


def _park_info(store: Store, session: str) -> Parked:
    """Watch a session; others may come and go, so the index is read until the watch waits."""
    for _ in range(WATCHES_MAX):
        index = store.sessions_index()
        parked = store.call_blocking(f"/v1/session/info/{session}?index={index}")
        if parked.waits():
            return parked
        parked.close()
    raise Skipped("sessions of others come and go all the time: no watch could be begun")


_case = partial(Case, chapter="sessions")

CASES = (
    _case(
        "sessions-bounds",
        title="refuses TTLs out of bounds, in Consul's words",
        run=ttl_bounds,
        covers=("S5",),
    ),
    _case(
        "sessions-shown",
        title="shows a session in the list, at its node and by its id",
        run=is_shown,
        covers=("S9", "H30"),
    ),
    _case(
        "sessions-end",
        title="ends a session that nobody renews at twice its TTL, and tells its watchers",
        run=ends_after_twice_its_ttl,
        needs=(Need.SLOW,),
        covers=("S13", "S14", "S15", "S17", "L7"),
    ),
    _case(
        "sessions-renewed",
        title="counts twice the TTL from the last renewal",
        run=renewal_counts_from_itself,
        needs=(Need.SLOW,),
        covers=("S14",),
    ),
    _case(
        "sessions-crowd",
        title="ends fifty of a hundred sessions in time, and no other",
        run=crowd_ends,
        needs=(Need.SLOW,),
        covers=("S8", "S14", "S15"),
    ),
    _case(
        "sessions-destroyed",
        title="tells every watcher when a session is destroyed",
        run=destroy_tells_watchers,
        needs=(Need.QUIET,),
        covers=("B10", "S15", "S17"),
    ),
    _case(
        "sessions-renewal",
        title="tells nobody of a renewal",
        run=renewal_tells_nobody,
        needs=(Need.QUIET,),
        covers=("B10", "S11"),
    ),
    _case(
        "sessions-lock-delay",
        title="lets nobody acquire a key for the lock-delay of a holder that ended",
        run=lock_delay,
        covers=("L7",),
    ),
)

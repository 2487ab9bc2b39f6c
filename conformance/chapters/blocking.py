"""Blocking queries: who wakes, who does not, and for how long they wait.

Each case parks its queries side by side, makes its changes, and reads what came.
"""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from conformance.clients.following import (
    CONSUL_TEMPLATE,
    CONSUL_WATCH,
    CONSUL_WATCH_PREFIX,
    WATCH,
    WATCH_TREE,
    Follower,
    Loop,
)
from conformance.clients.looking import (
    AT_ONCE_S,
    NOT_FOUND,
    OK,
    TRUE,
    answered,
    asking,
    claim,
    equal,
)
from conformance.clients.speaker import Speaker, entries
from conformance.clients.together import Stopwatch
from conformance.suite.case import Case, Ground, Need, Store
from conformance.suite.store import PARKED_S, Parked

EXACT = "exact-wakeups"
WATCHERS = 50
"""Watchers of one key; a Consul allows one client 200 connections."""

BRIEF_S = 0.5
"""How long a query is watched that may be woken without need."""

MISSED_S = 5.0
"""How long a query waits that may miss a change: long enough to make it on a busy machine."""

WAITS_S = (0.05, 0.2, 1.0)
POLLS_EACH = 6
JITTER = 1 / 16
CLOCK_S = 0.02
LATE_S = 2.0
FUTURE = 10**9
DEFAULT_WAIT_AT_LEAST_S = 0.5

Change = Callable[[Store, str, str], object]
"""Changes the key of the first argument; the second is the session that holds it, if one does."""

KEY_CHANGES: dict[str, Change] = {
    "an update": lambda store, key, _: store.put(key, b"new"),
    "an update of its flags": lambda store, key, _: store.put(f"{key}?flags=9", b"v"),
    "a check-and-set": lambda store, key, _: store.put(
        f"{key}?cas={store.modify_index(key)}", b"n"
    ),
    "a delete": lambda store, key, _: store.delete(key),
    "a delete by index": lambda store, key, _: store.delete(f"{key}?cas={store.modify_index(key)}"),
    "a recursive delete of itself": lambda store, key, _: store.delete(f"{key}?recurse"),
    "a recursive delete above": lambda store, key, _: store.delete(f"{key[:-2]}?recurse"),
    "a lock": lambda store, key, _: store.put(f"{key}?acquire={store.session()}", b"v"),
    "an unlock": lambda store, key, session: store.put(f"{key}?release={session}", b"v"),
    "the end of its session": lambda store, _, session: store.destroy(session),
    "a transaction that sets it": lambda store, key, _: _txn(store, "set", key),
    "a transaction that deletes it": lambda store, key, _: _txn(store, "delete", key),
    "a transaction that deletes above": lambda store, key, _: _txn(store, "delete-tree", key[:-2]),
}

HELD = {"an unlock", "the end of its session", "the end of a session below"}
"""Changes of what a session holds."""

PREFIX_CHANGES: dict[str, Change] = {
    "an update below": lambda store, key, _: store.put(f"{key}/a", b"new"),
    "an update far below": lambda store, key, _: store.put(f"{key}/deep/b", b"new"),
    "a new key below": lambda store, key, _: store.put(f"{key}/new", b""),
    "the key that is the prefix": lambda store, key, _: store.put(f"{key}/", b""),
    "a delete below": lambda store, key, _: store.delete(f"{key}/a"),
    "a recursive delete below": lambda store, key, _: store.delete(f"{key}/deep?recurse"),
    "a recursive delete of it": lambda store, key, _: store.delete(f"{key}/?recurse"),
    "a recursive delete above": lambda store, key, _: store.delete(f"{key}?recurse"),
    "a lock below": lambda store, key, _: store.put(f"{key}/a?acquire={store.session()}", b"v"),
    "the end of a session below": lambda store, _, session: store.destroy(session),
    "a transaction": lambda store, key, _: _txn(store, "set", f"{key}/a"),
}


def key_wakes(store: Store, ground: Ground) -> None:
    """Watch one key for each way to change it."""
    targets = {}
    sessions = {}
    for number, change in enumerate(KEY_CHANGES):
        key = f"{ground.prefix}{number}/k"
        sessions[change] = store.session()
        held = f"?acquire={sessions[change]}" if change in HELD else ""
        index = store.write(f"{key}{held}", b"v")
        targets[change] = key, f"/v1/kv/{key}?index={index}"
    _expect_wakes(store, KEY_CHANGES, targets, sessions)


def prefix_wakes(store: Store, ground: Ground) -> None:
    """Watch a prefix, as keys and as entries, for each way to change what is below."""
    for query in ("recurse", "keys", "keys&separator=/"):
        targets = {}
        sessions = {}
        for number, change in enumerate(PREFIX_CHANGES):
            key = f"{ground.prefix}{query[:4]}{len(query)}-{number}"
            sessions[change] = store.session()
            store.write(f"{key}/a", b"v")
            held = f"?acquire={sessions[change]}" if change in HELD else ""
            index = store.write(f"{key}/deep/b{held}", b"v")
            targets[change] = key, f"/v1/kv/{key}/?{query}&index={index}"
        _expect_wakes(store, PREFIX_CHANGES, targets, sessions)


def creation_wakes(store: Store, ground: Ground) -> None:
    """Watch what is not there yet, and create it."""
    targets = [f"/v1/kv/{ground.prefix}{name}" for name in ("k", "p/?recurse=", "q/?keys=")]
    with _missing(store, targets) as queries:
        for name in ("k", "p/a", "q/a"):
            store.write(f"{ground.prefix}{name}", b"v")
        for target, query in zip(targets, queries, strict=True):
            watch = Stopwatch()
            answer = query.answer(AT_ONCE_S)
            while answer.status == NOT_FOUND:  # woken by a neighbour, as a Consul may
                watch.check(f"GET {target}", 0, AT_ONCE_S)
                answer = store.ask("GET", _with_index(target, answer.index))
            answered(f"GET {target}", answer, OK)


def nothing_wakes(store: Store, ground: Ground) -> None:
    """Do all that changes nothing of what is watched."""
    prefix = ground.prefix
    session = store.session(TTL="60s")
    held = store.write(f"{prefix}a/held?acquire={session}", b"v")
    index = store.write(f"{prefix}a/k?flags=3", b"v")
    store.write(f"{prefix}b/gone")
    store.delete(f"{prefix}b/gone")
    emptied = store.get(f"{prefix}b/?keys").index
    targets = [
        f"/v1/kv/{prefix}a/k?index={index}",
        f"/v1/kv/{prefix}a/held?index={held}",
        f"/v1/kv/{prefix}a/?recurse&index={index}",
        f"/v1/kv/{prefix}a/?keys&separator=/&index={index}",
        f"/v1/kv/{prefix}b/?keys&index={emptied}",
    ]
    with _parked(store, targets) as queries:
        asking(store, "PUT", f"/v1/kv/{prefix}a/k?flags=3", b"v", text=TRUE)
        asking(store, "PUT", f"/v1/kv/{prefix}a/held?acquire={session}", b"v", text=TRUE)
        asking(store, "PUT", f"/v1/kv/{prefix}a/k?cas=1", b"w", text="false")
        asking(store, "PUT", f"/v1/kv/{prefix}a/k?release={session}", b"w", text="false")
        asking(store, "DELETE", f"/v1/kv/{prefix}a/k?cas=1", text="false")
        asking(store, "DELETE", f"/v1/kv/{prefix}a/nope", text=TRUE)
        asking(store, "DELETE", f"/v1/kv/{prefix}a/nope?recurse", text=TRUE)
        for name in ("a", "a0", "aa/k", "c/k"):
            store.write(f"{prefix}{name}", b"v")
        store.destroy(store.session())
        asking(store, "PUT", f"/v1/session/renew/{session}")
        time.sleep(PARKED_S)
        for target, query in zip(targets, queries, strict=True):
            claim(f"GET {target}", "no answer: nothing changed", "one", so=query.waits(0))


def neighbours_wake_nobody(store: Store, ground: Ground) -> None:
    """Write beside a missing key and a prefix that never had one (B6)."""
    targets = [f"/v1/kv/{ground.prefix}{name}" for name in ("n/k", "m/?recurse=")]
    with _missing(store, targets) as queries:
        for number in range(5):
            store.write(f"{ground.prefix}n/{number}", b"v")
            store.write(f"{ground.prefix}m{number}", b"v")
        waits = ground.by_intent(EXACT, consul=False, ours=True)
        woken = [not query.waits(BRIEF_S) for query in queries]
        equal("missing keys woken by neighbours", any(woken), not waits)


def ancestor_delete_wakes(store: Store, ground: Ground) -> None:
    """Delete an ancestor of a prefix that has an older tombstone (B9)."""
    store.write(f"{ground.prefix}p/old")
    store.delete(f"{ground.prefix}p/old")
    index = store.write(f"{ground.prefix}p/new")
    target = f"/v1/kv/{ground.prefix}p/?recurse&index={index}&wait={MISSED_S:g}s"
    with store.park(target) as query:
        store.delete(f"{ground.prefix}?recurse")
        watch = Stopwatch()
        answered(f"GET {target}", query.answer(MISSED_S + AT_ONCE_S), NOT_FOUND)
        woken = watch.seconds < MISSED_S / 2
    equal("answered at the delete", woken, ground.by_intent(EXACT, consul=False, ours=True))


def waits_its_time(store: Store, ground: Ground) -> None:
    """Wait for nothing, many times at once, for several times."""
    index = store.write(f"{ground.prefix}k", b"v")
    plain = store.get(f"{ground.prefix}k")
    for wait_s in WAITS_S:
        target = f"/v1/kv/{ground.prefix}k?index={index}&wait={wait_s * 1000:.0f}ms"
        watch = Stopwatch()
        with _calls(store, [target] * POLLS_EACH) as queries:
            for query in queries:
                answer = query.answer(wait_s + LATE_S)
                equal(f"GET {target}", (answer.status, answer.body), (OK, plain.body))
                equal(f"X-Consul-Index of GET {target}", answer.index, index)
                watch.check(f"GET {target}", wait_s - CLOCK_S, wait_s * (1 + JITTER) + LATE_S)


def waits_by_default(store: Store, ground: Ground) -> None:
    """Wait with a `wait` that stands for five minutes, with none, and without an index."""
    index = store.write(f"{ground.prefix}k", b"v")
    target = f"/v1/kv/{ground.prefix}k?"
    for parameters in ("wait=15s", "index=0&wait=15s", "index=&wait=15s", "wait=0s"):
        watch = Stopwatch()
        asking(store, "GET", target + parameters)
        watch.check(f"GET {target}{parameters}", 0, AT_ONCE_S)
    targets = [f"{target}index={index}{wait}" for wait in ("", "&wait=", "&wait=0s", "&wait=-5s")]
    with _calls(store, targets) as queries:
        time.sleep(DEFAULT_WAIT_AT_LEAST_S)
        for each, query in zip(targets, queries, strict=True):
            claim(f"GET {each}", "no answer for five minutes", "one at once", so=query.waits(0))
        changed = store.write(f"{ground.prefix}k", b"w")
        for each, query in zip(targets, queries, strict=True):
            equal(f"X-Consul-Index of GET {each}", query.answer(AT_ONCE_S).index, changed)


def index_compares(store: Store, ground: Ground) -> None:
    """Ask with an index that is older, equal, and from the future (B2)."""
    key = f"{ground.prefix}k"
    older = store.write(key, b"1")
    index = store.write(key, b"2")
    for old in (older, 1, index - 1):
        watch = Stopwatch()
        answer = asking(store, "GET", f"/v1/kv/{key}?index={old}&wait=10s")
        watch.check(f"GET {key}?index={old}", 0, AT_ONCE_S)
        equal(f"X-Consul-Index of GET {key}?index={old}", answer.index, index)
    target = f"/v1/kv/{key}?index={index + FUTURE}&wait=1500ms"
    watch = Stopwatch()
    with store.park(target) as query:
        changed = store.write(key, b"3")
        claim(
            f"GET {target}", "no answer to a change: its index is behind", "one", so=query.waits()
        )
        answer = query.answer(AT_ONCE_S)
        watch.check(f"GET {target}", 1.5 - CLOCK_S, 1.5 + LATE_S)
    equal(f"GET {target}", (answer.index, answer.json[0]["Value"]), (changed, "Mw=="))


def all_watchers_wake(store: Store, ground: Ground) -> None:
    """Watch one key many times, let every third client leave, and change it."""
    key = f"{ground.prefix}k"
    index = store.write(key, b"v")
    targets = [f"/v1/kv/{key}?index={index}"] * WATCHERS
    with _parked(store, targets) as queries:
        for query in queries[::3]:
            query.close()
        changed = store.write(key, b"w")
        watch = Stopwatch()
        staying = [query for number, query in enumerate(queries) if number % 3]
        indexes = {query.answer(AT_ONCE_S).index for query in staying}
        equal(f"X-Consul-Index of {len(staying)} watchers", indexes, {changed})
        watch.check(f"answers to {len(staying)} watchers", 0, AT_ONCE_S)
    with store.park(f"/v1/kv/{key}?index={changed}") as query:
        store.delete(key)
        answered(f"GET /v1/kv/{key}?index={changed}", query.answer(AT_ONCE_S), NOT_FOUND)


def connection_lives_on(store: Store, ground: Ground) -> None:
    """Use one connection for polls that are woken, polls that are not, and all else between."""
    target = f"/v1/kv/{ground.prefix}k"
    with Speaker(store) as speaker, store.connect() as connection:
        for turn in range(5):
            value = str(turn).encode()
            equal(f"PUT {target}", speaker.true("PUT", target, value), True)
            index = speaker.read(target)[0]
            connection.send(store.encode("GET", f"{target}?index={index}&wait=20ms"))
            equal("a poll that ends with nothing new", connection.read().index, index)
            connection.send(store.encode("GET", f"{target}?index={index}"))
            claim("the next poll", "no answer yet", "one", so=connection.silent_for(PARKED_S / 3))
            equal(f"PUT {target}", speaker.true("PUT", target, value + b"!"), True)
            answer = connection.read(within_s=AT_ONCE_S)
            equal("the value it was woken by", entries(answer)[0].value, value + b"!")
            connection.send(store.encode("PUT", target, b"by the watcher"))
            answered(f"PUT {target}", connection.read(), OK, TRUE)


def loops_follow_key(store: Store, ground: Ground) -> None:
    """Follow one key from nothing to its end by the loops of libkv, consul watch, templates."""
    key = f"{ground.prefix}k"
    _follow(store, (WATCH, CONSUL_WATCH, CONSUL_TEMPLATE), key, key)


def loops_follow_prefix(store: Store, ground: Ground) -> None:
    """Follow a directory by the loops of libkv's WatchTree and consul watch."""
    _follow(store, (WATCH_TREE, CONSUL_WATCH_PREFIX), f"{ground.prefix}d/", f"{ground.prefix}d/k")


# --- parking and waking -------------------------------------------------------------------------


def _expect_wakes(
    store: Store,
    changes: dict[str, Change],
    targets: dict[str, tuple[str, str]],
    sessions: dict[str, str],
) -> None:
    """Make each change and read the answer of the query that is for it, and of no other."""
    with _parked(store, [target for _, target in targets.values()]) as queries:
        for (change, make), query in zip(changes.items(), queries, strict=True):
            key, target = targets[change]
            make(store, key, sessions[change])
            watch = Stopwatch()
            answer = query.answer(AT_ONCE_S)
            watch.check(f"GET {target}, woken by {change}", 0, AT_ONCE_S)
            now = store.ask("GET", target.partition("index=")[0].rstrip("?&"))
            asked = f"GET {target}, woken by {change}"
            equal(asked, (answer.status, answer.body), (now.status, now.body))
            if answer.status == OK:  # the index of what is gone may be the whole store's
                equal(f"X-Consul-Index of {asked}", answer.index, now.index)
            since = int(target.rpartition("index=")[2])
            claim(
                f"X-Consul-Index of {asked}",
                f"more than {since}",
                answer.index,
                so=answer.index > since,
            )


def _txn(store: Store, verb: str, key: str) -> None:
    value = b64encode(b"by transaction").decode()
    operation = {"Verb": verb, "Key": key} | ({"Value": value} if verb == "set" else {})
    asking(store, "PUT", "/v1/txn", json.dumps([{"KV": operation}]).encode())


@contextmanager
def _calls(store: Store, targets: list[str]) -> Iterator[list[Parked]]:
    """Start queries, whether they wait or not, and close them at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(store.call_blocking(target)) for target in targets]


@contextmanager
def _parked(store: Store, targets: list[str]) -> Iterator[list[Parked]]:
    """Start queries, all of which must wait."""
    with _calls(store, targets) as queries:
        time.sleep(PARKED_S)
        for target, query in zip(targets, queries, strict=True):
            claim(f"GET {target}", "no answer: nothing is new", "one", so=query.waits(0))
        yield queries


@contextmanager
def _missing(store: Store, targets: list[str]) -> Iterator[list[Parked]]:
    """Watch what is not there, with the index that the store has now.

    Others may write meanwhile, and that index is the whole store's: those that do not wait are
    started again.
    """
    with ExitStack() as stack:
        queries = []
        for target in targets:
            query = store.call_blocking(_with_index(target, store.ask("GET", target).index))
            while not query.waits(PARKED_S / 3):
                query.close()
                query = store.call_blocking(_with_index(target, store.ask("GET", target).index))
            queries.append(stack.enter_context(query))
        yield queries


def _with_index(target: str, index: int) -> str:
    return f"{target}{'&' if '?' in target else '?'}index={index}"


def _follow(store: Store, loops: tuple[Loop, ...], watched: str, key: str) -> None:
    with ExitStack() as stack:
        followers = [stack.enter_context(Follower(store, loop, watched)) for loop in loops]
        for value in (b"one", b"two", b"three", None, b"again"):
            if value is None:
                asking(store, "DELETE", f"/v1/kv/{key}", text=TRUE)
            else:
                store.write(key, value)
            for follower in followers:
                follower.news_of(value)
        for follower in followers:
            follower.check_waits("nothing is new")
            follower.check_calm()


_case = partial(Case, chapter="blocking")

CASES = (
    _case(
        "blocking-key",
        title="wakes the watcher of a key for every change of it",
        run=key_wakes,
        covers=("B5", "T4"),
    ),
    _case(
        "blocking-prefix",
        title="wakes the watchers of a prefix for every change below it",
        run=prefix_wakes,
        covers=("B8",),
    ),
    _case(
        "blocking-creation",
        title="wakes who waits for what is not there, when it is created",
        run=creation_wakes,
        covers=("B6", "B8"),
    ),
    _case(
        "blocking-nothing",
        title="wakes nobody for what changes nothing they watch",
        run=nothing_wakes,
        covers=("B5", "B8", "I2", "P3"),
    ),
    _case(
        "blocking-neighbours",
        title="wakes nobody who waits for a missing key when its neighbours change",
        run=neighbours_wake_nobody,
        rules=(EXACT,),
        needs=(Need.QUIET,),
        covers=("B6",),
    ),
    _case(
        "blocking-ancestor",
        title="wakes the watcher of a prefix when an ancestor is deleted, whatever was before",
        run=ancestor_delete_wakes,
        rules=(EXACT,),
        covers=("B9",),
    ),
    _case(
        "blocking-time",
        title="waits as long as it was asked to, and up to a sixteenth more",
        run=waits_its_time,
        covers=("B3", "B4"),
    ),
    _case(
        "blocking-default",
        title="waits for minutes where nothing says how long, and never without an index",
        run=waits_by_default,
        covers=("B1", "B3", "H18"),
    ),
    _case(
        "blocking-index",
        title="answers at once to an older index, and holds one from the future",
        run=index_compares,
        covers=("B2",),
    ),
    _case(
        "blocking-many",
        title="wakes all watchers of one key, whoever else has left",
        run=all_watchers_wake,
        covers=("B13",),
    ),
    _case(
        "blocking-connection",
        title="goes on with a connection after a poll, whether it was woken or not",
        run=connection_lives_on,
        covers=("H39", "B4"),
    ),
    _case(
        "blocking-loops-key",
        title="tells the loops of libkv, `consul watch` and consul-template every last value",
        run=loops_follow_key,
        covers=("B5", "B6"),
    ),
    _case(
        "blocking-loops-prefix",
        title="tells the loops that follow a directory every last value",
        run=loops_follow_prefix,
        covers=("B8",),
    ),
)

"""Docker engines and classic Swarm: acceptance.

What old engines and Swarm managers need of a cluster store, by the acceptance ids of the project's
reference: F1 and F2 (TLS), F8 (tokens), H1 and H2 (election), A9 (rename), B2 (a dead engine), and
the requests that each release was seen to send.
"""

import json
import secrets
import time
from dataclasses import replace
from functools import partial

from conformance.clients.engine import NODES, Engine
from conformance.clients.following import WATCH, WATCH_TREE, Follower
from conformance.clients.golock import LOCK_FLAGS, destroy_session
from conformance.clients.looking import (
    AT_ONCE_S,
    NOT_FOUND,
    TRUE,
    answered,
    asking,
    check_gone,
    claim,
    equal,
)
from conformance.clients.restart import restart
from conformance.clients.speaker import Entry, Speaker, show, speakers
from conformance.clients.swarm import LEADER, Manager
from conformance.clients.together import Stopwatch, together
from conformance.clients.ttl import check_expiry, lasts_s, shortest_ttl
from conformance.suite.case import UNREACHABLE, Case, Failed, Ground, Need, Run, Skipped, Store

TREE = "docker/network/v1.0/"
ADDRESS = "192.0.2.1:2376"
OTHER = "192.0.2.2:2376"
BEATS = 3
BAD_REQUEST = 400
ELECTION_S = 60.0
AGAIN_S = 30.0
RETRY_S = 0.5
AFTER_S = 0.2
PLAIN_ON_TLS = b"Client sent an HTTP request to an HTTPS server"


# --- transport ----------------------------------------------------------------------------------


def works_over_tls(store: Store, ground: Ground) -> None:
    """Register over TLS, beat on the same connection, and be woken on another."""
    _need_tls(store)
    with Speaker(store) as speaker:
        engine = Engine(speaker, ground.prefix, ADDRESS)
        engine.find_nodes()
        engine.register()
        with Follower(store, WATCH_TREE, f"{ground.prefix}{NODES}") as follower:
            engine.beat()
            follower.check_waits("a heartbeat is no news")
            engine.put(f"{engine.nodes}/{OTHER}", OTHER.encode())
            keys = [entry.key.rpartition("/")[2] for entry in follower.news()]
        equal("nodes seen over TLS", keys, ["nodes", ADDRESS, OTHER])


def says_that_it_is_tls(store: Store, _: Ground) -> None:
    """Talk plain HTTP to the TLS port, as an engine without kv.* options does."""
    _need_tls(store)
    plain = Store(replace(store.address, scheme="http", tls=None))
    answer = plain.ask("GET", f"/v1/kv/{NODES}?consistent=")
    claim(
        f"GET http://{store.address.host}:{store.address.port}/v1/kv/{NODES}?consistent=",
        f"400 {PLAIN_ON_TLS.decode()}",
        show(answer),
        so=answer.status == BAD_REQUEST and PLAIN_ON_TLS in answer.body,
    )


def takes_tokens(store: Store, ground: Ground) -> None:
    """Send `?token=` with everything, as an engine with CONSUL_HTTP_TOKEN does."""
    token = store.token or secrets.token_hex(16)
    key = f"/v1/kv/{ground.prefix}k"
    body = json.dumps({"Behavior": "delete", "TTL": "30s"}).encode()
    created = asking(store, "PUT", f"/v1/session/create?token={token}", body)
    session = created.json["ID"]
    answers = [created, asking(store, "PUT", f"{key}?flags=7&token={token}", b"v", text=TRUE)]
    index = asking(store, "GET", f"{key}?consistent=&token={token}").index
    answers += [
        asking(store, "PUT", f"{key}?cas={index}&flags=7&token={token}", b"w", text=TRUE),
        asking(store, "PUT", f"{key}?acquire={session}&flags=7&token={token}", b"w", text=TRUE),
        asking(store, "PUT", f"/v1/session/renew/{session}?token={token}", b""),
        asking(store, "GET", f"{key}?recurse=&token={token}&wait=15000ms"),
        asking(store, "GET", f"{key}/none?consistent=&token={token}", status=NOT_FOUND),
    ]
    for answer in answers:
        shown = f"{answer.headers} {answer.text}"
        claim("an answer to a request with a token", "no trace of it", shown, so=token not in shown)
    entry = store.entry(f"{ground.prefix}k")
    equal("Flags and Value", (entry["Flags"], entry["Value"]), (7, "dw=="))


# --- engines ------------------------------------------------------------------------------------


def registers(store: Store, ground: Ground) -> None:
    """Register an engine before another's eyes, and let it beat."""
    with speakers(store, 2) as (speaker, again):
        engine = Engine(speaker, ground.prefix, ADDRESS)
        engine.find_nodes()
        with Follower(store, WATCH_TREE, f"{ground.prefix}{NODES}") as other:
            index = engine.register()
            entry = _own(engine)
            wanted = Entry(
                f"{ground.prefix}{NODES}/{ADDRESS}",
                ADDRESS.encode(),
                LOCK_FLAGS,
                engine.session,
                0,
                entry.modify_index,
            )
            equal("the engine's entry: LockIndex 0 after a plain write", entry, wanted)
            claim("its index", f"more than {index}", entry, so=entry.modify_index > index)
            while other.seen[-1:] != [entry]:
                other.news()
            monitor = f"{engine.node}?consistent=&index={entry.modify_index}"
            with store.park(monitor) as monitoring:
                for _ in range(BEATS):
                    engine.beat()
                equal("the entry after heartbeats", _own(engine), entry)
                claim(f"GET {monitor}", "no answer to heartbeats", "one", so=monitoring.waits())
            other.check_waits("heartbeats are no news")
        restarted = Engine(again, ground.prefix, ADDRESS, session=_own(engine).session)
        restarted.beat()
        equal("the entry after a restart within the TTL", _own(restarted), entry)


def dead_engine_vanishes(store: Store, ground: Ground) -> None:
    """Let an engine beat for a while and die; another one sees it go, at twice the TTL."""
    ttl, ttl_s = shortest_ttl(store)
    with speakers(store, 2) as (speaker, other):
        engine = Engine(speaker, ground.prefix, ADDRESS, ttl=ttl)
        engine.find_nodes()
        engine.register()
        living = Engine(other, ground.prefix, OTHER)
        living.register()
        time.sleep(ttl_s / 4)
        watch = Stopwatch()
        engine.beat()
        entry = _own(engine)
        speaker.close()
        monitor = f"{engine.node}?consistent=&index={entry.modify_index}"
        with (
            Follower(store, WATCH_TREE, f"{ground.prefix}{NODES}") as follower,
            store.park(monitor) as monitoring,
        ):
            _, within_s = lasts_s(ttl_s)
            keys = [each.key.rpartition("/")[2] for each in follower.news(within_s)]
            check_expiry("the end of a dead engine's entry", watch, ttl_s)
            equal("nodes left", keys, ["nodes", OTHER])
            answered(f"GET {monitor}", monitoring.answer(AT_ONCE_S), NOT_FOUND)
        check_gone(store, engine.session)
        living.beat()


def speaks_as(*, flags: bool, directory: bool, updates_network: bool) -> Run:
    """Return a case that sends what one release sends, from its start to a container's end."""

    def run(store: Store, ground: Ground) -> None:
        with Speaker(store) as speaker:
            engine = Engine(speaker, ground.prefix, ADDRESS, flags=flags)
            if directory:
                engine.find_nodes()
            else:
                wait = f"{engine.nodes}?recurse=&wait=15000ms"
                answered(f"GET {wait}", store.ask("GET", wait), NOT_FOUND)
            engine.register()
            wanted = LOCK_FLAGS if flags else 0
            equal("Flags after the plain write that follows an acquire", _own(engine).flags, wanted)
            _lives(engine, ground, updates_network=updates_network)

    return run


def _lives(engine: Engine, ground: Ground, *, updates_network: bool) -> None:
    """Make a network and an endpoint, and remove both; every key ends in a slash."""
    speaker, root = engine.speaker, f"/v1/kv/{ground.prefix}{TREE}"
    network, endpoint = secrets.token_hex(32), secrets.token_hex(32)
    for kind in ("network/", f"endpoint/{network}/"):
        speaker.ask("GET", f"{root}{kind}?consistent=", expect=(NOT_FOUND,))
        engine.put(root + kind)
        index, found = speaker.read(f"{root}{kind}?recurse=")
        values = [(entry.key, entry.value) for entry in found]
        equal(f"GET {kind}?recurse=", values, [(f"{ground.prefix}{TREE}{kind}", b"")])
        equal(f"X-Consul-Index of GET {kind}?recurse=", index, found[0].modify_index)
    keys = [
        f"{root}ipam/default/data/GlobalDefault/10.0.0.0/24/",
        f"{root}overlay/network/{network}/",
        f"{root}endpoint_count/{network}/",
        f"{root}network/{network}/",
        f"{root}endpoint/{network}/{endpoint}/",
    ]
    indexes = {key: engine.atomic_put(key, b'{"n":0}', 0) for key in keys}
    claim("?cas=0 on new keys", "true", indexes, so=all(indexes.values()))
    equal("?cas=0 on an old key", engine.atomic_put(keys[0], b"x", 0), 0)
    for key in keys[: 4 if updates_network else 3]:
        stale, indexes[key] = indexes[key], engine.atomic_put(key, b'{"n":1}', indexes[key])
        claim("?cas=N", f"a new index, more than {stale}", indexes[key], so=indexes[key] > stale)
        equal("?cas=N with an old index", engine.atomic_put(key, b"x", stale), 0)
        equal(
            "DELETE ?cas=N with an old index", speaker.true("DELETE", f"{key}?cas={stale}"), False
        )
    listed = speaker.read(f"{root}endpoint/{network}/?recurse=")[1]
    equal("entries of a directory with one endpoint, marker included", len(listed), 2)
    for key, index in reversed(indexes.items()):
        equal("DELETE ?cas=N", speaker.true("DELETE", f"{key}?cas={index}"), True)
        equal("the same of what is gone", speaker.true("DELETE", f"{key}?cas={index}"), True)
        speaker.ask("GET", f"{key}?consistent=", expect=(NOT_FOUND,))


def rename_wakes_peers(store: Store, ground: Ground) -> None:
    """Write an endpoint count with its old value, by check-and-set, as `docker rename` does."""
    key = f"{ground.prefix}{TREE}endpoint_count/{secrets.token_hex(32)}/"
    with Speaker(store) as speaker:
        engine = Engine(speaker, ground.prefix, ADDRESS)
        index = engine.atomic_put(f"/v1/kv/{key}", b'{"Count":1}', 0)
        wakes = ground.by_intent("cas-identical-wakes", consul=False, ours=True)
        with Follower(store, WATCH, key) as peer:
            after = engine.atomic_put(f"/v1/kv/{key}", b'{"Count":1}', index)
            equal("whether the index moves", after > index, wakes)
            equal("whether a peer is woken", not peer.waits(), wakes)


# --- Swarm --------------------------------------------------------------------------------------


def replica_takes_over(store: Store, ground: Ground) -> None:
    """Let a node join and two managers stand for election; kill the primary (H1)."""
    ttl, ttl_s = shortest_ttl(store)
    with speakers(store, 2) as (joining, looking):
        node = Engine(joining, ground.prefix, ADDRESS, ttl="1m30s", home="docker/swarm/nodes")
        node.register()
        manager = Engine(looking, ground.prefix, OTHER, home="docker/swarm/nodes")
        manager.find_nodes()
        with Follower(store, WATCH_TREE, f"{ground.prefix}docker/swarm/nodes") as follower:
            node.beat()
            equal("the node seen by a manager", follower.seen[-1].value, ADDRESS.encode())
    primary, replica = _managers(store, ground, ttl, ttl_s)
    leader = primary.stand(AT_ONCE_S)
    equal("the leader", (leader.value, leader.lock_index), (primary.address.encode(), 1))
    with Follower(store, WATCH, f"{ground.prefix}{LEADER}") as follower:
        time.sleep(ttl_s / 2 + AFTER_S)  # one renewal, as a manager does
        primary.kill()
        killed = Stopwatch()
        new = replica.stand(ELECTION_S)
        took_s = time.monotonic() - primary.renewed_at
        least_s, most_s = lasts_s(ttl_s)
        claim(
            "the replica leads, from the last renewal of the primary",
            f"after {least_s:g} to {most_s:g} s",
            f"after {took_s:.2f} s, {killed.seconds:.2f} s after the kill",
            so=least_s <= took_s <= most_s,
        )
        equal("the new leader", (new.value, new.lock_index), (replica.address.encode(), 2))
        follower.news_of(replica.address.encode())
    replica.kill()
    check_gone(store, primary.session)


def destroyed_leader_is_replaced(store: Store, ground: Ground) -> None:
    """Destroy the leader's session from outside: it learns so, and the other leads, at once."""
    ttl, ttl_s = shortest_ttl(store)
    primary, replica = _managers(store, ground, ttl, ttl_s)
    leader = primary.stand(AT_ONCE_S)

    def destroy() -> Entry:
        time.sleep(AFTER_S)
        with Speaker(store) as speaker:
            destroy_session(speaker, primary.session)
        primary.monitor(leader.modify_index, AT_ONCE_S)
        return leader

    watch = Stopwatch()
    new, _ = together(partial(replica.stand, AT_ONCE_S), destroy)
    watch.check("the next leader, from the destroy", 0, AFTER_S + AT_ONCE_S)
    equal("the new leader", new.value, replica.address.encode())
    for manager in (primary, replica):
        manager.kill()


def primary_and_store_restart(store: Store, ground: Ground) -> None:
    """Kill the primary and restart the store at once; there is a primary again (H2)."""
    ttl, ttl_s = shortest_ttl(store)
    primary, replica = _managers(store, ground, ttl, ttl_s)
    leader = primary.stand(AT_ONCE_S)
    primary.kill()
    restart(store, ground)
    kept = store.entry(f"{ground.prefix}{LEADER}")
    equal("the leader's key after the restart", kept["ModifyIndex"], leader.modify_index)
    watch = Stopwatch()
    while True:
        try:
            new = replica.stand(ELECTION_S)
            break
        except (*UNREACHABLE, Failed) as failure:
            if watch.seconds > AGAIN_S:
                raise Failed("an election after a restart", "a leader", str(failure)) from failure
            time.sleep(RETRY_S)
    watch.check("a primary again, from the restart", 0, max(AGAIN_S, lasts_s(ttl_s)[1]))
    equal("the new leader", new.value, replica.address.encode())
    replica.kill()


def _managers(store: Store, ground: Ground, ttl: str, ttl_s: float) -> tuple[Manager, Manager]:
    key = f"{ground.prefix}{LEADER}"
    return (
        Manager(store, key, "192.0.2.1:4000", ttl, ttl_s),
        Manager(store, key, "192.0.2.2:4000", ttl, ttl_s),
    )


def _own(engine: Engine) -> Entry:
    """Return the engine's own entry; Failed when there is none."""
    entry = engine.entry()
    if entry is None:
        raise Failed(f"GET {engine.node}", "200: the engine is alive", "404")
    return entry


def _need_tls(store: Store) -> None:
    if store.address.scheme != "https":
        raise Skipped(f"is about TLS, and the store is at {store.url}: give an https:// URL")


_case = partial(Case, chapter="docker")

CASES = (
    _case(
        "docker-F1",
        title="serves engines over TLS, long polls included",
        run=works_over_tls,
        covers=("H39",),
    ),
    _case(
        "docker-F2",
        title="tells an engine without kv.* options that its port is for TLS",
        run=says_that_it_is_tls,
    ),
    _case(
        "docker-F8",
        title="takes `?token=` with everything, and neither keeps nor shows it",
        run=takes_tokens,
        covers=("A1",),
    ),
    _case(
        "docker-A1",
        title="registers an engine, and takes its heartbeats for no news",
        run=registers,
        covers=("B5", "P3", "P8"),
    ),
    _case(
        "docker-B2",
        title="lets an engine vanish at twice the TTL of its last heartbeat",
        run=dead_engine_vanishes,
        needs=(Need.SLOW,),
        covers=("S14", "S17"),
    ),
    _case(
        "docker-20.10",
        title="serves the requests of engines 1.12 to 20.10, which send flags with every write",
        run=speaks_as(flags=True, directory=True, updates_network=True),
        covers=("P4", "P7"),
    ),
    _case(
        "docker-1.11",
        title="serves the requests of engine 1.11, which sends flags with an acquire only",
        run=speaks_as(flags=False, directory=True, updates_network=True),
        covers=("P2", "P7"),
    ),
    _case(
        "docker-1.9",
        title="serves the requests of engine 1.9, which begins with a watch of nothing",
        run=speaks_as(flags=False, directory=False, updates_network=False),
        covers=("P2", "B1"),
    ),
    _case(
        "docker-A9",
        title="wakes peers when a container is renamed",
        run=rename_wakes_peers,
        rules=("cas-identical-wakes",),
        covers=("P3",),
    ),
    _case(
        "docker-H1",
        title="lets a Swarm replica take over when the primary is killed, and not before",
        run=replica_takes_over,
        needs=(Need.SLOW,),
        covers=("S14", "L7"),
    ),
    _case(
        "docker-H1b",
        title="elects the next Swarm leader as soon as the session of the last is destroyed",
        run=destroyed_leader_is_replaced,
        covers=("S15", "S17"),
    ),
    _case(
        "docker-H2",
        title="has a Swarm primary again after primary and store went down together",
        run=primary_and_store_restart,
        needs=(Need.RESTART,),
        covers=("S14",),
    ),
)

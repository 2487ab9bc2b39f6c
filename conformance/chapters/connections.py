"""Connections, streams and archives: what a script cannot spell.

Many connections at once, an answer that never ends, ids with moved hyphens, what a restore does.
"""

from conformance.suite.case import Case, Failed, Ground, Need, Store
from conformance.suite.wire import ConnectionEnded, NotAnswered

CHAPTER = "connections"

CONNECTIONS = 220
"""More than the 200 that Consul grants a client's address."""

WATCHERS = 50
AT_ONCE_S = 5.0
SNAPSHOT = "/v1/snapshot"


def many_connections(store: Store, ground: Ground) -> None:
    """Open 220 connections and ask on the last one.

    Consul closes the 201st connection of an address without a word; ours serves it.
    """
    connections = []
    try:
        connections = [store.connect() for _ in range(CONNECTIONS)]
        connections[-1].send(store.encode("GET", "/v1/status/leader"))
        try:
            got = f"status {connections[-1].read(within_s=AT_ONCE_S).status}"
        except ConnectionEnded:
            got = "closed without an answer"
    finally:
        for connection in connections:
            connection.close()
    wanted = ground.by_intent(
        "no-connection-limit", consul="closed without an answer", ours="status 200"
    )
    _expect(f"GET /v1/status/leader on connection {CONNECTIONS}", wanted, got)


def many_watchers(store: Store, ground: Ground) -> None:
    """Let fifty queries wait for one key: one write answers them all."""
    key = f"{ground.prefix}k"
    index = store.write(key)
    queries = [store.call_blocking(f"/v1/kv/{key}?index={index}") for _ in range(WATCHERS)]
    try:
        if not queries[-1].waits():
            raise Failed(f"GET /v1/kv/{key}?index={index}", "it waits", "an answer")
        changed = store.write(key, b"new")
        indexes = {query.answer(AT_ONCE_S).index for query in queries}
    finally:
        for query in queries:
            query.close()
    _expect(f"{WATCHERS} watchers of {key}", {changed}, indexes)


def log_stream(store: Store, _ground: Ground) -> None:
    """Follow the log: the head comes at once, without a Content-Type, and the body in chunks."""
    with store.connect() as connection:
        connection.send(store.encode("GET", "/v1/agent/monitor?loglevel=debug"))
        answer = connection.read_interim(within_s=AT_ONCE_S)
    shown = answer.status, answer.get("Content-Type"), answer.get("Transfer-Encoding")
    _expect("GET /v1/agent/monitor?loglevel=debug", (200, None, "chunked"), shown)


def moved_hyphens(store: Store, _ground: Ground) -> None:
    """Write a session's id with its hyphens elsewhere: it names the same session."""
    session = store.session(Name="S9")
    digits = session.replace("-", "")
    moved = f"{digits[:2]}-{digits[2:4]}-{digits[4:6]}-{digits[6:8]}-{digits[8:]}"
    for method, call in (("GET", "info"), ("PUT", "renew")):
        answer = store.ask(method, f"/v1/session/{call}/{moved}")
        _expect(f"{method} /v1/session/{call}/{moved}", session, answer.json[0]["ID"])
    answer = store.ask("PUT", f"/v1/session/destroy/{moved.upper()}")
    _expect(f"PUT /v1/session/destroy/{moved.upper()}", b"true", answer.body)
    answer = store.ask("GET", f"/v1/session/info/{session}")
    _expect(f"GET /v1/session/info/{session}", b"[]", answer.body)


def restore(store: Store, ground: Ground) -> None:
    """Save, change, restore: the content is the archive's again.

    Consul puts the old indexes back; ours gives what the restore changes the index of the restore.
    """
    same, changed = f"{ground.prefix}same", f"{ground.prefix}changed"
    index = store.write(same, b"v")
    old = store.write(changed, b"old")
    archive = _archive(store)
    store.write(changed, b"new")
    new = store.write(f"{ground.prefix}new", b"v")
    _restore(store, archive)
    _expect("the key that was changed", b"old", store.get(f"{changed}?raw").body)
    _expect("the key that is not in the archive", 404, store.get(f"{ground.prefix}new").status)
    _expect("the index of what stayed as it was", index, store.modify_index(same))
    restored = store.modify_index(changed)
    wanted = ground.by_intent("restore-is-a-write", consul="as saved", ours="of the restore")
    found = "as saved" if restored == old else "of the restore" if restored > new else str(restored)
    _expect("the index of what the restore changed", wanted, found)
    _expect("the index of a later write", True, store.write(f"{ground.prefix}later") > new)


def restore_and_watchers(store: Store, ground: Ground) -> None:
    """Watch a key that a restore does not change.

    Consul answers every waiting query with what was there before; ours lets this one wait on.
    """
    key = f"{ground.prefix}same"
    index = store.write(key, b"v")
    archive = _archive(store)
    with store.park(f"/v1/kv/{key}?index={index}") as query:
        _restore(store, archive)
        found = "waits" if query.waits(1.0) else "answered"
    wanted = ground.by_intent("restore-is-a-write", consul="answered", ours="waits")
    _expect(f"the query of {key}", wanted, found)


def _archive(store: Store) -> bytes:
    answer = store.ask("GET", SNAPSHOT)
    _expect(f"GET {SNAPSHOT}", 200, answer.status)
    return answer.body


def _restore(store: Store, archive: bytes) -> None:
    try:
        answer = store.ask("PUT", SNAPSHOT, archive, within_s=30.0)
    except NotAnswered as error:
        raise Failed(f"PUT {SNAPSHOT}", "200", str(error)) from error
    _expect(f"PUT {SNAPSHOT}", (200, b""), (answer.status, answer.body))


def _expect(asked: str, wanted: object, got: object) -> None:
    if wanted != got:
        raise Failed(asked, str(wanted), str(got))


CASES: tuple[Case, ...] = (
    Case(
        "H40",
        CHAPTER,
        "The 201st connection of a client",
        many_connections,
        rules=("no-connection-limit",),
        needs=(Need.QUIET,),
    ),
    Case("B13b", CHAPTER, "Fifty watchers of one key are all answered", many_watchers),
    Case("O3b", CHAPTER, "The log is streamed at once, and in chunks", log_stream),
    Case("S9d", CHAPTER, "The hyphens of an id may stand anywhere", moved_hyphens),
    Case(
        "O4e",
        CHAPTER,
        "A restore puts the content of an archive back",
        restore,
        rules=("restore-is-a-write",),
        needs=(Need.EXCLUSIVE,),
    ),
    Case(
        "B11",
        CHAPTER,
        "A restore and the queries that wait",
        restore_and_watchers,
        rules=("restore-is-a-write",),
        needs=(Need.EXCLUSIVE,),
    ),
)

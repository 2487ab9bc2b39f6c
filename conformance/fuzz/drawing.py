"""Draws episodes: what operations, in what order, with what words.

An episode is a pure function of the seed, its number and the kinds that are wanted.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from conformance.fuzz import vocabulary as words
from conformance.fuzz.chance import Chance, Weighed
from conformance.fuzz.operation import Call, Operation, Park
from conformance.fuzz.transactions import draw_transaction

OPERATIONS = 200
"""How many operations an episode has."""

SNAPSHOT = "/v1/snapshot"


class Kind(StrEnum):
    """The kinds of operations that can be left out."""

    KV = "kv"
    SESSIONS = "sessions"
    TXN = "txn"
    BLOCKING = "blocking"
    CLUSTER = "cluster"
    PATHS = "paths"
    # Saves and restores, in episodes of their own without parked queries: a restore of Consul's
    # wakes everybody. When BLOCKING is left out, all episodes are such.
    SNAPSHOTS = "snapshots"


ALL_KINDS = frozenset(Kind)
SNAPSHOT_EPISODE = 20
"""Every how many episodes is one of snapshots."""

RESTORE_ONE_IN = 20
"""How often, in an episode of snapshots, something is saved or restored."""

FIRST: list[Operation] = [
    Call("PUT", "/v1/session/create", b'{"LockDelay":0}'),
    Call("PUT", "/v1/session/create", b'{"Behavior":"delete"}'),
]
"""Each episode begins with two sessions."""

FIRST_OF_SNAPSHOTS: list[Operation] = [
    Call("PUT", "/v1/session/create", b'{"LockDelay":0}'),
    Call("PUT", "/v1/session/create", b'{"LockDelay":0,"Behavior":"delete"}'),
    Call("PUT", "/v1/session/create", b'{"LockDelay":0,"TTL":"100s","Name":"third"}'),
]
"""An episode of snapshots has these sessions only: a restore of Consul's ends lock-delays."""


def draw_episode(
    seed: int, number: int, kinds: frozenset[Kind] = ALL_KINDS, operations: int = OPERATIONS
) -> list[Operation]:
    """Return the operations of an episode, the same ones for the same arguments."""
    chance = Chance(f"{seed}/{number}")
    turn = Kind.BLOCKING not in kinds or number % SNAPSHOT_EPISODE == SNAPSHOT_EPISODE - 1
    snapshots = Kind.SNAPSHOTS in kinds and turn
    if snapshots:
        kinds -= {Kind.BLOCKING}
    drawn = list(FIRST_OF_SNAPSHOTS if snapshots else FIRST)
    draws = {
        draw: weight for kind in Kind if kind in kinds for draw, weight in _DRAWS[kind].items()
    }
    if snapshots:
        draws.pop(_create, None)
    table = Weighed(draws)
    while len(drawn) < operations:
        drawn += chance.weighed(table)(chance)
        if snapshots and chance.one_in(RESTORE_ONE_IN):
            drawn += _restore(chance)
    return drawn[:operations]


# --- keys -----------------------------------------------------------------------------------


def _name(chance: Chance) -> str:
    return chance.choice(words.ODD_NAMES if chance.one_in(5) else words.PLAIN_NAMES)


def _target(chance: Chance, *tables: Mapping[str, list[str]], most: int = 2) -> str:
    """Draw a key and a query of words from the tables, with odd ones now and then."""
    used = [*tables, words.ODD] if chance.one_in(6) else list(tables)
    return f"/v1/kv/{{P}}{_name(chance)}{_query(chance, used, most)}"


def _query(chance: Chance, tables: list[Mapping[str, list[str]]], most: int) -> str:
    names = [(table, name) for table in tables for name in table]
    pairs = [(name, chance.choice(table[name])) for table, name in chance.some(names, most)]
    if not pairs:
        return ""
    mark = ";" if chance.one_in(10) else "&"
    return "?" + mark.join(f"{name}={value}" if value else name for name, value in pairs)


def _headers(chance: Chance) -> tuple[tuple[str, str], ...]:
    return (chance.choice(words.HEADERS),) if chance.one_in(12) else ()


def _put(chance: Chance, target: str) -> Iterator[Operation]:
    body, chunked = chance.choice(words.VALUES), chance.one_in(10)
    if chance.one_in(800):
        size_bytes, chunked = chance.weighed(words.LARGE)
        body = b"x" * size_bytes
    yield Call("PUT", target, body, _headers(chance), chunked and body is not None)


def _put_any(chance: Chance) -> Iterator[Operation]:
    return _put(chance, _target(chance, words.WRITE))


def _put_plain(chance: Chance) -> Iterator[Operation]:
    flags = f"?flags={chance.choice(words.FLAGS[:4])}" if chance.one_in(3) else ""
    return _put(chance, f"/v1/kv/{{P}}{_name(chance)}{flags}")


def _put_cas(chance: Chance) -> Iterator[Operation]:
    """Check-and-set, half of the time with the index that was just read."""
    name = chance.choice(words.PLAIN_NAMES)
    flags = f"&flags={chance.choice(words.FLAGS[:4])}" if chance.one_in(6) else ""
    if chance.one_in(2):
        yield Call("GET", f"/v1/kv/{{P}}{name}")
    index = f"{{m:{name}}}" if not chance.one_in(3) else chance.choice(words.CAS)
    yield from _put(chance, f"/v1/kv/{{P}}{name}?cas={index}{flags}")


def _put_lock(chance: Chance) -> Iterator[Operation]:
    verb = chance.choice(["acquire", "acquire", "release"])
    session = chance.choice(words.SESSIONS if chance.one_in(4) else words.SESSIONS[:6])
    flags = f"&flags={chance.choice(words.FLAGS[:4])}" if chance.one_in(6) else ""
    name = chance.choice(words.PLAIN_NAMES)
    return _put(chance, f"/v1/kv/{{P}}{name}?{verb}={session}{flags}")


def _get(chance: Chance) -> Iterator[Operation]:
    body = b"ignored" if chance.one_in(50) else None
    yield Call("GET", _target(chance, words.READ, most=3), body, _headers(chance))


def _delete(chance: Chance) -> Iterator[Operation]:
    name = chance.choice(words.PLAIN_NAMES)
    if chance.one_in(4):
        if chance.one_in(2):
            yield Call("GET", f"/v1/kv/{{P}}{name}")
        yield Call("DELETE", f"/v1/kv/{{P}}{name}?cas={{m:{name}}}")
    elif chance.one_in(3):
        yield Call("DELETE", _target(chance, words.DELETE), headers=_headers(chance))
    else:
        yield Call("DELETE", f"/v1/kv/{{P}}{name}{'?recurse' if chance.one_in(3) else ''}")


def _delete_everything(_: Chance) -> Iterator[Operation]:
    yield Call("DELETE", "/v1/kv/?recurse")


# --- sessions -------------------------------------------------------------------------------


def _create(chance: Chance) -> Iterator[Operation]:
    """Create a session, with a few members; mostly none is wrong."""
    query = _query(chance, [words.ODD], 1) if chance.one_in(6) else ""
    body = chance.choice(words.SESSION_BODIES) if chance.one_in(8) else _members(chance).encode()
    chunked = body is not None and chance.one_in(25)
    yield Call("PUT", f"/v1/session/create{query}", body, _headers(chance), chunked)


def _members(chance: Chance) -> str:
    """Write some members; one may stand there twice.

    Not ServiceChecks: Go lays two lists of objects over each other, which nobody makes use of.
    """
    pairs = []
    names = chance.some(list(words.MEMBERS), 4)
    if names.count("ServiceChecks") > 1:
        names = [name for name in names if name != "ServiceChecks"]
    for name in names:
        values = words.MEMBERS[name]
        spelling = chance.weighed(words.SPELLINGS)
        shown = {"lower": name.lower(), "upper": name.upper()}.get(spelling, name)
        sensible = values if chance.one_in(3) else values[:3]
        pairs.append(f'"{shown}":{chance.choice(sensible)}')
    return "{" + ",".join(pairs) + "}"


def _by_id(chance: Chance) -> Iterator[Operation]:
    method, call = chance.choice(
        [("PUT", "destroy"), ("PUT", "destroy"), ("PUT", "renew"), ("GET", "info"), ("GET", "info")]
    )
    session = chance.choice(words.SESSIONS if chance.one_in(3) else words.SESSIONS[:6])
    query = _query(chance, [words.ODD], 2) if chance.one_in(5) else ""
    yield Call(method, f"/v1/session/{call}/{session}{query}", headers=_headers(chance))


def _sessions(chance: Chance) -> Iterator[Operation]:
    call = chance.choice(["list", "list", "node/{n}", "node/{N}", "node/nope", "node/"])
    query = _query(chance, [words.ODD], 2) if chance.one_in(4) else ""
    yield Call("GET", f"/v1/session/{call}{query}", headers=_headers(chance))


# --- all else -------------------------------------------------------------------------------


def _transaction(chance: Chance) -> Iterator[Operation]:
    if chance.one_in(3):
        yield Call("GET", f"/v1/kv/{{P}}{chance.choice(['a', 'b', 'b/c'])}")
    yield draw_transaction(chance)


def _park(chance: Chance) -> Iterator[Operation]:
    """Park a query: of a key, a tree, names or sessions; some with a short wait."""
    wait, ahead = "", 0
    if chance.one_in(3):
        wait, ahead = chance.choice(["1ms", "5ms", "10ms"]), chance.choice([0, 0, 0, 1000, -1])
    elif chance.one_in(20):
        ahead = 1000
    if chance.one_in(6):
        session = chance.choice(["{s0}", "{s1}", "{s2}", "{s9}"])
        call = chance.choice(["list", "node/{n}", "node/nope", f"info/{session}"])
        yield Park(f"/v1/session/{call}", wait, ahead)
        return
    name = chance.choice([*words.PLAIN_NAMES, "", "nope", "b/nope/x", "ba"])
    kinds = ["?recurse", "?keys", "?keys&separator=/"] if not name else ["", "", "?raw", "?recurse"]
    more = ["?recurse", "?keys", "?keys&separator=/"]
    yield Park(f"/v1/kv/{{P}}{name}{chance.choice(kinds + more)}", wait, ahead)


def _cluster(chance: Chance) -> Iterator[Operation]:
    targets = words.SHAPED_TARGETS if chance.one_in(4) else words.EXACT_TARGETS
    names = ["pretty", "stale", "consistent", "passing", "token", "dc", "wait", "unknown"]
    target, query, headers = chance.choice(targets), "", _headers(chance)
    if chance.one_in(3):
        name = chance.choice(names)
        query = f"?{name}={chance.choice(words.ODD.get(name, ['', '1']))}"
    if target == words.DATACENTERS:
        query, headers = "", ()
    yield Call("GET", f"/v1/{target}{query}", headers=headers)


def _method(chance: Chance) -> Iterator[Operation]:
    """Ask with a method that the route does not allow."""
    target, method = chance.choice(words.ROUTES), chance.choice(words.METHODS)
    allowed = next((m for p, m in words.ALLOWED.items() if target.startswith(p)), "GET").split()
    if method not in allowed:
        query = _query(chance, [words.ODD], 2) if chance.one_in(3) else ""
        yield Call(method, target + query, headers=_headers(chance))


def _path(chance: Chance) -> Iterator[Operation]:
    method = chance.choice(["GET", "GET", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "POST"])
    target = chance.choice(words.PATHS)
    if (method, target.rstrip("/")) == ("OPTIONS", "*"):
        target = "*"
    yield Call(method, target, headers=_headers(chance))


def _restore(chance: Chance) -> Iterator[Operation]:
    """Save or restore; what cannot be restored is refused."""
    if chance.one_in(2):
        yield Call("GET", SNAPSHOT)
    elif chance.one_in(3):
        yield Call("PUT", SNAPSHOT, chance.choice([b"", b"garbage", b"\x1f\x8b\x08", None]))
    else:
        yield Call("PUT", SNAPSHOT, b"{archive}", chunked=chance.one_in(4))


_Draw = Callable[[Chance], Iterator[Operation]]
_DRAWS: dict[Kind, dict[_Draw, float]] = {
    Kind.KV: {
        _put_plain: 14,
        _put_any: 8,
        _put_cas: 7,
        _put_lock: 9,
        _get: 16,
        _delete: 7,
        _delete_everything: 0.1,
    },
    Kind.SESSIONS: {_create: 4, _by_id: 5, _sessions: 2},
    Kind.TXN: {_transaction: 12},
    Kind.BLOCKING: {_park: 5},
    Kind.CLUSTER: {_cluster: 1},
    Kind.PATHS: {_method: 1.5, _path: 2},
    Kind.SNAPSHOTS: {},
}

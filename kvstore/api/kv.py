"""`/v1/kv/`: parse, call the engine, render; nothing is decided here.

The order of checks is Consul's and can be seen by clients: G6 for reads, P6 and D1 for writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from kvstore.access.grants import Grants
from kvstore.api.exchange import (
    Answer,
    NeedBody,
    Request,
    Response,
    Routes,
    Waiting,
    Writing,
)
from kvstore.api.gotext import parse_uint64
from kvstore.api.params import check_datacenter, check_namespace, parse_read
from kvstore.api.permission import grants_of, require
from kvstore.api.query import Query, ReadOptions
from kvstore.api.refusals import refusal
from kvstore.api.render import render_entries, render_keys
from kvstore.api.responses import index_headers, json_response, not_found, raw_value, text
from kvstore.api.target import KV_PREFIX, parse_target
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import Scope, ScopeKind
from kvstore.errors import InvalidRequest
from kvstore.state.applied import Applied, Read
from kvstore.state.command import (
    CasKey,
    Command,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.prefix import cut_names
from kvstore.state.store import State

__all__ = ["VALUE_BYTES_MAX", "KVEndpoints"]

T = TypeVar("T")

# 512 KiB: Consul's kv_max_value_size default. A Docker engine that lost its store relies on it: it
# ends the loop in which `network create` writes an ever larger record.
VALUE_BYTES_MAX = 512 * 1024

_TRUE = json_response(Query(()), b"true")
_FALSE = json_response(Query(()), b"false")
_MISSING_KEY = text(400, "Missing key name")
_TOO_LARGE_HELP = "https://www.consul.io/docs/agent/options.html#kv_max_value_size."


class KVEndpoints:
    """The three methods of `/v1/kv/<key>`."""

    def __init__(self, engine: Engine, datacenter: str, *, adopt_lost_cas: bool) -> None:
        self._engine = engine
        self._datacenter = datacenter
        self._adopt_lost_cas = adopt_lost_cas

    def routes(self) -> Routes:
        """Return the one route, whose methods these are."""
        return {KV_PREFIX: {"GET": self.get, "PUT": self.put, "DELETE": self.delete}}

    def get(self, request: Request) -> Answer:
        """Read a key, a tree (`recurse`) or names (`keys`, which beats `recurse`, G1)."""
        options = parse_read(request)
        query, key, state = request.query, request.rest, self._engine.state
        wants_keys, wants_tree = "keys" in query, "recurse" in query
        if not key and not wants_keys and not wants_tree:
            return _MISSING_KEY
        check_namespace(request)
        check_datacenter(request, self._datacenter)
        grants = grants_of(request)
        tree, spelling = Scope(ScopeKind.TREE, key), _spelling(request)
        if wants_keys or wants_tree:
            require(grants.key_list(key), grants, "key:list", key)
        if wants_keys:
            separator = query.get_bytes("separator" if "separator" in query else "seperator")
            names = partial(_readable_keys, state, grants, key, separator)
            render_names = partial(_render_keys, query, key, spelling)
            return self._read(names, tree, options, render_names)
        if wants_tree:
            entries = partial(_readable_tree, state, grants, key)
            return self._read(entries, tree, options, partial(_render_tree, query, spelling))
        require(grants.key_read(key), grants, "key:read", key)
        one = Scope(ScopeKind.KEY, key)
        return self._read(
            lambda: state.get(key), one, options, partial(_render_one, query, spelling)
        )

    def _read(
        self,
        query: Callable[[], Read[T]],
        scope: Scope,
        options: ReadOptions,
        render: Callable[[Read[T]], Response],
    ) -> Answer:
        read = self._engine.read(query, scope, options.min_index, options.wait_s)
        return Waiting(read, render) if isinstance(read, Parked) else render(read)

    def put(self, request: Request) -> Answer:
        """Write a key: plainly, by check-and-set, or as acquire or release of a lock."""
        parse_read(request)
        check_namespace(request)
        query = request.query
        if not request.rest:
            return _MISSING_KEY
        if sum(name in query for name in ("cas", "acquire", "release")) > 1:
            return _conflict(query)
        flags = parse_uint64(query.get("flags")) if "flags" in query else 0
        cas_index = parse_uint64(query.get("cas")) if "cas" in query else None

        def write(body: bytes) -> Answer:
            check_datacenter(request, self._datacenter)
            grants = grants_of(request)
            require(grants.key_write(request.rest), grants, "key:write", request.rest)
            return self._submit(query, self._put_command(request, body, flags, cas_index))

        return NeedBody(VALUE_BYTES_MAX, _too_large, write)

    def _put_command(
        self, request: Request, value: bytes, flags: int, cas_index: int | None
    ) -> Command:
        query, key = request.query, request.rest
        if cas_index is not None:
            return CasKey(key, value, flags, cas_index, self._adopt_lost_cas)
        if "acquire" in query:
            return LockKey(key, value, flags, query.get("acquire"))
        if "release" in query:
            return UnlockKey(key, value, flags, query.get("release"))
        return SetKey(key, value, flags)

    def delete(self, request: Request) -> Answer:
        """Delete a key, plainly or by check-and-set, or a whole tree."""
        parse_read(request)
        check_namespace(request)
        query, key = request.query, request.rest
        wants_tree = "recurse" in query
        if wants_tree and "cas" in query:
            return _conflict(query)
        if not key and not wants_tree:
            return _MISSING_KEY
        command: Command = DeleteTree(key) if wants_tree else DeleteKey(key)
        if "cas" in query:
            command = DeleteKeyCas(key, parse_uint64(query.get("cas")))
        check_datacenter(request, self._datacenter)
        grants = grants_of(request)
        allowed = grants.tree_write(key) if wants_tree else grants.key_write(key)
        require(allowed, grants, "key:write", key)
        return self._submit(query, command)

    def _submit(self, query: Query, command: Command) -> Answer:
        return Writing(self._engine.submit(command), partial(_render_outcome, query))


def _readable_keys(
    state: State, grants: Grants, prefix: bytes, separator: bytes
) -> Read[list[bytes]]:
    """List the keys that may be read, cut after that; the index counts all (A4)."""
    if grants.tree_read(prefix):
        return state.keys(prefix, separator)
    read = state.keys(prefix)
    names = filter(grants.key_read, read.value)
    return Read(read.index, cut_names(names, prefix, separator))


def _readable_tree(state: State, grants: Grants, prefix: bytes) -> Read[list[Entry]]:
    """Read the entries that may be read; the index counts all (A4)."""
    read = state.get_tree(prefix)
    if grants.tree_read(prefix):
        return read
    return Read(read.index, [entry for entry in read.value if grants.key_read(entry.key)])


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a client spells the key or prefix it asked for, when that is not how it is stored."""

    stored: bytes
    spelled: bytes

    def respell(self, key: bytes) -> bytes:
        return self.spelled + key[len(self.stored) :]


def _spelling(request: Request) -> _Spelling | None:
    """Return the spelling of a client that was redirected here because of doubled slashes.

    Ours (rule unclean-write-in-place): libnetwork looks in the answer for the keys it asked for,
    and dockerd panics when they are spelled otherwise. Go's client says in Referer what it asked
    for at first.
    """
    referer = request.headers.get("Referer")
    if referer is None:
        return None
    try:
        asked = parse_target(referer)
    except InvalidRequest:
        return None
    if not asked.doubles_slashes_of_a_key or asked.clean != KV_PREFIX + request.rest:
        return None
    return _Spelling(request.rest, asked.path[len(KV_PREFIX) :])


def _render_one(query: Query, spelling: _Spelling | None, read: Read[Entry | None]) -> Response:
    headers = index_headers(read.index)
    entry = read.value
    if entry is None:
        return not_found(headers)
    if "raw" in query:
        return raw_value(entry.value, headers)
    return json_response(query, render_entries(_respelled([entry], spelling)), headers)


def _render_tree(query: Query, spelling: _Spelling | None, read: Read[list[Entry]]) -> Response:
    headers = index_headers(read.index)
    if not read.value:
        return not_found(headers)
    return json_response(query, render_entries(_respelled(read.value, spelling)), headers)


def _respelled(entries: list[Entry], spelling: _Spelling | None) -> list[Entry]:
    if spelling is None:
        return entries
    return [replace(one, key=spelling.respell(one.key), rendered=None) for one in entries]


def _render_keys(
    query: Query, prefix: bytes, spelling: _Spelling | None, read: Read[list[bytes]]
) -> Response:
    headers = index_headers(read.index)
    if not read.value and prefix:
        return not_found(headers)
    names = read.value if spelling is None else [spelling.respell(name) for name in read.value]
    return json_response(query, render_keys(names), headers)


def _render_outcome(query: Query, applied: Applied) -> Response:
    if applied.refusal is not None:
        return refusal(applied.refusal)
    if "pretty" in query:
        return json_response(query, b"true" if applied.done else b"false")
    return _TRUE if applied.done else _FALSE


def _conflict(query: Query) -> Response:
    return text(400, f"Conflicting flags: {query.encoded()}")


def _too_large(size_bytes: int | None) -> Response:
    size = "" if size_bytes is None else f"({size_bytes} bytes)"
    return text(
        413,
        f"Request body{size} too large, max size: {VALUE_BYTES_MAX} bytes. See {_TOO_LARGE_HELP}",
    )

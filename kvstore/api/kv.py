"""`/v1/kv/`: parse, call the engine, render; nothing is decided here.

The order of checks is Consul's and can be seen by clients: G6 for reads, P6 and D1 for writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

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
from kvstore.api.query import Query
from kvstore.api.refusals import refusal
from kvstore.api.render import render_entries, render_entry, render_keys
from kvstore.api.renderings import NewestRenderings, RenderedEntries, Renderings
from kvstore.api.responses import (
    index_headers,
    json_response,
    not_found,
    raw_value,
    text,
    too_large,
)
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

__all__ = ["VALUE_BYTES_MAX", "KVEndpoints"]

# 512 KiB: Consul's kv_max_value_size default. A Docker engine that lost its store relies on it: it
# ends the loop in which `network create` writes an ever larger record.
VALUE_BYTES_MAX = 512 * 1024

# Prefixes whose index is remembered: as many as there are networks.
_TREE_INDEXES_MAX = 1024

# From here on an answer is worth keeping for later: it takes long to make, and is compressed.
_LARGE_VALUE_BYTES = 1000

_TRUE = json_response(Query(()), b"true")
_FALSE = json_response(Query(()), b"false")
_MISSING_KEY = text(400, "Missing key name")
_HELP = " See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
_too_large = partial(too_large, max_bytes=VALUE_BYTES_MAX, advice=_HELP)


class KVEndpoints:
    """The three methods of `/v1/kv/<key>`."""

    def __init__(self, engine: Engine, datacenter: str, *, adopt_lost_cas: bool) -> None:
        self._engine = engine
        self._datacenter = datacenter
        self._adopt_lost_cas = adopt_lost_cas
        self._renderings = Renderings()
        self._newest_renderings = NewestRenderings()
        self._rendered_entries = RenderedEntries()
        # By prefix: the last index of the store when it was asked, and the prefix's own.
        self._tree_indexes: dict[bytes, tuple[int, int]] = {}

    def routes(self) -> Routes:
        """Return the one route, whose methods these are."""
        return {KV_PREFIX: {"GET": self.get, "PUT": self.put, "DELETE": self.delete}}

    def get(self, request: Request) -> Answer:
        """Read a key, a tree (`recurse`) or names (`keys`, which beats `recurse`, G1)."""
        options = parse_read(request)
        query, key, state = request.query, request.rest, self._engine.state
        wants_keys = "keys" in query
        wants_list = wants_keys or "recurse" in query
        if not key and not wants_list:
            return _MISSING_KEY
        check_namespace(request)
        check_datacenter(request, self._datacenter)
        grants, spelling = grants_of(request), _spelling(request)
        if wants_list:
            require(grants.key_list(key), grants, "key:list", key)
            respond = partial(self._names if wants_keys else self._tree, request, grants, spelling)
        else:
            require(grants.key_read(key), grants, "key:read", key)
            respond = partial(self._one, query, key, spelling)
        if not options.min_index:
            return respond()
        kind = ScopeKind.TREE if wants_list else ScopeKind.KEY
        index_of: Callable[[bytes], int] = self._tree_index if wants_list else state.key_index
        # What there is to read is looked up when it is answered: a write may wake thousands.
        read = self._engine.read(
            lambda: Read(index_of(key), None), Scope(kind, key), options.min_index, options.wait_s
        )
        if isinstance(read, Parked):
            return Waiting(read, lambda found: respond(found.index))
        return respond()

    def _one(
        self, query: Query, key: bytes, spelling: "_Spelling | None", index: int | None = None
    ) -> Response:
        """Answer what a key has; `index` is the one to show, by default its own."""
        read = self._engine.state.get(key)
        entry, now = read.value, read.index
        shown = now if index is None else index
        if entry is None:
            return not_found(index_headers(shown))
        if spelling is not None or shown != now:
            return _render_one(query, entry, spelling, shown)
        name = (key, query.form)
        if len(entry.value) < _LARGE_VALUE_BYTES:
            kept = self._newest_renderings.get(name, entry)
            if kept is not None:
                return kept
            return self._newest_renderings.keep(name, entry, _render_one(query, entry, None, now))
        kept = self._renderings.get(name, now)
        if kept is not None:
            return kept
        return self._renderings.keep(name, now, _render_one(query, entry, None, now))

    def _tree(
        self,
        request: Request,
        grants: Grants,
        spelling: "_Spelling | None",
        index: int | None = None,
    ) -> Response:
        """Answer what is under a prefix, as far as it may be read; the index counts all (A4)."""
        query, prefix, state = request.query, request.rest, self._engine.state
        sees_all = grants.tree_read(prefix)
        now, name = self._tree_index(prefix), (prefix, query.form)
        keeps = sees_all and spelling is None and index in (None, now)
        if keeps:
            kept = self._renderings.get(name, now)
            if kept is not None:
                return kept
        entries = state.get_tree(prefix).value
        if not sees_all:
            entries = [entry for entry in entries if grants.key_read(entry.key)]
        headers = index_headers(now if index is None else index)
        if not entries:
            return not_found(headers)
        if spelling is None:
            body = self._rendered_entries.render(entries)
        else:
            body = render_entries(_respelled(entry, spelling) for entry in entries)
        response = json_response(query, body, headers)
        return self._renderings.keep(name, now, response) if keeps else response

    def _tree_index(self, prefix: bytes) -> int:
        """Return the index of what is under a prefix; all who wait for it ask at each write."""
        now = self._engine.state.last_index
        known = self._tree_indexes.get(prefix)
        if known is not None and known[0] == now:
            return known[1]
        if len(self._tree_indexes) >= _TREE_INDEXES_MAX:
            self._tree_indexes.clear()
        index = self._engine.state.tree_index(prefix)
        self._tree_indexes[prefix] = now, index
        return index

    def _names(
        self,
        request: Request,
        grants: Grants,
        spelling: "_Spelling | None",
        index: int | None = None,
    ) -> Response:
        """Answer the keys that may be read, cut after that; the index counts all (A4)."""
        query, prefix, state = request.query, request.rest, self._engine.state
        separator = query.get_bytes("separator" if "separator" in query else "seperator")
        if grants.tree_read(prefix):
            read = state.keys(prefix, separator)
            names = read.value
        else:
            read = state.keys(prefix)
            names = cut_names(filter(grants.key_read, read.value), prefix, separator)
        headers = index_headers(read.index if index is None else index)
        if not names and prefix:
            return not_found(headers)
        if spelling is not None:
            names = [spelling.respell(name) for name in names]
        return json_response(query, render_keys(names), headers)

    def put(self, request: Request) -> Answer:
        """Write a key: plainly, by check-and-set, or as acquire or release of a lock."""
        parse_read(request)
        check_namespace(request)
        query = request.query
        if not request.rest:
            return _MISSING_KEY
        if query.has_conflict:
            return _conflict(query)
        flags = query.flags
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


def _render_one(query: Query, entry: Entry, spelling: _Spelling | None, index: int) -> Response:
    headers = index_headers(index)
    if "raw" in query:
        return raw_value(entry.value, headers)
    return json_response(query, b"[%b]" % render_entry(_respelled(entry, spelling)), headers)


def _respelled(entry: Entry, spelling: _Spelling | None) -> Entry:
    return entry if spelling is None else replace(entry, key=spelling.respell(entry.key))


def _render_outcome(query: Query, applied: Applied) -> Response:
    if applied.refusal is not None:
        return refusal(applied.refusal)
    if "pretty" in query:
        return json_response(query, b"true" if applied.done else b"false")
    return _TRUE if applied.done else _FALSE


def _conflict(query: Query) -> Response:
    return text(400, f"Conflicting flags: {query.encoded()}")

"""From a method and a raw target to an endpoint: routes, redirects, 404, 405, OPTIONS.

Consul's order (contract 1.2): the target must parse, then be printable, then clean, then known;
then the query must decode, then the method be allowed. The places of what comes with later work:
`/v1/txn` is one more line in the table; tokens are checked where `dispatch` calls the endpoint.
"""

import re
from collections.abc import Mapping

from kvstore.api.exchange import Answer, Endpoint, Request, Response
from kvstore.api.kv import KVEndpoints
from kvstore.api.query import parse_query
from kvstore.api.refusals import guarded
from kvstore.api.responses import empty, plain, redirect, text
from kvstore.api.session import SessionEndpoints
from kvstore.api.snapshot import SnapshotEndpoints
from kvstore.api.status import StatusEndpoints
from kvstore.api.target import KV_PREFIX, Target, parse_target, redirect_location
from kvstore.api.upkeep import UpkeepEndpoints
from kvstore.errors import InvalidRequest

__all__ = ["BAD_REQUEST", "Router"]

# What Go's HTTP server answers to what is no request.
BAD_REQUEST = plain(400, "400 Bad Request", close=True)
_UNKNOWN = plain(404)
_UNPRINTABLE = plain(400)
_UNDECODABLE_QUERY = empty(500)
_HOME = plain(200, "Consul Agent")

# A target that needs no decoding and no cleaning, but for the two patterns below.
_PLAIN_TARGET = re.compile(r"(/v1/kv/[!$&-.0-9:;=@A-Z_a-z~/]*)(?:\?(.*))?", re.DOTALL)

Methods = Mapping[str, Endpoint]


class Router:
    """The routes of one server."""

    def __init__(
        self,
        kv: KVEndpoints,
        sessions: SessionEndpoints,
        status: StatusEndpoints,
        snapshots: SnapshotEndpoints,
        upkeep: UpkeepEndpoints,
    ) -> None:
        self._kv: Methods = {"GET": kv.get, "PUT": kv.put, "DELETE": kv.delete}
        # Patterns that match by prefix end in "/"; the rest match exactly.
        self._routes: dict[bytes, Methods] = {
            b"/v1/kv/": self._kv,
            b"/v1/session/create": {"PUT": sessions.create},
            b"/v1/session/destroy/": {"PUT": sessions.destroy},
            b"/v1/session/renew/": {"PUT": sessions.renew},
            b"/v1/session/info/": {"GET": sessions.info},
            b"/v1/session/node/": {"GET": sessions.node},
            b"/v1/session/list": {"GET": sessions.list_all},
            b"/v1/status/leader": {"GET": status.leader},
            b"/v1/status/peers": {"GET": status.peers},
            b"/v1/agent/self": {"GET": status.agent_self},
            b"/v1/agent/members": {"GET": status.members},
            b"/v1/agent/checks": {"GET": status.agent_checks},
            b"/v1/agent/services": {"GET": status.agent_services},
            b"/v1/catalog/datacenters": {"GET": status.datacenters},
            b"/v1/catalog/nodes": {"GET": status.nodes},
            b"/v1/catalog/services": {"GET": status.services},
            b"/v1/catalog/service/": {"GET": status.service_nodes},
            b"/v1/catalog/node/": {"GET": status.node},
            b"/v1/health/node/": {"GET": status.node_checks},
            b"/v1/health/checks/": {"GET": status.service_checks},
            b"/v1/health/state/": {"GET": status.checks_in_state},
            b"/v1/health/service/": {"GET": status.service_health},
            b"/v1/agent/metrics": {"GET": upkeep.metrics},
            b"/v1/kvstore/compact": {"PUT": upkeep.compact},
            b"/v1/snapshot": {"GET": snapshots.save, "PUT": snapshots.restore},
        }
        self._prefixes = [pattern for pattern in self._routes if pattern.endswith(b"/")]

    def dispatch(self, method: str, raw_target: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a request's head. Raises nothing a client can cause."""
        plain_target = _PLAIN_TARGET.fullmatch(raw_target)
        if plain_target is not None:
            path, raw_query = plain_target.groups("")
            if "//" not in path and "/." not in path:
                key = path[len(KV_PREFIX) :].encode("ascii")
                return self._call(self._kv, method, key, raw_query, headers)
        if method == "OPTIONS" and raw_target == "*":
            return plain(200)
        try:
            target = parse_target(raw_target)
        except InvalidRequest:
            return BAD_REQUEST
        if not target.printable:
            return _UNPRINTABLE
        return self._route(target, method, headers)

    def _route(self, target: Target, method: str, headers: Mapping[str, str]) -> Answer:
        path = target.path
        if method in ("PUT", "DELETE") and target.doubles_slashes_of_a_key:
            # Ours (rule unclean-write-in-place): most clients follow a redirect of a write with a
            # GET, and the write is lost.
            path = target.clean
        elif target.clean != path and method != "CONNECT":
            if target.clean + b"/" in self._routes:
                return _redirect(method, target.clean + b"/", _filled(target.raw_query))
            return _redirect(method, target.clean, target.raw_query)
        if path == b"/":
            return _HOME
        methods, rest = self._routes.get(path), b""
        if methods is None:
            if path + b"/" in self._routes:
                return _redirect(method, path + b"/", _filled(target.raw_query))
            pattern = next((one for one in self._prefixes if path.startswith(one)), None)
            if pattern is None:
                return _UNKNOWN
            methods, rest = self._routes[pattern], path[len(pattern) :]
        raw_query = target.raw_query[1:]
        return self._call(methods, method, rest, raw_query, headers)

    def _call(
        self,
        methods: Methods,
        method: str,
        rest: bytes,
        raw_query: str,
        headers: Mapping[str, str],
    ) -> Answer:
        query = parse_query(raw_query)
        if query is None:
            return _UNDECODABLE_QUERY
        endpoint = methods.get(method)
        if endpoint is None:
            return _other_method(method, methods)
        return guarded(endpoint, Request(rest, query, headers))


def _other_method(method: str, methods: Methods) -> Response:
    allow = f"Allow: OPTIONS,{','.join(methods)}\r\n".encode("ascii")
    if method == "OPTIONS":
        return empty(200, allow)
    return text(405, f"method {method} not allowed", allow)


def _filled(raw_query: str) -> str:
    """Return a query, nothing for a bare "?": Go drops it here and keeps it elsewhere."""
    return raw_query if raw_query != "?" else ""


def _redirect(method: str, path: bytes, raw_query: str) -> Response:
    location, page = redirect_location(path, raw_query)
    return redirect(location, page if method in ("GET", "HEAD") else "")

"""From a method and a raw target to an endpoint: redirects, 404, 405, OPTIONS.

Consul's order (contract 1.2): the target must parse, then be printable, then clean, then known;
then the query must decode, then the method be allowed. Which routes there are, each family of
endpoints says itself.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from kvstore.access.tokens import Tokens
from kvstore.api.exchange import Answer, Methods, Request, Response, Routes, Waiting
from kvstore.api.permission import looked_at_anew
from kvstore.api.query import parse_query
from kvstore.api.refusals import guarded
from kvstore.api.responses import empty, plain, redirect, text
from kvstore.api.target import KV_PREFIX, Target, parse_target, redirect_location
from kvstore.errors import InvalidRequest

__all__ = ["BAD_REQUEST", "Family", "Router"]

# What Go's HTTP server answers to what is no request.
BAD_REQUEST = plain(400, "400 Bad Request", close=True)
_UNKNOWN = plain(404)
_UNPRINTABLE = plain(400)
_UNDECODABLE_QUERY = empty(500)
_HOME = plain(200, "Consul Agent")

# A target that needs no decoding and no cleaning, but for the two patterns below.
_PLAIN_TARGET = re.compile(r"(/v1/kv/[!$&-.0-9:;=@A-Z_a-z~/]*)(?:\?(.*))?", re.DOTALL)


class Family(Protocol):
    """Endpoints that belong together."""

    def routes(self) -> Routes:
        """Return which request goes to which of them."""
        ...


class Router:
    """The routes of one server; every request is given its tokens."""

    def __init__(self, *families: Family, tokens: Tokens | None = None) -> None:
        self._routes: dict[bytes, Methods] = {}
        for family in families:
            routes = family.routes()
            assert not routes.keys() & self._routes.keys(), "a route belongs to one family"
            self._routes.update(routes)
        self._kv = self._routes.get(KV_PREFIX, {})
        self._longest = max(map(len, self._routes), default=0)
        self._tokens = tokens

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
            pattern = self._prefix_of(path)
            if pattern is None:
                return _UNKNOWN
            methods, rest = self._routes[pattern], path[len(pattern) :]
        raw_query = target.raw_query[1:]
        return self._call(methods, method, rest, raw_query, headers)

    def _prefix_of(self, path: bytes) -> bytes | None:
        """Return the longest pattern that a path begins with."""
        end = self._longest
        while (end := path.rfind(b"/", 0, end)) > 0:
            if path[: end + 1] in self._routes:
                return path[: end + 1]
        return None

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
        request = Request(rest, query, headers, self._tokens)
        answer = guarded(endpoint, request)
        if isinstance(answer, Waiting):
            return looked_at_anew(endpoint, request, answer)
        return answer


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

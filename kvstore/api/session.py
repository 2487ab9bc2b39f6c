"""`/v1/session/`: create, destroy, renew, info, list, node."""

from collections.abc import Callable
from functools import partial

from kvstore.access.grants import Grants
from kvstore.api.exchange import (
    Answer,
    NeedBody,
    Refused,
    Request,
    Response,
    Routes,
    Waiting,
    Writing,
)
from kvstore.api.params import check_datacenter, check_namespace, parse_read
from kvstore.api.permission import grants_of, require
from kvstore.api.query import Query, ReadOptions
from kvstore.api.refusals import reason, refusal
from kvstore.api.render import render_sessions, render_value
from kvstore.api.responses import NOT_LOOKED, index_headers, json_response, text, too_large
from kvstore.api.session_body import parse_session_body
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import ALL_SESSIONS, Scope, ScopeKind
from kvstore.errors import InvalidRequest, InvalidSessionId
from kvstore.state.applied import Applied, Read
from kvstore.state.command import DestroySession
from kvstore.state.entry import Session
from kvstore.state.session_id import parse_session_id

__all__ = ["SESSION_BODY_BYTES_MAX", "SessionEndpoints"]

# A session with every member takes under a kilobyte; this is what a value may have.
SESSION_BODY_BYTES_MAX = 512 * 1024
_too_large = partial(too_large, max_bytes=SESSION_BODY_BYTES_MAX)


class SessionEndpoints:
    """The endpoints of sessions."""

    def __init__(self, engine: Engine, datacenter: str) -> None:
        self._engine = engine
        self._datacenter = datacenter

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/session/create": {"PUT": self.create},
            b"/v1/session/destroy/": {"PUT": self.destroy},
            b"/v1/session/renew/": {"PUT": self.renew},
            b"/v1/session/info/": {"GET": self.info},
            b"/v1/session/node/": {"GET": self.node},
            b"/v1/session/list": {"GET": self.list_all},
        }

    def create(self, request: Request) -> Answer:
        """Make a session and answer its id."""
        check_namespace(request)

        def write(body: bytes) -> Answer:
            try:
                wanted = parse_session_body(body)
            except InvalidRequest as error:
                return text(400, f"Request decode failed: {error}")
            check_datacenter(request, self._datacenter)
            if wanted.node != "":  # which is an error that comes before rights (S3)
                _require_write(grants_of(request))
            outcome = self._engine.create_session(wanted)
            return Writing(outcome, partial(_render_created, request.query))

        return NeedBody(SESSION_BODY_BYTES_MAX, _too_large, write)

    def destroy(self, request: Request) -> Answer:
        """Invalidate a session; one that is gone already is fine (S12) and takes no right (A5)."""
        session_id = self._session_id(request)
        grants = grants_of(request)
        try:
            found = self._engine.state.get_session(session_id).value
        except InvalidSessionId as error:
            if request.tokens is None:
                raise
            return text(500, f"Session lookup failed: {reason(error)}")
        if found:
            _require_write(grants)
        elif request.tokens is not None:  # nothing is written for who may not write
            return json_response(request.query, b"true")
        outcome = self._engine.submit(DestroySession(session_id))
        return Writing(outcome, lambda _: json_response(request.query, b"true"))

    def renew(self, request: Request) -> Answer:
        """Give a session its full time again; its answer's TTL is when the client comes back."""
        parse_read(request)
        session_id = self._session_id(request)
        grants = grants_of(request)
        if self._engine.state.get_session(session_id).value:
            _require_write(grants)
        session = self._engine.renew_session(session_id)
        if session is None:
            return text(404, f"Session id '{session_id}' not found")
        return json_response(request.query, render_sessions([session]))

    def info(self, request: Request) -> Answer:
        """Read one session; an unknown one is an empty list."""
        options = parse_read(request)
        session_id = self._session_id(request, NOT_LOOKED)
        grants = grants_of(request, NOT_LOOKED)
        try:
            scope = Scope(ScopeKind.SESSION, parse_session_id(session_id))
        except InvalidSessionId as error:
            return refusal(error, NOT_LOOKED)
        state = self._engine.state
        return self._read(request, grants, options, scope, lambda: state.get_session(session_id))

    def _session_id(self, request: Request, headers: bytes = b"") -> str:
        check_namespace(request)
        if not request.rest:
            raise Refused(text(400, "Missing session"))
        check_datacenter(request, self._datacenter, headers)
        return _decode(request.rest)

    def list_all(self, request: Request) -> Answer:
        """Read all sessions in the order of their ids."""
        options = parse_read(request)
        check_namespace(request)
        check_datacenter(request, self._datacenter, NOT_LOOKED)
        grants = grants_of(request, NOT_LOOKED)
        return self._read(request, grants, options, ALL_SESSIONS, self._engine.state.list_sessions)

    def node(self, request: Request) -> Answer:
        """Read the sessions of one node; an unknown node has none."""
        options = parse_read(request)
        check_namespace(request)
        if not request.rest:
            return text(400, "Missing node name")
        check_datacenter(request, self._datacenter, NOT_LOOKED)
        grants = grants_of(request, NOT_LOOKED)
        node = _decode(request.rest)
        state = self._engine.state
        return self._read(request, grants, options, ALL_SESSIONS, lambda: state.node_sessions(node))

    def _read(
        self,
        request: Request,
        grants: Grants,
        options: ReadOptions,
        scope: Scope,
        query: Callable[[], Read[list[Session]]],
    ) -> Answer:
        read = self._engine.read(query, scope, options.min_index, options.wait_s)
        # Hidden sessions count for the index (A4).
        render = partial(_render_sessions, request.query, shown=grants.session_read())
        return Waiting(read, render) if isinstance(read, Parked) else render(read)


def _require_write(grants: Grants) -> None:
    require(grants.session_write(), grants, "session:write")


def _decode(rest: bytes) -> str:
    return rest.decode("utf-8", "surrogateescape")


def _render_created(query: Query, applied: Applied) -> Response:
    assert applied.created is not None  # nothing refuses an admitted session
    return json_response(query, render_value({"ID": applied.created.id}))


def _render_sessions(query: Query, read: Read[list[Session]], *, shown: bool) -> Response:
    sessions = read.value if shown else []
    return json_response(query, render_sessions(sessions), index_headers(read.index))

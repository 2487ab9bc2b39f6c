"""From a request to what its sender may do (contract section 10).

With access control off (`Request.tokens` is None) everybody has EVERYTHING, whatever token was
sent (A1). An endpoint asks when its parameters are parsed, since their errors come first.
"""

import logging
from dataclasses import replace

from kvstore.access.grants import EVERYTHING, Grants
from kvstore.api.exchange import Endpoint, Refused, Request, Response, Waiting
from kvstore.api.query import Query
from kvstore.api.refusals import guarded
from kvstore.api.responses import text
from kvstore.state.applied import Read

__all__ = ["PERMISSION_DENIED", "grants_of", "looked_at_anew", "require"]

log = logging.getLogger(__name__)

PERMISSION_DENIED = text(403, "Permission denied")


def grants_of(request: Request, headers: bytes = b"") -> Grants:
    """Return what the sender may do.

    Raises Refused ("ACL not found" with `headers`, A2, A7) for a token that does not exist.
    """
    if request.tokens is None:
        return EVERYTHING
    grants = request.tokens.grants_of(_secret(request))
    if grants is None:
        log.debug("a token that does not exist")
        raise Refused(text(403, "ACL not found", headers))
    return grants


def require(allowed: bool, grants: Grants, right: str, name: bytes = b"") -> None:  # noqa: FBT001 - the condition itself
    """Raise Refused (A3) unless it is allowed; `right` and `name` say in the log what was asked.

    Rights are called as in Consul, "key:write".
    """
    if not allowed:
        log.debug('token "%s" lacks %s %s', grants.name, right, name)
        raise Refused(PERMISSION_DENIED)


def looked_at_anew(endpoint: Endpoint, request: Request, waiting: Waiting) -> Waiting:
    """Return a parked read whose answer is made anew if tokens were read again while it waited.

    A token that was taken away, or has fewer rights now, gets nothing more. Ours: in Consul the
    rights are those of the beginning.
    """
    if request.tokens is None:
        return waiting
    secret = _secret(request)
    grants = request.tokens.grants_of(secret)

    def render(read: Read[object]) -> Response:
        if request.tokens is None or request.tokens.grants_of(secret) is grants:
            return waiting.render(read)
        at_once = Query(tuple(pair for pair in request.query.pairs if pair[0] != "index"))
        answer = guarded(endpoint, replace(request, query=at_once))
        assert isinstance(answer, Response)  # without an index nothing waits
        return answer

    return Waiting(waiting.parked, render)


def _secret(request: Request) -> str:
    """Return the token that was sent, "" without one: query, header, bearer, in this order (A1)."""
    headers = request.headers
    secret = request.query.get("token") or headers.get("X-Consul-Token")
    if secret:
        return secret
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ""
    return credentials.strip().partition(" ")[0].strip()

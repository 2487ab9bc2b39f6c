"""`/v1/acl/` and what else manages tokens: not over HTTP here, but in the server's token file."""

from collections.abc import Mapping

from kvstore.api.absent import absent
from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.responses import text

__all__ = ["ACLEndpoints"]

_DISABLED = text(401, "ACL support disabled")
_IN_A_FILE = absent(
    "kvstore reads its tokens and their rules from files and does not manage them over HTTP: "
    "change the file of --tokens and reload the server (docs/access.md)"
)
_PPROF = absent("kvstore has no Go profiles: GET /v1/agent/metrics has its figures")

_METHODS: Mapping[bytes, tuple[str, ...]] = {
    b"/v1/acl/auth-method": ("PUT",),
    b"/v1/acl/auth-method/": ("GET", "PUT", "DELETE"),
    b"/v1/acl/auth-methods": ("GET",),
    b"/v1/acl/binding-rule": ("PUT",),
    b"/v1/acl/binding-rule/": ("GET", "PUT", "DELETE"),
    b"/v1/acl/binding-rules": ("GET",),
    b"/v1/acl/bootstrap": ("PUT",),
    b"/v1/acl/clone/": ("PUT",),
    b"/v1/acl/create": ("PUT",),
    b"/v1/acl/destroy/": ("PUT",),
    b"/v1/acl/info/": ("GET",),
    b"/v1/acl/list": ("GET",),
    b"/v1/acl/login": ("POST",),
    b"/v1/acl/logout": ("POST",),
    b"/v1/acl/policies": ("GET",),
    b"/v1/acl/policy": ("PUT",),
    b"/v1/acl/policy/": ("GET", "PUT", "DELETE"),
    b"/v1/acl/policy/name/": ("GET",),
    b"/v1/acl/replication": ("GET",),
    b"/v1/acl/role": ("PUT",),
    b"/v1/acl/role/": ("GET", "PUT", "DELETE"),
    b"/v1/acl/role/name/": ("GET",),
    b"/v1/acl/roles": ("GET",),
    b"/v1/acl/rules/translate": ("POST",),
    b"/v1/acl/rules/translate/": ("GET",),
    b"/v1/acl/token": ("PUT",),
    b"/v1/acl/token/": ("GET", "PUT", "DELETE"),
    b"/v1/acl/token/self": ("GET",),
    b"/v1/acl/tokens": ("GET",),
    b"/v1/acl/update": ("PUT",),
    b"/v1/agent/token/": ("PUT",),
    b"/v1/internal/acl/authorize": ("POST",),
}


class ACLEndpoints:
    """What Consul answers while access control is off, and a pointer to the file when it is on."""

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        managing = {
            pattern: dict.fromkeys(names, self.manage) for pattern, names in _METHODS.items()
        }
        return {**managing, b"/debug/pprof/": {"GET": self.profile}}

    def manage(self, request: Request) -> Answer:
        """Refuse to show or to change tokens, policies, roles and their like."""
        return _DISABLED if request.tokens is None else _IN_A_FILE

    def profile(self, request: Request) -> Answer:
        """Refuse Go's profiles, which Consul guards with its access control."""
        return _DISABLED if request.tokens is None else _PPROF

"""What Consul's API has and this server does not: each request is refused, with a reason.

A refusal is a 501 and one sentence: what there is none of, and what to do instead. Nothing is ever
answered as if it had been done (rule not-part-of-kvstore).
"""

from kvstore.api.exchange import Answer, Endpoint, Methods, Request, Response, Routes
from kvstore.api.responses import text

__all__ = ["AbsentEndpoints", "absent", "endpoint"]


def absent(sentence: str) -> Response:
    """Return a refusal."""
    return text(501, sentence)


def endpoint(sentence: str) -> Endpoint:
    """Return an endpoint that always refuses."""
    refusal = absent(sentence)

    def refuse(_request: Request) -> Answer:
        return refusal

    return refuse


_SERVICES = (
    "kvstore has no service discovery, so no service can be registered: "
    "register services with a Consul agent, or keep what you know of them under keys"
)
_CHECKS = (
    "kvstore has no health checks, so none can be registered: "
    "register checks with a Consul agent, or use a session with a TTL"
)
_CATALOG = (
    "kvstore has no service discovery and its catalog is only its own node: "
    "register nodes and services with a Consul server"
)
_HOST = (
    "kvstore does not describe the machine it runs on: "
    "GET /v1/agent/metrics has the figures of its own process"
)
_JOIN = "kvstore is one server and joins no cluster: give every client the address of this one"
_LEAVE = "kvstore is one server and cannot leave its own cluster: stop its process instead"
_COORDINATES = "kvstore has one node and measures no distances: there are no network coordinates"
_PEERING = "kvstore is one server in one datacenter: there is no federation"
_MESH = (
    "kvstore has no service mesh (Connect), with its certificates, intentions and configuration: "
    "use a Consul server for that"
)
_PAGES = (
    "kvstore has no web interface: its node is described by /v1/agent/self and /v1/catalog/nodes"
)


def _methods(sentence: str, *names: str) -> Methods:
    return dict.fromkeys(names, endpoint(sentence))


_ROUTES: Routes = {
    b"/v1/agent/check/register": _methods(_CHECKS, "PUT"),
    b"/v1/agent/service/register": _methods(_SERVICES, "PUT"),
    b"/v1/agent/host": _methods(_HOST, "GET"),
    b"/v1/agent/join/": _methods(_JOIN, "PUT"),
    b"/v1/agent/leave": _methods(_LEAVE, "PUT"),
    b"/v1/agent/connect/authorize": _methods(_MESH, "POST"),
    b"/v1/agent/connect/ca/roots": _methods(_MESH, "GET"),
    b"/v1/agent/connect/ca/leaf/": _methods(_MESH, "GET"),
    b"/v1/catalog/register": _methods(_CATALOG, "PUT"),
    b"/v1/config": _methods(_MESH, "PUT"),
    b"/v1/config/": _methods(_MESH, "GET", "DELETE"),
    b"/v1/connect/ca/configuration": _methods(_MESH, "GET", "PUT"),
    b"/v1/connect/ca/roots": _methods(_MESH, "GET"),
    b"/v1/connect/intentions": _methods(_MESH, "GET", "POST"),
    b"/v1/connect/intentions/": _methods(_MESH, "GET", "PUT", "DELETE"),
    b"/v1/connect/intentions/check": _methods(_MESH, "GET"),
    b"/v1/connect/intentions/match": _methods(_MESH, "GET"),
    b"/v1/coordinate/update": _methods(_COORDINATES, "PUT"),
    b"/v1/discovery-chain/": _methods(_MESH, "GET", "POST"),
    b"/v1/internal/federation-state/": _methods(_PEERING, "GET"),
    b"/v1/internal/federation-states": _methods(_PEERING, "GET"),
    b"/v1/internal/federation-states/mesh-gateways": _methods(_PEERING, "GET"),
    b"/v1/internal/ui/gateway-services-nodes/": _methods(_PAGES, "GET"),
    b"/v1/internal/ui/node/": _methods(_PAGES, "GET"),
    b"/v1/internal/ui/nodes": _methods(_PAGES, "GET"),
    b"/v1/internal/ui/services": _methods(_PAGES, "GET"),
}


class AbsentEndpoints:
    """Every route of which no method does anything."""

    def routes(self) -> Routes:
        """Return them."""
        return _ROUTES

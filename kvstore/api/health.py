"""`/v1/health/`: the node's one check, which passes as long as anybody can ask."""

from typing import Any

from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.gotext import parse_bool
from kvstore.api.identity import Identity
from kvstore.api.node import (
    NODE_INDEX,
    catalog_node,
    health_check,
    is_node,
    is_service,
    node_service,
)
from kvstore.api.responses import text
from kvstore.api.unchanging import NONE_INDEX, Unchanging, has_node_meta

__all__ = ["HealthEndpoints"]


class HealthEndpoints:
    """The endpoints of health."""

    def __init__(self, reads: Unchanging, identity: Identity) -> None:
        self._reads = reads
        self._identity = identity

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/health/node/": {"GET": self.node},
            b"/v1/health/checks/": {"GET": self.checks},
            b"/v1/health/state/": {"GET": self.state},
            b"/v1/health/service/": {"GET": self.service},
            b"/v1/health/connect/": {"GET": self.connect},
            b"/v1/health/ingress/": {"GET": self.ingress},
        }

    def node(self, request: Request) -> Answer:
        """List the checks of a node; an unknown one has none."""
        grants = self._reads.begin(request, "Missing node name")
        shown = is_node(self._identity, request.rest) and grants.node_read()
        return self._reads.answer(request, self._checks(shown=shown))

    def checks(self, request: Request) -> Answer:
        """List the checks of a service: none has any."""
        self._reads.begin(request, "Missing service name")
        return self._reads.answer(request, [])

    def state(self, request: Request) -> Answer:
        """List the checks in a state."""
        grants = self._reads.begin(request, "Missing check state")
        shown = request.rest in (b"any", b"passing") and grants.node_read()
        return self._reads.answer(
            request, self._checks(shown=shown and has_node_meta(request.query))
        )

    def service(self, request: Request) -> Answer:
        """List the nodes of a service with their checks; an unknown one has none."""
        grants = self._reads.begin(request, "Missing service name")
        shown = (
            is_service(request.rest)
            and grants.node_read()
            and grants.service_read()
            and has_node_meta(request.query)
            and "tag" not in request.query  # it has none
        )
        me = self._identity
        entry = {
            "Node": catalog_node(me),
            "Service": node_service(me),
            "Checks": self._checks(shown=True),
        }
        return self._passing(request, [entry] if shown else [])

    def connect(self, request: Request) -> Answer:
        """List the proxies of a service: there are none."""
        self._reads.begin(request, "Missing service name")
        return self._passing(request, [])

    def ingress(self, request: Request) -> Answer:
        """List the ingress gateways of a service: there are none."""
        self._reads.begin(request, "Missing service name")
        return self._passing(request, [], index=NONE_INDEX)

    def _passing(self, request: Request, value: Any, *, index: int = NODE_INDEX) -> Answer:
        """Answer instances, all of which pass, if `passing` is a boolean."""
        passing = request.query.get("passing")
        if passing and parse_bool(passing) is None:
            return text(400, "Invalid value for ?passing")
        return self._reads.answer(request, value, index=index)

    def _checks(self, *, shown: bool) -> list[dict[str, Any]]:
        return [health_check(self._identity)] if shown else []

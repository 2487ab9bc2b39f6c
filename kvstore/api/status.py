"""`/v1/status/`: who leads. Always this server; nobody needs a right to know."""

from typing import Any

from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.identity import Identity
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.render import render_value
from kvstore.api.responses import json_response

__all__ = ["StatusEndpoints"]


class StatusEndpoints:
    """The endpoints of the cluster's state."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/status/leader": {"GET": self.leader},
            b"/v1/status/peers": {"GET": self.peers},
        }

    def leader(self, request: Request) -> Answer:
        """Name the leader: this server, under the address that clients use."""
        return self._answer(request, self._identity.address)

    def peers(self, request: Request) -> Answer:
        """Name the servers: this one."""
        return self._answer(request, [self._identity.address])

    def _answer(self, request: Request, value: Any) -> Answer:
        parse_read(request)
        check_datacenter(request, self._identity.datacenter)
        return json_response(request.query, render_value(value))

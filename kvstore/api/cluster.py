"""`/v1/operator/` and `/v1/coordinate/`: a cluster of one, which nobody can change.

There is no Raft, no autopilot, no gossip and no measuring of distances. What reads ask about them
has a true answer all the same: one server that leads and is healthy while its journal is, settings
that are off, no keys and no coordinates.
"""

from datetime import UTC, datetime
from typing import Any

from kvstore.api.absent import absent, endpoint
from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.gotext import quote
from kvstore.api.identity import API_VERSION, Identity
from kvstore.api.node import NODE_INDEX
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.permission import grants_of, require
from kvstore.api.render import render_value
from kvstore.api.responses import NOT_LOOKED, empty, json_response, text
from kvstore.api.unchanging import NONE_INDEX, Unchanging
from kvstore.clock import Clock
from kvstore.engine.engine import Engine

__all__ = ["ClusterEndpoints"]

_ONLY_PEER = absent(
    "kvstore is one server and cannot be taken out of its own cluster: stop its process instead"
)
_AUTOPILOT = (
    "kvstore is one server: there are no others that autopilot could look after, "
    "and nothing of it to configure"
)
_KEYRING = (
    "kvstore has no gossip and so no keys to encrypt it with: "
    "what is sent to and from it is encrypted with TLS (docs/tls.md)"
)
# Whatever Consul's autopilot does by itself, nothing does here.
_AUTOPILOT_OFF = {
    "CleanupDeadServers": False,
    "LastContactThreshold": "0s",
    "MaxTrailingLogs": 0,
    "MinQuorum": 0,
    "ServerStabilizationTime": "0s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": True,
    "UpgradeVersionTag": "",
    "CreateIndex": NODE_INDEX,
    "ModifyIndex": NODE_INDEX,
}
# The term of a server that has led from the beginning.
_TERM = 1


class ClusterEndpoints:
    """The endpoints of operators and of coordinates."""

    def __init__(self, engine: Engine, reads: Unchanging, identity: Identity, clock: Clock) -> None:
        self._engine = engine
        self._reads = reads
        self._identity = identity
        started = datetime.fromtimestamp(clock.wall_ms() // 1000, UTC)
        self._started = started.strftime("%Y-%m-%dT%H:%M:%SZ")

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        no_autopilot, no_keyring = endpoint(_AUTOPILOT), endpoint(_KEYRING)
        return {
            b"/v1/operator/raft/configuration": {"GET": self.raft_configuration},
            b"/v1/operator/raft/peer": {"DELETE": self.remove_peer},
            b"/v1/operator/autopilot/configuration": {
                "GET": self.autopilot_configuration,
                "PUT": no_autopilot,
            },
            b"/v1/operator/autopilot/health": {"GET": self.autopilot_health},
            b"/v1/operator/keyring": {
                "GET": self.keyring,
                "POST": no_keyring,
                "PUT": no_keyring,
                "DELETE": no_keyring,
            },
            b"/v1/coordinate/datacenters": {"GET": self.coordinate_datacenters},
            b"/v1/coordinate/nodes": {"GET": self.coordinate_nodes},
            b"/v1/coordinate/node/": {"GET": self.coordinate_node},
        }

    def raft_configuration(self, request: Request) -> Answer:
        """List the servers that write the log: this one, which leads."""
        me = self._identity
        ours = {
            "ID": me.node_id,
            "Node": me.node,
            "Address": me.address,
            "Leader": True,
            "ProtocolVersion": "3",
            "Voter": True,
        }
        return self._operated(request, {"Servers": [ours], "Index": 0})

    def remove_peer(self, request: Request) -> Answer:
        """Take a server out of the cluster: ours cannot be, every other is unknown."""
        server_id, address = request.query.get("id"), request.query.get("address")
        if not server_id and not address:
            must = "Must specify either ?id with the server's ID or ?address with IP:port"
            return text(400, f"Bad request: {must} of peer to remove")
        if server_id and address:
            return text(400, "Bad request: Must specify only one of ?id or ?address")
        check_datacenter(request, self._identity.datacenter)
        grants = grants_of(request)
        require(grants.operator_write(), grants, "operator:write")
        if self._identity.node_id == server_id or self._identity.address == address:
            return _ONLY_PEER
        named = f"id {quote(server_id)}" if server_id else f"address {quote(address)}"
        return text(500, f"{named} was not found in the Raft configuration")

    def autopilot_configuration(self, request: Request) -> Answer:
        """Tell how servers are looked after: nothing is done by itself."""
        return self._operated(request, _AUTOPILOT_OFF)

    def autopilot_health(self, request: Request) -> Answer:
        """Tell whether the one server is healthy: as long as its journal can be written.

        As in Consul the status of an unhealthy cluster is 429.
        """
        me, healthy = self._identity, self._engine.failure is None
        ours = {
            "ID": me.node_id,
            "Name": me.node,
            "Address": me.address,
            "SerfStatus": "alive",
            "Version": API_VERSION,
            "Leader": True,
            "LastContact": "0s",
            "LastTerm": _TERM,
            "LastIndex": self._engine.state.last_index,
            "Healthy": healthy,
            "Voter": True,
            "StableSince": self._started,
        }
        shown = {"Healthy": healthy, "FailureTolerance": 0, "Servers": [ours]}
        return self._operated(request, shown, status=200 if healthy else 429)

    def keyring(self, request: Request) -> Answer:
        """List the keys of gossip: there are none, in the words of a Consul without them."""
        if not grants_of(request).operator_read():
            return text(500, "Reading keyring denied by ACLs")
        me = self._identity
        return text(
            500,
            "2 errors occurred:\n"
            f"\t* {me.datacenter} (LAN) error: 1/1 nodes reported failure\n"
            f"\t* {me.node}: Keyring is empty (encryption not enabled)\n\n",
        )

    def coordinate_datacenters(self, request: Request) -> Answer:
        """List the coordinates of servers by datacenter: none are known."""
        return json_response(request.query, b"[]")

    def coordinate_nodes(self, request: Request) -> Answer:
        """List the coordinates of nodes: none are known."""
        self._reads.begin(request, namespaced=False, filtered=False)
        return self._reads.answer(request, [], index=NONE_INDEX, says_consistency=False)

    def coordinate_node(self, request: Request) -> Answer:
        """Find the coordinates of a node: none are known, and that is a 404 at once."""
        grants = self._reads.begin(request, namespaced=False, filtered=False)
        if not grants.node_read():
            return text(403, "Permission denied", NOT_LOOKED)
        return empty(404)

    def _operated(self, request: Request, value: Any, *, status: int = 200) -> Answer:
        """Answer a reader who may look at the server."""
        parse_read(request)
        check_datacenter(request, self._identity.datacenter)
        grants = grants_of(request)
        require(grants.operator_read(), grants, "operator:read")
        return json_response(request.query, render_value(value), status=status)

"""`/v1/status/`, `/v1/agent/`, `/v1/catalog/`, `/v1/health/`: true answers about our one node.

There is no service discovery here: one node, its one health check, and the service name that
Consul gives its own servers. What is not answered here is a 404 (see the routes).
"""

from typing import Any

from kvstore.api.exchange import Answer, Request, Response, Waiting
from kvstore.api.identity import API_VERSION, Identity
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.render import render_value
from kvstore.api.responses import NOT_LOOKED, index_headers, json_response, text
from kvstore.engine.admission import NODE_CHECK
from kvstore.engine.blocking import Parked
from kvstore.engine.engine import Engine
from kvstore.engine.watch import CATALOG
from kvstore.state.applied import Read

__all__ = ["StatusEndpoints"]

# Index of the node in the catalog, which never changes. Not 1: clients wait for more than that
# before they take a server for ready (HashiCorp's testutil), or poll with `index=1` at first (I3).
_NODE_INDEX = 2
_SERVICE = "consul"
# Source: strconv.ParseBool.
_GO_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_GO_BOOLEANS = frozenset(("1", "t", "T", "true", "TRUE", "True", *_GO_FALSE))


class StatusEndpoints:
    """What clients ask of a Consul agent beside keys and sessions."""

    def __init__(self, engine: Engine, identity: Identity) -> None:
        self._engine = engine
        self._identity = identity

    def leader(self, request: Request) -> Answer:
        """Name the leader: always this server."""
        return self._plain(request, self._identity.address)

    def peers(self, request: Request) -> Answer:
        """Name the servers: this one."""
        return self._plain(request, [self._identity.address])

    def agent_self(self, request: Request) -> Answer:
        """Describe this server; members in Consul's order (O1)."""
        me = self._identity
        config = {
            "Datacenter": me.datacenter,
            "NodeName": me.node,
            "NodeID": me.node_id,
            "Revision": f"kvstore-{me.version}",
            "Server": True,
            "Version": API_VERSION,
        }
        stats = {
            "agent": {"check_monitors": "0", "check_ttls": "0", "checks": "0", "services": "0"},
            "build": {
                "prerelease": "",
                "revision": f"kvstore-{me.version}",
                "version": API_VERSION,
            },
            "consul": {
                "bootstrap": "true",
                "known_datacenters": "1",
                "leader": "true",
                "leader_addr": me.address,
                "server": "true",
            },
            "kvstore": {
                "entries": str(self._engine.state.entry_count),
                "index": str(self._engine.state.last_index),
                "parked_queries": str(self._engine.parked_count),
                "sessions": str(self._engine.state.session_count),
            },
        }
        described = {
            "Config": config,
            "DebugConfig": {},
            "Coord": None,
            "Member": self._member(),
            "Stats": stats,
            "Meta": {"consul-network-segment": ""},
        }
        return self._plain(request, described)

    def members(self, request: Request) -> Answer:
        """List the members of the cluster: this server (O2)."""
        return self._plain(request, [self._member()])

    def agent_checks(self, request: Request) -> Answer:
        """List the checks registered with this agent: there are none."""
        return self._plain(request, {})

    def agent_services(self, request: Request) -> Answer:
        """List the services registered with this agent: there are none."""
        return self._plain(request, {})

    def datacenters(self, request: Request) -> Answer:
        """List the datacenters: ours."""
        return self._plain(request, [self._identity.datacenter])

    def nodes(self, request: Request) -> Answer:
        """List the nodes: this one."""
        return self._catalog(request, [self._node()])

    def services(self, request: Request) -> Answer:
        """List the services: the server itself, under Consul's name for it."""
        return self._catalog(request, {_SERVICE: []})

    def service_nodes(self, request: Request) -> Answer:
        """List the nodes of a service; an unknown one has none."""
        if not request.rest:
            return text(400, "Missing service name")
        return self._catalog(request, [self._service_node()] if self._is_service(request) else [])

    def node(self, request: Request) -> Answer:
        """Describe a node and its services; null for an unknown one."""
        if not request.rest:
            return text(400, "Missing node name")
        if not self._is_node(request):
            return self._catalog(request, None)
        service = self._service()
        return self._catalog(request, {"Node": self._node(), "Services": {_SERVICE: service}})

    def node_checks(self, request: Request) -> Answer:
        """List the checks of a node; an unknown one has none."""
        if not request.rest:
            return text(400, "Missing node name")
        return self._catalog(request, [self._check()] if self._is_node(request) else [])

    def checks_in_state(self, request: Request) -> Answer:
        """List the checks in a state."""
        if not request.rest:
            return text(400, "Missing check state")
        found = request.rest in (b"any", b"passing")
        return self._catalog(request, [self._check()] if found else [])

    def service_checks(self, request: Request) -> Answer:
        """List the checks of a service: none are registered."""
        if not request.rest:
            return text(400, "Missing service name")
        return self._catalog(request, [])

    def service_health(self, request: Request) -> Answer:
        """List the nodes of a service with their checks; an unknown one has none."""
        if not request.rest:
            return text(400, "Missing service name")
        passing = request.query.get("passing")
        if passing and passing not in _GO_BOOLEANS:
            return text(400, "Invalid value for ?passing")
        entry = {"Node": self._node(), "Service": self._service(), "Checks": [self._check()]}
        return self._catalog(request, [entry] if self._is_service(request) else [])

    def _plain(self, request: Request, value: Any) -> Answer:
        parse_read(request)
        return json_response(request.query, render_value(value))

    def _catalog(self, request: Request, value: Any) -> Answer:
        """Answer from the catalog; a blocking query of it waits its whole time."""
        options = parse_read(request)
        check_datacenter(request, self._identity.datacenter, NOT_LOOKED)
        query = request.query
        consistency = b"stale" if "stale" in query else b"leader"
        if "consistent" in query:
            consistency = b"consistent"
        headers = index_headers(_NODE_INDEX)
        headers += b"X-Consul-Effective-Consistency: %s\r\n" % consistency

        def render(read: Read[Any]) -> Response:
            return json_response(query, render_value(read.value), headers)

        unchanging = Read(_NODE_INDEX, value)
        read = self._engine.read(lambda: unchanging, CATALOG, options.min_index, options.wait_s)
        return Waiting(read, render) if isinstance(read, Parked) else render(read)

    def _is_node(self, request: Request) -> bool:
        return request.rest.lower() == self._identity.node.lower().encode(
            "utf-8", "surrogateescape"
        )

    def _is_service(self, request: Request) -> bool:
        return request.rest == _SERVICE.encode()

    def _addresses(self) -> dict[str, str]:
        host = self._identity.host
        return {"lan": host, "lan_ipv4": host, "wan": host, "wan_ipv4": host}

    def _node(self) -> dict[str, Any]:
        me = self._identity
        return {
            "ID": me.node_id,
            "Node": me.node,
            "Address": me.host,
            "Datacenter": me.datacenter,
            "TaggedAddresses": self._addresses(),
            "Meta": {"consul-network-segment": ""},
            "CreateIndex": _NODE_INDEX,
            "ModifyIndex": _NODE_INDEX,
        }

    def _service(self) -> dict[str, Any]:
        return {
            "ID": _SERVICE,
            "Service": _SERVICE,
            "Tags": [],
            "Address": "",
            "Meta": None,
            "Port": self._identity.port,
            "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": False,
            "CreateIndex": _NODE_INDEX,
            "ModifyIndex": _NODE_INDEX,
        }

    def _service_node(self) -> dict[str, Any]:
        me = self._identity
        return {
            "ID": me.node_id,
            "Node": me.node,
            "Address": me.host,
            "Datacenter": me.datacenter,
            "TaggedAddresses": self._addresses(),
            "NodeMeta": {"consul-network-segment": ""},
            "ServiceID": _SERVICE,
            "ServiceName": _SERVICE,
            "ServiceTags": [],
            "ServiceAddress": "",
            "ServicePort": me.port,
            "CreateIndex": _NODE_INDEX,
            "ModifyIndex": _NODE_INDEX,
        }

    def _check(self) -> dict[str, Any]:
        return {
            "Node": self._identity.node,
            "CheckID": NODE_CHECK,
            "Name": "Serf Health Status",
            "Status": "passing",
            "Notes": "",
            "Output": "Agent alive and reachable",
            "ServiceID": "",
            "ServiceName": "",
            "ServiceTags": [],
            "Type": "",
            "Definition": {},
            "CreateIndex": _NODE_INDEX,
            "ModifyIndex": _NODE_INDEX,
        }

    def _member(self) -> dict[str, Any]:
        me = self._identity
        return {
            "Name": me.node,
            "Addr": me.host,
            "Port": me.port,
            "Tags": {
                "acls": "0",
                "bootstrap": "1",
                "build": f"{API_VERSION}:",
                "dc": me.datacenter,
                "id": me.node_id,
                "port": str(me.port),
                "raft_vsn": "3",
                "role": "consul",
                "segment": "",
                "vsn": "2",
                "vsn_max": "3",
                "vsn_min": "2",
            },
            "Status": 1,
            "ProtocolMin": 1,
            "ProtocolMax": 5,
            "ProtocolCur": 2,
            "DelegateMin": 2,
            "DelegateMax": 5,
            "DelegateCur": 4,
        }

"""`/v1/catalog/`: the one node and the one service. What is registered elsewhere is not here."""

from typing import Any

from kvstore.api.absent import absent
from kvstore.api.exchange import Answer, Request, Routes
from kvstore.api.identity import Identity
from kvstore.api.node import (
    NODE_INDEX,
    SERVICE,
    catalog_node,
    catalog_service,
    is_node,
    is_service,
    node_service,
)
from kvstore.api.params import check_consistency
from kvstore.api.permission import grants_of, require
from kvstore.api.render import render_value
from kvstore.api.responses import json_response, text
from kvstore.api.texts_body import TextsBody
from kvstore.api.unchanging import NONE_INDEX, Unchanging, has_node_meta
from kvstore.engine.admission import NODE_CHECK

__all__ = ["CatalogEndpoints"]

_OWN_NODE = absent(
    "kvstore's catalog is its own node and cannot lose it: stop the process to end the server"
)
_DEREGISTRATION = TextsBody(
    members=("Datacenter", "Node", "Address", "ServiceID", "CheckID", "Token"),
    field_of="",
    whole="struct { Address string; *structs.Alias }",
)


class CatalogEndpoints:
    """The endpoints of the catalog, but for registrations (`absent.py`)."""

    def __init__(self, reads: Unchanging, identity: Identity) -> None:
        self._reads = reads
        self._identity = identity

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/catalog/datacenters": {"GET": self.datacenters},
            b"/v1/catalog/nodes": {"GET": self.nodes},
            b"/v1/catalog/services": {"GET": self.services},
            b"/v1/catalog/service/": {"GET": self.service},
            b"/v1/catalog/connect/": {"GET": self.connect},
            b"/v1/catalog/node/": {"GET": self.node},
            b"/v1/catalog/node-services/": {"GET": self.node_services},
            b"/v1/catalog/gateway-services/": {"GET": self.gateway_services},
            b"/v1/catalog/deregister": {"PUT": self.deregister},
        }

    def datacenters(self, request: Request) -> Answer:
        """List the datacenters: ours. Nobody needs a right to know."""
        check_consistency(request)
        return json_response(request.query, render_value([self._identity.datacenter]))

    def nodes(self, request: Request) -> Answer:
        """List the nodes: this one."""
        shown = self._reads.begin(request, namespaced=False).node_read()
        shown = shown and has_node_meta(request.query)
        return self._reads.answer(request, [catalog_node(self._identity)] if shown else [])

    def services(self, request: Request) -> Answer:
        """List the services with their tags: the server itself, under Consul's name for it."""
        shown = self._reads.begin(request, filtered=False).service_read()
        shown = shown and has_node_meta(request.query)
        return self._reads.answer(request, {SERVICE: []} if shown else {})

    def service(self, request: Request) -> Answer:
        """List the nodes of a service; an unknown one has none."""
        grants = self._reads.begin(request, "Missing service name")
        shown = (
            is_service(request.rest)
            and grants.node_read()
            and grants.service_read()
            and has_node_meta(request.query)
            and "tag" not in request.query  # it has none
        )
        return self._reads.answer(request, [catalog_service(self._identity)] if shown else [])

    def connect(self, request: Request) -> Answer:
        """List the proxies of a service: there are none."""
        self._reads.begin(request, "Missing service name")
        return self._reads.answer(request, [])

    def node(self, request: Request) -> Answer:
        """Describe a node and its services by id; null for an unknown one."""
        node, services = self._described(request)
        if node is None:
            return self._reads.answer(request, None, index=self._index(request))
        by_id = {one["ID"]: one for one in services}
        return self._reads.answer(request, {"Node": node, "Services": by_id})

    def node_services(self, request: Request) -> Answer:
        """Describe a node and list its services; both null for an unknown one."""
        node, services = self._described(request)
        value = {"Node": node, "Services": None if node is None else services}
        return self._reads.answer(request, value, index=self._index(request))

    def gateway_services(self, request: Request) -> Answer:
        """List the services behind a gateway: there is no gateway."""
        self._reads.begin(request, "Missing gateway name")
        return self._reads.answer(request, None, index=NONE_INDEX)

    def deregister(self, request: Request) -> Answer:
        """Take a node, service or check out of the catalog: what is not in it is out of it."""

        def answer(wanted: dict[str, str]) -> Answer:
            asked = wanted["Datacenter"]
            if asked and asked != self._identity.datacenter:
                return text(500, "No path to datacenter")
            if not wanted["Node"]:
                return text(500, "Must provide node")
            grants = grants_of(request)
            require(grants.agent_write(), grants, "agent:write")
            return self._deregistered(request, wanted)

        return _DEREGISTRATION.wanted(answer)

    def _deregistered(self, request: Request, wanted: dict[str, str]) -> Answer:
        is_ours = is_node(self._identity, wanted["Node"].encode("utf-8", "surrogateescape"))
        if wanted["ServiceID"]:
            is_there = is_ours and wanted["ServiceID"] == SERVICE
        elif wanted["CheckID"]:
            is_there = is_ours and wanted["CheckID"] == NODE_CHECK
        else:
            is_there = is_ours
        return _OWN_NODE if is_there else json_response(request.query, b"true")

    def _described(self, request: Request) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        grants = self._reads.begin(request, "Missing node name")
        if not (is_node(self._identity, request.rest) and grants.node_read()):
            return None, []
        services = [node_service(self._identity)] if grants.service_read() else []
        return catalog_node(self._identity), services

    def _index(self, request: Request) -> int:
        return NODE_INDEX if is_node(self._identity, request.rest) else NONE_INDEX

"""The one node there is, in each shape that Consul's API has for one. Pure.

Consul's members in Consul's order (O1, O2, section 9). Numbers of protocols that only servers of a
cluster read are those of a real Consul of our API_VERSION.
"""

from typing import Any

from kvstore.api.identity import API_VERSION, Identity
from kvstore.engine.admission import NODE_CHECK

__all__ = [
    "NODE_INDEX",
    "SERVICE",
    "catalog_node",
    "catalog_service",
    "health_check",
    "is_node",
    "is_service",
    "member",
    "node_service",
]

# Index of the node in the catalog, which never changes. Not 1: clients wait for more than that
# before they take a server for ready (HashiCorp's testutil), or poll with `index=1` at first (I3).
NODE_INDEX = 2
# The name that Consul gives the service of its own servers.
SERVICE = "consul"

_META = {"consul-network-segment": ""}
_SERVICE_META = {
    "non_voter": "false",
    "raft_version": "3",
    "serf_protocol_current": "2",
    "serf_protocol_max": "5",
    "serf_protocol_min": "1",
    "version": API_VERSION,
}
_WEIGHTS = {"Passing": 1, "Warning": 1}
_PROXY: dict[str, Any] = {"MeshGateway": {}, "Expose": {}}
_INDEXES = {"CreateIndex": NODE_INDEX, "ModifyIndex": NODE_INDEX}


def is_node(me: Identity, name: bytes) -> bool:
    """Return whether this is our node's name; letter case does not count in Consul's catalog."""
    return name.lower() == me.node.lower().encode("utf-8", "surrogateescape")


def is_service(name: bytes) -> bool:
    """Return whether this is the name of the one service."""
    return name.lower() == SERVICE.encode()


def member(me: Identity, *, wan: bool, acls: bool) -> dict[str, Any]:
    """Return the node as a member of the pool of its datacenter, or of all datacenters."""
    return {
        "Name": f"{me.node}.{me.datacenter}" if wan else me.node,
        "Addr": me.host,
        "Port": me.port,
        "Tags": {
            "acls": "1" if acls else "0",
            "bootstrap": "1",
            "build": f"{API_VERSION}:",
            "dc": me.datacenter,
            "ft_fs": "1",
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


def catalog_node(me: Identity) -> dict[str, Any]:
    """Return the node as the catalog has it."""
    return {**_node(me), "Meta": _META, **_INDEXES}


def node_service(me: Identity) -> dict[str, Any]:
    """Return the service as one of its node's."""
    return {
        "ID": SERVICE,
        "Service": SERVICE,
        "Tags": [],
        "Address": "",
        "Meta": _SERVICE_META,
        "Port": me.port,
        "Weights": _WEIGHTS,
        "EnableTagOverride": False,
        "Proxy": _PROXY,
        "Connect": {},
        **_INDEXES,
    }


def catalog_service(me: Identity) -> dict[str, Any]:
    """Return the service with its node, as the catalog lists it under its name."""
    return {
        **_node(me),
        "NodeMeta": _META,
        "ServiceKind": "",
        "ServiceID": SERVICE,
        "ServiceName": SERVICE,
        "ServiceTags": [],
        "ServiceAddress": "",
        "ServiceWeights": _WEIGHTS,
        "ServiceMeta": _SERVICE_META,
        "ServicePort": me.port,
        "ServiceEnableTagOverride": False,
        "ServiceProxy": _PROXY,
        "ServiceConnect": {},
        **_INDEXES,
    }


def health_check(me: Identity) -> dict[str, Any]:
    """Return the one check, which passes as long as anybody can ask."""
    return {
        "Node": me.node,
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
        **_INDEXES,
    }


def _node(me: Identity) -> dict[str, Any]:
    family = "ipv6" if ":" in me.host else "ipv4"
    addresses = dict.fromkeys(("lan", f"lan_{family}", "wan", f"wan_{family}"), me.host)
    return {
        "ID": me.node_id,
        "Node": me.node,
        "Address": me.host,
        "Datacenter": me.datacenter,
        "TaggedAddresses": addresses,
    }

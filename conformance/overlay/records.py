"""Docker's records in the store, decoded: networks, endpoints, counts, pools, bitmaps, engines.

Pure. One function, `parse`, turns a listing of the store into a `View`.
Older engines leave fields out, so all but a network's id and name are optional.

Source: spec/docker-cluster-store.md, section 2.
"""

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from conformance.overlay.bitmap import Bitmap
from conformance.overlay.kv import Entry

TREE = "docker/network/v1.0/"
NODES = "docker/nodes"
# The first VXLAN id that idm hands out.
VNI_FIRST = 256

_CONFIG = "ipam/default/config/GlobalDefault/"
_DATA = "ipam/default/data/"
_IDM = "idm/vxlan-id/"


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """One network. `pools` are the pool ids it uses; `reserved` its gateways and aux addresses."""

    id: str
    name: str
    driver: str
    in_delete: bool
    pools: tuple[str, ...]
    reserved: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """One container's place on a network. `addresses` are (pool id, address) pairs."""

    id: str
    network: str
    name: str
    locator: str
    addresses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet of an overlay network; `vni` 0 means that no container started on it yet."""

    subnet: str
    vni: int


@dataclass(slots=True)
class View:
    """Everything Docker keeps in the store, by kind."""

    # Advertised address → whether the key is held by a session.
    engines: dict[str, bool] = field(default_factory=dict)
    networks: dict[str, NetworkRecord] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    endpoints: dict[str, EndpointRecord] = field(default_factory=dict)
    overlays: dict[str, tuple[Subnet, ...]] = field(default_factory=dict)
    # Pool id → whether it allocates from its parent's bitmap (it has a range).
    pools: dict[str, bool] = field(default_factory=dict)
    bitmaps: dict[str, Bitmap] = field(default_factory=dict)
    vnis: Bitmap | None = None
    markers: set[str] = field(default_factory=set)
    # Keys whose value could not be decoded, with the reason.
    broken: dict[str, str] = field(default_factory=dict)


def parse(entries: Iterable[Entry]) -> View:
    """Return the view of a listing of `docker/`. What cannot be read is in `broken`."""
    view = View()
    for entry in entries:
        if not entry.value:
            view.markers.add(entry.key)
            continue
        try:
            _add(view, entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            view.broken[entry.key] = repr(error)
    return view


def _add(view: View, entry: Entry) -> None:
    if not entry.key.startswith(TREE):
        view.engines[entry.value.decode()] = bool(entry.session)
        return
    path = entry.key.removeprefix(TREE)
    record = json.loads(entry.value)
    kind, _, rest = path.partition("/")
    if path == _CONFIG:
        view.pools = {name: "Range" in pool for name, pool in record["Subnets"].items()}
    elif path.startswith(_DATA):
        view.bitmaps[path.removeprefix(_DATA).rstrip("/")] = Bitmap.decode(record["sequence"])
    elif path == _IDM:
        view.vnis = Bitmap.decode(record["sequence"])
    elif kind == "network":
        view.networks[record["id"]] = _network(record)
    elif kind == "endpoint_count":
        view.counts[rest.rstrip("/")] = int(record["Count"])
    elif kind == "endpoint":
        network = rest.partition("/")[0]
        view.endpoints[record["id"]] = _endpoint(record, network)
    elif path.startswith("overlay/network/"):
        name = path.removeprefix("overlay/network/").rstrip("/")
        view.overlays[name] = _subnets(record)
    else:
        raise ValueError("a key of no known kind")


def _network(record: dict[str, Any]) -> NetworkRecord:
    pools: list[str] = []
    reserved: list[tuple[str, str]] = []
    for family in ("ipamV4Info", "ipamV6Info"):
        for info in json.loads(record.get(family) or "[]"):
            data = json.loads(info["IPAMData"])
            pools.append(info["PoolID"])
            taken = [data.get("Gateway"), *(data.get("AuxAddresses") or {}).values()]
            reserved += [(info["PoolID"], _bare(address)) for address in taken if address]
    return NetworkRecord(
        id=record["id"],
        name=record["name"],
        driver=record.get("networkType", ""),
        in_delete=bool(record.get("inDelete")),
        pools=tuple(pools),
        reserved=tuple(reserved),
    )


def _endpoint(record: dict[str, Any], network: str) -> EndpointRecord:
    interface = record.get("ep_iface") or {}
    pairs = (("v4PoolID", "addr"), ("v6PoolID", "addrv6"))
    addresses = [
        (interface[pool], _bare(interface[address]))
        for pool, address in pairs
        if interface.get(pool) and interface.get(address)
    ]
    return EndpointRecord(
        id=record["id"],
        network=network,
        name=record.get("name", ""),
        locator=record.get("locator", ""),
        addresses=tuple(addresses),
    )


def _subnets(record: Any) -> tuple[Subnet, ...]:
    """Return the subnets of an overlay record; very old engines store just the list."""
    rows = record if isinstance(record, list) else record["subnets"]
    return tuple(Subnet(subnet=row["SubnetIP"], vni=int(row["Vni"])) for row in rows)


def _bare(address: str) -> str:
    """Return an address without its prefix length, in its shortest spelling."""
    return str(ipaddress.ip_interface(address).ip)

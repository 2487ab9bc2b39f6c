"""Docker's records as an engine writes them, for simulated engines. Pure.

`conformance.overlay.records` reads them back.

Source: spec/docker-cluster-store.md, section 2, and recorded traffic of engine 20.10.5.
"""

import ipaddress
import json
from typing import Any

from conformance.overlay.bitmap import Bitmap
from conformance.overlay.records import VNI_FIRST
from conformance.soak import bits

SPACE = "GlobalDefault"

_NO_PARENT = {"AddressSpace": "", "Subnet": "", "ChildSubnet": ""}
_GATEWAY = 1
_VNI_BITS = 16_776_960


def subnet_of(number: int) -> str:
    """Return the n-th candidate of libnetwork's default pools: 10.0.0.0/8 in /24s."""
    first = int(ipaddress.IPv4Address("10.0.0.0"))
    return f"{ipaddress.IPv4Address(first + number * 256)}/24"


def pool_id(subnet: str) -> str:
    """Return the id of the pool that is a whole subnet."""
    return f"{SPACE}/{subnet}"


def address_in(subnet: str, ordinal: int) -> str:
    """Return the address with a number in a subnet, with its prefix length."""
    network = ipaddress.IPv4Network(subnet)
    return f"{network[ordinal]}/{network.prefixlen}"


def render_config(pools: list[str]) -> bytes:
    """Return the one record of all pools."""
    subnets = {
        pool: {"ParentKey": _NO_PARENT, "Pool": pool.removeprefix(f"{SPACE}/"), "RefCount": 1}
        for pool in pools
    }
    return _compact({"Scope": "", "Subnets": subnets})


def parse_config(value: bytes) -> list[str]:
    """Return the pools in that record; none when there is no record yet."""
    return list(json.loads(value)["Subnets"]) if value else []


def without_pool(value: bytes, subnet: str) -> bytes:
    """Return that record without the pool of a subnet."""
    gone = pool_id(subnet)
    return render_config([one for one in parse_config(value) if one != gone])


def render_bitmap(name: str, bitmap: Bitmap) -> bytes:
    """Return the record of a bitmap: of a pool's addresses or of VXLAN ids."""
    return _compact({"id": name, "sequence": bitmap.encode()})


def parse_bitmap(value: bytes) -> Bitmap:
    """Return the bitmap in such a record."""
    return Bitmap.decode(json.loads(value)["sequence"])


def fresh_vnis() -> bytes:
    """Return the record of VXLAN ids of which none is taken."""
    return render_bitmap("vxlan-id", bits.empty(_VNI_BITS))


def with_vni(value: bytes, vni: int, *, taken: bool) -> bytes:
    """Return that record with one VXLAN id taken or free."""
    bitmap = bits.with_bit(parse_bitmap(value), vni - VNI_FIRST, taken=taken)
    return render_bitmap("vxlan-id", bitmap)


def render_overlay(subnet: str, vni: int) -> bytes:
    """Return the overlay driver's record of a network; `vni` 0 until the first endpoint."""
    one = {"SubnetIP": subnet, "GwIP": address_in(subnet, _GATEWAY), "Vni": vni}
    return _compact({"mtu": 0, "secure": False, "subnets": [one]})


def parse_vni(value: bytes) -> int:
    """Return the VXLAN id in an overlay record."""
    return int(json.loads(value)["subnets"][0]["Vni"])


def render_count(count: int) -> bytes:
    """Return the record of a network's number of endpoints."""
    return _compact({"Count": count})


def parse_count(value: bytes) -> int:
    """Return the number in it."""
    return int(json.loads(value)["Count"])


def render_network(network: str, name: str, subnet: str, *, in_delete: bool = False) -> bytes:
    """Return the record of an overlay network."""
    data = {
        "AddressSpace": SPACE,
        "Gateway": address_in(subnet, _GATEWAY),
        "Pool": subnet,
    }
    wanted = {"PreferredPool": "", "SubPool": "", "Gateway": "", "AuxAddresses": None}
    got = {"IPAMData": _compact(data).decode(), "PoolID": pool_id(subnet)}
    return _compact(
        {
            "addrSpace": SPACE,
            "attachable": False,
            "configFrom": "",
            "configOnly": False,
            "created": "2026-11-23T03:27:53.689728521Z",
            "enableIPv6": False,
            "generic": {
                "com.docker.network.enable_ipv6": False,
                "com.docker.network.generic": {},
            },
            "id": network,
            "inDelete": in_delete,
            "ingress": False,
            "internal": False,
            "ipamOptions": {},
            "ipamType": "default",
            "ipamV4Config": _compact([wanted]).decode(),
            "ipamV4Info": _compact([got]).decode(),
            "labels": {},
            "loadBalancerIP": "",
            "loadBalancerMode": "NAT",
            "name": name,
            "networkType": "overlay",
            "persist": True,
            "postIPv6": False,
            "scope": "global",
        }
    )


def render_endpoint(
    endpoint: str, name: str, subnet: str, ordinal: int, locator: str, sandbox: str
) -> bytes:
    """Return the record of a container's place on a network; no `sandbox` when it has not joined.

    `locator` is the advertise address of its engine, without port.
    """
    address = address_in(subnet, ordinal)
    octets = ipaddress.IPv4Interface(address).ip.packed
    return _compact(
        {
            "anonymous": False,
            "disableResolution": False,
            "ep_iface": {
                "addr": address,
                "dstPrefix": "eth" if sandbox else "",
                "mac": "02:42:" + octets.hex(":"),
                "routes": None,
                "srcName": f"veth{endpoint[:7]}" if sandbox else "",
                "v4PoolID": pool_id(subnet),
                "v6PoolID": "",
            },
            "exposed_ports": [],
            "generic": {
                "com.docker.network.endpoint.exposedports": [],
                "com.docker.network.portmap": [],
            },
            "id": endpoint,
            "ingressPorts": None,
            "joinInfo": {"StaticRoutes": None, "disableGatewayService": False} if sandbox else None,
            "loadBalancer": False,
            "locator": locator,
            "myAliases": [endpoint[:12], name],
            "name": name,
            "sandbox": sandbox,
            "svcAliases": None,
            "svcID": "",
            "svcName": "",
            "virtualIP": "<nil>",
        }
    )


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

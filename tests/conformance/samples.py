"""A healthy store as two real engines leave it: one network with a range, a container on each.

Bitmaps and records are those of the test lab that spec/docker-cluster-store.md was written from,
with short ids.
"""

import json
from typing import Any

from conformance.overlay.bitmap import Bitmap
from conformance.overlay.kv import Entry

TREE = "docker/network/v1.0/"
NETWORK = "n" * 64
POOL = "GlobalDefault/10.60.0.0/24"


def bitmap(bits: int, *ordinals: int) -> str:
    """Return the sequence of a bitmap with these bits set, one run for each block."""
    blocks = [0] * ((bits + 31) // 32)
    for ordinal in ordinals:
        blocks[ordinal // 32] |= 0x80000000 >> (ordinal % 32)
    return Bitmap(bits, bits - len(ordinals), tuple((block, 1) for block in blocks)).encode()


def entry(key: str, record: Any, *, session: str = "") -> Entry:
    """Return an entry with a JSON value, or with raw text."""
    value = record if isinstance(record, str) else json.dumps(record)
    return Entry(key, value.encode(), modify_index=7, session=session)


def endpoint(name: str, address: str, locator: str) -> Entry:
    """Return a container's endpoint on the network."""
    record = {
        "id": name,
        "name": name,
        "locator": locator,
        "ep_iface": {"addr": f"{address}/24", "v4PoolID": POOL, "addrv6": "", "v6PoolID": ""},
    }
    return entry(f"{TREE}endpoint/{NETWORK}/{name}/", record)


def healthy() -> dict[str, Entry]:
    """Return a sound listing by key, for a test to spoil."""
    data = {"Gateway": "10.60.0.1/24", "Pool": "10.60.0.0/24", "AuxAddresses": None}
    network = {
        "id": NETWORK,
        "name": "shop",
        "networkType": "overlay",
        "inDelete": False,
        "ipamV4Info": json.dumps([{"IPAMData": json.dumps(data), "PoolID": POOL}]),
    }
    pools = {POOL: {"Pool": "10.60.0.0/24", "RefCount": 1}}
    subnets = [{"SubnetIP": "10.60.0.0/24", "GwIP": "10.60.0.1/24", "Vni": 256}]
    entries = [
        Entry("docker/nodes", b"", 1),
        entry("docker/nodes/10.99.0.2:2376", "10.99.0.2:2376", session="s1"),
        entry("docker/nodes/10.99.0.3:2376", "10.99.0.3:2376", session="s2"),
        Entry(f"{TREE}network/", b"", 1),
        entry(f"{TREE}network/{NETWORK}/", network),
        entry(f"{TREE}endpoint_count/{NETWORK}/", {"Count": 2}),
        Entry(f"{TREE}endpoint/{NETWORK}/", b"", 1),
        endpoint("web", "10.60.0.2", "10.99.0.2"),
        endpoint("visitor", "10.60.0.3", "10.99.0.3"),
        entry(f"{TREE}overlay/network/{NETWORK}/", {"mtu": 0, "subnets": subnets}),
        entry(f"{TREE}ipam/default/config/GlobalDefault/", {"Scope": "", "Subnets": pools}),
        entry(f"{TREE}ipam/default/data/{POOL}/", {"sequence": bitmap(256, 0, 1, 2, 3, 255)}),
        entry(f"{TREE}idm/vxlan-id/", {"sequence": bitmap(1024, 0)}),
    ]
    return {one.key: one for one in entries}

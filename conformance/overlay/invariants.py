"""What must hold in a quiet, healthy store, and a list of what does not.

Pure: a `View` in, findings out. Objects are written one by one, so a busy store shows false
findings: ask again until the list is empty, or look at a quiet moment.

Source: spec/docker-cluster-store.md 2.8, whose numbers the finding kinds follow.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.overlay.records import VNI_FIRST, View

# Kinds of findings, one word each, so that a scenario can say which ones it expects.
PARTS = "parts"  # 1: a network lacks a record, or a record its network
COUNT = "count"  # 2: endpoint_count is not the number of endpoint records
LOCATOR = "locator"  # 3: an endpoint of an engine that is not alive
POOL = "pool"  # 1, 4: a pool without network or bitmap, or an unsound bitmap
ADDRESS = "address"  # 5: set bits are not the expected addresses
VNI = "vni"  # 6: VNI bits are not the VNIs in use
DELETING = "deleting"  # 7: a removal was left half way
TWIN = "twin"  # 7: two networks of one name
BROKEN = "broken"  # a value that cannot be decoded


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken invariant: its kind, what it is about, and what is wrong."""

    kind: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.text}"


def check(view: View) -> list[Finding]:
    """Return every broken invariant, sorted; empty for a healthy store."""
    found = [
        *(Finding(BROKEN, key, reason) for key, reason in view.broken.items()),
        *_parts(view),
        *_counts(view),
        *_locators(view),
        *_pools(view),
        *_addresses(view),
        *_vnis(view),
        *_names(view),
    ]
    return sorted(found)


def _parts(view: View) -> Iterator[Finding]:
    for network in view.networks.values():
        label = f"network {network.name}"
        if network.id not in view.counts:
            yield Finding(PARTS, label, "no endpoint_count record")
        if network.driver == "overlay" and network.id not in view.overlays:
            yield Finding(PARTS, label, "no overlay record")
        for pool in network.pools:
            if pool not in view.pools:
                yield Finding(PARTS, label, f"its pool {pool} is not in the config")
    for kind, ids in (("endpoint_count", view.counts), ("overlay", view.overlays)):
        for name in ids:
            if name not in view.networks:
                yield Finding(PARTS, f"{kind} {name[:12]}", "no such network")


def _counts(view: View) -> Iterator[Finding]:
    records = Counter(endpoint.network for endpoint in view.endpoints.values())
    for name, count in view.counts.items():
        if count != records[name]:
            yield Finding(COUNT, name[:12], f"count is {count}, endpoint records {records[name]}")
    for name in records:
        if name not in view.networks:
            yield Finding(COUNT, name[:12], f"{records[name]} endpoints of no network")


def _locators(view: View) -> Iterator[Finding]:
    alive = {address.rpartition(":")[0] for address, held in view.engines.items() if held}
    for address, held in view.engines.items():
        if not held:
            yield Finding(LOCATOR, address, "registered without a session")
    for endpoint in view.endpoints.values():
        if endpoint.locator and endpoint.locator not in alive:
            yield Finding(LOCATOR, endpoint.name, f"its engine {endpoint.locator} is not alive")


def _pools(view: View) -> Iterator[Finding]:
    used = {pool for network in view.networks.values() for pool in network.pools}
    used |= {_owner(pool) for pool in used}
    for pool in sorted(set(view.pools) - used):
        yield Finding(POOL, pool, "no network uses it")
    for pool, bitmap in view.bitmaps.items():
        if pool not in view.pools:
            yield Finding(POOL, pool, "a bitmap of no pool")
        for fault in bitmap.faults():
            yield Finding(POOL, pool, fault)
    for pool, ranged in view.pools.items():
        if not ranged and pool not in view.bitmaps:
            yield Finding(POOL, pool, "no bitmap")


def _addresses(view: View) -> Iterator[Finding]:
    expected: dict[str, Counter[str]] = {pool: Counter() for pool in view.bitmaps}
    taken = [pair for network in view.networks.values() for pair in network.reserved]
    taken += [pair for endpoint in view.endpoints.values() for pair in endpoint.addresses]
    for pool, address in taken:
        expected.setdefault(_owner(pool), Counter())[address] += 1
    for pool, bitmap in view.bitmaps.items():
        subnet = ipaddress.ip_network(pool.split("/", 1)[1])
        edges = {0} if subnet.version == 6 else {0, subnet.num_addresses - 1}  # noqa: PLR2004
        first = int(subnet.network_address)
        seen = {
            str(type(subnet.network_address)(first + n))
            for n in bitmap.ordinals()
            if n not in edges
        }
        for address in sorted(seen - set(expected[pool])):
            yield Finding(ADDRESS, pool, f"{address} is taken, but nobody has it")
        for address in sorted(set(expected[pool]) - seen):
            yield Finding(ADDRESS, pool, f"{address} is in use, but not taken")
        for address, times in expected[pool].items():
            if times > 1:
                yield Finding(ADDRESS, pool, f"{address} is given {times} times")


def _vnis(view: View) -> Iterator[Finding]:
    used = Counter(
        subnet.vni
        for name, subnets in view.overlays.items()
        if name in view.networks
        for subnet in subnets
        if subnet.vni
    )
    seen = {VNI_FIRST + n for n in view.vnis.ordinals()} if view.vnis else set()
    for vni in sorted(seen - set(used)):
        yield Finding(VNI, str(vni), "is taken, but no network has it")
    for vni in sorted(set(used) - seen):
        yield Finding(VNI, str(vni), "is in use, but not taken")
    for vni, times in used.items():
        if times > 1:
            yield Finding(VNI, str(vni), f"is given to {times} subnets")


def _names(view: View) -> Iterator[Finding]:
    for network in view.networks.values():
        if network.in_delete:
            yield Finding(DELETING, f"network {network.name}", "its removal never ended")
    for name, times in Counter(network.name for network in view.networks.values()).items():
        if times > 1:
            yield Finding(TWIN, f"network {name}", f"{times} networks of this name")


def _owner(pool: str) -> str:
    """Return the pool that owns the bitmap: a pool with a range allocates from its parent's."""
    space, address, length = pool.split("/")[:3]
    return f"{space}/{address}/{length}"

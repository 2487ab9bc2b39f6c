"""Records of simulated engines, read back as those of real ones are."""

import json

from conformance.overlay import invariants
from conformance.overlay.kv import Entry
from conformance.overlay.records import TREE, Subnet, parse
from conformance.soak import bits, rendering

SUBNET = "10.0.7.0/24"
POOL = f"GlobalDefault/{SUBNET}"
NETWORK = "ab" * 32


def entry(key: str, value: bytes, session: str = "") -> Entry:
    """Return an entry of the network tree."""
    return Entry(TREE + key, value, modify_index=7, session=session)


def store() -> list[Entry]:
    """Return what is in the store when one engine has one container on one network."""
    addresses = bits.empty(256)
    for ordinal in (0, 1, 2, 255):
        addresses = bits.with_bit(addresses, ordinal, taken=True)
    vnis = bits.with_bit(rendering.parse_bitmap(rendering.fresh_vnis()), 0, taken=True)
    return [
        Entry("docker/nodes/192.168.0.1:2376", b"192.168.0.1:2376", 5, session="s"),
        entry(f"network/{NETWORK}/", rendering.render_network(NETWORK, "net1", SUBNET)),
        entry(f"endpoint_count/{NETWORK}/", rendering.render_count(1)),
        entry(
            f"endpoint/{NETWORK}/e/",
            rendering.render_endpoint("e", "c1", SUBNET, 2, "192.168.0.1", "box"),
        ),
        entry(f"overlay/network/{NETWORK}/", rendering.render_overlay(SUBNET, 256)),
        entry("ipam/default/config/GlobalDefault/", rendering.render_config([POOL])),
        entry(f"ipam/default/data/{POOL}/", rendering.render_bitmap(POOL, addresses)),
        entry("idm/vxlan-id/", rendering.render_bitmap("vxlan-id", vnis)),
    ]


def test_records_are_those_of_a_healthy_store() -> None:
    """The lab's own reader takes them for real ones, and finds nothing wrong."""
    view = parse(store())

    assert invariants.check(view) == []
    assert view.networks[NETWORK].pools == (POOL,)
    assert view.overlays[NETWORK] == (Subnet(SUBNET, 256),)
    assert view.endpoints["e"].addresses == ((POOL, "10.0.7.2"),)


def test_records_have_the_members_that_an_engine_writes() -> None:
    """As recorded from engine 20.10.5, in its order."""
    network = json.loads(rendering.render_network(NETWORK, "net1", SUBNET, in_delete=True))
    endpoint = json.loads(rendering.render_endpoint("e", "c1", SUBNET, 2, "192.168.0.1", ""))

    assert " ".join(network) == (
        "addrSpace attachable configFrom configOnly created enableIPv6 generic id inDelete ingress "
        "internal ipamOptions ipamType ipamV4Config ipamV4Info labels loadBalancerIP "
        "loadBalancerMode name networkType persist postIPv6 scope"
    )
    assert network["inDelete"] is True
    assert " ".join(endpoint) == (
        "anonymous disableResolution ep_iface exposed_ports generic id ingressPorts joinInfo "
        "loadBalancer locator myAliases name sandbox svcAliases svcID svcName virtualIP"
    )
    assert endpoint["ep_iface"]["mac"] == "02:42:0a:00:07:02"


def test_values_are_read_back() -> None:
    """Each parse is the opposite of its render."""
    assert rendering.parse_config(rendering.render_config([POOL])) == [POOL]
    assert rendering.parse_config(b"") == []
    assert rendering.parse_count(rendering.render_count(3)) == 3
    assert rendering.parse_vni(rendering.render_overlay(SUBNET, 300)) == 300


def test_subnets_are_the_candidates_of_libnetwork() -> None:
    """10.0.0.0/8 in /24s, one after the other."""
    assert [rendering.subnet_of(number) for number in (0, 1, 256)] == [
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.1.0.0/24",
    ]
    assert rendering.address_in("10.1.0.0/24", 255) == "10.1.0.255/24"

"""The one node in its shapes."""

from dataclasses import replace

import pytest

from kvstore.api.node import (
    catalog_node,
    catalog_service,
    health_check,
    is_node,
    is_service,
    member,
    node_service,
)

from .calls import IDENTITY


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [(b"n1", True), (b"N1", True), (b"n", False), (b"", False), (b"\xff", False)],
)
def test_the_nodes_name(name: bytes, *, is_ours: bool) -> None:
    """Letter case does not count."""
    assert is_node(IDENTITY, name) is is_ours


@pytest.mark.parametrize(
    ("name", "is_ours"), [(b"consul", True), (b"Consul", True), (b"web", False)]
)
def test_the_services_name(name: bytes, *, is_ours: bool) -> None:
    """Letter case does not count."""
    assert is_service(name) is is_ours


def test_a_member_of_two_pools() -> None:
    """Among all datacenters it is named after its own too."""
    assert member(IDENTITY, wan=False, acls=False)["Name"] == "n1"
    assert member(IDENTITY, wan=True, acls=False)["Name"] == "n1.dc1"


@pytest.mark.parametrize(("acls", "tag"), [(False, "0"), (True, "1")])
def test_a_member_says_whether_it_asks_for_tokens(*, acls: bool, tag: str) -> None:
    """As a tag, in Consul's spelling."""
    assert member(IDENTITY, wan=False, acls=acls)["Tags"]["acls"] == tag


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("10.0.0.5", ["lan", "lan_ipv4", "wan", "wan_ipv4"]),
        ("fd00::5", ["lan", "lan_ipv6", "wan", "wan_ipv6"]),
    ],
)
def test_addresses_are_tagged_by_their_kind(host: str, names: list[str]) -> None:
    """One address, under the names of its own kind."""
    assert catalog_node(replace(IDENTITY, host=host))["TaggedAddresses"] == dict.fromkeys(
        names, host
    )


def test_all_shapes_agree() -> None:
    """The same node, service, address and port, wherever they stand."""
    node, service = catalog_node(IDENTITY), node_service(IDENTITY)
    listed = catalog_service(IDENTITY)
    assert {name: listed[name] for name in ("ID", "Node", "Address", "Datacenter")} == {
        name: node[name] for name in ("ID", "Node", "Address", "Datacenter")
    }
    assert (listed["ServiceID"], listed["ServicePort"]) == (service["ID"], service["Port"])
    assert listed["ServiceMeta"] == service["Meta"]
    assert health_check(IDENTITY)["Node"] == node["Node"]

"""The few calls about the cluster that key-value clients make (section 9, O1, O2, H22).

Ours are minimal but true, so shapes are compared: the members that clients read.
"""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import re
from typing import Any

import pytest

from .stores import Store


def read(store: Store, path: str) -> Any:
    """GET the path under /v1, which must be 200."""
    answer = store.ask("GET", f"/v1/{path}")
    assert answer.status == 200, answer
    return answer.json


def node_name(store: Store) -> str:
    """Return the name of the store's own node, as agent/self says it."""
    return str(read(store, "agent/self")["Config"]["NodeName"])


def test_9_status(store: Store) -> None:
    """There is a leader, host and port, and it is among the peers."""
    leader = read(store, "status/leader")
    assert re.fullmatch(r"\S+:\d+", leader)
    assert leader in read(store, "status/peers")


def test_9_datacenters(store: Store) -> None:
    """There is one datacenter, dc1."""
    assert store.ask("GET", "/v1/catalog/datacenters").body == b'["dc1"]'


def test_9_nodes(store: Store) -> None:
    """The catalog knows the own node."""
    (node,) = read(store, "catalog/nodes")
    assert node["Node"] == node_name(store)
    assert node["Datacenter"] == "dc1"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", node["ID"])
    assert isinstance(node["Address"], str)
    assert set(node["TaggedAddresses"]) >= {"lan", "wan"}
    assert isinstance(node["Meta"], dict)
    assert 0 < node["CreateIndex"] <= node["ModifyIndex"]


def test_9_services(store: Store) -> None:
    """Services are a map from names to lists of tags."""
    services = read(store, "catalog/services")
    assert services.get("consul", []) == []
    assert all(isinstance(tags, list) for tags in services.values())


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("catalog/service/nope", 200, "[]"),
        ("catalog/service/", 400, "Missing service name"),
        ("catalog/node/nope", 200, "null"),
        ("catalog/node/", 400, "Missing node name"),
        ("health/checks/nope", 200, "[]"),
        ("health/checks/", 400, "Missing service name"),
        ("health/service/", 400, "Missing service name"),
        ("health/node/", 400, "Missing node name"),
        ("health/state/", 400, "Missing check state"),
        ("health/service/nope?passing", 200, "[]"),
        ("health/service/nope?passing=abc", 400, "Invalid value for ?passing"),
        ("agent/services", 200, "{}"),
        ("agent/checks", 200, "{}"),
    ],
)
def test_9_nothing_there(store: Store, path: str, status: int, body: str) -> None:
    """What is not there is an empty answer, and a missing name is said."""
    answer = store.ask("GET", f"/v1/{path}")
    assert (answer.status, answer.text) == (status, body)


def test_O1_self(store: Store) -> None:
    """The agent tells its node, datacenter, version, address and statistics."""
    shown = read(store, "agent/self")
    config = shown["Config"]
    assert config["NodeName"]
    assert config["Datacenter"] == "dc1"
    assert config["Server"] is True
    assert re.match(r"\d+\.\d+\.\d+", config["Version"])
    member = shown["Member"]
    assert member["Name"] == config["NodeName"]
    assert isinstance(member["Addr"], str)
    assert member["Tags"]["role"] == "consul"
    for group in shown["Stats"].values():
        assert all(isinstance(value, str) for value in group.values())


@pytest.mark.parametrize("query", ["", "?segment=_all"])
def test_O2_members(store: Store, query: str) -> None:
    """The agent is an alive member of its own cluster."""
    (member,) = read(store, f"agent/members{query}")
    assert (member["Name"], member["Status"]) == (node_name(store), 1)
    assert isinstance(member["Addr"], str)
    assert isinstance(member["Port"], int)
    assert member["Tags"]["dc"] == "dc1"
    assert {"role", "build", "vsn", "segment"} <= set(member["Tags"])
    protocols = {"ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax"}
    assert protocols <= set(member)


@pytest.mark.parametrize("path", ["health/node/{node}", "health/state/any", "health/state/passing"])
def test_9_health_checks(store: Store, path: str) -> None:
    """The node's own check passes; sessions name it."""
    node = node_name(store)
    checks = read(store, path.format(node=node))
    (serf,) = [check for check in checks if check["CheckID"] == "serfHealth"]
    assert (serf["Node"], serf["Status"]) == (node, "passing")
    assert (serf["Name"], serf["ServiceID"]) == ("Serf Health Status", "")
    assert {"Notes", "Output", "ServiceName", "ServiceTags", "Definition"} <= set(serf)


@pytest.mark.parametrize("path", ["node/nope", "state/critical", "state/nope", "service/nope"])
def test_9_health_of_nothing(store: Store, path: str) -> None:
    """Unknown nodes and services, and states nothing is in, are empty lists."""
    assert store.ask("GET", f"/v1/health/{path}").body == b"[]"


def test_9_health_of_a_service(store: Store) -> None:
    """A service is a list of nodes with the service and its checks."""
    for instance in read(store, "health/service/consul"):
        assert instance["Node"]["Node"] == node_name(store)
        assert instance["Service"]["Service"] == "consul"
        assert isinstance(instance["Checks"], list)


def test_9_sessions_are_on_the_own_node(store: Store) -> None:
    """A session that names no node is on the node that agent/self tells."""
    session = store.session()
    (shown,) = read(store, f"session/info/{session}")
    assert shown["Node"] == node_name(store)
    assert session in str(read(store, f"session/node/{shown['Node']}"))
    store.destroy(session)

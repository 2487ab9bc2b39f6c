"""py-consul, a client library for Python, on our server and on a real Consul."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import consul as py_consul  # type: ignore[import-untyped]  # it ships no types
import pytest
from contract.stores import Store

# Any: py-consul has no types.
Client = Any


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    """Give a client of the store."""
    with py_consul.Consul("127.0.0.1", store.port) as client:
        yield client


@pytest.fixture
def our_client(kvstore: Store) -> Iterator[Client]:
    """Give a client of our server only."""
    with py_consul.Consul("127.0.0.1", kvstore.port) as client:
        yield client


def node_of(client: Client) -> str:
    """Return the name of the store's node."""
    return str(client.agent.self()["Config"]["NodeName"])


def test_keys(client: Client, prefix: str) -> None:
    """Values, flags, check-and-set, trees and names."""
    assert client.kv.put(f"{prefix}a", "é", flags=7)
    index, entry = client.kv.get(f"{prefix}a")
    assert (entry["Value"], entry["Flags"], int(index)) == ("é".encode(), 7, entry["ModifyIndex"])
    assert client.kv.put(f"{prefix}a", "x", cas=0) is False
    assert client.kv.put(f"{prefix}a", "x", cas=entry["ModifyIndex"]) is True
    client.kv.put(f"{prefix}b/c", None)
    entries = client.kv.get(prefix, recurse=True)[1]
    assert [(one["Key"], one["Value"]) for one in entries] == [
        (f"{prefix}a", b"x"),
        (f"{prefix}b/c", None),
    ]
    assert client.kv.get(prefix, keys=True, separator="/")[1] == [f"{prefix}a", f"{prefix}b/"]
    assert client.kv.delete(prefix, recurse=True)
    assert client.kv.get(f"{prefix}a")[1] is None


def test_a_blocking_query(client: Client, prefix: str) -> None:
    """It is answered by the write that it waits for."""
    client.kv.put(f"{prefix}a", "old")
    index, _ = client.kv.get(f"{prefix}a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.kv.get, f"{prefix}a", index=index, wait="30s")
        client.kv.put(f"{prefix}a", "new")
        assert waiting.result()[1]["Value"] == b"new"


def test_sessions_and_locks(client: Client, prefix: str) -> None:
    """A session is made, seen, renewed, holds a key and ends."""
    session = client.session.create("mine", ttl=30, lock_delay=0, behavior="delete")
    _, shown = client.session.info(session)
    assert (shown["Name"], shown["Behavior"], shown["Node"]) == ("mine", "delete", node_of(client))
    assert session in [one["ID"] for one in client.session.list()[1]]
    assert session in [one["ID"] for one in client.session.node(node_of(client))[1]]
    assert client.session.renew(session)["ID"] == session
    other = client.session.create(lock_delay=0)
    assert client.kv.put(f"{prefix}lock", "1", acquire=session) is True
    assert client.kv.put(f"{prefix}lock", "2", acquire=other) is False
    assert client.kv.get(f"{prefix}lock")[1]["Session"] == session
    client.session.destroy(session)
    assert client.kv.get(f"{prefix}lock")[1] is None
    with pytest.raises(py_consul.NotFound):
        client.session.renew(session)
    client.session.destroy(other)


def test_a_transaction(client: Client, prefix: str) -> None:
    """All of it or nothing."""
    done = client.txn.put(
        [
            {"KV": {"Verb": "set", "Key": f"{prefix}a", "Value": "djE="}},
            {"KV": {"Verb": "get", "Key": f"{prefix}a"}},
        ]
    )
    assert [one["KV"]["Key"] for one in done["Results"]] == [f"{prefix}a"] * 2
    assert client.kv.get(f"{prefix}a")[1]["Value"] == b"v1"
    with pytest.raises(py_consul.ConsulException, match="409"):
        client.txn.put(
            [
                {"KV": {"Verb": "set", "Key": f"{prefix}b", "Value": "djE="}},
                {"KV": {"Verb": "get", "Key": f"{prefix}none"}},
            ]
        )
    assert client.kv.get(f"{prefix}b")[1] is None


def test_status(client: Client) -> None:
    """One server leads itself."""
    assert client.status.leader() in client.status.peers()


def test_the_agent(client: Client) -> None:
    """It describes itself and has nothing registered."""
    described = client.agent.self()
    assert described["Member"]["Name"] == described["Config"]["NodeName"]
    (member,) = client.agent.members()
    assert (member["Name"], member["Status"]) == (node_of(client), 1)
    assert (client.agent.services(), client.agent.checks()) == ({}, {})
    assert set(client.agent.metrics()) >= {"Gauges", "Counters", "Samples"}
    assert client.agent.service.deregister("none") is True
    assert client.agent.check.deregister("none") is True
    assert client.agent.maintenance(enable=False) is True
    with pytest.raises(py_consul.ConsulException, match="does not have associated TTL"):
        client.agent.check.ttl_pass("none")


def test_the_catalog(client: Client) -> None:
    """One datacenter, one node, one service."""
    assert client.catalog.datacenters() == ["dc1"]
    _, (node,) = client.catalog.nodes()
    assert node["Node"] == node_of(client)
    assert client.catalog.services()[1] == {"consul": []}
    _, described = client.catalog.node(node["Node"])
    assert (described["Node"], list(described["Services"])) == (node, ["consul"])
    _, (served,) = client.catalog.service("consul")
    assert served["Node"] == node["Node"]
    assert client.catalog.service("consul", tag="none")[1] == []
    assert client.catalog.service("none")[1] == []
    assert client.catalog.connect("none")[1] == []
    assert client.catalog.nodes(node_meta={"rack": "1"})[1] == []
    assert client.catalog.deregister("nobody") is True


def test_a_blocking_query_of_the_catalog(client: Client) -> None:
    """It ends when its time is up, with the index that it began with."""
    index, nodes = client.catalog.nodes()
    assert client.catalog.nodes(index=index, wait="1ms") == (index, nodes)


def test_health(client: Client) -> None:
    """One check, which passes."""
    _, (check,) = client.health.node(node_of(client))
    assert (check["CheckID"], check["Status"]) == ("serfHealth", "passing")
    assert client.health.state("passing")[1] == [check]
    assert client.health.state("critical")[1] == []
    _, (instance,) = client.health.service("consul", passing=True)
    assert instance["Checks"] == [check]
    assert client.health.checks("consul")[1] == []
    assert client.health.connect("consul")[1] == []


def test_events(client: Client, prefix: str) -> None:
    """One that is fired is listed, and one can be waited for."""
    name = f"deploy-{prefix.removesuffix('/')}"
    index, events = client.event.list(name=name)
    assert (index, events) == ("1", [])
    fired = client.event.fire(name, "v1")
    index, (listed,) = client.event.list(name=name, index=index, wait="30s")
    assert (listed["ID"], listed["Payload"]) == (fired["ID"], b"v1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.event.list, name=name, index=index, wait="30s")
        client.event.fire(name, "v2")
        assert [one["Payload"] for one in waiting.result()[1]] == [b"v1", b"v2"]


def test_operators_calls(client: Client) -> None:
    """One peer, which leads."""
    configuration = client.operator.raft_config()
    (server,) = configuration["Servers"]
    assert (server["Node"], server["Leader"]) == (node_of(client), True)
    with pytest.raises(py_consul.ConsulException, match="encryption not enabled"):
        client.operator.keyring_list()


def test_snapshots(our_client: Client, prefix: str) -> None:
    """What was changed since is undone (not on the shared Consul: it forgets its node)."""
    our_client.kv.put(f"{prefix}a", "old")
    archive = our_client.snapshot.save()
    our_client.kv.put(f"{prefix}a", "new")
    assert our_client.snapshot.restore(archive)
    assert our_client.kv.get(f"{prefix}a")[1]["Value"] == b"old"


def test_acls_are_off(client: Client) -> None:
    """The library has an error of its own for that."""
    with pytest.raises(py_consul.ACLDisabled):
        client.acl.token.list("any")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda client: client.agent.service.register("web"), "no service discovery"),
        (
            lambda client: client.agent.check.register("web", py_consul.Check.ttl("10s")),
            "no health checks",
        ),
        (lambda client: client.catalog.register("other", "10.0.0.9"), "no service discovery"),
        (lambda client: client.agent.maintenance(enable=True), "no maintenance mode"),
        (lambda client: client.agent.join("10.0.0.9"), "joins no cluster"),
        (lambda client: client.agent.leave(), "stop its process"),
        (lambda client: client.query.create("web"), "no prepared queries"),
        (lambda client: client.connect.ca.roots(), "no service mesh"),
        (lambda client: client.agent.reload(), "nothing that it could read again"),
    ],
)
def test_what_it_cannot(our_client: Client, call: Any, reason: str) -> None:
    """An error with a sentence, and never a success."""
    with pytest.raises(py_consul.ConsulException, match=f"501.*{reason}"):
        call(our_client)

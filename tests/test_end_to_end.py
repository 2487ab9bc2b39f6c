"""A client library that is not ours (py-consul) against a real server process.

Each test keeps to keys of its own, for one server serves them all.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import consul  # type: ignore[import-untyped]  # it ships no types
import pytest
from running import Process

pytestmark = pytest.mark.slow

UNKNOWN = "00000000-0000-0000-0000-000000000000"

# Any: py-consul has no types.
Client = Any


@pytest.fixture
def client(shared_process: Process) -> Iterator[Client]:
    """Give py-consul's client of the shared server."""
    with consul.Consul("127.0.0.1", shared_process.port) as client:
        yield client


def test_put_and_get(client: Client) -> None:
    """A value comes back as bytes, with its flags and indexes; a missing key is None."""
    assert client.kv.put("put/a", "é", flags=7)
    index, entry = client.kv.get("put/a")
    assert (entry["Value"], entry["Flags"], entry["LockIndex"]) == ("é".encode(), 7, 0)
    assert int(index) == entry["ModifyIndex"] == entry["CreateIndex"]
    assert client.kv.get("put/none")[1] is None


@pytest.mark.parametrize("value", [b"", b"\x00\xff" * 1000, "text", b"x" * 512 * 1024])
def test_values(client: Client, value: bytes | str) -> None:
    """Any bytes up to the limit; an empty value is None."""
    assert client.kv.put("values/a", value)
    expected = value.encode() if isinstance(value, str) else value
    assert client.kv.get("values/a")[1]["Value"] == (expected or None)


def test_a_value_over_the_limit(client: Client) -> None:
    """One byte more is the client's error, and nothing is stored."""
    with pytest.raises(consul.ConsulException, match="413"):
        client.kv.put("limit/a", b"x" * (512 * 1024 + 1))
    assert client.kv.get("limit/a")[1] is None


def test_trees_and_names(client: Client) -> None:
    """`recurse` lists entries in order, `keys` names, `separator` cuts them."""
    for key in ("tree/b", "tree/a", "tree/c/1", "tree/c/2", "tree2"):
        client.kv.put(key, key)
    entries = client.kv.get("tree/", recurse=True)[1]
    assert [entry["Key"] for entry in entries] == ["tree/a", "tree/b", "tree/c/1", "tree/c/2"]
    assert entries[0]["Value"] == b"tree/a"
    assert client.kv.get("tree/", keys=True, separator="/")[1] == ["tree/a", "tree/b", "tree/c/"]
    assert client.kv.get("nothing/", recurse=True)[1] is None
    assert client.kv.get("nothing/", keys=True)[1] is None


def test_check_and_set(client: Client) -> None:
    """0 creates, the right index writes, any other does not."""
    assert client.kv.put("cas/a", "1", cas=0)
    assert not client.kv.put("cas/a", "2", cas=0)
    index = client.kv.get("cas/a")[1]["ModifyIndex"]
    assert not client.kv.put("cas/a", "2", cas=index + 1)
    assert client.kv.put("cas/a", "2", cas=index)
    assert client.kv.get("cas/a")[1]["Value"] == b"2"
    assert not client.kv.delete("cas/a", cas=index)
    assert client.kv.get("cas/a")[1] is not None


def test_delete(client: Client) -> None:
    """One key, then everything under a prefix; what is not there is deleted already."""
    for key in ("delete/a", "delete/b", "delete/c/1", "kept"):
        client.kv.put(key, "v")
    assert client.kv.delete("delete/a")
    assert client.kv.delete("delete/a")
    assert client.kv.get("delete/", keys=True)[1] == ["delete/b", "delete/c/1"]
    assert client.kv.delete("delete/", recurse=True)
    assert client.kv.get("delete/", keys=True)[1] is None
    assert client.kv.get("kept")[1] is not None


def test_a_blocking_get_sees_the_next_write(client: Client, shared_process: Process) -> None:
    """A get with an index returns when the key changes, with the new value and a newer index."""
    client.kv.put("block/a", "1")
    index, _ = client.kv.get("block/a")
    with (
        ThreadPoolExecutor(1) as threads,
        consul.Consul("127.0.0.1", shared_process.port) as waiter,
    ):
        waiting = threads.submit(waiter.kv.get, "block/a", index=index, wait="60s")
        wait_parked(client, 1)
        client.kv.put("block/other", "x")
        assert not waiting.done()
        client.kv.put("block/a", "2")
        newer, entry = waiting.result(timeout=20)
    assert entry["Value"] == b"2"
    assert int(newer) > int(index)


def wait_parked(client: Client, count: int) -> None:
    """Wait until that many queries are parked."""
    while client.agent.self()["Stats"]["kvstore"]["parked_queries"] != str(count):
        pass


def test_a_blocking_get_ends_with_its_wait(client: Client) -> None:
    """Nothing happens, and the answer is the one before."""
    client.kv.put("wait/a", "1")
    index, entry = client.kv.get("wait/a")
    assert client.kv.get("wait/a", index=index, wait="10ms") == (index, entry)


def test_sessions(client: Client) -> None:
    """Made, shown, listed, renewed and destroyed."""
    session = client.session.create(name="e2e", lock_delay=1, behavior="delete", ttl=10)
    _, info = client.session.info(session)
    assert (info["Name"], info["TTL"], info["Behavior"]) == ("e2e", "10s", "delete")
    assert info["LockDelay"] == 1_000_000_000
    assert session in [one["ID"] for one in client.session.list()[1]]
    assert session in [one["ID"] for one in client.session.node(info["Node"])[1]]
    assert client.session.renew(session)["ID"] == session
    assert client.session.destroy(session)
    assert client.session.info(session)[1] is None
    with pytest.raises(consul.NotFound):
        client.session.renew(session)


def test_a_session_too_short(client: Client) -> None:
    """What is refused is refused with Consul's text."""
    with pytest.raises(consul.ConsulException, match="Missing node registration"):
        client.session.create(node="nobody")
    with pytest.raises(consul.ConsulException, match=f'invalid session "{UNKNOWN}"'):
        client.kv.put("lock/unknown", "v", acquire=UNKNOWN)


@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_locks(client: Client, behavior: str) -> None:
    """One holds, the other does not; the end of the holder's session frees or deletes the key."""
    key = f"lock/{behavior}"
    one = client.session.create(lock_delay=0, behavior=behavior)
    two = client.session.create(lock_delay=0)
    assert client.kv.put(key, "one", acquire=one)
    assert not client.kv.put(key, "two", acquire=two)
    assert not client.kv.put(key, "two", release=two)
    assert client.kv.get(key)[1]["Session"] == one
    client.session.destroy(one)
    entry = client.kv.get(key)[1]
    assert (entry is None) == (behavior == "delete")
    assert entry is None or "Session" not in entry
    assert client.kv.put(key, "two", acquire=two)
    assert client.kv.put(key, "free", release=two)
    assert client.kv.get(key)[1]["Value"] == b"free"


def test_lock_delay_keeps_the_next_one_waiting(client: Client) -> None:
    """For a while after its holder's end, a key cannot be acquired, but written it can."""
    one, two = client.session.create(), client.session.create()
    assert client.kv.put("delay/a", "one", acquire=one)
    client.session.destroy(one)
    assert not client.kv.put("delay/a", "two", acquire=two)
    assert client.kv.put("delay/a", "anyone")


def test_the_server_is_known(client: Client, shared_process: Process) -> None:
    """What libraries ask first: agent, leader, peers, nodes, services, health."""
    address = f"127.0.0.1:{shared_process.port}"
    me = client.agent.self()
    assert me["Member"]["Port"] == shared_process.port
    assert client.status.leader() == address
    assert client.status.peers() == [address]
    assert client.catalog.datacenters() == [me["Config"]["Datacenter"]]
    (node,) = client.catalog.nodes()[1]
    assert node["Node"] == me["Config"]["NodeName"]
    assert client.catalog.services()[1] == {"consul": []}
    (service,) = client.catalog.service("consul")[1]
    assert service["ServicePort"] == shared_process.port
    (check,) = client.health.state("passing")[1]
    assert (check["Node"], check["CheckID"]) == (node["Node"], "serfHealth")
    assert client.health.node(node["Node"])[1] == [check]
    assert len(client.health.service("consul", passing=True)[1]) == 1
    assert client.health.service("web")[1] == []
    assert len(client.agent.members()) == 1
    assert client.agent.services() == client.agent.checks() == {}

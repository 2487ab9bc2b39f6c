"""The rest of the `consul` command: what it says of the cluster, what it waits for, what it cannot.

A command whose wish this server cannot fulfil ends with an error and a sentence about why.
"""

import json
import re
import threading
from pathlib import Path

import pytest

from .command import Command

pytestmark = pytest.mark.oracle


# --- what it shows --------------------------------------------------------------------------


def test_members(cli: Command) -> None:
    """One server, alive."""
    (member,) = cli("members").table
    assert (member["Status"], member["Type"], member["DC"]) == ("alive", "server", "dc1")
    assert re.match(r"\d+\.\d+\.\d+", member["Build"])
    detailed = cli.ok("members", "-detailed")
    assert re.search(r"\bacls=0,bootstrap=1,build=[\d.]+:,dc=dc1,", detailed)
    assert cli.ok("members", "-status=alive") == cli.ok("members")
    assert cli("members", "-status=failed").code == 2


def test_members_of_all_datacenters(our_cli: Command) -> None:
    """The same one, under its longer name."""
    (member,) = our_cli("members").table
    (wide,) = our_cli("members", "-wan").table
    assert wide == {**member, "Node": f"{member['Node']}.dc1"}


def test_info(cli: Command) -> None:
    """Sections of names and values."""
    shown = cli.ok("info")
    sections = re.findall(r"^(\w+):$", shown, re.MULTILINE)
    assert {"agent", "build", "consul", "raft", "runtime", "serf_lan"} <= set(sections)
    assert re.search(r"^\tleader = true$", shown, re.MULTILINE)
    assert re.search(r"^\tserver = true$", shown, re.MULTILINE)
    assert re.search(r"^\tstate = Leader$", shown, re.MULTILINE)


def test_catalog(cli: Command) -> None:
    """One datacenter, one node, one service."""
    assert cli.ok("catalog", "datacenters") == "dc1\n"
    (node,) = cli("catalog", "nodes").table
    assert node["DC"] == "dc1"
    assert cli.ok("catalog", "services") == "consul\n"
    assert cli.ok("catalog", "services", f"-node={node['Node']}") == "consul\n"
    assert cli("catalog", "nodes", "-service=consul").table == [node]
    assert "No nodes match" in cli("catalog", "nodes", "-service=none").said
    assert "consul-network-segment=" in cli.ok("catalog", "nodes", "-detailed")


def test_raft_peers(cli: Command) -> None:
    """One that leads and votes."""
    (peer,) = cli("operator", "raft", "list-peers").table
    assert (peer["State"], peer["Voter"], peer["RaftProtocol"]) == ("leader", "true", "3")


def test_autopilot_settings(cli: Command) -> None:
    """Each setting has a value."""
    shown = cli.ok("operator", "autopilot", "get-config")
    assert re.search(r"^CleanupDeadServers = (true|false)$", shown, re.MULTILINE)
    assert re.search(r"^LastContactThreshold = \w+$", shown, re.MULTILINE)


def test_no_maintenance(cli: Command) -> None:
    """Nothing is in it, and the node can be taken out of it."""
    assert cli.ok("maint") == ""
    assert cli.ok("maint", "-disable") == "Node maintenance is now disabled\n"


def test_what_is_not_registered_can_be_deregistered(cli: Command) -> None:
    """As in Consul that is a success, and it is true."""
    assert cli.ok("services", "deregister", "-id=none") == "Deregistered service: none\n"


# --- what it waits for ----------------------------------------------------------------------


def test_watch_a_key(cli: Command, prefix: str) -> None:
    """Absent at first, then each of its values, then absent again."""
    with cli.started("watch", "-type=key", f"-key={prefix}a", "cat; echo") as watch:
        assert watch.json() is None
        cli.ok("kv", "put", f"{prefix}a", "one")
        assert watch.json()["Value"] == "b25l"
        cli.ok("kv", "put", f"{prefix}a", "two")
        assert watch.json()["Value"] == "dHdv"
        cli.ok("kv", "delete", f"{prefix}a")
        assert watch.json() is None


def test_watch_a_prefix(cli: Command, prefix: str) -> None:
    """Every entry under it, whenever one changes."""
    cli.ok("kv", "put", f"{prefix}a", "v")
    with cli.started("watch", "-type=keyprefix", f"-prefix={prefix}", "cat; echo") as watch:
        assert [one["Key"] for one in watch.json()] == [f"{prefix}a"]
        cli.ok("kv", "put", f"{prefix}b", "v")
        assert [one["Key"] for one in watch.json()] == [f"{prefix}a", f"{prefix}b"]
        cli.ok("kv", "delete", f"{prefix}a")
        assert [one["Key"] for one in watch.json()] == [f"{prefix}b"]


def test_watch_events(cli: Command, prefix: str) -> None:
    """Those of a name, from the first on; without a handler it shows what there is and ends."""
    name = f"deploy-{prefix.removesuffix('/')}"
    assert json.loads(cli.ok("watch", "-type=event", f"-name={name}")) == []
    with cli.started("watch", "-type=event", f"-name={name}", "cat; echo") as watch:
        assert watch.json() == []
        cli.ok("event", f"-name={name}-other", "x")
        fired = cli.ok("event", f"-name={name}", "v1")
        (event,) = watch.json()
        assert (event["Name"], event["Payload"]) == (name, "djE=")
        assert fired == f"Event ID: {event['ID']}\n"
        cli.ok("event", f"-name={name}", "v2")
        (event,) = watch.json()
        assert event["Payload"] == "djI="


def test_an_event_for_other_nodes(cli: Command, prefix: str) -> None:
    """It can be fired, and nobody here gets it."""
    name = f"deploy-{prefix.removesuffix('/')}"
    cli.ok("event", f"-name={name}", "-node=^nobody$", "v1")
    assert json.loads(cli.ok("watch", "-type=event", f"-name={name}")) == []


def test_watch_the_catalog(cli: Command) -> None:
    """Nodes, services, checks and a service: what there is."""
    (node,) = json.loads(cli.ok("watch", "-type=nodes"))
    assert node["Datacenter"] == "dc1"
    assert json.loads(cli.ok("watch", "-type=services")) == {"consul": []}
    (check,) = json.loads(cli.ok("watch", "-type=checks"))
    assert (check["CheckID"], check["Status"]) == ("serfHealth", "passing")
    (service,) = json.loads(cli.ok("watch", "-type=service", "-service=consul"))
    assert service["Node"]["Node"] == node["Node"]
    assert json.loads(cli.ok("watch", "-type=service", "-service=none")) == []


def test_monitor(our_cli: Command) -> None:
    """The log as it is written; not on Consul, which packs it and then never sends the packets."""
    seen = threading.Event()

    def ask_until_seen() -> None:
        while not seen.is_set():
            our_cli("kv", "get", "monitored")

    with our_cli.started("monitor", "-log-level=debug") as monitor:
        asking = threading.Thread(target=ask_until_seen)  # it follows from some moment on
        asking.start()
        try:
            assert " DEBUG GET /v1/kv/monitored: 404" in monitor.line_with("monitored")
        finally:
            seen.set()
            asking.join()


def test_monitor_at_a_level_that_is_none(cli: Command) -> None:
    """It ends with an error."""
    refused = cli("monitor", "-log-level=bogus")
    assert (refused.code, "Unknown log level: bogus" in refused.said) == (1, True)


# --- what it cannot -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("rtt {node}", 'Could not find a coordinate for node "{node}"'),
        ("keyring -list", "Keyring is empty (encryption not enabled)"),
        ("acl token list", "ACL support disabled"),
        ("acl bootstrap", "ACL support disabled"),
        ("force-leave nobody", "agent: No node found with name 'nobody'"),
        ("operator raft remove-peer -id=none", 'id "none" was not found in the Raft configuration'),
        ("event -name=a -tag=b", "Cannot provide tag filter without service filter"),
    ],
)
def test_what_neither_can(cli: Command, command: str, reason: str) -> None:
    """The same words, and an exit code that is not 0."""
    (node,) = cli("catalog", "nodes").table
    outcome = cli(*command.format(node=node["Node"]).split())
    assert outcome.code != 0
    assert reason.format(node=node["Node"]) in outcome.said


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("services register -name=web", "no service discovery"),
        ("maint -enable", "no maintenance mode"),
        ("join 10.0.0.9", "joins no cluster"),
        ("join -wan 10.0.0.9", "joins no cluster"),
        ("leave", "stop its process"),
        ("force-leave {node}", "stop its process"),
        ("reload", "nothing that it could read again"),
        ("exec true", "no remote execution"),
        ("keyring -install=pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=", "no gossip"),
        ("operator autopilot set-config -cleanup-dead-servers=false", "autopilot"),
        ("operator raft remove-peer -id={id}", "cannot be taken out of its own cluster"),
        ("intention create a b", "no service mesh"),
        ("intention check a b", "no service mesh"),
        ("config read -kind=service-defaults -name=web", "no service mesh"),
        ("connect ca get-config", "no service mesh"),
        ("catalog nodes -filter=Node==n1", "no filter expressions"),
        ("event -name=a -node=n.*", "does not evaluate the node filter"),
    ],
)
def test_what_only_consul_can(our_cli: Command, command: str, reason: str) -> None:
    """A sentence that says what there is not, and an exit code that is not 0."""
    (node,) = our_cli("catalog", "nodes").table
    (peer,) = our_cli("operator", "raft", "list-peers").table
    outcome = our_cli(*command.format(node=node["Node"], id=peer["ID"]).split())
    assert outcome.code != 0
    assert reason in outcome.said
    assert "kvstore" in outcome.said or "this server" in outcome.said


def test_a_failed_exec_leaves_nothing(our_cli: Command) -> None:
    """What it wrote before it was refused, it takes back."""
    assert our_cli("exec", "true").code != 0
    assert our_cli.ok("kv", "get", "-keys", "_rexec") == ""


def test_a_service_from_a_file(our_cli: Command, tmp_path: Path) -> None:
    """The usual way to register one."""
    file = tmp_path / "web.json"
    file.write_text('{"service": {"name": "web", "port": 80}}')
    outcome = our_cli("services", "register", str(file))
    assert (outcome.code, "Consul agent" in outcome.said) == (1, True)
    assert our_cli.ok("catalog", "services") == "consul\n"

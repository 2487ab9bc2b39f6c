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


UUID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"
SHORT_ID = "failed prepared query lookup: index error: UUID must be 36 characters"
NAMESPACE = (
    'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
)
SAME_READS = [
    ("catalog/service/nope", 200, "[]"),
    ("catalog/service/", 400, "Missing service name"),
    ("catalog/service/consul?tag=", 200, "[]"),
    ("catalog/service/consul?node-meta=a:b", 200, "[]"),
    ("catalog/connect/nope", 200, "[]"),
    ("catalog/connect/", 400, "Missing service name"),
    ("catalog/node/nope", 200, "null"),
    ("catalog/node/", 400, "Missing node name"),
    ("catalog/node-services/nope", 200, '{"Node":null,"Services":null}'),
    ("catalog/node-services/", 400, "Missing node name"),
    ("catalog/gateway-services/nope", 200, "null"),
    ("catalog/gateway-services/", 400, "Missing gateway name"),
    ("catalog/nodes?node-meta=a:b", 200, "[]"),
    ("catalog/services?node-meta=a:b", 200, "{}"),
    ("catalog/services?ns=n", 400, NAMESPACE),
    ("catalog/service/?ns=n&index=x", 400, NAMESPACE),
    ("catalog/service/?index=x", 400, "Invalid index"),
    ("catalog/service/?dc=other", 400, "Missing service name"),
    ("catalog/nodes?dc=other&filter=(", 500, "No path to datacenter"),
    ("catalog/datacenters?index=x&dc=other", 200, '["dc1"]'),
    ("health/checks/nope", 200, "[]"),
    ("health/checks/", 400, "Missing service name"),
    ("health/service/", 400, "Missing service name"),
    ("health/connect/nope", 200, "[]"),
    ("health/connect/", 400, "Missing service name"),
    ("health/ingress/nope", 200, "[]"),
    ("health/node/", 400, "Missing node name"),
    ("health/state/", 400, "Missing check state"),
    ("health/state/any?node-meta=a:b", 200, "[]"),
    ("health/state/?ns=n", 400, NAMESPACE),
    ("health/service/nope?passing", 200, "[]"),
    ("health/service/nope?passing=abc", 400, "Invalid value for ?passing"),
    ("health/service/nope?passing=abc&dc=other", 500, "No path to datacenter"),
    ("health/service/consul?tag=a", 200, "[]"),
    ("agent/services", 200, "{}"),
    ("agent/services?ns=n", 400, NAMESPACE),
    ("agent/checks", 200, "{}"),
    ("agent/service/nope", 404, "unknown service ID: nope"),
    ("agent/service/", 404, "unknown service ID: "),
    ("agent/service/nope?index=x", 400, "Invalid index"),
    (
        "agent/health/service/id/nope",
        404,
        '{"AggregatedStatus":"critical","Service":null,"Checks":null}',
    ),
    ("agent/health/service/id/nope?format=text", 404, '"ServiceId nope not found"'),
    ("agent/health/service/id/", 500, "Bad request: Missing serviceID"),
    ("agent/health/service/name/nope", 404, "[]"),
    ("agent/health/service/name/nope?format=text", 404, "ServiceName nope Not Found"),
    ("agent/health/service/name/", 500, "Bad request: Missing service Name"),
    (
        "agent/members?segment=a",
        500,
        "Network segments are not supported in this version of Consul",
    ),
    ("agent/members?segment=a&wan=1", 400, "Cannot provide a segment with wan=true"),
    ("agent/monitor?loglevel=bogus", 400, "Bad request: Unknown log level: bogus"),
    ("status/leader?index=x", 400, "Invalid index"),
    ("status/peers?dc=other", 500, "No path to datacenter"),
    ("coordinate/datacenters?dc=other", 200, "[]"),
    ("coordinate/nodes?index=x", 400, "Invalid index"),
    ("coordinate/nodes?dc=other", 500, "No path to datacenter"),
    ("coordinate/nodes?segment=nope", 200, "[]"),
    ("coordinate/node/nope", 404, ""),
    ("operator/raft/configuration?index=x", 400, "Invalid index"),
    ("operator/raft/configuration?dc=other", 500, "No path to datacenter"),
    ("operator/autopilot/health?dc=other", 500, "No path to datacenter"),
    ("query", 200, "[]"),
    ("query?dc=other", 500, "No path to datacenter"),
    (f"query/{UUID}", 404, "Query not found"),
    ("query/nope", 500, SHORT_ID),
    ("query/nope/execute", 404, "Query not found"),
    ("acl/tokens", 401, "ACL support disabled"),
    ("acl/token/self", 401, "ACL support disabled"),
]
SAME_WRITES = [
    ("PUT", "agent/service/deregister/nope", "", 200, ""),
    ("PUT", "agent/service/deregister/", "", 500, "ServiceID missing"),
    ("PUT", "agent/service/deregister/nope?ns=n", "", 400, NAMESPACE),
    ("PUT", "agent/service/maintenance/", "", 400, "Missing service ID"),
    ("PUT", "agent/service/maintenance/nope", "", 400, "Missing value for enable"),
    ("PUT", "agent/service/maintenance/x?enable=y", "", 400, 'Invalid value for enable: "y"'),
    (
        "PUT",
        "agent/service/maintenance/a%22?enable=true",
        "",
        404,
        'No service registered with ID "a\\""',
    ),
    ("PUT", "agent/check/deregister/nope", "", 200, ""),
    ("PUT", "agent/check/deregister/", "", 500, "CheckID missing"),
    ("PUT", "agent/check/pass/nope", "", 500, 'CheckID "nope" does not have associated TTL'),
    ("PUT", "agent/check/warn/%FF", "", 500, 'CheckID "\\xff" does not have associated TTL'),
    ("PUT", "agent/check/fail/a/b", "", 500, 'CheckID "a/b" does not have associated TTL'),
    (
        "PUT",
        "agent/check/update/nope",
        '{"status":"passing","Output":"x"}',
        500,
        'CheckID "nope" does not have associated TTL',
    ),
    ("PUT", "agent/check/update/nope", "null", 400, "Invalid check status: ''"),
    ("PUT", "agent/check/update/nope", "", 400, "Request decode failed: EOF"),
    (
        "PUT",
        "agent/check/update/nope",
        '{"Foo":1}',
        400,
        'Request decode failed: json: unknown field "Foo"',
    ),
    ("PUT", "agent/maintenance", "", 400, "Missing value for enable"),
    ("PUT", "agent/maintenance?enable=", "", 400, 'Invalid value for enable: ""'),
    ("PUT", "agent/maintenance?enable=false", "", 200, ""),
    ("PUT", "agent/force-leave/nope", "", 500, "agent: No node found with name 'nope'"),
    ("PUT", "agent/token/default", '{"Token":"x"}', 401, "ACL support disabled"),
    ("PUT", "catalog/deregister", '{"Node":"nope"}', 200, "true"),
    ("PUT", "catalog/deregister", '{"node":"nope","CheckID":"x","Token":"y"}', 200, "true"),
    ("PUT", "catalog/deregister", '{"Node":"nope","Datacenter":"x"}', 500, "No path to datacenter"),
    ("PUT", "catalog/deregister", "{}", 500, "Must provide node"),
    ("PUT", "catalog/deregister", "", 400, "Request decode failed: EOF"),
    (
        "PUT",
        "catalog/deregister",
        "[]",
        400,
        (
            "Request decode failed: json: cannot unmarshal array into Go value of type "
            "struct { Address string; *structs.Alias }"
        ),
    ),
    (
        "DELETE",
        "operator/raft/peer?id=a&address=b",
        "",
        400,
        "Bad request: Must specify only one of ?id or ?address",
    ),
    (
        "DELETE",
        "operator/raft/peer?id=nope",
        "",
        500,
        'id "nope" was not found in the Raft configuration',
    ),
    ("DELETE", "query/nope", "", 500, f"Prepared Query lookup failed: {SHORT_ID}"),
    (
        "PUT",
        f"query/{UUID}",
        "{}",
        500,
        f"Cannot modify non-existent prepared query: '{UUID}'",
    ),
    ("PUT", "event/fire/", "", 400, "Missing name"),
    ("PUT", "event/fire/x?dc=other", "", 500, "No path to datacenter"),
    ("PUT", "event/fire/x?tag=a", "", 500, "Cannot provide tag filter without service filter"),
]


@pytest.mark.parametrize(("path", "status", "body"), SAME_READS)
def test_9_reads_with_one_answer(store: Store, path: str, status: int, body: str) -> None:
    """What is not there is an empty answer or Consul's text, and a missing name is said."""
    answer = store.ask("GET", f"/v1/{path}")
    assert (answer.status, answer.text) == (status, body)


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), SAME_WRITES)
def test_9_writes_with_one_answer(
    store: Store, method: str, path: str, body: str, status: int, text: str
) -> None:
    """What is asked of something unknown has Consul's text."""
    answer = store.ask(method, f"/v1/{path}", body.encode())
    assert (answer.status, answer.text) == (status, text)
    assert answer.get("Vary") == "Accept-Encoding"
    if not text:
        assert answer.get("Content-Type") is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "agent/service/register", '{"Name":"web"}'),
        ("PUT", "agent/check/register", '{"Name":"web","TTL":"10s"}'),
        ("PUT", "catalog/register", '{"Node":"other","Address":"10.0.0.9"}'),
        ("PUT", "agent/maintenance?enable=true", ""),
        ("POST", "query", '{"Name":"q","Service":{"Service":"web"}}'),
        ("PUT", "operator/autopilot/configuration", '{"CleanupDeadServers":true}'),
        ("PUT", "event/fire/_rexec", "{}"),
    ],
)
def test_what_is_not_part_of_us(kvstore: Store, method: str, path: str, body: str) -> None:
    """A request that would have no effect is refused with a sentence (not-part-of-kvstore)."""
    answer = kvstore.ask(method, f"/v1/{path}", body.encode())
    assert answer.status == 501
    assert answer.text.startswith("kvstore ")
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"


INDEXED = {"X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact"}
CATALOGUED = {*INDEXED, "X-Consul-Effective-Consistency"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("status/leader", set()),
        ("agent/self", set()),
        ("agent/members", set()),
        ("agent/services", set()),
        ("agent/health/service/id/x", {"X-Consul-Reason"}),
        ("catalog/datacenters", set()),
        ("catalog/nodes", CATALOGUED),
        ("catalog/services", CATALOGUED),
        ("catalog/service/consul", CATALOGUED),
        ("catalog/node/{node}", CATALOGUED),
        ("catalog/node-services/{node}", CATALOGUED),
        ("health/node/{node}", CATALOGUED),
        ("health/state/any", CATALOGUED),
        ("health/service/consul", CATALOGUED),
        ("query", CATALOGUED),
        ("coordinate/nodes", INDEXED),
        ("event/list", {"X-Consul-Index"}),
        ("operator/raft/configuration", set()),
        ("operator/autopilot/configuration", set()),
    ],
)
def test_1_4_headers(store: Store, path: str, names: set[str]) -> None:
    """Which answers have an index, know a leader and say how consistent they are."""
    answer = store.ask("GET", f"/v1/{path.format(node=node_name(store))}")
    assert {name for name, _ in answer.headers if name.startswith("X-Consul-")} == names
    assert answer.get("Content-Type") == "application/json"
    if "X-Consul-Knownleader" in names:
        assert (answer.get("X-Consul-Knownleader"), answer.get("X-Consul-Lastcontact")) == (
            "true",
            "0",
        )


NODE = "ID Node Address Datacenter TaggedAddresses"
SERVICE = (
    "ID Service Tags Address Meta Port Weights EnableTagOverride Proxy Connect "
    "CreateIndex ModifyIndex"
)
CHECK = (
    "Node CheckID Name Status Notes Output ServiceID ServiceName ServiceTags Type Definition "
    "CreateIndex ModifyIndex"
)


@pytest.mark.parametrize(
    ("path", "place", "members"),
    [
        ("agent/self", [], "Config DebugConfig Coord Member Stats Meta"),
        ("agent/self", ["Config"], "Datacenter NodeName NodeID Revision Server Version"),
        (
            "agent/members",
            [0],
            (
                "Name Addr Port Tags Status ProtocolMin ProtocolMax ProtocolCur "
                "DelegateMin DelegateMax DelegateCur"
            ),
        ),
        (
            "agent/members",
            [0, "Tags"],
            "acls bootstrap build dc ft_fs id port raft_vsn role segment vsn vsn_max vsn_min",
        ),
        ("catalog/nodes", [0], f"{NODE} Meta CreateIndex ModifyIndex"),
        ("catalog/nodes", [0, "TaggedAddresses"], "lan lan_ipv4 wan wan_ipv4"),
        ("catalog/node/{node}", [], "Node Services"),
        ("catalog/node/{node}", ["Services", "consul"], SERVICE),
        ("catalog/node-services/{node}", ["Services", 0], SERVICE),
        (
            "catalog/service/consul",
            [0],
            (
                f"{NODE} NodeMeta ServiceKind ServiceID ServiceName ServiceTags ServiceAddress "
                "ServiceWeights ServiceMeta ServicePort ServiceEnableTagOverride ServiceProxy "
                "ServiceConnect CreateIndex ModifyIndex"
            ),
        ),
        (
            "catalog/service/consul",
            [0, "ServiceMeta"],
            (
                "non_voter raft_version serf_protocol_current serf_protocol_max serf_protocol_min "
                "version"
            ),
        ),
        ("health/node/{node}", [0], CHECK),
        ("health/service/consul", [0], "Node Service Checks"),
        ("health/service/consul", [0, "Service"], SERVICE),
        ("health/service/consul", [0, "Checks", 0], CHECK),
        ("operator/raft/configuration", [], "Servers Index"),
        (
            "operator/raft/configuration",
            ["Servers", 0],
            "ID Node Address Leader ProtocolVersion Voter",
        ),
        (
            "operator/autopilot/configuration",
            [],
            (
                "CleanupDeadServers LastContactThreshold MaxTrailingLogs MinQuorum "
                "ServerStabilizationTime RedundancyZoneTag DisableUpgradeMigration "
                "UpgradeVersionTag CreateIndex ModifyIndex"
            ),
        ),
    ],
)
def test_9_shapes(store: Store, path: str, place: list[Any], members: str) -> None:
    """Members of JSON objects are Consul's, in Consul's order."""
    value = read(store, path.format(node=node_name(store)))
    for step in place:
        value = value[step]
    assert list(value) == members.split()


def test_9_autopilot_health(kvstore: Store) -> None:
    """Consul's members in Consul's order; a Consul that has just started is not healthy yet."""
    health = read(kvstore, "operator/autopilot/health")
    assert list(health) == ["Healthy", "FailureTolerance", "Servers"]
    server = health["Servers"][0]
    first = ["ID", "Name", "Address", "SerfStatus", "Version", "Leader"]
    last = ["LastContact", "LastTerm", "LastIndex", "Healthy", "Voter", "StableSince"]
    assert list(server) == first + last
    assert (health["Healthy"], server["Healthy"], server["Leader"]) == (True, True, True)


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

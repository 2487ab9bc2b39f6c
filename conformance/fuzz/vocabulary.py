"""The words that operations are made of: keys, parameters, bodies, sensible and odd."""

from conformance.fuzz.chance import Weighed

PLAIN_NAMES = ["a", "a", "b", "b/", "b/c", "b/c/d", "b/e", "t/"]
"""Few, so that operations meet each other. Also as they stand in `{m:KEY}`."""

ODD_NAMES = [
    *("Z", "", "a%2Fb", "b//c", "b//", "./a", "x/../a", "a/.", "ba", "b-", "%62/c"),
    *("%C3%A9", "%c3%a9", "\xc3\xa9", "%FF", "%EF%BF%BD", "x%20y", "x+y", "x;y", "%25", "q%3Fq%23"),
    *("%22%5C%3C%3E%26", "%E2%80%8B", "%00", "%zz", "%2", "%2e%2e%2e", "-_.~!$'()*,:@=", "#a"),
    *("%C2%A0", "%E2%80%A8", "%F0%9F%98%80", "%7F", "%EE%80%80", "[]", "^|`{}", "long" * 100),
]

FLAGS = ["0", "1", "7", "18446744073709551615", "18446744073709551616", "abc", "", "-1", "007"]
SESSIONS = [
    *("{s0}", "{s0}", "{s0}", "{s1}", "{s1}", "{s2}", "{S0}", "{s9}", "", "garbage", "{s0}/"),
    *(
        "zz{s0}",
        "0123456789abcdef0123456789abcdef0123",
        "{s0}{s1}",
        "-----6789abcdef0123456789abcdef0",
    ),
]
CAS = ["0", "0", "1", "{m:a}", "{m:b}", "{m:b/c}", "99999999999", "x", "", "007", "+5"]

READ = {
    "recurse": ["", "", "", "false"],
    "keys": ["", "", "0"],
    "separator": ["/", "/", "c", "", "%C3", "b/", "%2F"],
    "seperator": ["/"],
    "raw": ["", "0"],
}
WRITE = {"flags": FLAGS, "cas": CAS, "acquire": SESSIONS, "release": SESSIONS}
DELETE = {"recurse": ["", "", "", "0"], "cas": CAS, "flags": ["1"], "acquire": ["{s0}"]}
ODD = {
    "pretty": ["", "", "false"],
    "stale": ["", "false"],
    "consistent": ["", ""],
    "leader": [""],
    "cached": [""],
    "max_stale": ["5s", "x", ""],
    "index": ["0", "1", "x", "", "00", "-1", "+7", "1.5", "18446744073709551616"],
    "wait": ["1s", "x", "", "-5s", "5", "1d", "1.5h", "99999999h"],
    "dc": ["dc1", "", "other", "DC1"],
    "ns": ["", "x", "default"],
    "token": ["anything", ""],
    "unknown": ["%C3%A9", "+", "%zz", "a=b", "%"],
    "Raw": [""],
    "near": ["x"],
    "filter": ["x"],
    "partition": ["x"],
    "%72ecurse": [""],
    "": ["", "x"],
}

VALUES = [b"", b"v", b"v", b"v", b"w", b"\xff\x00", b"a=b", b"x" * 1100, b"y" * 3000, None]

METHODS = ["POST", "PATCH", "HEAD", "OPTIONS", "get", "DELETE", "PUT", "GET", "FOO", "TRACE"]

HEADERS = [
    ("Accept-Encoding", "gzip"),
    ("Accept-Encoding", "GZIP;q=0.5, br"),
    ("Accept-Encoding", "gzip;q=0"),
    ("Accept-Encoding", "deflate"),
    ("Accept-Encoding", "*"),
    ("Cache-Control", "no-cache"),
    ("Cache-Control", "max-age=5"),
    ("Cache-Control", "max-age=x"),
    ("Cache-Control", "stale-if-error="),
    ("X-Consul-Namespace", "x"),
    ("X-Consul-Namespace", ""),
    ("X-Consul-Token", "anything"),
    ("Authorization", "Bearer anything"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("If-None-Match", "*"),
    ("Range", "bytes=0-0"),
    ("Origin", "http://example.com"),
]

VALUE_BYTES_MAX = 512 * 1024
LARGE = Weighed(
    {
        # (bytes, chunked)
        (VALUE_BYTES_MAX, False): 1,
        (VALUE_BYTES_MAX + 1, False): 2,
        (VALUE_BYTES_MAX, True): 1,
        (VALUE_BYTES_MAX + 1, True): 1,
        (70_000, True): 2,
        (70_000, False): 2,
    }
)

MEMBERS: dict[str, list[str]] = {
    "Name": ['""', '"n"', '"<é>\\u0001"', '"\\ud800"', "5", "null", "[]"],
    "LockDelay": ["0", '"0s"', '"15s"', '"60s"', '"x"', "15", "null", '"1us"', "-5", "1e3", "true"],
    "Behavior": ['"release"', '"delete"', '"delete"', '""', "null", '"foo"', "1"],
    "TTL": [
        '""',
        '"60s"',
        '"100s"',
        '"9s"',
        '"x"',
        '"0"',
        '"5"',
        '"1h30m"',
        '"25h"',
        "60",
        '"10S"',
    ],
    "Checks": ["[]", "null", '["serfHealth"]', '["nope"]', '["SERFHEALTH"]', '"serfHealth"'],
    "NodeChecks": ["[]", "null", '["serfHealth"]', '["nope"]', "[5]"],
    "ServiceChecks": ["[]", "null", '[{"ID":"nope"}]', "[{}]"],
    "Node": ['""', '"nope"', '"{n}"', '"{N}"', "null"],
    "Other": ["1", "{}"],
    "ID": ['"{s0}"'],
    "Namespace": ['"x"'],
}
SPELLINGS = Weighed({"as it is": 8, "lower": 2, "upper": 1})

SESSION_BODIES = [
    *(None, b"", b" ", b"null", b"{}", b"{} junk", b"{", b"[]", b'"x"', b"5", b"{'a':1}"),
    *(b'{"Name":"a","Name":"b"}', b'{"Name":"a","name":null}', b'{"TTL":"60s"}garbage', b"\xff{}"),
]

DATACENTERS = "catalog/datacenters"
"""Without parameters: to wrong ones Consul answers its error and the list, one after the other."""

EXACT_TARGETS = [
    DATACENTERS,
    *("catalog/service/nope", "catalog/node-services/nope", "catalog/connect/nope"),
    *("catalog/service/", "catalog/node/nope", "catalog/node/", "health/checks/nope"),
    *("health/checks/", "health/service/", "health/node/", "health/state/", "health/node/nope"),
    *("health/state/critical", "health/state/nope", "health/service/nope"),
    *("agent/services", "agent/checks", "agent/service/nope", "agent/health/service/id/nope"),
    *("agent/health/service/name/nope", "agent/version", "agent/join/x", "event/fire/x"),
    *("event/list", "coordinate/datacenters", "coordinate/node/nope", "query", "query/nope"),
    *("acl/tokens", "acl/bootstrap", "namespaces", "operator/license", "health/connect/nope"),
]
"""Under /v1: what both stores answer alike, since nothing is there."""

SHAPED_TARGETS = [
    *("status/leader", "status/peers", "operator/raft/configuration"),
    *(
        "agent/self",
        "agent/members",
        "agent/metrics",
        "catalog/nodes",
        "catalog/services",
        "health/node/{n}",
    ),
    *("health/state/any", "health/state/passing", "catalog/node/{n}", "catalog/service/consul"),
    "health/service/consul",
]
"""Under /v1: what is true of each store, and so compared by its shape (rule one-node)."""

ROUTES = [
    *("/v1/kv/{P}a", "/v1/kv/", "/v1/session/create", "/v1/session/destroy/{s0}"),
    *("/v1/session/renew/{s0}", "/v1/session/info/{s0}", "/v1/session/node/x", "/v1/session/list"),
    *("/v1/status/leader", "/v1/status/peers", "/v1/agent/self", "/v1/catalog/nodes"),
    *("/v1/health/state/any", "/v1/snapshot"),
]
"""For the methods that they do not allow; a drawn method that they do allow is left out."""
ALLOWED = {
    "/v1/kv/": "GET PUT DELETE",
    "/v1/session/create": "PUT",
    "/v1/session/destroy/": "PUT",
    "/v1/session/renew/": "PUT",
    "/v1/snapshot": "GET PUT",
}
"""By prefix of the path; GET for all others."""

PATHS = [
    *("/", "/v1", "/v1/", "/ui", "/favicon.ico", "/v1/session", "/v1/session/", "/v1/kvx"),
    *(
        "/v1/status/leader/",
        "/v1/status",
        "/v1/KV/{P}a",
        "/V1/kv/{P}a",
        "/v1/kv",
        "/v1/session/info",
    ),
    *("/v1//kv/{P}a", "//v1/kv/{P}a", "/v1/kv/{P}a/..", "/v1/kv/..", "/v1/kv/{P}b/../a?x=1&y=<"),
    *("/v1/kv/%2e%2e/status/leader", "/v1/kv/%2F{P}a", "/v1/session//list", "/v1/session/./list"),
    *("/v1/kv/{P}a/%2e", "/v1/kv//", "/v1/kv/%00", "/v1/session/list%zz", "/v1/session/list?a=%zz"),
    *("/v1/session/info/{s0}/x", "/v1/session/info/{s0}%2f", "/v1/session/destroy", "/v1/nope/%E9"),
    *(
        "http://127.0.0.1/v1/kv/{P}a",
        "http://other/v1/session/list",
        "/v1/kv/{P}a?%",
        "/v1/kv/?keys",
    ),
    *("/v1/kv/?recurse", "/v1/session/renew/", "/v1/session/info/", "/v1/session/destroy/"),
]

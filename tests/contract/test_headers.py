"""Response headers: which call sends which, spelt how (table 1.4, H21-H25, G7)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.headers import watched
from conformance.suite.wire import encode_request

from .stores import Store

VARY = {"Vary": "Accept-Encoding"}
JSON = VARY | {"Content-Type": "application/json"}
TEXT = VARY | {"Content-Type": "text/plain; charset=utf-8"}
META = {"X-Consul-Index": "N", "X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}
NO_LEADER = {"X-Consul-Index": "1", "X-Consul-Knownleader": "false", "X-Consul-Lastcontact": "0"}
RAW = {
    "Content-Type": "text/plain",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
}
CATALOG = JSON | META | {"X-Consul-Effective-Consistency": "leader"}

ID = "{session}"
UNKNOWN = "11111111-2222-3333-4444-555555555555"

TABLE = [
    ("GET", "/v1/kv/{key}", 200, JSON | META),
    ("GET", "/v1/kv/{key}?recurse", 200, JSON | META),
    ("GET", "/v1/kv/{key}?keys", 200, JSON | META),
    ("GET", "/v1/kv/{key}?pretty&stale", 200, JSON | META),
    ("GET", "/v1/kv/{key}?raw", 200, VARY | RAW | META),
    ("GET", "/v1/kv/{key}/nope", 404, VARY | META),
    ("GET", "/v1/kv/{key}/nope?raw", 404, VARY | META),
    ("GET", "/v1/kv/{key}/nope?keys", 404, VARY | META),
    ("GET", "/v1/kv/{key}/nope?recurse", 404, VARY | META),
    ("GET", "/v1/kv/", 400, TEXT),
    ("GET", "/v1/kv/{key}?index=x", 400, TEXT),
    ("GET", "/v1/kv/{key}?dc=other", 500, TEXT),
    ("PUT", "/v1/kv/{key}", 200, JSON),
    ("PUT", "/v1/kv/{key}?cas=0", 200, JSON),
    ("PUT", "/v1/kv/", 400, TEXT),
    ("PUT", "/v1/kv/{key}?cas=x", 500, TEXT),
    ("PUT", "/v1/kv/{key}?acquire=x", 500, TEXT),
    ("PUT", "/v1/kv/{key}?cas&acquire", 400, TEXT),
    ("DELETE", "/v1/kv/{key}/nope", 200, JSON),
    ("DELETE", "/v1/kv/{key}?cas=1", 200, JSON),
    ("DELETE", "/v1/kv/{key}?cas=x", 500, TEXT),
    ("DELETE", "/v1/kv/", 400, TEXT),
    ("PUT", "/v1/session/create", 200, JSON),
    ("PUT", f"/v1/session/destroy/{UNKNOWN}", 200, JSON),
    ("PUT", "/v1/session/destroy/x", 500, TEXT),
    ("PUT", "/v1/session/destroy/", 400, TEXT),
    ("PUT", f"/v1/session/renew/{ID}", 200, JSON),
    ("PUT", f"/v1/session/renew/{UNKNOWN}", 404, TEXT),
    ("PUT", "/v1/session/renew/x", 500, TEXT),
    ("GET", f"/v1/session/info/{ID}", 200, JSON | META),
    ("GET", f"/v1/session/info/{UNKNOWN}", 200, JSON | META),
    ("GET", "/v1/session/list", 200, JSON | META),
    ("GET", "/v1/session/node/nope", 200, JSON | META),
    ("GET", "/v1/session/list?index=x", 400, TEXT),
    ("GET", "/v1/session/info/x", 500, TEXT | NO_LEADER),
    ("GET", "/v1/session/info/", 400, TEXT),
    ("GET", "/v1/session/node/", 400, TEXT),
    ("GET", "/v1/session/list?dc=other", 500, TEXT | NO_LEADER),
    ("GET", "/v1/status/leader", 200, JSON),
    ("GET", "/v1/status/peers", 200, JSON),
    ("GET", "/v1/agent/self", 200, JSON),
    ("GET", "/v1/agent/members", 200, JSON),
    ("GET", "/v1/catalog/datacenters", 200, JSON),
    ("GET", "/v1/catalog/nodes", 200, CATALOG),
    ("GET", "/v1/catalog/services", 200, CATALOG),
    ("GET", "/v1/health/state/any", 200, CATALOG),
    ("GET", "/v1/health/service/consul", 200, CATALOG),
    ("GET", "/v1/health/node/nope", 200, CATALOG),
    ("POST", "/v1/kv/a", 405, TEXT | {"Allow": "OPTIONS,GET,PUT,DELETE"}),
    ("OPTIONS", "/v1/kv/a", 200, VARY | {"Allow": "OPTIONS,GET,PUT,DELETE"}),
    ("GET", "/v1/nope", 404, {}),
    ("GET", "/v1/kv/%00", 400, {}),
    ("GET", "/v1/kv/a?x=%zz", 500, VARY),
]


@pytest.mark.parametrize(("method", "target", "status", "headers"), TABLE)
def test_1_4_headers(
    store: Store, prefix: str, method: str, target: str, status: int, headers: dict[str, str]
) -> None:
    """Each kind of answer has exactly its own headers, spelt as Go spells them."""
    session = store.session()
    store.write(f"{prefix}k", b"v")
    answer = store.ask(method, target.format(key=f"{prefix}k", session=session))
    assert answer.status == status
    found = watched(answer)
    if headers is CATALOG or int(found.get("X-Consul-Index", "1")) > 1:
        found["X-Consul-Index"] = "N"  # of the catalog, ours is 1: nothing there ever changes
    assert found == headers
    store.destroy(session)


@pytest.mark.parametrize("path", ["catalog/nodes", "catalog/services", "health/state/any"])
def test_1_4_effective_consistency(store: Store, path: str) -> None:
    """Catalog and health say which consistency they used."""
    for query, said in [("stale", "stale"), ("consistent", "consistent"), ("x", "leader")]:
        answer = store.ask("GET", f"/v1/{path}?{query}")
        assert answer.get("X-Consul-Effective-Consistency") == said


def test_H21_index_is_never_zero(fresh: Store) -> None:
    """On a store without any key or session the index is 1."""
    for target in ("kv/a", "kv/a?recurse", "kv/?recurse", "kv/?keys", "session/list"):
        answer = fresh.ask("GET", f"/v1/{target}")
        assert watched(answer)["X-Consul-Index"] == "1"
    assert fresh.write("first") > 1, "I3: a watcher on index 1 must wake"


@pytest.mark.parametrize("size_bytes", [0, 1, 2000, 3000, 300_000])
def test_H24_length_is_true(store: Store, prefix: str, size_bytes: int) -> None:
    """Values of any size come back whole; `?raw` always says its Content-Length."""
    value = b"x" * size_bytes
    store.write(f"{prefix}k", value)
    answer = store.get(f"{prefix}k?raw")
    assert answer.body == value
    assert answer.get("Content-Length") == str(size_bytes)
    assert store.get(f"{prefix}k").json[0]["Key"] == f"{prefix}k"


def test_H24_http_1_0(store: Store, prefix: str) -> None:
    """HTTP/1.0 gets an answer it can read, and the connection is closed after it."""
    store.write(f"{prefix}k", b"x" * 5000)
    for query in ("", "?raw"):
        with store.connect() as connection:
            connection.send(encode_request("GET", f"/v1/kv/{prefix}k{query}", version="HTTP/1.0"))
            answer = connection.read()
            assert answer.status == 200
            assert answer.get("Transfer-Encoding") is None
            assert len(answer.body) >= 5000
            assert connection.ended()

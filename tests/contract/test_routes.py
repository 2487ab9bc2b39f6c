"""Routes and methods: which path answers to what, and what the others are told (H1-H6)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.wire import encode_request

from .stores import Store

READ, WRITE = "OPTIONS,GET", "OPTIONS,PUT"

ROUTES = [
    ("/v1/kv/H1", "OPTIONS,GET,PUT,DELETE"),
    ("/v1/kv/", "OPTIONS,GET,PUT,DELETE"),
    ("/v1/session/create", WRITE),
    ("/v1/session/destroy/x", WRITE),
    ("/v1/session/renew/x", WRITE),
    ("/v1/session/info/x", READ),
    ("/v1/session/node/x", READ),
    ("/v1/session/list", READ),
    ("/v1/txn", WRITE),
    ("/v1/snapshot", "OPTIONS,GET,PUT"),
    ("/v1/status/leader", READ),
    ("/v1/status/peers", READ),
    ("/v1/agent/self", READ),
    ("/v1/agent/members", READ),
    ("/v1/agent/checks", READ),
    ("/v1/agent/services", READ),
    ("/v1/agent/metrics", READ),
    ("/v1/agent/monitor", READ),
    ("/v1/agent/host", READ),
    ("/v1/agent/check/register", WRITE),
    ("/v1/agent/check/deregister/x", WRITE),
    ("/v1/agent/check/pass/x", WRITE),
    ("/v1/agent/check/warn/x", WRITE),
    ("/v1/agent/check/fail/x", WRITE),
    ("/v1/agent/check/update/x", WRITE),
    ("/v1/agent/service/register", WRITE),
    ("/v1/agent/service/deregister/x", WRITE),
    ("/v1/agent/service/maintenance/x", WRITE),
    ("/v1/agent/service/x", READ),
    ("/v1/agent/health/service/id/x", READ),
    ("/v1/agent/health/service/name/x", READ),
    ("/v1/agent/maintenance", WRITE),
    ("/v1/agent/reload", WRITE),
    ("/v1/agent/leave", WRITE),
    ("/v1/agent/join/x", WRITE),
    ("/v1/agent/force-leave/x", WRITE),
    ("/v1/agent/token/default", WRITE),
    ("/v1/catalog/datacenters", READ),
    ("/v1/catalog/nodes", READ),
    ("/v1/catalog/services", READ),
    ("/v1/catalog/service/x", READ),
    ("/v1/catalog/connect/x", READ),
    ("/v1/catalog/node/x", READ),
    ("/v1/catalog/node-services/x", READ),
    ("/v1/catalog/gateway-services/x", READ),
    ("/v1/catalog/register", WRITE),
    ("/v1/catalog/deregister", WRITE),
    ("/v1/health/node/x", READ),
    ("/v1/health/checks/x", READ),
    ("/v1/health/state/any", READ),
    ("/v1/health/service/x", READ),
    ("/v1/health/connect/x", READ),
    ("/v1/health/ingress/x", READ),
    ("/v1/event/fire/x", WRITE),
    ("/v1/event/list", READ),
    ("/v1/operator/raft/configuration", READ),
    ("/v1/operator/raft/peer", "OPTIONS,DELETE"),
    ("/v1/operator/autopilot/configuration", "OPTIONS,GET,PUT"),
    ("/v1/operator/autopilot/health", READ),
    ("/v1/coordinate/datacenters", READ),
    ("/v1/coordinate/nodes", READ),
    ("/v1/coordinate/node/x", READ),
    ("/v1/coordinate/update", WRITE),
    ("/v1/acl/list", READ),
    ("/v1/acl/token", WRITE),
    ("/v1/acl/token/x", "OPTIONS,GET,PUT,DELETE"),
    ("/v1/acl/token/self", READ),
    ("/v1/acl/policy/x", "OPTIONS,GET,PUT,DELETE"),
    ("/v1/acl/policy/name/x", READ),
    ("/v1/acl/rules/translate/x", READ),
    ("/v1/config", WRITE),
    ("/v1/config/x", "OPTIONS,GET,DELETE"),
    ("/v1/connect/ca/roots", READ),
    ("/v1/connect/ca/configuration", "OPTIONS,GET,PUT"),
    ("/v1/connect/intentions/match", READ),
    ("/v1/connect/intentions/x", "OPTIONS,GET,PUT,DELETE"),
    ("/v1/internal/federation-states", READ),
    ("/v1/internal/ui/nodes", READ),
    ("/v1/internal/ui/node/x", READ),
]
# Those that take a POST, which tests of other routes use as a wrong method.
POSTED = [
    ("/v1/query", "OPTIONS,GET,POST"),
    ("/v1/operator/keyring", "OPTIONS,GET,POST,PUT,DELETE"),
    ("/v1/acl/login", "OPTIONS,POST"),
    ("/v1/acl/rules/translate", "OPTIONS,POST"),
    ("/v1/agent/connect/authorize", "OPTIONS,POST"),
    ("/v1/connect/intentions", "OPTIONS,GET,POST"),
    ("/v1/discovery-chain/x", "OPTIONS,GET,POST"),
    ("/v1/internal/acl/authorize", "OPTIONS,POST"),
]

UNKNOWN = [
    "/v1",
    "/v1/",
    "/favicon.ico",
    "/v1/session",
    "/v1/nope",
    "/v2/kv/a",
    "/v1/status/leader/",
    "/v1/session/list/",
    "/v1/session/create/",
    "/v1/agent",
    "/v1/agent/self/",
    "/v1/agent/check",
    "/v1/agent/connect",
    "/v1/acl",
    "/v1/health",
    "/v1/event",
    "/v1/internal/ui",
    "/v1/operator",
    "/debug",
    "/v1/KV/a",
]


@pytest.mark.parametrize(("path", "allow"), ROUTES)
def test_H1_wrong_method(store: Store, path: str, allow: str) -> None:
    """A method the route does not have gets 405, the list of those it has, and a sentence."""
    answer = store.ask("POST", path)
    assert (answer.status, answer.body) == (405, b"method POST not allowed")
    assert answer.get("Allow") == allow
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    assert answer.get("Vary") == "Accept-Encoding"


@pytest.mark.parametrize("method", ["get", "PATCH", "Put", "FOO", "TRACE", "PROPFIND"])
def test_H1_method_is_echoed_verbatim(store: Store, method: str) -> None:
    """Methods are case-sensitive, and any token comes back in the sentence as it was sent."""
    answer = store.ask(method, "/v1/kv/H1")
    assert (answer.status, answer.text) == (405, f"method {method} not allowed")


@pytest.mark.parametrize(("path", "allow"), ROUTES)
def test_H2_head_is_never_allowed(store: Store, path: str, allow: str) -> None:
    """HEAD gets the headers of a 405, and no body."""
    answer = store.ask("HEAD", path)
    assert (answer.status, answer.get("Content-Length")) == (405, "23")
    assert answer.get("Allow") == allow


@pytest.mark.parametrize(("path", "allow"), ROUTES + POSTED)
def test_H3_options(store: Store, path: str, allow: str) -> None:
    """OPTIONS on a known route lists its methods and parses no parameter."""
    answer = store.ask("OPTIONS", f"{path}?index=abc&stale&consistent")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.get("Allow") == allow
    assert answer.get("Content-Length") == "0"
    assert answer.get("Content-Type") is None
    assert answer.get("Vary") == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/v1/health/node", "/v1/agent/service", "/v1/acl/policy/name"])
def test_H7_a_prefix_without_its_slash(store: Store, path: str) -> None:
    """A pattern that matches by prefix is reached without its slash too, by a redirect."""
    answer = store.ask("GET", path)
    assert (answer.status, answer.get("Location")) == (301, f"{path}/")


def test_H3_options_star(store: Store) -> None:
    """OPTIONS of the whole server is 200 and empty."""
    answer = store.ask("OPTIONS", "*")
    assert (answer.status, answer.body, answer.get("Allow")) == (200, b"", None)


def test_H4_method_is_checked_before_parameters(store: Store) -> None:
    """A parameter that cannot be parsed does not hide a wrong method."""
    assert store.ask("POST", "/v1/kv/H4?index=abc").status == 405
    assert store.ask("DELETE", "/v1/session/list?stale&consistent").status == 405


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "FOO"])
def test_H5_unknown_path(store: Store, method: str, path: str) -> None:
    """An unknown path is an empty 404 for every method, without Content-Type or Vary."""
    answer = store.ask(method, path)
    assert (answer.status, answer.body) == (404, b"")
    if method != "HEAD":
        assert answer.get("Content-Length") == "0"
    assert answer.get("Content-Type") is None
    assert answer.get("Vary") is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_H5_unknown_path_is_found_before_its_query(store: Store, method: str) -> None:
    """An unknown path is a 404 whatever its query."""
    answer = store.ask(method, "/v1/nope?a=%zz&index=abc")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "FOO"])
def test_H6_root(store: Store, method: str) -> None:
    """The root says what it is; with a user interface it leads there."""
    answer = store.ask(method, "/")
    if answer.status == 301:
        assert answer.get("Location") == "/ui/"
    else:
        assert (answer.status, answer.body) == (200, b"Consul Agent")
        assert answer.get("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/v1/kv/H9", "/v1/kv//H9", "/v1/kv/a/../H9"])
def test_H9_connect_skips_the_cleaning(store: Store, path: str) -> None:
    """CONNECT is a wrong method everywhere: it is never redirected."""
    with store.connect() as connection:
        connection.send(encode_request("CONNECT", path))
        assert connection.read().status == 405


def test_H9_absolute_form(store: Store, prefix: str) -> None:
    """A target in absolute form is served like its path, whatever host it names."""
    store.write(f"{prefix}abs?flags=7")
    answer = store.ask("GET", f"http://example.test:99/v1/kv/{prefix}abs?recurse")
    assert [entry["Flags"] for entry in answer.json] == [7]

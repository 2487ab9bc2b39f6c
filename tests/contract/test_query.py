"""The query string and what is refused before any state is touched (H13-H20, G6, P6, D1)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.wire import Answer

from .stores import Store

STALE = b"Cannot specify ?stale with ?consistent, conflicting semantics."
CACHED = b"Cannot specify ?cached with ?consistent, conflicting semantics."
CACHE_CONTROL = b"Invalid Cache-Control header."
WAIT = b"Invalid wait time"
INDEX = b"Invalid index"

PARSE_ERRORS = [
    ("max_stale=abc", b'Invalid max_stale value "abc"'),
    ("max_stale=5", b'Invalid max_stale value "5"'),
    ("stale&consistent", STALE),
    ("stale=false&consistent=false", STALE),
    ("max_stale=5s&consistent", STALE),
    ("cached&consistent", CACHED),
    *((f"wait={wait}", WAIT) for wait in ("abc", "5", "1d", "99999999h", "10S", "1%20s", "s")),
    *(
        (f"index={index}", INDEX)
        for index in ("abc", "-1", "1.5", "%2B7", "18446744073709551616", "0x1", "1_0", "%207")
    ),
    # the order in which they are looked at
    ("index=abc&wait=abc", WAIT),
    ("wait=abc&stale&consistent", STALE),
    ("cached&consistent&stale", STALE),
    ("stale&consistent&max_stale=abc", b'Invalid max_stale value "abc"'),
]

BAD_CACHE_CONTROL = [
    "max-age=x",
    "max-age=",
    "stale-if-error=x",
    "max-age=-",
    "no-cache, max-age=x",
]
GOOD_CACHE_CONTROL = ["no-cache", "must-revalidate", "max-age=10", "max-age=0, stale-if-error=5"]

UNKNOWN_ID = "11111111-2222-3333-4444-555555555555"

PARSING_CALLS = [
    ("GET", "/v1/kv/H17"),
    ("GET", "/v1/kv/H17?recurse"),
    ("GET", "/v1/kv/H17?keys"),
    ("PUT", "/v1/kv/H17"),
    ("DELETE", "/v1/kv/H17"),
    ("GET", "/v1/session/list"),
    ("GET", "/v1/session/node/n1"),
    ("GET", f"/v1/session/info/{UNKNOWN_ID}"),
    ("PUT", f"/v1/session/renew/{UNKNOWN_ID}"),
    ("GET", "/v1/status/leader"),
    ("GET", "/v1/status/peers"),
]

NAMESPACE = (
    400,
    'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
)
DATACENTER = (500, "No path to datacenter")


def with_query(target: str, query: str) -> str:
    """Append a query to a target that may have one."""
    return f"{target}{'&' if '?' in target else '?'}{query}"


def is_plain_error(answer: Answer) -> bool:
    """Return whether the headers are those of an error that was found before the store."""
    return (
        answer.get("Content-Type") == "text/plain; charset=utf-8"
        and answer.get("Vary") == "Accept-Encoding"
        and answer.get("X-Consul-Index") is None
        and answer.get("X-Consul-Knownleader") is None
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [*PARSING_CALLS, ("POST", "/v1/kv/a"), ("OPTIONS", "/v1/kv/a"), ("PUT", "/v1/session/create")],
)
@pytest.mark.parametrize("query", ["a=%zz", "a=%2", "%"])
def test_H13_undecodable_query(store: Store, method: str, target: str, query: str) -> None:
    """A query that does not percent-decode is an empty 500 on every route and for every method."""
    answer = store.ask(method, with_query(target, query))
    assert (answer.status, answer.body) == (500, b"")
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Content-Type") is None


def test_H14_semicolon_separates_and_plus_is_a_space(store: Store, prefix: str) -> None:
    """`;` separates parameters as `&` does, and `+` decodes to a space."""
    assert store.put(f"{prefix}a;b?x=1;flags=7", b"v").body == b"true"
    assert store.entry(f"{prefix}a;b")["Flags"] == 7
    assert store.ask("GET", f"/v1/kv/{prefix}?x;keys").json == [f"{prefix}a;b"]
    store.write(f"{prefix}c%20d/e")
    assert store.ask("GET", f"/v1/kv/{prefix}c?keys&separator=+").json == [f"{prefix}c "]


@pytest.mark.parametrize("value", ["", "=", "=false", "=0", "=no"])
def test_H15_presence_is_enough(store: Store, prefix: str, value: str) -> None:
    """`recurse`, `keys`, `raw` and `pretty` are on when they are there, whatever they say."""
    store.write(f"{prefix}k", b"v")
    assert store.get(f"{prefix}k?raw{value}").body == b"v"
    assert store.get(f"{prefix}?keys{value}").json == [f"{prefix}k"]
    assert [entry["Key"] for entry in store.get(f"{prefix}?recurse{value}").json] == [f"{prefix}k"]
    assert store.get(f"{prefix}?keys&pretty{value}").text == f'[\n    "{prefix}k"\n]\n'
    assert store.put(f"{prefix}k?cas{value or '='}&acquire").status == 400
    assert store.delete(f"{prefix}?recurse{value}").body == b"true"
    assert store.get(f"{prefix}k").status == 404


def test_H15_names_are_case_sensitive(store: Store, prefix: str) -> None:
    """A parameter in other letter case is an unknown one."""
    store.write(f"{prefix}k", b"v")
    assert store.get(f"{prefix}k?PRETTY&Raw").body.startswith(b'[{"LockIndex":0')
    assert store.get(f"{prefix}?Keys").status == 404


def test_H16_first_value_wins_and_unknown_is_ignored(store: Store, prefix: str) -> None:
    """Of repeated parameters the first counts; unknown ones do nothing."""
    store.write(f"{prefix}k?flags=1&flags=2&near=x&filter=%22&partition=p")
    assert store.entry(f"{prefix}k")["Flags"] == 1
    assert store.get(f"{prefix}k?index=0&index=abc").status == 200
    assert store.get(f"{prefix}k?index=abc&index=0").status == 400


@pytest.mark.parametrize(("method", "target"), PARSING_CALLS)
@pytest.mark.parametrize(("query", "body"), PARSE_ERRORS)
def test_H17_parse_errors(store: Store, method: str, target: str, query: str, body: bytes) -> None:
    """Bad consistency, wait and index parameters are refused by every call that parses them."""
    answer = store.ask(method, with_query(target, query))
    assert (answer.status, answer.body) == (400, body)
    assert is_plain_error(answer)


@pytest.mark.parametrize(("method", "target"), PARSING_CALLS)
@pytest.mark.parametrize("value", BAD_CACHE_CONTROL)
def test_H17_cache_control(store: Store, method: str, target: str, value: str) -> None:
    """A Cache-Control header with a bad number is refused."""
    answer = store.ask(method, target, headers=[("Cache-Control", value)])
    assert (answer.status, answer.body) == (400, CACHE_CONTROL)
    assert is_plain_error(answer)


def test_H17_cache_control_stands_before_wait(store: Store) -> None:
    """The header is looked at after the consistency conflicts and before `wait`."""
    bad = [("Cache-Control", "max-age=x")]
    assert store.ask("GET", "/v1/kv/a?stale&consistent", headers=bad).body == STALE
    assert store.ask("GET", "/v1/kv/a?wait=abc", headers=bad).body == CACHE_CONTROL


@pytest.mark.parametrize(("method", "target"), PARSING_CALLS[:9])
def test_H17_namespace_and_datacenter(store: Store, method: str, target: str) -> None:
    """Namespaces do not exist here, and no other datacenter is known."""
    answer = store.ask(method, with_query(target, "ns=x"))
    assert (answer.status, answer.text) == NAMESPACE
    assert is_plain_error(answer)
    answer = store.ask(method, target, headers=[("X-Consul-Namespace", "x")])
    header = (
        NAMESPACE[1].replace("query parameter", "header").replace("ns", "X-Consul-Namespace", 1)
    )
    assert (answer.status, answer.text) == (400, header)
    for name in ("other", "DC1"):
        answer = store.ask(method, with_query(target, f"dc={name}"))
        assert (answer.status, answer.text) == DATACENTER
    assert store.ask(method, with_query(target, "dc=dc1")).status != DATACENTER[0]


def test_H17_not_on_session_create_and_destroy(store: Store) -> None:
    """Creating and destroying a session parse none of these parameters."""
    query = "index=abc&wait=abc&stale&consistent"
    created = store.ask("PUT", f"/v1/session/create?{query}")
    assert created.status == 200
    destroyed = store.ask("PUT", f"/v1/session/destroy/{created.json['ID']}?{query}")
    assert (destroyed.status, destroyed.body) == (200, b"true")


def test_H17_session_create_checks_namespace_and_datacenter(store: Store) -> None:
    """Creating a session refuses namespaces and other datacenters."""
    answer = store.ask("PUT", "/v1/session/create?ns=x")
    assert (answer.status, answer.text) == NAMESPACE
    answer = store.ask("PUT", "/v1/session/create?dc=other")
    assert (answer.status, answer.text) == DATACENTER


@pytest.mark.parametrize("name", ["index", "wait", "dc", "ns", "token", "max_stale"])
def test_H18_empty_values_are_not_given(store: Store, prefix: str, name: str) -> None:
    """An empty value is as good as no parameter."""
    assert store.put(f"{prefix}k?{name}=", b"v").body == b"true"
    assert store.get(f"{prefix}k?{name}=").status == 200
    assert store.get(f"{prefix}k?{name}").status == 200


def test_H19_leading_zeros_and_good_cache_control(store: Store, prefix: str) -> None:
    """An index may have leading zeros; a good Cache-Control header does nothing."""
    store.write(f"{prefix}k")
    assert store.get(f"{prefix}k?index=001").status == 200
    for value in GOOD_CACHE_CONTROL:
        answer = store.ask("GET", f"/v1/kv/{prefix}k", headers=[("Cache-Control", value)])
        assert answer.status == 200
        assert (answer.get("X-Cache"), answer.get("Age")) == (None, None)


def test_H20_status_ignores_namespaces(store: Store) -> None:
    """Status calls do not look at `ns`."""
    assert store.ask("GET", "/v1/status/leader?ns=x").status == 200


def test_G6_order_of_checks_for_get(store: Store) -> None:
    """GET: parameters, then the missing key, then the namespace, then the datacenter."""
    assert store.get("?index=abc&ns=x&dc=y").body == INDEX
    assert store.get("?ns=x&dc=y").body == b"Missing key name"
    assert store.get("?keys&ns=x&dc=y").text == NAMESPACE[1]
    assert store.get("a?ns=x&dc=y").text == NAMESPACE[1]


def test_P6_order_of_checks_for_put(store: Store) -> None:
    """PUT: parameters, namespace, key, conflict, flags, cas, size, datacenter."""
    everything = "ns=x&cas=a&acquire=b&flags=c&dc=d"
    assert store.put(f"?index=abc&{everything}").body == INDEX
    assert store.put(f"?{everything}").text == NAMESPACE[1]
    assert store.put("?cas=a&acquire=b&flags=c&dc=d").body == b"Missing key name"
    assert store.put("a?cas=a&acquire=b&flags=c&dc=d").status == 400
    assert store.put("a?cas=a&flags=c&dc=d").text.endswith('parsing "c": invalid syntax')
    big = bytes(524_289)
    assert store.put("a?cas=a&dc=d", big).text.endswith('parsing "a": invalid syntax')
    assert store.put("a?cas=1&dc=d", big).status == 413
    assert store.put("a?acquire=garbage&dc=d").text == DATACENTER[1]


def test_D1_order_of_checks_for_delete(store: Store) -> None:
    """DELETE: parameters, namespace, conflict, key, cas."""
    assert store.delete("?index=abc&ns=x&cas=a&recurse").body == INDEX
    assert store.delete("?ns=x&cas=a&recurse").text == NAMESPACE[1]
    assert store.delete("?cas=a&recurse").body == b"Conflicting flags: cas=a&recurse="
    assert store.delete("?cas=a").body == b"Missing key name"
    assert store.delete("a?cas=a&dc=d").text.endswith('parsing "a": invalid syntax')

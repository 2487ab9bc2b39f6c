"""Random requests, the same to both stores: any difference that no rule names is a failure.

KVSTORE_ORACLE_OPS sets how many requests are drawn; the default is for every run.
A failure shows the fewest requests that make the stores differ, and the KVSTORE_ORACLE_SEED that
draws them again.
"""

import itertools
import json
import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .conftest import running
from .stores import Store
from .twins import Call, Differs, Twins

OPS = int(os.environ.get("KVSTORE_ORACLE_OPS", "600"))
OPS_PER_RUN = 12
SEED = int(os.environ.get("KVSTORE_ORACLE_SEED") or random.SystemRandom().randrange(10**6))
SHOWN_MAX = 5
"""A run stops comparing after so many differences: one cause often shows in several ways."""

NAMES = [
    *("a", "a", "b", "b/", "b/c", "b/c/d", "Z", "", "a%2Fb", "b//c", "./a", "x/../a", "a/."),
    *("%C3%A9", "%c3%a9", "\xc3\xa9", "%FF", "%EF%BF%BD", "x%20y", "x+y", "x;y", "%25", "q%3Fq%23"),
    *("%22%5C%3C%3E%26", "%E2%80%8B", "%00", "%zz", "t/", "%2e%2e%2e", "-_.~!$'()*,:@="),
]

FLAGS = ["0", "1", "7", "18446744073709551615", "18446744073709551616", "abc", "", "-1", "007"]
SESSIONS = ["{s0}", "{s0}", "{s1}", "{s1}", "{S0}", "{s2}", "{s9}", "", "garbage", "{s0}/"]
CAS = ["0", "0", "1", "{m:a}", "{m:a}", "{m:b}", "99999999999", "x", ""]
READ = {
    "recurse": ["", "false"],
    "keys": ["", "0"],
    "separator": ["/", "c", "", "%C3", "b/", "%2F"],
    "seperator": ["/"],
    "raw": [""],
}
WRITE = {"flags": FLAGS, "cas": CAS, "acquire": SESSIONS, "release": SESSIONS}
ODD = {
    "pretty": ["", "false"],
    "stale": [""],
    "consistent": [""],
    "cached": [""],
    "max_stale": ["5s", "x", ""],
    "index": ["0", "x", "", "00", "-1"],
    "wait": ["1s", "x", "", "-5s", "5"],
    "dc": ["dc1", "", "other"],
    "ns": ["", "x"],
    "token": ["anything"],
    "unknown": ["%C3%A9", "+", "%zz"],
    "Raw": [""],
}
VALUES = [b"", b"v", b"v", b"w", b"\xff\x00", None]

MEMBERS: dict[str, list[object]] = {
    "Name": ["", "n", "<é>", 5],
    "LockDelay": [0, "0s", "15s", "60s", "x", 15, None],
    "Behavior": ["release", "delete", "delete", "", None, "foo"],
    "TTL": ["", "60s", "10s", "9s", "x", "0"],
    "Checks": [[], None, ["serfHealth"], ["nope"]],
    "NodeChecks": [[], None, ["serfHealth"], ["nope"]],
    "Node": ["", "nope"],
    "Other": [1],
}


def parameters(*tables: dict[str, list[str]], most: int) -> st.SearchStrategy[str]:
    """Draw a query of up to `most` parameters."""
    pairs = [
        (name, value) for table in tables for name, values in table.items() for value in values
    ]
    one = st.sampled_from(pairs).map(lambda pair: f"{pair[0]}={pair[1]}" if pair[1] else pair[0])
    joined = st.tuples(st.lists(one, max_size=most), st.sampled_from("&&&;"))
    return joined.map(lambda drawn: drawn[1].join(drawn[0]))


def kv_calls(method: str, *tables: dict[str, list[str]]) -> st.SearchStrategy[Call]:
    """Draw requests for a key, mostly sensible, sometimes odd."""
    queries = parameters(*tables, most=2) | parameters(*tables, ODD, most=4)
    bodies = st.sampled_from(VALUES) if method == "PUT" else st.none()
    return st.builds(
        lambda name, query, body, chunked: Call(
            method, f"/v1/kv/{{P}}{name}{'?' if query else ''}{query}", body, chunked=chunked
        ),
        st.sampled_from(NAMES),
        queries,
        bodies,
        st.booleans() if method == "PUT" else st.just(False),
    )


def session_calls() -> st.SearchStrategy[Call]:
    """Draw requests for sessions."""
    members = st.dictionaries(st.sampled_from(sorted(MEMBERS)), st.integers(0, 6), max_size=3)
    bodies = members.map(
        lambda drawn: json.dumps(
            {name: MEMBERS[name][at % len(MEMBERS[name])] for name, at in drawn.items()}
        ).encode()
    )
    create = st.builds(lambda body: Call("PUT", "/v1/session/create", body), bodies)
    by_id = st.builds(
        lambda call, session, query: Call(call[0], f"/v1/session/{call[1]}/{session}?{query}"),
        st.sampled_from(
            [("PUT", "destroy"), ("PUT", "destroy"), ("PUT", "renew"), ("GET", "info")]
        ),
        st.sampled_from(SESSIONS),
        parameters(ODD, most=1),
    )
    others = st.builds(
        lambda method, call, query: Call(method, f"/v1/session/{call}?{query}"),
        st.sampled_from(["GET", "GET", "GET", "PUT", "OPTIONS"]),
        st.sampled_from(["list", "node/nope", "node/", "create", "info"]),
        parameters(ODD, most=2),
    )
    return create | by_id | others


CALLS = st.one_of(
    kv_calls("PUT", WRITE),
    kv_calls("PUT", {"acquire": SESSIONS[:4], "release": SESSIONS[:4], "flags": FLAGS[:3]}),
    kv_calls("PUT", {"cas": CAS[:6]}),
    kv_calls("GET", READ),
    kv_calls("DELETE", {"recurse": [""], "cas": CAS}),
    kv_calls("POST", READ),
    session_calls(),
)

FIRST = [
    Call("PUT", "/v1/session/create", b'{"LockDelay":0}'),
    Call("PUT", "/v1/session/create", b'{"Behavior":"delete"}'),
    Call("PUT", "/v1/kv/{P}a", b"first"),
]
"""Each run begins with two sessions and a key, so that indexes are above 1 and pair up."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """Run one store of each kind that nobody else uses: their session lists are compared."""
    with (
        running("consul", tmp_path_factory.mktemp("consul")) as consul,
        running("kvstore", tmp_path_factory.mktemp("kvstore")) as kvstore,
    ):
        yield consul, kvstore


def replay(pair: tuple[Store, Store], calls: list[Call], prefix: str) -> str | None:
    """Send these calls to both stores; return what differed, if anything did."""
    twins = Twins(*pair, prefix=prefix)
    try:
        for call in [*FIRST, *calls]:
            twins.call(call)
    except Differs as difference:
        return str(difference)
    finally:
        twins.end()
    return None


def fewest(pair: tuple[Store, Store], calls: list[Call], prefix: str) -> tuple[list[Call], str]:
    """Leave out every call without which the stores still differ; return the rest, and how."""
    at = len(calls)
    difference = replay(pair, calls, f"{prefix}again/")
    while at > 0:
        at -= 1
        fewer = calls[:at] + calls[at + 1 :]
        told = replay(pair, fewer, f"{prefix}{at}/")
        if told is not None:
            calls, difference = fewer, told
    return calls, difference or "the difference did not come again"


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120 + OPS)
def test_random_requests(pair: tuple[Store, Store]) -> None:
    """Any sequence of requests gets the same answers from both stores."""
    runs = itertools.count(1)
    differences: dict[str, str] = {}

    @settings(
        max_examples=max(1, OPS // OPS_PER_RUN),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(SEED)
    @given(st.lists(CALLS, min_size=1, max_size=OPS_PER_RUN * 2))
    def compare(calls: list[Call]) -> None:
        prefix = f"run{next(runs)}/"
        if len(differences) < SHOWN_MAX and (difference := replay(pair, calls, prefix)):
            calls, difference = fewest(pair, calls, prefix)
            differences.setdefault(" then ".join(map(str, calls)), difference)

    compare()
    if differences:
        told = "\n\n".join(differences.values())
        pytest.fail(f"KVSTORE_ORACLE_SEED={SEED}\n{told}", pytrace=False)

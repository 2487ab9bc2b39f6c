"""Reading keys (section 3: the table, G1-G3, G5, G7)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .stores import Store

ORDERED = ["Z", "a", "b", "b-", "b/", "b/1", "b/2/x", "b/2/y", "b/3", "ba", "%C3%A9"]
SHOWN = [*ORDERED[:-1], "é"]


@pytest.fixture
def keys(store: Store, prefix: str) -> list[str]:
    """Write the keys of ORDERED, last one first, and return their names."""
    for name in reversed(ORDERED):
        store.write(prefix + name, name.encode())
    return [prefix + name for name in SHOWN]


def listed(store: Store, target: str) -> list[str]:
    """Return the names of the entries that a recursive GET answers with."""
    return [entry["Key"] for entry in store.get(target).json]


def test_3_one_key(store: Store, prefix: str) -> None:
    """An existing key is a list of one entry, and its bytes with `?raw`."""
    index = store.write(f"{prefix}k?flags=3", b"\x00v\xff")
    answer = store.get(f"{prefix}k")
    assert answer.json == [
        {
            "LockIndex": 0,
            "Key": f"{prefix}k",
            "Flags": 3,
            "Value": "AHb/",
            "CreateIndex": index,
            "ModifyIndex": index,
        }
    ]
    raw = store.get(f"{prefix}k?raw")
    assert (raw.status, raw.body) == (200, b"\x00v\xff")


@pytest.mark.parametrize("query", ["", "?raw", "?recurse", "?keys", "?keys&separator=/"])
def test_3_nothing_there(store: Store, prefix: str, query: str) -> None:
    """A missing key and a prefix without keys are an empty 404."""
    answer = store.get(f"{prefix}nope{query}")
    assert (answer.status, answer.body, answer.get("Content-Length")) == (404, b"", "0")
    assert answer.get("Content-Type") is None


def test_3_empty_value(store: Store, prefix: str) -> None:
    """An empty value is null in JSON, and no bytes with `?raw`."""
    store.write(f"{prefix}k")
    assert store.entry(f"{prefix}k")["Value"] is None
    raw = store.get(f"{prefix}k?raw")
    assert (raw.status, raw.body, raw.get("Content-Length")) == (200, b"", "0")


@pytest.mark.parametrize("query", ["", "?raw", "?index=0", "?separator=/"])
def test_3_no_key_name(store: Store, query: str) -> None:
    """Without a key and without `keys` or `recurse` there is nothing to read."""
    answer = store.get(query)
    assert (answer.status, answer.body) == (400, b"Missing key name")


def test_3_empty_root(fresh: Store) -> None:
    """On an empty store the root has an empty list of keys, but no entries."""
    for session_or_not in (False, True):
        if session_or_not:
            fresh.session()
        keys = fresh.get("?keys")
        assert (keys.status, keys.body) == (200, b"[]")
        assert fresh.get("?keys&separator=/").body == b"[]"
        assert fresh.get("?keys&pretty").body == b"[]\n"
        assert fresh.get("?recurse").status == 404
        assert fresh.get("a?keys").status == 404


def test_G1_keys_beats_all_and_recurse_beats_raw(
    store: Store, prefix: str, keys: list[str]
) -> None:
    """`keys` wins over `recurse` and `raw`, `recurse` over `raw`; a lone separator is nothing."""
    for query in ("keys", "keys&recurse", "raw&keys", "recurse&raw&keys"):
        assert store.get(f"{prefix}?{query}").json == keys
    assert listed(store, f"{prefix}?raw&recurse") == keys
    assert listed(store, f"{prefix}?recurse&separator=/") == keys
    assert store.get(f"{prefix}b?separator=/").json[0]["Key"] == f"{prefix}b"


def test_G2_a_prefix_is_no_path(store: Store, prefix: str, keys: list[str]) -> None:
    """`b` is a prefix of `b`, `b-`, `b/1` and `ba` alike."""
    assert listed(store, f"{prefix}b?recurse") == keys[2:10]
    assert listed(store, f"{prefix}b/?recurse") == keys[4:9]
    assert store.get(f"{prefix}b/2?keys").json == keys[6:8]


def test_G3_order_is_by_bytes(store: Store, prefix: str, keys: list[str]) -> None:
    """Lists are in the order of the keys' bytes: capitals first, accents last."""
    assert store.get(f"{prefix}?keys").json == keys
    assert listed(store, f"{prefix}?recurse") == keys


def test_G3_invalid_bytes_have_their_place(store: Store, prefix: str) -> None:
    """Bytes that are no UTF-8 are ordered as bytes too, not as what they are shown as."""
    for name in ("%FF", "%F0%9F%98%80", "%EF%BF%BD", "%80", "z"):
        store.write(prefix + name, name.encode())
    values = [entry["Value"] for entry in store.get(f"{prefix}?recurse").json]
    assert values == ["eg==", "JTgw", "JUVGJUJGJUJE", "JUYwJTlGJTk4JTgw", "JUZG"]


@pytest.mark.parametrize(
    "query",
    ["stale", "stale=false", "consistent", "leader", "cached", "max_stale=5s", "token=anything"],
)
def test_G5_consistency_modes(store: Store, prefix: str, query: str) -> None:
    """On one server all consistency modes give the same answer and headers."""
    store.write(f"{prefix}k", b"v")
    for target in (f"{prefix}k?x", f"{prefix}?recurse", f"{prefix}?keys", f"{prefix}nope?x"):
        usual, answer = store.get(target), store.get(f"{target}&{query}")
        assert (answer.status, answer.body) == (usual.status, usual.body)
        for name in ("X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact"):
            assert answer.get(name) == usual.get(name)


def test_G7_no_validators(store: Store, prefix: str) -> None:
    """Answers carry nothing that a cache could use, and conditions have no effect (H41)."""
    store.write(f"{prefix}k", b"value")
    conditions = [("If-None-Match", "*"), ("Range", "bytes=0-1"), ("Origin", "http://a.test")]
    answer = store.ask("GET", f"/v1/kv/{prefix}k?raw", headers=conditions)
    assert (answer.status, answer.body) == (200, b"value")
    names = {name.lower() for name, _ in answer.headers}
    unwanted = {"cache-control", "etag", "last-modified", "accept-ranges", "content-range"}
    assert not names & (unwanted | {"access-control-allow-origin", "server"})

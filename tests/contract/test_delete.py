"""Deleting keys (section 6, D1)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .stores import Store


def keys(store: Store, prefix: str) -> list[str]:
    """Return the names that are left under the prefix, without it."""
    answer = store.get(f"{prefix}?keys")
    return [key.removeprefix(prefix) for key in answer.json] if answer.status == 200 else []


def test_6_delete(store: Store, prefix: str) -> None:
    """A delete says `true`, whether there was something or not."""
    store.write(f"{prefix}k", b"v")
    for _ in range(2):
        answer = store.delete(f"{prefix}k")
        assert (answer.status, answer.body) == (200, b"true")
        assert store.get(f"{prefix}k").status == 404


def test_6_delete_takes_one_key(store: Store, prefix: str) -> None:
    """A delete leaves the keys that only begin like it."""
    for name in ("t", "t/", "t/a", "tt"):
        store.write(prefix + name)
    store.delete(f"{prefix}t")
    assert keys(store, prefix) == ["t/", "t/a", "tt"]


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("t?recurse", ["a", "u"]),
        ("t/?recurse", ["a", "t", "tt", "u"]),
        ("t/x/y?recurse", ["a", "t", "t/", "t/x", "tt", "u"]),
        ("nope?recurse", ["a", "t", "t/", "t/x", "t/x/y", "tt", "u"]),
        ("?recurse=false", []),
    ],
)
def test_6_recurse(store: Store, prefix: str, target: str, left: list[str]) -> None:
    """`?recurse` deletes every key that begins with these bytes."""
    for name in ("a", "t", "t/", "t/x", "t/x/y", "tt", "u"):
        store.write(prefix + name)
    answer = store.delete(prefix + target)
    assert (answer.status, answer.body) == (200, b"true")
    assert keys(store, prefix) == left


def test_6_recurse_at_the_root(fresh: Store) -> None:
    """At the root `?recurse` deletes everything."""
    for name in ("a", "b/c", "%FF"):
        fresh.write(name)
    assert fresh.delete("?recurse").body == b"true"
    assert fresh.get("?keys").body == b"[]"
    assert fresh.get("?recurse").status == 404
    assert fresh.delete("?recurse").body == b"true"


@pytest.mark.parametrize("method_target", ["", "?cas=1", "?flags=x"])
def test_6_missing_key_name(store: Store, method_target: str) -> None:
    """A delete without a key is refused."""
    answer = store.delete(method_target)
    assert (answer.status, answer.body) == (400, b"Missing key name")


def test_6_cas(store: Store, prefix: str) -> None:
    """`?cas` deletes at exactly the key's ModifyIndex; 0 never fits a key."""
    index = store.write(f"{prefix}k", b"v")
    for cas in (0, 1, index - 1, index + 1, 2**64 - 1):
        answer = store.delete(f"{prefix}k?cas={cas}")
        assert (answer.status, answer.body) == (200, b"false")
    assert store.modify_index(f"{prefix}k") == index
    assert store.delete(f"{prefix}k?cas={index}").body == b"true"
    assert store.get(f"{prefix}k").status == 404


@pytest.mark.parametrize("cas", [0, 1, 7, 2**64 - 1])
def test_6_cas_on_a_missing_key(store: Store, prefix: str, cas: int) -> None:
    """Deleting what is not there succeeds for any number."""
    assert store.delete(f"{prefix}nope?cas={cas}").body == b"true"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("cas&recurse", "cas=&recurse="),
        ("recurse&cas=5&x=a%20b", "cas=5&recurse=&x=a+b"),
    ],
)
def test_6_conflicting_flags(store: Store, prefix: str, query: str, shown: str) -> None:
    """A tree cannot be deleted by CAS."""
    answer = store.delete(f"{prefix}k?{query}")
    assert (answer.status, answer.text) == (400, f"Conflicting flags: {shown}")


@pytest.mark.parametrize("cas", ["abc", "", "-1", "18446744073709551616"])
def test_6_bad_cas(store: Store, prefix: str, cas: str) -> None:
    """A bad number is the same 500 as for PUT."""
    why = "value out of range" if len(cas) > 10 else "invalid syntax"
    answer = store.delete(f"{prefix}k?cas={cas}")
    assert (answer.status, answer.text) == (500, f'strconv.ParseUint: parsing "{cas}": {why}')


def test_6_locked_key(store: Store, prefix: str) -> None:
    """A held key can be deleted; the session lives on and nothing is delayed."""
    session = store.session(LockDelay="15s")
    store.write(f"{prefix}k?acquire={session}", b"v")
    assert store.delete(f"{prefix}k").body == b"true"
    assert len(store.ask("GET", f"/v1/session/info/{session}").json) == 1
    assert store.put(f"{prefix}k?acquire={session}", b"v").body == b"true"
    assert store.entry(f"{prefix}k")["LockIndex"] == 1
    store.delete(f"{prefix}k")
    store.destroy(session)


def test_D1_other_parameters_are_ignored(store: Store, prefix: str) -> None:
    """acquire, release, flags and a body mean nothing to a delete."""
    store.write(f"{prefix}k", b"v")
    target = f"/v1/kv/{prefix}k?acquire=x&release=&flags=abc"
    answer = store.ask("DELETE", target, b"body")
    assert (answer.status, answer.body) == (200, b"true")
    assert store.get(f"{prefix}k").status == 404

"""Key lists with a separator (G4, I6)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .stores import Store

KEYS = ["Z", "a", "b", "b-", "b/", "b/1", "b/2/x", "b/2/y", "b/3", "ba", "é"]

LISTS = [
    ("?keys&separator=/", ["Z", "a", "b", "b-", "b/", "ba", "é"]),
    ("b?keys&separator=/", ["b", "b-", "b/", "ba"]),
    ("b/?keys&separator=/", ["b/", "b/1", "b/2/", "b/3"]),
    ("b/2?keys&separator=/", ["b/2/"]),
    ("b/2/?keys&separator=/", ["b/2/x", "b/2/y"]),
    ("b?keys&separator=2/", ["b", "b-", "b/", "b/1", "b/2/", "b/3", "ba"]),
    ("?keys&separator=b", ["Z", "a", "b", "é"]),
    ("?keys&separator=b/2", ["Z", "a", "b", "b-", "b/", "b/1", "b/2", "b/3", "ba", "é"]),
    ("?keys&separator=%C3%A9", KEYS),
    ("?keys&separator=%C3", [*KEYS[:-1], "\ufffd"]),
    ("?keys&separator=nowhere", KEYS),
    ("?keys&separator=", KEYS),
    ("?keys&separator", KEYS),
    ("?keys&seperator=/", ["Z", "a", "b", "b-", "b/", "ba", "é"]),
    ("?keys&seperator=/&separator=b", ["Z", "a", "b", "é"]),
    ("?keys&Separator=/", KEYS),
]


@pytest.fixture
def filled(store: Store, prefix: str) -> Store:
    """Return the store with KEYS under the prefix."""
    for name in KEYS:
        store.write(prefix + name.replace("é", "%C3%A9"))
    return store


@pytest.mark.parametrize(("target", "names"), LISTS)
def test_G4_separator(filled: Store, prefix: str, target: str, names: list[str]) -> None:
    """Keys are cut after the first separator behind the prefix; each cut is named once."""
    assert filled.get(prefix + target).json == [prefix + name for name in names]


def test_G4_prefix_with_the_separator_twice(store: Store, prefix: str) -> None:
    """The separator is looked for behind the prefix only, and may overlap nothing."""
    store.write(f"{prefix}a--b--c")
    assert store.get(f"{prefix}a?keys&separator=--").json == [f"{prefix}a--"]
    assert store.get(f"{prefix}a-?keys&separator=--").json == [f"{prefix}a--b--"]
    assert store.get(f"{prefix}a--?keys&separator=--").json == [f"{prefix}a--b--"]


def test_G4_root(fresh: Store) -> None:
    """The root may be cut as well."""
    for name in ("x/1", "x/2", "y"):
        fresh.write(name)
    assert fresh.get("?keys&separator=/").json == ["x/", "y"]
    assert fresh.get("?keys").json == ["x/1", "x/2", "y"]


def test_I6_hidden_keys_count(filled: Store, prefix: str) -> None:
    """The index of a cut list is that of all keys under the prefix."""
    changed = filled.write(f"{prefix}b/2/y", b"new")
    assert filled.get(f"{prefix}?keys&separator=/").index == changed
    assert filled.get(f"{prefix}b?keys&separator=/").index == changed
    assert filled.get(f"{prefix}ba?keys&separator=/").index < changed

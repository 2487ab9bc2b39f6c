"""The deliberate differences from Consul, by their names in conformance/NOTES.md.

A test that meets one states both behaviours, and each is checked on its own store.
"""

from typing import TypeVar

from conformance.suite.rules import rules

from .stores import Store

T = TypeVar("T")


def by_intent(store: Store, *, consul: T, kvstore: T, rule: str) -> T:
    """Return what that store is to answer, where the rule makes the two differ."""
    assert rule in rules(), f"unknown rule {rule}"
    return consul if store.name == "consul" else kvstore

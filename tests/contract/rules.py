"""The deliberate differences from Consul, by name.

Each is described, with its reason, in conformance/NOTES.md.
A test that meets one states both behaviours, and each is checked on its own store.
"""

from typing import TypeVar

from .stores import Store

T = TypeVar("T")

RULES = {
    "cas-identical-wakes": "a CAS write of an identical value moves ModifyIndex and wakes",
    "unclean-write-in-place": "PUT and DELETE of a key with doubled slashes act at the clean key",
    "exact-wakeups": "a blocking query is answered by a change of what it reads, and only by that",
    "index-never-back": "the index of a prefix never goes back",
    "chunked-limit": "limits hold for chunked bodies; chunked session bodies are read",
    "small-bodies-plain": "bodies under 1,400 bytes are never gzipped",
    "restore-is-a-write": "what a restore changes has the index of the restore, and no other wakes",
    "restore-looks-first": "an archive whose content cannot be restored is refused",
    "no-connection-limit": "no limit of 200 connections per client address",
    "txn-larger": "a transaction may have 128 operations, get-or-empty among them, as from 1.14 on",
    "txn-null-operation": "null in the place of an operation is a 400 and not a broken connection",
    "one-node": "operations on nodes, services and checks fail: there is one node, no catalog",
}


def by_intent(store: Store, *, consul: T, kvstore: T, rule: str) -> T:
    """Return what that store is to answer, where the rule makes the two differ."""
    assert rule in RULES, f"unknown rule {rule}"
    return consul if store.name == "consul" else kvstore

"""Snapshots: what `consul snapshot` saves, shows and restores, on either store and between both.

The archive's content is tested in tests/archive/; here the judge is the real `consul`.
"""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from archive.wrapping import BROKEN, wrap

from conformance.suite.wire import ConnectionEnded, encode_request

from .conftest import Spares, require_consul
from .rules import by_intent
from .stores import Store, consul_binary

SNAPSHOT = "/v1/snapshot"
VARY = {"Vary": "Accept-Encoding"}
TEXT = VARY | {"Content-Type": "text/plain; charset=utf-8"}
BOTH_WAYS = pytest.mark.parametrize(
    ("source", "target"), [("kvstore", "consul"), ("consul", "kvstore"), ("kvstore", "kvstore")]
)


def consul(store: Store | None, *words: str | Path) -> str:
    """Run `consul snapshot`, which must succeed, and return what it says."""
    require_consul()
    command = [str(consul_binary()), "snapshot", *map(str, words)]
    if store is not None:
        command.insert(3, f"-http-addr=127.0.0.1:{store.port}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=clean
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def headers(store: Store, method: str, target: str, body: bytes | None = None) -> dict[str, str]:
    """Return an answer's headers but for those that every answer has."""
    answer = store.ask(method, target, body)
    common = {"Date", "Content-Length", "Transfer-Encoding"}
    return {name: value for name, value in answer.headers if name not in common}


def entries(store: Store, prefix: str = "") -> list[dict[str, Any]]:
    """Return all entries under a prefix."""
    return list(store.get(f"{prefix}?recurse").json)


def without_index(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries or sessions without their indexes."""
    indexes = {"CreateIndex", "ModifyIndex"}
    return [{name: one[name] for name in one if name not in indexes} for one in found]


def content(store: Store) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the entries and the sessions of a store, without their indexes."""
    return without_index(entries(store)), without_index(sessions(store))


def sessions(store: Store) -> list[dict[str, Any]]:
    """Return all sessions."""
    return list(store.ask("GET", "/v1/session/list").json)


def fill(store: Store) -> tuple[str, str]:
    """Write some of everything; return two sessions, of which the first holds `lock/held`."""
    holder = store.session(Name="holder", TTL="3600s", Behavior="delete")
    other = store.session(Name="other", NodeChecks=[], LockDelay="15s")
    for key, value in {
        "flags?flags=18446744073709551615": b"v",
        "bytes/%ff%fe": b"\x00\xff",
        "empty": b"",
        "large": b"x" * 500_000,
        f"lock/held?acquire={holder}": b"1",
        f"lock/again?acquire={other.upper()}": b"1",
        f"lock/free?acquire={other}": b"1",
        f"lock/free?release={other}": b"2",
        "gone": b"",
        "tree/a": b"",
        "tree/b/c": b"",
    }.items():
        assert store.put(key, value).body == b"true"
    store.delete("gone")
    store.delete("tree/?recurse")
    return holder, other


def test_O4_save_headers(store: Store, prefix: str) -> None:
    """An archive, under the index that it was taken at."""
    index = store.write(f"{prefix}k")
    answer = store.ask("GET", SNAPSHOT)
    assert answer.status == 200
    assert answer.body.startswith(b"\x1f\x8b\x08")
    assert answer.index >= index
    assert headers(store, "GET", SNAPSHOT) == VARY | {
        "Content-Type": "application/x-gzip",
        "X-Consul-Index": str(answer.index),
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "0",
    }


@pytest.mark.parametrize(
    "query",
    [
        *("stale", "consistent", "stale&consistent", "max_stale=x", "dc=", "dc=dc1"),
        *("index=99999999&wait=10s", "index=x", "wait=x", "pretty", "ns=x", "token=x"),
    ],
)
def test_O4_save_ignores_parameters(store: Store, query: str) -> None:
    """It never waits, and no parameter of a read makes it fail."""
    answer = store.ask("GET", f"{SNAPSHOT}?{query}")
    assert (answer.status, answer.get("Content-Type")) == (200, "application/x-gzip")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_O4_other_datacenter(store: Store, method: str) -> None:
    """Refused before the body is looked at, and without an index."""
    answer = store.ask(method, f"{SNAPSHOT}?dc=other", b"garbage")
    assert (answer.status, answer.text) == (500, "No path to datacenter")
    assert headers(store, method, f"{SNAPSHOT}?dc=other", b"garbage") == TEXT


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "PATCH"])
def test_O4_methods(store: Store, method: str) -> None:
    """GET and PUT are allowed, also HEAD is not."""
    answer = store.ask(method, SNAPSHOT)
    assert answer.status == 405
    assert answer.get("Allow") == "OPTIONS,GET,PUT"
    assert method == "HEAD" or answer.text == f"method {method} not allowed"
    assert store.ask("OPTIONS", SNAPSHOT).get("Allow") == "OPTIONS,GET,PUT"


def test_O4_path(store: Store) -> None:
    """There is nothing below it."""
    assert store.ask("GET", f"{SNAPSHOT}/").status == 404
    assert store.ask("GET", f"{SNAPSHOT}/x").status == 404


@pytest.mark.parametrize("name", BROKEN)
def test_O4_what_is_no_archive_is_refused(store: Store, prefix: str, name: str) -> None:
    """With a text that says what is wrong, and nothing is changed."""
    index = store.write(f"{prefix}k")
    archive, pattern = BROKEN[name]
    answer = store.ask("PUT", SNAPSHOT, archive)
    assert answer.status == 500
    assert re.fullmatch(pattern, answer.text), answer.text
    assert headers(store, "PUT", SNAPSHOT, archive) == TEXT
    assert store.modify_index(f"{prefix}k") == index


def test_O4_restore_without_a_body(store: Store) -> None:
    """As with an empty one."""
    with store.connect() as connection:
        connection.send(encode_request("PUT", SNAPSHOT))
        answer = connection.read("PUT")
    assert (answer.status, answer.text) == (500, "failed to decompress snapshot: EOF")


def test_O4_stale_restore(store: Store) -> None:
    """A restore is the leader's."""
    answer = store.ask("PUT", f"{SNAPSHOT}?stale", store.ask("GET", SNAPSHOT).body)
    assert (answer.status, answer.text) == (500, "stale not allowed for restore")


def test_O4_restore_headers(fresh: Store) -> None:
    """An empty answer, also to a body that came in chunks."""
    archive = fresh.ask("GET", SNAPSHOT).body
    answer = fresh.ask("PUT", f"{SNAPSHOT}?pretty&consistent&index=x", archive, chunked=True)
    assert (answer.status, answer.body) == (200, b"")
    assert headers(fresh, "PUT", SNAPSHOT, archive) == VARY


def test_O4_restore(fresh: Store) -> None:
    """The content is the archive's again; indexes are put back, or go on."""
    same = fresh.write("same", b"v")
    old = fresh.write("changed", b"old")
    archive = fresh.ask("GET", SNAPSHOT)
    fresh.write("changed", b"new")
    new = fresh.write("new", b"v")
    assert fresh.ask("PUT", SNAPSHOT, archive.body).status == 200
    assert [(one["Key"], one["CreateIndex"]) for one in entries(fresh)] == [
        ("changed", old),
        ("same", same),
    ]
    assert fresh.get("changed?raw").body == b"old"
    assert fresh.modify_index("same") == same
    restored = fresh.modify_index("changed")
    assert (restored == old, restored > new) == by_intent(
        fresh, consul=(True, False), kvstore=(False, True), rule="restore-is-a-write"
    )
    assert fresh.write("later") > new


def test_B11_restore_and_blocking_queries(fresh: Store) -> None:
    """A query of what does not change by it goes on, or is answered like all others."""
    index = fresh.write("same", b"v")
    archive = fresh.ask("GET", SNAPSHOT).body
    with fresh.park(f"/v1/kv/same?index={index}") as query:
        assert fresh.ask("PUT", SNAPSHOT, archive).status == 200
        waits = by_intent(fresh, consul=False, kvstore=True, rule="restore-is-a-write")
        assert query.waits() == waits


def test_O4_an_archive_of_garbage(fresh: Store) -> None:
    """Sound on the outside: refused with everything as it was, or the end of the server."""
    index = fresh.write("k")
    try:
        status = fresh.ask("PUT", SNAPSHOT, wrap(b"garbage")).status
    except ConnectionEnded:
        status = 0
    refused = by_intent(fresh, consul=0, kvstore=500, rule="restore-looks-first")
    assert status == refused
    if refused:
        assert fresh.modify_index("k") == index


@pytest.mark.parametrize("flags", [[], ["-stale"]])
def test_the_consul_command(fresh: Store, tmp_path: Path, flags: list[str]) -> None:
    """`consul snapshot save`, `inspect` and `restore`, unmodified."""
    fill(fresh)
    before = content(fresh)
    path = tmp_path / "backup.snap"
    saved = consul(fresh, "save", *flags, path)
    match = re.fullmatch(r"Saved and verified snapshot to index (\d+)\n", saved)
    assert match
    shown = dict(line.split(None, 1) for line in consul(None, "inspect", path).splitlines() if line)
    assert shown.keys() == {"ID", "Size", "Index", "Term", "Version"}
    assert (shown["Index"], shown["Version"]) == (match[1], "1")
    fresh.delete("?recurse")
    for one in sessions(fresh):
        fresh.destroy(one["ID"])
    assert consul(fresh, "restore", path) == "Restored snapshot\n"
    assert content(fresh) == before


@pytest.mark.oracle
@BOTH_WAYS
def test_an_archive_is_good_for_either_store(
    spares: Spares, tmp_path: Path, source: str, target: str
) -> None:
    """Keys, flags, locks, sessions: what one saved, the other has after a restore."""
    require_consul()
    first, second = spares.take(source), spares.take(target)
    try:
        holder, other = fill(first)
        second.write("not/in/the/archive")
        path = tmp_path / "backup.snap"
        consul(first, "save", path)
        consul(second, "restore", path)
        assert content(second) == content(first)
        if target == "consul":
            check_indexes(first, second)
        check_locks(second, holder, other)
        # What it has now can be saved and restored in turn.
        consul(second, "save", tmp_path / "again.snap")
        consul(first, "restore", tmp_path / "again.snap")
        assert content(first) == content(second)
    finally:
        first.kill()
        second.kill()


def check_locks(store: Store, holder: str, other: str) -> None:
    """Verify that locks are held by whom they were, and go with their session."""
    assert store.put(f"lock/held?acquire={other}", b"x").body == b"false"
    assert store.put(f"lock/held?acquire={holder}", b"2").body == b"true"
    assert store.put(f"lock/free?acquire={other}", b"3").body == b"true"
    assert store.ask("PUT", f"/v1/session/renew/{holder}").status == 200
    store.destroy(holder)
    assert store.get("lock/held").status == 404


def check_indexes(first: Store, second: Store) -> None:
    """Verify that a Consul has all indexes of the store that was saved, of its deletes too."""
    assert entries(second) == entries(first)
    assert sessions(second) == sessions(first)
    for prefix in ("tree/", "gone", "no/such/"):
        index = first.get(f"{prefix}?recurse").index
        assert second.get(f"{prefix}?recurse").index == index

"""Invariants: a healthy store has no finding, and each way to spoil it has its own."""

import dataclasses
import json
from typing import Any

import pytest
from samples import NETWORK, POOL, TREE, bitmap, endpoint, entry, healthy

from conformance.overlay import invariants
from conformance.overlay.kv import Entry
from conformance.overlay.records import parse

COUNT = f"{TREE}endpoint_count/{NETWORK}/"
RECORD = f"{TREE}network/{NETWORK}/"
CONFIG = f"{TREE}ipam/default/config/GlobalDefault/"
DATA = f"{TREE}ipam/default/data/{POOL}/"
IDM = f"{TREE}idm/vxlan-id/"


def kinds(entries: dict[str, Entry]) -> set[str]:
    """Return the kinds of findings in a listing."""
    return {finding.kind for finding in invariants.check(parse(entries.values()))}


def changed(key: str, **fields: Any) -> dict[str, Entry]:
    """Return a healthy listing with fields of one record changed."""
    entries = healthy()
    record = {**json.loads(entries[key].value), **fields}
    return {**entries, key: entry(key, record)}


def test_a_healthy_store_has_no_finding() -> None:
    """The records of two engines with a container each agree."""
    assert invariants.check(parse(healthy().values())) == []


def test_an_empty_store_has_no_finding() -> None:
    """Nothing contradicts nothing."""
    assert invariants.check(parse([])) == []


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (COUNT, {invariants.PARTS}),
        (f"{TREE}overlay/network/{NETWORK}/", {invariants.PARTS, invariants.VNI}),
        (CONFIG, {invariants.PARTS, invariants.POOL}),
        (DATA, {invariants.POOL}),
        (IDM, {invariants.VNI}),
        (f"{TREE}endpoint/{NETWORK}/web/", {invariants.COUNT, invariants.ADDRESS}),
        ("docker/nodes/10.99.0.2:2376", {invariants.LOCATOR}),
    ],
)
def test_a_missing_record_is_found(key: str, found: set[str]) -> None:
    """Whatever record is taken away, its absence is found."""
    entries = healthy()
    del entries[key]

    assert kinds(entries) == found


@pytest.mark.parametrize(
    ("key", "fields", "found"),
    [
        (COUNT, {"Count": 3}, invariants.COUNT),
        (RECORD, {"inDelete": True}, invariants.DELETING),
        (DATA, {"sequence": bitmap(256, 0, 1, 2, 255)}, invariants.ADDRESS),
        (DATA, {"sequence": bitmap(256, 0, 1, 2, 3, 4, 255)}, invariants.ADDRESS),
        (IDM, {"sequence": bitmap(1024, 0, 1)}, invariants.VNI),
        (IDM, {"sequence": "AAAA"}, invariants.BROKEN),
    ],
)
def test_a_wrong_record_is_found(key: str, fields: dict[str, Any], found: str) -> None:
    """A drifted count, a leaked or lost bit, a half removal: each is found as what it is."""
    assert found in kinds(changed(key, **fields))


def test_one_address_given_twice_is_found() -> None:
    """Two containers with one address are found although the bitmap looks right."""
    entries = healthy()
    entries[f"{TREE}endpoint/{NETWORK}/visitor/"] = endpoint("visitor", "10.60.0.2", "10.99.0.3")

    texts = [str(finding) for finding in invariants.check(parse(entries.values()))]

    assert f"address: {POOL}: 10.60.0.2 is given 2 times" in texts


def test_two_networks_of_one_name_are_found() -> None:
    """Twins are a finding of their own kind, so that a scenario can expect them."""
    entries = healthy()
    twin = {"id": "t" * 64, "name": "shop", "networkType": "macvlan"}
    entries[f"{TREE}network/{'t' * 64}/"] = entry(f"{TREE}network/{'t' * 64}/", twin)

    assert invariants.TWIN in kinds(entries)


def test_an_engine_without_a_session_is_found() -> None:
    """A registration that can never expire is not an engine alive."""
    entries = healthy()
    key = "docker/nodes/10.99.0.2:2376"
    entries[key] = dataclasses.replace(entries[key], session="")

    assert kinds(entries) == {invariants.LOCATOR}

"""Docker's records: a listing becomes a view, and nothing in it can make that fail."""

from samples import NETWORK, POOL, TREE, entry, healthy

from conformance.overlay.kv import Entry
from conformance.overlay.records import Subnet, parse


def test_a_listing_becomes_a_view() -> None:
    """Every kind of record of a healthy store is found in its place."""
    view = parse(healthy().values())

    assert view.engines == {"10.99.0.2:2376": True, "10.99.0.3:2376": True}
    assert view.networks[NETWORK].name == "shop"
    assert view.networks[NETWORK].reserved == ((POOL, "10.60.0.1"),)
    assert view.counts == {NETWORK: 2}
    assert view.endpoints["web"].addresses == ((POOL, "10.60.0.2"),)
    assert view.overlays == {NETWORK: (Subnet("10.60.0.0/24", 256),)}
    assert view.pools == {POOL: False}
    assert set(view.bitmaps) == {POOL}
    assert f"{TREE}network/" in view.markers
    assert view.broken == {}


def test_an_overlay_record_of_an_old_engine_is_a_bare_list() -> None:
    """Engines of 1.9 stored the subnets without a frame."""
    record = [{"SubnetIP": "10.0.0.0/24", "GwIP": "10.0.0.1/24", "Vni": 300}]

    view = parse([entry(f"{TREE}overlay/network/{NETWORK}/", record)])

    assert view.overlays == {NETWORK: (Subnet("10.0.0.0/24", 300),)}


def test_a_pool_with_a_range_is_told_from_its_parent() -> None:
    """Only a pool without a range owns a bitmap."""
    pools = {"G/10.50.0.0/16": {}, "G/10.50.0.0/16/10.50.8.0/24": {"Range": {"Start": 2048}}}

    view = parse([entry(f"{TREE}ipam/default/config/GlobalDefault/", {"Subnets": pools})])

    assert view.pools == {"G/10.50.0.0/16": False, "G/10.50.0.0/16/10.50.8.0/24": True}


def test_missing_fields_of_old_engines_are_no_fault() -> None:
    """All but a network's id and name is optional."""
    view = parse([entry(f"{TREE}network/{NETWORK}/", {"id": NETWORK, "name": "old"})])

    assert view.networks[NETWORK].pools == ()
    assert view.broken == {}


def test_what_cannot_be_read_is_kept_with_its_reason() -> None:
    """Broken JSON, missing ids, unknown kinds and raw bytes end in `broken`, by key."""
    entries = [
        Entry(f"{TREE}network/{NETWORK}/", b"{", 1),
        entry(f"{TREE}endpoint/{NETWORK}/e/", {"name": "no id"}),
        entry(f"{TREE}unheard/of/", {}),
        entry(f"{TREE}ipam/default/data/{POOL}/", {"sequence": "AAAA"}),
        Entry("docker/nodes/x", b"\xff", 1),
    ]

    view = parse(entries)

    assert set(view.broken) == {one.key for one in entries}

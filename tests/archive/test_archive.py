"""Whole archives: ours, a real Consul's, and those that are none."""

import io
import json
import re
import tarfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.archive.archive import write_archive
from kvstore.errors import ArchiveUnreadable
from kvstore.state.entry import Entry, ServiceCheck
from kvstore.state.image import Facts, Image, Tombstone

from .images import STORE_ID, entry, image_of, images, read, session, verify, written
from .wrapping import BROKEN, GOOD, HEADER, META, wrap

# Saved by `consul snapshot save` of Consul 1.8.7: what follows below, and a service with a check,
# a prepared query's remains, a config entry and whatever a single server keeps of itself.
REAL = Path(__file__).parent / "consul-1.8.7.snap"
PLAIN = "8808d479-92f6-4b56-a080-cfa19b30d1ad"
FULL = "8e875083-6093-86b0-d016-7d48842128a4"
BARE = "99ce9b37-095b-f5e2-168b-b409dc32216c"
SERVED = "df146644-c4c7-9152-da15-220a1a1b29b8"


def meta_of(archive: bytes) -> dict[str, Any]:
    """Return what is in `meta.json`."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        content = files.extractfile(META)
        assert content is not None
        return dict(json.loads(content.read()))


def test_what_a_real_consul_saved() -> None:
    """Everything that is a key-value store's comes out of it; the rest is counted."""
    archive = read(REAL.read_bytes())
    image = archive.image
    assert image.facts == Facts("", 28, 27, 12, 0)
    assert list(image.entries) == [
        Entry(b"a/b", b"value", 2**64 - 1, "", 0, 13, 13),
        Entry(b"a/\xff\xfe", b"\x00\xff", 0, "", 0, 14, 14),
        Entry(b"empty", b"", 0, "", 0, 18, 18),
        Entry(b"last", b"x", 0, "", 0, 27, 27),
        Entry(b"lock/full", b"v", 0, FULL.upper(), 1, 16, 16),
        Entry(b"lock/plain", b"v", 0, PLAIN, 1, 15, 15),
        Entry(b"lock/svc", b"v", 0, SERVED, 1, 17, 17),
        Entry(b"twice", b"2", 0, "", 1, 24, 25),
        Entry(b"txn", b"x", 0, "", 0, 26, 26),
    ]
    served = ServiceCheck("chk1", "")
    assert image.sessions == [
        session(PLAIN, 8, name="plain", lock_delay_ns=0),
        session(FULL, 9, name="full", behavior="delete", ttl="30s", ttl_ns=30_000_000_000),
        session(BARE, 10, name="nochecks", lock_delay_ns=0, node_checks=()),
        session(SERVED, 12, name="svc", service_checks=(served,)),
    ]
    assert image.tombstones == [Tombstone(b"gone", 22, False), Tombstone(b"tree/", 23, False)]
    assert archive.left_out == {
        "nodes": 1,
        "services": 2,
        "health checks": 2,
        "autopilot settings": 1,
        "config entries": 1,
        "federation states": 1,
    }
    verify(image)


@given(images())
def test_an_image_comes_back(image: Image) -> None:
    """Every fact, session, tombstone and entry, and nothing is left out."""
    archive = read(written(image))
    assert archive.image == image
    assert archive.left_out == {}


def test_meta_is_what_consul_reads_and_what_is_ours() -> None:
    """`consul snapshot inspect` shows the first five; the last is looked at by us alone."""
    image = replace(image_of(entry(b"k", index=9)), facts=Facts(STORE_ID, 12, 9, 0, 4))
    meta = meta_of(written(image, made_ms=1_700_000_000_123))
    size_bytes = meta.pop("Size")
    assert size_bytes > 0
    assert meta == {
        "Version": 1,
        "ID": "1-12-1700000000123",
        "Index": 12,
        "Term": 1,
        "Peers": None,
        "Configuration": {"Servers": []},
        "ConfigurationIndex": 0,
        "KVStore": {"StoreID": STORE_ID, "TombstoneFloor": 4},
    }


def test_the_same_image_is_the_same_archive() -> None:
    """Nothing in it depends on when or where it was written, but for the date that is given."""
    image = image_of(entry(b"k"))
    assert written(image) == written(image)
    assert written(image, made_ms=0) != written(image)


def test_an_archive_without_our_member_has_no_store_id() -> None:
    """As a Consul's; its index is that of the raft log."""
    assert read(wrap(HEADER, Index=9)).image.facts == Facts("", 9, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "reason", "expected"),
    [
        ({"KVStore": []}, "KVStore is []", "a JSON object"),
        ({"KVStore": {"StoreID": "me"}}, "StoreID is 'me'", "an id"),
        ({"KVStore": {"StoreID": 7}}, "StoreID is '7'", "an id"),
        ({"KVStore": {"StoreID": "\ud800" * 12}}, "StoreID is ", "an id"),
        ({"KVStore": {"TombstoneFloor": "1"}}, "TombstoneFloor is '1'", "a number"),
        ({"KVStore": {"TombstoneFloor": 8}}, "TombstoneFloor is 8", "a number from 0 to 7"),
        ({"KVStore": {"TombstoneFloor": -1}}, "TombstoneFloor is -1", "a number"),
        ({"Index": 2**63}, f"Index is {2**63}", "a number"),
        ({"Index": 1.5}, "Index is 1.5", "a number"),
        ({"Index": True}, "Index is True", "a number"),
    ],
)
def test_wrong_metadata_is_refused(changes: dict[str, Any], reason: str, expected: str) -> None:
    """The member is named, what it is and what it should be."""
    with pytest.raises(ArchiveUnreadable) as caught:
        read(wrap(HEADER, **changes))
    assert caught.value.reason.startswith(f"meta.json: {reason}")
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_archive_is_refused(name: str) -> None:
    """With the text of a real Consul (the contract tests put the same ones to it)."""
    archive, pattern = BROKEN[name]
    with pytest.raises(ArchiveUnreadable) as caught:
        read(archive)
    assert re.fullmatch(pattern, caught.value.reason)
    assert str(caught.value) == f"{caught.value.reason}; expected {caught.value.expected}"


def test_limits_are_parameters() -> None:
    """Size of the state and number of records; what is at a limit is read."""
    image = image_of(*(entry(b"k%d" % number) for number in range(3)))
    archive = written(image)
    size_bytes = meta_of(archive)["Size"]
    assert read(archive, state_bytes_max=size_bytes, records_max=4).image == image
    with pytest.raises(ArchiveUnreadable, match=f"has {size_bytes} bytes"):
        read(archive, state_bytes_max=size_bytes - 1)
    with pytest.raises(ArchiveUnreadable, match="expected 3 at most"):
        read(archive, records_max=3)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(["Version", "Index", "Size", "KVStore"]),
        _json
        | st.dictionaries(st.sampled_from(["StoreID", "TombstoneFloor"]), _json)
        | st.just(STORE_ID),
    )
)
def test_any_metadata_is_read_or_refused(changes: dict[str, Any]) -> None:
    """JSON of any shape."""
    try:
        archive = read(wrap(HEADER, **changes))
    except ArchiveUnreadable:
        return
    verify(archive.image)


@pytest.mark.parametrize("meta", [b"[" * 100_000, b"1" * 10_000, b'{"Size":' + b"9" * 9999 + b"}"])
def test_no_json_takes_the_parser_down(meta: bytes) -> None:
    """Neither depth nor digits without end."""
    with pytest.raises(ArchiveUnreadable, match="failed to decode snapshot metadata"):
        read(wrap(HEADER, raw_meta=meta))


@pytest.mark.slow
def test_any_flipped_bit_of_a_real_state_is_harmless() -> None:
    """With sums that are right again: it is refused, or gives a store that is sound."""
    with tarfile.open(REAL, mode="r:gz") as files:
        content = files.extractfile("state.bin")
        assert content is not None
        real = content.read()
    refused = 0
    for position in range(len(real)):
        state = bytearray(real)
        state[position] ^= 1 << position % 8
        try:
            archive = read(wrap(bytes(state)))
        except ArchiveUnreadable:
            refused += 1
        else:
            verify(archive.image)
    assert 0 < refused < len(real)


class Sink(io.BytesIO):
    """A file that keeps nothing."""

    size_bytes = 0

    def write(self, data: Any, /) -> int:
        """Count bytes."""
        self.size_bytes += len(data)
        return len(data)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_entries() -> None:
    """Entries are taken one by one, and what waits to be wrapped waits on disk."""
    value = bytes(range(250)) * 4

    def entries() -> Iterator[Entry]:
        for number in range(40_000):
            yield entry(b"%08d" % number, value)

    sink = Sink()
    tracemalloc.start()
    write_archive(Image(Facts("", 1, 1, 0, 0), [], [], entries()), sink, made_ms=0)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sink.size_bytes > 0
    assert peak_bytes < 20_000_000


def test_good_is_good() -> None:
    """What the broken ones were made of is sound."""
    assert read(GOOD).image.facts == Facts("", 7, 0, 0, 0)

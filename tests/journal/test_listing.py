"""Names of files, and which of them together hold a store."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.listing import (
    Chain,
    Listing,
    segment_name,
    snapshot_name,
    unfinished_name,
)

INDEXES = st.sets(st.integers(0, 2**64 - 1), max_size=6)


def test_names_are_as_the_format_says() -> None:
    """Twenty digits, so that the order of the names is the order of the records."""
    assert segment_name(1) == "00000000000000000001.journal"
    assert snapshot_name(12) == "00000000000000000012.snapshot"
    assert unfinished_name(12) == "00000000000000000012.snapshot.unfinished"
    assert segment_name(2**64 - 1) == "18446744073709551615.journal"


@given(INDEXES, INDEXES, INDEXES, st.randoms(use_true_random=False))
def test_all_that_is_named_is_listed(
    snapshots: set[int], segments: set[int], unfinished: set[int], order: Random
) -> None:
    """Whatever the order of the names; each kind ascends."""
    names = [*map(snapshot_name, snapshots), *map(segment_name, segments)]
    names += map(unfinished_name, unfinished)
    order.shuffle(names)
    assert Listing.of(names) == Listing(
        tuple(sorted(snapshots)),
        tuple(sorted(segments)),
        tuple(map(unfinished_name, sorted(unfinished))),
    )


@pytest.mark.parametrize(
    "name",
    [
        "LOCK",
        "1.journal",
        "00000000000000000001.journal\n",
        "00000000000000000001.journal.bak",
        "a00000000000000000001.journal",
        "000000000000000000001.journal",
        "0000000000000000000\u0661.journal",
        "00000000000000000001.JOURNAL",
        "00000000000000000001.snapshot.unfinishe",
        "1.snapshot.unfinished",
        "notes.unfinished",
    ],
)
def test_files_of_others_do_not_count(name: str) -> None:
    """Nor do names that only look like one of ours."""
    assert Listing.of([name]).is_empty
    assert Listing.of([name]) == Listing((), (), ())


def test_unfinished_snapshot_is_no_store() -> None:
    """A segment or a snapshot is."""
    assert Listing.of([unfinished_name(3)]).is_empty
    assert not Listing.of([segment_name(1)]).is_empty
    assert not Listing.of([snapshot_name(3)]).is_empty


def test_chain_without_a_snapshot_is_all_segments() -> None:
    """It begins with the first record."""
    chain = Listing((), (1, 5), ()).chain()
    assert chain == Chain(0, (1, 5))
    assert chain.snapshot is None
    assert chain.names == [segment_name(1), segment_name(5)]


def test_chain_begins_with_the_newest_snapshot() -> None:
    """And with the segment behind it; older files are no part of it."""
    listing = Listing((4, 8), (1, 5, 9, 12), ())
    assert listing.chain() == Chain(8, (9, 12))
    assert listing.chain().names == [snapshot_name(8), segment_name(9), segment_name(12)]


def test_chain_of_an_older_base_goes_to_the_end_too() -> None:
    """Newer snapshots are not needed for it."""
    listing = Listing((4, 8), (1, 5, 9), ())
    assert listing.chain(4) == Chain(4, (5, 9))
    assert listing.chain(0) == Chain(0, (1, 5, 9))


def test_bases_are_what_a_chain_can_begin_after() -> None:
    """Each snapshot, and the beginning as long as its segment is there."""
    assert Listing((4, 8), (1, 5, 9), ()).bases() == (0, 4, 8)
    assert Listing((4, 8), (5, 9), ()).bases() == (4, 8)
    assert Listing((), (), ()).bases() == ()

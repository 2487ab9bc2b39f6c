"""Which files may go: never what a start needs, and history from its oldest end only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.listing import Listing, segment_name, snapshot_name
from kvstore.maintenance.retention import Retention, needless

NOW_MS = 1_000_000
FOREVER_MS = 10**12
ALL_BYTES = 10**12

# Snapshots of 4 and 8, segments from the beginning; each file has its own number of bytes.
LISTING = Listing((4, 8), (1, 3, 5, 9, 11), ())
SIZES = {
    segment_name(1): 1,
    segment_name(3): 2,
    snapshot_name(4): 4,
    segment_name(5): 8,
    snapshot_name(8): 1000,
    segment_name(9): 1000,
    segment_name(11): 1000,
}
FIRST_STEP = [segment_name(1), segment_name(3)]
SECOND_STEP = [snapshot_name(4), segment_name(5)]
BEGUN_MS = {1: 100, 3: 200, 5: 300, 9: 400, 11: 500}


def names(age_ms: int, bytes_max: int, listing: Listing = LISTING) -> list[str]:
    """Return what may go now."""
    return needless(listing, SIZES, BEGUN_MS, Retention(age_ms, bytes_max), NOW_MS)


@pytest.mark.parametrize(
    ("bytes_max", "expected"),
    [
        (15, []),
        (14, FIRST_STEP),
        (12, FIRST_STEP),
        (11, FIRST_STEP + SECOND_STEP),
        (0, FIRST_STEP + SECOND_STEP),
    ],
)
def test_history_is_kept_up_to_its_bytes(bytes_max: int, expected: list[str]) -> None:
    """What a start needs does not count; a step goes as a whole."""
    assert names(FOREVER_MS, bytes_max) == expected


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (NOW_MS - 299, []),
        (NOW_MS - 300, FIRST_STEP),
        (NOW_MS - 399, FIRST_STEP),
        (NOW_MS - 400, FIRST_STEP + SECOND_STEP),
        (0, FIRST_STEP + SECOND_STEP),
    ],
)
def test_history_is_kept_up_to_its_age(age_ms: int, expected: list[str]) -> None:
    """A step is as old as the segment that follows it: until then it was the present."""
    assert names(age_ms, ALL_BYTES) == expected


def test_limit_that_is_reached_first_counts() -> None:
    """History goes as far back as both allow."""
    assert names(NOW_MS - 300, 11) == FIRST_STEP + SECOND_STEP
    assert names(NOW_MS - 400, 12) == FIRST_STEP + SECOND_STEP
    assert names(NOW_MS - 300, 12) == FIRST_STEP


def test_store_without_a_snapshot_needs_all_its_files() -> None:
    """Whatever the limits."""
    listing = Listing((), LISTING.segments, ())
    assert needless(listing, SIZES, BEGUN_MS, Retention(0, 0), NOW_MS) == []


def test_segment_of_unknown_age_is_new() -> None:
    """Nothing is given up because somebody could not look."""
    assert needless(LISTING, SIZES, {}, Retention(1, ALL_BYTES), NOW_MS) == []
    none_kept = needless(LISTING, SIZES, {}, Retention(0, ALL_BYTES), NOW_MS)
    assert none_kept == FIRST_STEP + SECOND_STEP


def test_step_that_is_gone_is_no_step() -> None:
    """What an earlier look has removed is not named again."""
    listing = Listing((4, 8), (5, 9, 11), ())
    assert names(0, 0, listing) == SECOND_STEP
    assert names(0, 0, Listing((8,), (9, 11), ())) == []


def test_rest_of_an_interrupted_removal_goes_too() -> None:
    """A segment in the middle that a crash has brought back."""
    assert names(0, 0, Listing((8,), (3, 9, 11), ())) == [segment_name(3)]


@st.composite
def stores(draw: st.DrawFn) -> tuple[Listing, dict[str, int], dict[int, int]]:
    """Draw a store that was compacted between some of its segments."""
    firsts = [1]
    for step in draw(st.lists(st.integers(1, 5), max_size=8)):
        firsts.append(firsts[-1] + step)
    points = st.sampled_from([first - 1 for first in firsts[1:]] or [0])
    snapshots = tuple(sorted(draw(st.sets(points, max_size=4)) - {0}))
    listing = Listing(snapshots, tuple(firsts), ())
    files = [*map(snapshot_name, snapshots), *map(segment_name, firsts)]
    sizes = {name: draw(st.integers(1, 100)) for name in files}
    ages = sorted(draw(st.lists(st.integers(0, NOW_MS), min_size=len(firsts))))
    return listing, sizes, dict(zip(firsts, ages, strict=False))


@given(stores(), st.integers(0, NOW_MS), st.integers(0, 600))
def test_what_is_kept_can_be_read(
    store: tuple[Listing, dict[str, int], dict[int, int]], age_ms: int, bytes_max: int
) -> None:
    """A start has its files, history has no holes and fits its limits, and a second look agrees."""
    listing, sizes, begun_ms = store
    retention = Retention(age_ms, bytes_max)
    doomed = needless(listing, sizes, begun_ms, retention, NOW_MS)
    assert len(set(doomed)) == len(doomed)
    needed = listing.chain().names
    assert not set(doomed) & set(needed)
    left = Listing.of(sizes.keys() - set(doomed))
    assert left.chain() == listing.chain()
    history = [name for name in sizes if name not in {*doomed, *needed}]
    assert sum(sizes[name] for name in history) <= bytes_max
    for base in left.bases():
        assert left.chain(base) == listing.chain(base)
    oldest = left.bases()[0]
    assert {*history, *needed} == {
        name for start in left.bases() for name in ([snapshot_name(start)] if start else [])
    } | set(map(segment_name, left.chain(oldest).segments))
    assert needless(left, sizes, begun_ms, retention, NOW_MS) == []

"""Tombstones: what is remembered, for which prefixes, and what stays after forgetting."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.state.graveyard import TOMBSTONES_MAX, Graveyard
from kvstore.state.image import Tombstone


def test_empty_graveyard_knows_no_delete() -> None:
    """Without deletes the latest is 0 for every prefix, and so is the floor."""
    graveyard = Graveyard()
    assert len(graveyard) == 0
    assert graveyard.latest(b"") == 0
    assert graveyard.latest(b"a") == 0
    assert graveyard.floor == 0


@pytest.mark.parametrize(
    ("prefix", "latest"),
    [
        (b"", 5),
        (b"a", 5),
        (b"a/", 5),
        (b"a/b", 5),
        (b"a/b/", 0),
        (b"a/c", 0),
        (b"b", 0),
    ],
)
def test_I5_a_tombstone_counts_for_the_prefixes_of_its_name(prefix: bytes, latest: int) -> None:
    """A deleted key moves every prefix it starts with, and no other."""
    graveyard = Graveyard()
    graveyard.bury(b"a/b", 5)
    assert graveyard.latest(prefix) == latest


def test_I5_the_newest_tombstone_under_a_prefix_counts() -> None:
    """Of several deletes under a prefix the last one is its index."""
    graveyard = Graveyard()
    graveyard.bury(b"a/1", 7)
    graveyard.bury(b"a/2", 9)
    graveyard.bury(b"a/3", 8)
    assert graveyard.latest(b"a/") == 9
    assert graveyard.latest(b"a/3") == 8


def test_I7_a_second_delete_overwrites_the_tombstone() -> None:
    """A name has one tombstone, with the index of its last delete."""
    graveyard = Graveyard()
    graveyard.bury(b"a", 3)
    graveyard.bury(b"a", 6)
    assert len(graveyard) == 1
    assert graveyard.latest(b"a") == 6


def test_keys_of_high_bytes_stay_within_their_prefix() -> None:
    """A prefix that ends in 0xff has an end too, and one of nothing else has none."""
    graveyard = Graveyard()
    graveyard.bury(b"\xff\xff", 4)
    graveyard.bury(b"a\xff\x00", 5)
    graveyard.bury(b"b", 6)
    assert graveyard.latest(b"\xff") == 4
    assert graveyard.latest(b"a\xff") == 5
    assert graveyard.latest(b"a") == 5


def test_I7_a_tree_is_one_tombstone_under_its_prefix() -> None:
    """A tree's tombstone counts for the prefix and what the prefix starts with."""
    graveyard = Graveyard()
    graveyard.bury_tree(b"a/", [b"a/x/1", b"a/x/2"], 5)
    assert graveyard.latest(b"a") == 5
    assert graveyard.latest(b"a/") == 5
    assert graveyard.latest(b"a/x/") == 0
    assert graveyard.latest(b"b") == 0


def test_B9_a_tree_above_counts_where_a_tombstone_is_remembered() -> None:
    """A prefix with a tombstone of its own takes the index of a tree deleted above it."""
    graveyard = Graveyard()
    graveyard.bury(b"a/b/c", 3)
    graveyard.bury(b"a/y/z", 4)
    graveyard.bury_tree(b"a/", [b"a/b/d", b"a/x/1"], 5)
    assert graveyard.latest(b"a/b/") == 5
    assert graveyard.latest(b"a/x") == 0
    assert graveyard.latest(b"a/y/") == 4, "nothing under it went with the tree"


def test_B9_the_whole_store_is_above_everything() -> None:
    """A delete of the empty prefix counts where it deleted something, under a tombstone."""
    graveyard = Graveyard()
    graveyard.bury(b"a", 3)
    graveyard.bury_tree(b"", [b"a1", b"b"], 5)
    assert graveyard.latest(b"a") == 5
    assert graveyard.latest(b"b") == 0


def test_B9_a_deleted_key_above_is_not_a_tree() -> None:
    """The delete of a single key whose name begins a prefix does not count for the prefix."""
    graveyard = Graveyard()
    graveyard.bury(b"a/b", 3)
    graveyard.bury(b"a", 5)
    assert graveyard.latest(b"a/") == 3
    graveyard.bury_tree(b"a", [b"a/c"], 7)
    graveyard.bury(b"a", 9)
    assert graveyard.latest(b"a/") == 7


def test_as_many_tombstones_as_allowed_are_kept() -> None:
    """At the limit nothing is forgotten and the floor is 0."""
    graveyard = Graveyard(4)
    for index, name in enumerate([b"a", b"b", b"c", b"d"], start=1):
        graveyard.bury(name, index)
    assert len(graveyard) == 4
    assert graveyard.floor == 0
    assert graveyard.latest(b"a") == 1


def test_one_more_forgets_the_older_half() -> None:
    """Above the limit the oldest half goes, and the floor is the newest of the forgotten."""
    graveyard = Graveyard(4)
    for index, name in enumerate([b"e", b"d", b"c", b"b", b"a"], start=1):
        graveyard.bury(name, index)
    assert len(graveyard) == 3
    assert graveyard.floor == 2
    assert [graveyard.latest(name) for name in (b"a", b"b", b"c", b"d", b"e")] == [5, 4, 3, 0, 0]


def test_a_forgotten_tree_raises_the_floor() -> None:
    """Trees are forgotten like keys, and the floor takes their place."""
    graveyard = Graveyard(4)
    graveyard.bury(b"a", 1)
    graveyard.bury_tree(b"t/", [b"t/1"], 2)
    for index, name in enumerate([b"b", b"c", b"d"], start=3):
        graveyard.bury(name, index)
    assert graveyard.latest(b"t/") == 0
    assert graveyard.floor == 2


def test_a_name_buried_again_is_young_again() -> None:
    """Age is that of the last delete, so a name deleted again outlives the others."""
    graveyard = Graveyard(4)
    for index, name in enumerate([b"a", b"b", b"c", b"a", b"d", b"e"], start=1):
        graveyard.bury(name, index)
    assert graveyard.latest(b"a") == 4
    assert graveyard.latest(b"b") == 0


def test_tombstones_max_is_a_bound() -> None:
    """However many names are deleted, no more than the limit are remembered."""
    graveyard = Graveyard()
    for index in range(1, TOMBSTONES_MAX + 2):
        graveyard.bury(b"%d" % index, index)
    assert len(graveyard) <= TOMBSTONES_MAX
    assert graveyard.floor == TOMBSTONES_MAX // 2
    assert graveyard.latest(b"%d" % (TOMBSTONES_MAX + 1)) == TOMBSTONES_MAX + 1


NAMES = st.binary(max_size=3).map(lambda name: bytes(b"ab\xff"[byte % 3] for byte in name))


@given(
    deletes=st.lists(st.tuples(NAMES, st.booleans()), max_size=30),
    prefix=NAMES,
    tombstones_max=st.integers(1, 6),
)
def test_no_delete_is_lost_below_latest_and_floor(
    deletes: list[tuple[bytes, bool]], prefix: bytes, tombstones_max: int
) -> None:
    """The larger of latest and floor is never below the newest delete under the prefix."""
    graveyard = Graveyard(tombstones_max)
    newest = 0
    for index, (name, is_tree) in enumerate(deletes, start=1):
        if is_tree:
            graveyard.bury_tree(name, [], index)
        else:
            graveyard.bury(name, index)
        if name.startswith(prefix) and (name or not is_tree):
            newest = index
        assert newest <= max(graveyard.latest(prefix), graveyard.floor) <= index
        assert len(graveyard) <= tombstones_max


def test_held_burials_are_done_when_they_are_released() -> None:
    """Until then nothing is known of them; keys, trees and their order are as without."""
    graveyard = Graveyard()
    graveyard.bury(b"t/old", 3)
    graveyard.hold()
    graveyard.bury(b"a", 5)
    graveyard.bury_tree(b"t/", [b"t/1"], 5)
    assert len(graveyard) == 1
    assert graveyard.latest(b"") == 3
    graveyard.release()
    assert len(graveyard) == 4
    assert [graveyard.latest(name) for name in (b"a", b"t/", b"t/1")] == [5, 5, 0]
    graveyard.bury(b"b", 6)
    assert graveyard.latest(b"b") == 6


def test_dropped_burials_leave_nothing() -> None:
    """What is buried afterwards is buried at once."""
    graveyard = Graveyard()
    graveyard.hold()
    graveyard.bury(b"a", 5)
    graveyard.bury_tree(b"t/", [b"t/1"], 5)
    graveyard.drop_held()
    assert len(graveyard) == 0
    graveyard.bury(b"b", 6)
    assert graveyard.tombstones() == [Tombstone(b"b", 6, with_tree=False)]


def test_dropped_burials_make_nothing_be_forgotten() -> None:
    """A transaction of many deletes that failed takes no older tombstone's place."""
    graveyard = Graveyard(4)
    graveyard.bury(b"old", 1)
    graveyard.hold()
    for number in range(9):
        graveyard.bury(b"%d" % number, 2)
    graveyard.drop_held()
    assert (graveyard.latest(b"old"), graveyard.floor) == (1, 0)
    graveyard.hold()
    for number in range(9):
        graveyard.bury(b"%d" % number, 2)
    graveyard.release()
    assert len(graveyard) <= 4
    assert graveyard.floor == 2

"""From files to a store: whatever snapshots there are, it is the store of all commands."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal.batches import Batch, a_store_command, small_batches
from journal.fake_disk import FakeDisk

from kvstore.errors import JournalCorrupt
from kvstore.journal.listing import segment_name
from kvstore.journal.reader import read_listing
from kvstore.maintenance.rebuild import rebuild
from kvstore.state.command import Command
from kvstore.state.graveyard import Graveyard
from kvstore.state.store import State

from .folders import folder, replayed, values

BATCHES = st.lists(st.lists(a_store_command, min_size=1, max_size=5), min_size=1, max_size=9)


def require_same(state: State, other: State, more: Sequence[Command]) -> None:
    """Require that two stores hold the same, are sound, and answer the same from now on."""
    assert values(state) == values(other)
    for command in more:
        index = state.last_index + 1
        # Errors of a kind are not equal, only alike.
        assert repr(state.apply(index, command)) == repr(other.apply(index, command))
        assert state.get_tree(b"") == other.get_tree(b"")
        assert state.get_tree(b"a/") == other.get_tree(b"a/")
        assert state.list_sessions() == other.list_sessions()
    state.check()
    assert values(state) == values(other)


@settings(max_examples=150)
@given(BATCHES, st.sets(st.integers(1, 9), max_size=3), st.lists(a_store_command, max_size=8))
async def test_store_of_snapshots_and_segments_is_the_store_of_all_commands(
    batches: list[Batch], compact_after: set[int], more: list[Command]
) -> None:
    """However often it was compacted on the way; nor can later commands tell the two apart."""
    disk = await folder(batches, compact_after=compact_after)
    require_same(rebuild(disk), replayed(batches), more)


@settings(max_examples=50)
@given(st.lists(a_store_command, max_size=20), st.lists(a_store_command, max_size=8))
def test_loaded_store_is_the_store_that_was_replayed(
    commands: list[Command], more: list[Command]
) -> None:
    """Loading an image is replaying its commands."""
    state = replayed([commands])
    loaded = State()
    loaded.load(state.image())
    loaded.check()
    require_same(loaded, state, more)


@settings(max_examples=50)
@given(st.lists(a_store_command, max_size=30), st.lists(a_store_command, max_size=15))
def test_store_that_forgets_deletes_is_loaded_as_it_was(
    commands: list[Command], more: list[Command]
) -> None:
    """With room for two tombstones instead of thousands, the floor matters all the time."""
    state, loaded = State(), State()
    state._tables.graveyard = Graveyard(2)
    loaded._tables.graveyard = Graveyard(2)
    for command in commands:
        state.apply(state.last_index + 1, command)
    loaded.load(state.image())
    require_same(loaded, state, more)


@pytest.mark.parametrize("base", [0, 4, 7])
async def test_every_index_is_reached_from_every_base_before_it(base: int) -> None:
    """An older snapshot, or the beginning, and the records behind it."""
    batches = small_batches(7)
    disk = await folder(batches, compact_after=[3, 5])
    listing = read_listing(disk)
    assert listing.bases() == (0, 4, 7)
    commands = [command for batch in batches for command in batch]
    for upto in range(base, len(commands) + 1):
        state = rebuild(disk, chain=listing.chain(base), upto=upto)
        assert values(state) == values(replayed([commands[:upto]]))


async def test_folder_without_files_is_an_empty_store() -> None:
    """At index 0."""
    assert values(rebuild(FakeDisk())) == values(State())


async def test_progress_adds_up_to_what_was_read() -> None:
    """Snapshot and segments."""
    disk = await folder(small_batches(7), compact_after=[3])
    seen: list[int] = []
    rebuild(disk, progress=seen.append)
    chain = read_listing(disk).chain()
    assert sum(seen) == sum(disk.size(name) for name in chain.names)


async def test_hole_in_a_chain_is_refused() -> None:
    """A segment that is missing is missed, also one behind a snapshot."""
    disk = await folder(small_batches(9), compact_after=[1])
    chain = read_listing(disk).chain()
    assert len(chain.segments) > 2
    missing = segment_name(chain.segments[1])
    image = {name: data for name, data in disk.image().items() if name != missing}
    with pytest.raises(JournalCorrupt, match="a segment is missing"):
        rebuild(FakeDisk(image))


async def test_folder_is_not_changed() -> None:
    """It may be somebody else's."""
    disk = await folder(small_batches(5), compact_after=[2])
    rebuild(disk)
    assert disk.calls == []

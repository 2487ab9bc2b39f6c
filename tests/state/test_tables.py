"""The tables: who holds what, and the index of the last change to any key."""

from kvstore.state.entry import Entry
from kvstore.state.session_id import parse_session_id
from kvstore.state.tables import Tables

from .apply import S1, S1_UPPER, S2

OWNER1 = parse_session_id(S1)
OWNER2 = parse_session_id(S2)


def an_entry(key: bytes, session: str, index: int) -> Entry:
    """Return an entry made at `index`."""
    return Entry(key, b"", 0, session, 0, index, index)


def test_new_tables_are_at_index_zero() -> None:
    """Before the first command there is nothing, and every index is 0."""
    tables = Tables()
    assert (tables.last_index, tables.kv_index, tables.session_index) == (0, 0, 0)
    assert tables.store_id == ""
    assert not tables.entries
    assert not tables.sessions
    assert not tables.held


def test_put_stores_the_entry_and_moves_the_index_of_the_keys() -> None:
    """A put entry is found under its key, and kv_index is its modify_index."""
    tables = Tables()
    entry = an_entry(b"a", "", 5)
    tables.put(None, entry)
    assert tables.entries[b"a"] is entry
    assert tables.kv_index == 5
    assert tables.session_index == 0


def test_put_keeps_keys_in_the_order_of_their_bytes() -> None:
    """However keys come in, they are listed by their raw bytes."""
    tables = Tables()
    for index, key in enumerate([b"\xff", b"a", b"", b"Z", b"a\x00"], start=1):
        tables.put(None, an_entry(key, "", index))
    assert list(tables.entries) == [b"", b"Z", b"a", b"a\x00", b"\xff"]


def test_put_records_the_holder() -> None:
    """A key with a session is in the hold of that session's bytes, in whatever spelling."""
    tables = Tables()
    tables.put(None, an_entry(b"a", S1, 1))
    tables.put(None, an_entry(b"b", S1_UPPER, 2))
    assert tables.held == {OWNER1: {b"a", b"b"}}


def test_put_moves_a_key_from_one_holder_to_the_next() -> None:
    """The old holder loses the key in the same put, and an empty hold is dropped."""
    tables = Tables()
    old = an_entry(b"a", S1, 1)
    tables.put(None, old)
    tables.put(old, an_entry(b"a", S2, 2))
    assert tables.held == {OWNER2: {b"a"}}


def test_put_of_an_unlocked_entry_ends_the_hold() -> None:
    """A released key is in nobody's hold; other keys of the session stay in it."""
    tables = Tables()
    old = an_entry(b"a", S1, 1)
    tables.put(None, old)
    tables.put(None, an_entry(b"b", S1, 2))
    tables.put(old, an_entry(b"a", "", 3))
    assert tables.held == {OWNER1: {b"b"}}


def test_put_in_the_same_hold_keeps_it() -> None:
    """A write that keeps the session keeps the key in its hold."""
    tables = Tables()
    old = an_entry(b"a", S1, 1)
    tables.put(None, old)
    tables.put(old, an_entry(b"a", S1, 2))
    assert tables.held == {OWNER1: {b"a"}}


def test_remove_takes_the_entry_out_of_both_tables() -> None:
    """A removed key is neither an entry nor held; the delete's index is the keys' index."""
    tables = Tables()
    entry = an_entry(b"a", S1, 1)
    tables.put(None, entry)
    tables.remove(entry, 2)
    assert not tables.entries
    assert tables.held == {}
    assert tables.kv_index == 2


def test_remove_leaves_no_tombstone() -> None:
    """Whether a delete is remembered by key or by tree is the caller's decision."""
    tables = Tables()
    entry = an_entry(b"a", "", 1)
    tables.put(None, entry)
    tables.remove(entry, 2)
    assert len(tables.graveyard) == 0


def test_stores_share_nothing() -> None:
    """Two tables are two stores."""
    one, other = Tables(), Tables()
    one.put(None, an_entry(b"a", "", 1))
    one.graveyard.bury(b"b", 2)
    assert not other.entries
    assert len(other.graveyard) == 0


def whole(tables: Tables) -> tuple[object, ...]:
    """Return all that a transaction may change."""
    held = {owner: set(keys) for owner, keys in tables.held.items()}
    return list(tables.entries.values()), held, tables.kv_index, tables.graveyard.tombstones()


def test_roll_back_brings_back_what_was_there() -> None:
    """Changed, removed, made, made again: entries, holders and the index are as at the begin."""
    tables = Tables()
    old, gone = an_entry(b"a", S1, 1), an_entry(b"b", S2, 2)
    tables.put(None, old)
    tables.put(None, gone)
    before = whole(tables)
    tables.begin()
    free = an_entry(b"a", "", 3)
    tables.put(old, free)
    tables.put(free, an_entry(b"a", S2, 3))
    tables.remove(gone, 3)
    tables.put(None, an_entry(b"b", S1_UPPER, 3))
    made = an_entry(b"c", S1, 3)
    tables.put(None, made)
    tables.remove(made, 3)
    tables.put(None, an_entry(b"d", S1, 3))
    tables.graveyard.bury(b"c", 3)
    tables.roll_back()
    assert whole(tables) == before
    assert tables.entries[b"a"] is old


def test_commit_keeps_what_was_done() -> None:
    """Tombstones are there from then on, and not before."""
    tables = Tables()
    old = an_entry(b"a", S1, 1)
    tables.put(None, old)
    tables.begin()
    tables.remove(old, 2)
    tables.graveyard.bury(b"a", 2)
    tables.put(None, an_entry(b"b", S2, 2))
    assert len(tables.graveyard) == 0
    tables.commit()
    assert list(tables.entries) == [b"b"]
    assert tables.held == {OWNER2: {b"b"}}
    assert tables.kv_index == 2
    assert tables.graveyard.latest(b"a") == 2


def test_roll_back_undoes_its_own_transaction_only() -> None:
    """What was committed before it stays, and so does what is written outside of one."""
    tables = Tables()
    tables.begin()
    tables.put(None, an_entry(b"a", "", 1))
    tables.commit()
    tables.put(None, an_entry(b"b", "", 2))
    before = whole(tables)
    tables.begin()
    tables.put(None, an_entry(b"c", "", 3))
    tables.roll_back()
    assert whole(tables) == before
    tables.put(None, an_entry(b"d", "", 4))
    tables.graveyard.bury(b"e", 5)
    assert list(tables.entries) == [b"a", b"b", b"d"]
    assert len(tables.graveyard) == 1

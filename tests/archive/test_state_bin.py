"""`state.bin`: the records and their order, and what a hostile one may not do."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.archive.records import entry_members, session_members, tombstone_members
from kvstore.archive.state_bin import Decoded, decode_state, encode_state
from kvstore.errors import ArchiveUnreadable
from kvstore.state.entry import Entry
from kvstore.state.image import Facts, Image, Tombstone

from .images import entry, image_of, images, session, verify
from .wrapping import HEADER, pack, record

S1 = "aaaaaaaa-0000-4000-8000-00000000000b"
S2 = "bbbbbbbb-0000-4000-8000-00000000000c"
KVS = record(16, {"Key": "kvs", "Value": 7})


def decode(state: bytes, records_max: int = 1000) -> Decoded:
    """Return what a `state.bin` says."""
    return decode_state(io.BytesIO(state), len(state), records_max)


def records(state: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Return the kinds and members of all records, the header left out."""
    unpacker = msgpack.Unpacker(unicode_errors="surrogateescape")
    unpacker.feed(state)
    _, *rest = unpacker
    return list(zip(rest[::2], rest[1::2], strict=True))


@given(images())
def test_an_image_comes_back(image: Image) -> None:
    """But for the two facts that Consul has no place for."""
    state = b"".join(encode_state(image))
    decoded = decode(state)
    facts = image.facts
    known = Facts("", facts.last_index, facts.kv_index, facts.session_index, 0)
    assert decoded.image == Image(known, image.sessions, image.tombstones, image.entries)
    assert decoded.left_out == {}


def test_records_are_in_the_order_of_consul() -> None:
    """The header, sessions, entries, tombstones, and the newest index of each table."""
    facts = Facts("", 9, 8, 3, 0)
    tombstones = [Tombstone(b"a", 4, False), Tombstone(b"a", 5, True), Tombstone(b"b", 6, True)]
    image = Image(facts, [session(S1)], tombstones, [entry(b"k")])
    state = b"".join(encode_state(image))
    assert state.startswith(pack({"LastIndex": 9}))
    kinds = [(kind, members.get("Key", "")) for kind, members in records(state)]
    assert kinds[:2] == [(3, ""), (2, "k")]
    assert kinds[5:] == [(16, "kvs"), (16, "sessions"), (16, "tombstones")]
    assert [members["Value"] for _, members in records(state)[5:]] == [8, 3, 6]


def test_what_a_delete_named_is_written_last() -> None:
    """A Consul keeps the last of two tombstones with one name, and knows only that kind."""
    tombstones = [Tombstone(b"a", 4, False), Tombstone(b"a", 5, True)]
    state = b"".join(encode_state(Image(Facts("", 9, 9, 0, 0), [], tombstones, [])))
    assert [members["ModifyIndex"] for kind, members in records(state) if kind == 5] == [5, 4]


def test_tables_that_were_never_written_to_have_no_index() -> None:
    """As in a Consul's archive."""
    assert records(b"".join(encode_state(Image(Facts("", 1, 0, 0, 0), [], [], [])))) == []


def test_texts_are_as_msgpack_was_before_it_had_them() -> None:
    """Neither "bin" nor "str 8": the library in Consul 1.8.7 would write neither."""
    state = b"".join(encode_state(image_of(entry(b"k" * 40, b"v" * 300))))
    assert b"\xda\x00\x28" + b"k" * 40 in state
    assert b"\xda\x01\x2c" + b"v" * 300 in state


@pytest.mark.slow
def test_memory_does_not_grow_with_the_entries() -> None:
    """Pieces are given out as they come, and entries are taken as they are needed."""

    def entries() -> Iterator[Entry]:
        for number in range(20_000):
            yield entry(b"%08d" % number, b"v" * 1000)

    tracemalloc.start()
    size_bytes = sum(
        len(piece) for piece in encode_state(Image(Facts("", 1, 1, 0, 0), [], [], entries()))
    )
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size_bytes > 20_000_000
    assert peak_bytes < 3_000_000


def test_what_is_no_business_of_ours_is_counted() -> None:
    """Other kinds are left out, whatever is in them, and each is counted under its name."""
    node = {"Node": "n1", "Service": None, "Check": None}
    decoded = decode(
        HEADER
        + record(0, node)
        + record(0, {**node, "Service": {"ID": "web"}})
        + record(0, {**node, "Check": {"CheckID": "web"}})
        + record(6, [{"Node": "n1"}])
        + record(9, {"MinQuorum": 0})
        + record(77, None)
        + record(77, {1: msgpack.Timestamp(1)})
        + record(29, {"ChunkMap": {}})
        + record(2, entry_members(entry(b"k")))
    )
    assert decoded.left_out == {
        "nodes": 1,
        "services": 1,
        "health checks": 1,
        "coordinates": 1,
        "autopilot settings": 1,
        "records of kind 77": 2,
    }
    assert decoded.image.entries == [entry(b"k")]


def test_facts_are_the_newest_of_all_that_is_there() -> None:
    """An archive whose index table is behind its records, or has no rows, gives a sound store."""
    decoded = decode(
        pack({"LastIndex": 2})
        + record(3, session_members(session(S1, 5)))
        + record(2, entry_members(entry(b"k", index=4)))
        + record(5, tombstone_members(Tombstone(b"t", 6, False)))
    )
    assert decoded.image.facts == Facts("", 6, 6, 5, 0)
    verify(decoded.image)


def test_order_is_made_where_it_is_not() -> None:
    """Sessions by the bytes of their ids, entries by key."""
    decoded = decode(
        HEADER
        + b"".join(record(3, session_members(session(one))) for one in (S2, S1))
        + b"".join(record(2, entry_members(entry(key))) for key in (b"b", b"a"))
    )
    assert [one.id for one in decoded.image.sessions] == [S1, S2]
    assert [one.key for one in decoded.image.entries] == [b"a", b"b"]


def test_a_lock_of_a_session_that_is_not_there_is_released() -> None:
    """Nobody could ever release it."""
    decoded = decode(
        HEADER
        + record(2, entry_members(entry(b"a", holder=S1)))
        + record(2, entry_members(entry(b"b", holder=S2.upper())))
        + record(3, session_members(session(S2)))
    )
    assert [one.session for one in decoded.image.entries] == ["", S2.upper()]
    verify(decoded.image)


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (b"", "record 0 at byte 0: No more data", "msgpack"),
        (b"garbage", "record 0 at byte 0: it is 103", "a map"),
        (pack({}), "record 0 at byte 0: LastIndex is missing", "a number"),
        (HEADER + b"\x02", f"record 1 at byte {len(HEADER)}: No more data", "msgpack"),
        (HEADER + KVS[:-1], f"record 1 at byte {len(HEADER)}: No more data", "msgpack"),
        (HEADER + KVS + b"\xc1", f"record 2 at byte {len(HEADER + KVS)}: ", "msgpack"),
        (HEADER + b"\xff\xc0", f"record 1 at byte {len(HEADER)}: its kind is -1", "a small"),
        (HEADER + b"\xc3\xc0", f"record 1 at byte {len(HEADER)}: its kind is True", "a small"),
        (HEADER + b"\xa1x\xc0", f"record 1 at byte {len(HEADER)}: its kind is b'x'", "a small"),
        (HEADER + record(2, []), f"record 1 at byte {len(HEADER)}: it is []", "a map"),
        (HEADER + record(0, 1), f"record 1 at byte {len(HEADER)}: it is 1", "a map"),
        (HEADER + record(16, {"Key": "kvs", "Value": -1}), "record 1 at byte", "a number"),
        (
            HEADER + 2 * record(2, entry_members(entry(b"k"))),
            "key b'k' is there twice",
            "each key once",
        ),
        (
            HEADER + 2 * record(3, session_members(session(S1))),
            f"session {S1} is there twice",
            "each session once",
        ),
    ],
)
def test_what_is_no_state_is_refused(state: bytes, reason: str, expected: str) -> None:
    """The record is named, where it begins, what is wrong and what should have been there."""
    with pytest.raises(ArchiveUnreadable) as caught:
        decode(state)
    assert reason in caught.value.reason
    assert caught.value.reason.startswith("state.bin, record ")
    assert expected in caught.value.expected


def test_the_number_of_records_is_limited() -> None:
    """What is left out counts too."""
    state = HEADER + KVS + record(9, None)
    assert decode(state, records_max=2).left_out == {"autopilot settings": 1}
    with pytest.raises(ArchiveUnreadable, match=r"record 2 .*one too many; expected 1 at most"):
        decode(state, records_max=1)


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion
        b"\xdd\x03\xff\xff\xff",  # a list of as many as a record may have bytes
        b"\xdf\xff\xff\xff\xff",  # a map
        b"\xdb\xff\xff\xff\xff",  # a text
        b"\xc6\xff\xff\xff\xff",  # bytes
        b"\xc9\xff\xff\xff\xff\x01",  # an extension
        b"\xdc\x0f\xff" * 3000,  # lists in lists in lists
    ],
)
@pytest.mark.parametrize("kind", [0, 2, 3, 5, 9, 16])
def test_a_few_bytes_cannot_ask_for_much_memory(kind: int, body: bytes) -> None:
    """Lengths are believed only up to what a record may have."""
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveUnreadable):
            decode(HEADER + bytes([kind]) + body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 50_000_000


@pytest.mark.parametrize("items", [[None] * 4097, dict.fromkeys(map(str, range(4097)))])
def test_the_length_of_a_list_is_limited(items: object) -> None:
    """To more than a node has services or a service has tags."""
    with pytest.raises(ArchiveUnreadable, match="4097 exceeds"):
        decode(HEADER + record(0, {"Service": items}))


def check_harmless(state: bytes) -> None:
    """Decode something: it is refused, or gives an image that is fit for a state."""
    try:
        decoded = decode(state)
    except ArchiveUnreadable:
        return
    verify(decoded.image)


@given(st.binary(max_size=200))
def test_any_bytes_are_harmless(data: bytes) -> None:
    """On their own and behind a sound beginning."""
    check_harmless(data)
    check_harmless(HEADER + KVS + data)


@given(images(), st.data())
def test_any_change_of_a_state_is_harmless(image: Image, data: st.DataObject) -> None:
    """Bytes changed, cut out and put in at any place."""
    state = b"".join(encode_state(image))
    start = data.draw(st.integers(0, len(state)))
    end = data.draw(st.integers(start, min(len(state), start + 9)))
    check_harmless(state[:start] + data.draw(st.binary(max_size=9)) + state[end:])


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**64 - 1) | st.binary(max_size=9) | st.just(S1),
    lambda inner: st.lists(inner, max_size=3),
)
_members = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [*entry_members(entry(b"k")), *session_members(session(S1)), "Check"], _values
    ),
)
_records = st.one_of(
    st.tuples(st.sampled_from([0, 2, 3, 5, 9, 16, 29]), _members),
    st.builds(
        lambda members, changes: (2, {**members, **changes}),
        st.just(entry_members(entry(b"k"))),
        st.dictionaries(st.sampled_from(sorted(entry_members(entry(b"k")))), _values, max_size=2),
    ),
    st.builds(
        lambda members, changes: (3, {**members, **changes}),
        st.just(session_members(session(S1))),
        st.dictionaries(st.sampled_from(sorted(session_members(session(S1)))), _values, max_size=2),
    ),
)


@given(st.lists(_records, max_size=4))
def test_any_records_are_harmless(drawn: list[tuple[int, Any]]) -> None:
    """Sound msgpack with members of any type, number and value."""
    check_harmless(HEADER + b"".join(record(kind, members) for kind, members in drawn))

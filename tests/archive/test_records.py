"""Records ⇄ values: every member is carried, and whatever is wrong is named."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.archive.records import (
    INDEX_MAX,
    Kind,
    WrongRecord,
    entry_members,
    entry_of,
    index_of,
    kind_left_out,
    members_of,
    owner_of,
    raw_of,
    session_members,
    session_of,
    tombstone_members,
    tombstone_of,
)
from kvstore.state.entry import Entry, ServiceCheck
from kvstore.state.image import Tombstone

from .images import session

S1 = "aaaaaaaa-0000-4000-8000-00000000000b"


def over_the_wire(members: object) -> Any:
    """Return a record as it is read after it was written."""
    packed = msgpack.packb(members, use_bin_type=False, unicode_errors="surrogateescape")
    return msgpack.unpackb(packed, raw=True)


ENTRY = Entry(b"k\xff", b"\x00v", 2**64 - 1, S1.upper(), 3, 7, 9)
SESSION = session(
    S1,
    4,
    name="n\udcff",
    node="N1",
    lock_delay_ns=-1,
    behavior="delete",
    ttl="30s",
    ttl_ns=30_000_000_000,
    node_checks=("serfHealth", "x"),
    service_checks=(ServiceCheck("web", "ns"),),
    checks=("old",),
)


@pytest.mark.parametrize("holder", [S1.upper(), ""])
def test_an_entry_is_carried_whole(holder: str) -> None:
    """Every field survives: bytes that are no text, 64 bits of flags, the holder as typed."""
    one = replace(ENTRY, session=holder)
    assert entry_of(over_the_wire(entry_members(one))) == one


def test_an_empty_value_is_nil_as_in_consul() -> None:
    """So that a Consul that restores it shows null, as it does for an empty value."""
    members = entry_members(Entry(b"k", b"", 0, "", 0, 1, 1))
    assert members["Value"] is None
    assert entry_of(over_the_wire(members)).value == b""
    assert entry_of(over_the_wire({**members, "Value": b""})).value == b""


def test_a_session_is_carried_whole() -> None:
    """Every field survives: text that is not UTF-8, a lock-delay below zero, all its checks."""
    assert session_of(over_the_wire(session_members(SESSION))) == SESSION


@pytest.mark.parametrize("none", [(), None])
def test_no_checks_and_null_checks_differ(none: tuple[str, ...] | None) -> None:
    """Clients are shown `[]` or `null`, as the session was made."""
    one = session(S1, node_checks=none, service_checks=none)
    assert session_of(over_the_wire(session_members(one))) == one


def test_a_session_without_behavior_or_newer_members_is_read() -> None:
    """As older Consuls wrote them."""
    members = session_members(session(S1))
    older = {**members, "Behavior": "", "Checks": ["serfHealth"]}
    del older["NodeChecks"], older["ServiceChecks"]
    read = session_of(over_the_wire(older))
    assert (read.behavior, read.checks, read.node_checks) == ("release", ("serfHealth",), None)


@pytest.mark.parametrize("with_tree", [True, False])
def test_a_tombstone_is_carried_whole(*, with_tree: bool) -> None:
    """Also whether a delete named it."""
    one = Tombstone(b"t/", 9, with_tree)
    assert tombstone_of(over_the_wire(tombstone_members(one))) == one


@pytest.mark.parametrize(
    ("kind", "record", "name"),
    [
        (Kind.REGISTRATION, {}, "nodes"),
        (Kind.REGISTRATION, {b"Service": None, b"Check": None}, "nodes"),
        (Kind.REGISTRATION, {b"Service": {b"ID": b"web"}, b"Check": None}, "services"),
        (Kind.REGISTRATION, {b"Service": None, b"Check": {b"CheckID": b"c"}}, "health checks"),
        (6, None, "coordinates"),
        (9, None, "autopilot settings"),
        (22, None, "config entries"),
        (77, None, "records of kind 77"),
    ],
)
def test_what_is_left_out_has_a_name(kind: int, record: Any, name: str) -> None:
    """A person is told what is missing in words; a kind of a later Consul by its number."""
    assert kind_left_out(kind, record) == name


def wrong(change: dict[bytes, Any], members: dict[str, Any]) -> dict[bytes, Any]:
    """Return a record with other members."""
    record: dict[bytes, Any] = {**over_the_wire(members), **change}
    return {name: value for name, value in record.items() if value != "left out"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"Key": 7}, "Key is 7"),
        ({b"Key": "left out"}, "Key is missing"),
        ({b"Value": {}}, "Value is {}"),
        ({b"Flags": -1}, "Flags is -1"),
        ({b"Flags": 1.5}, "Flags is 1.5"),
        ({b"Flags": True}, "Flags is True"),
        ({b"LockIndex": None}, "LockIndex is None"),
        ({b"CreateIndex": 0}, "CreateIndex is 0"),
        ({b"ModifyIndex": INDEX_MAX + 1}, f"ModifyIndex is {INDEX_MAX + 1}"),
        ({b"ModifyIndex": 6}, "made at 7 and changed at 6"),
        ({b"Session": b"me"}, "session b'me'"),
        ({b"Session": b"\xff" * 36}, "session "),
        ({b"Session": 1}, "Session is 1"),
    ],
)
@pytest.mark.parametrize("holder", [S1, ""])
def test_a_wrong_entry_is_refused(change: dict[bytes, Any], reason: str, holder: str) -> None:
    """The member and its value are named, whether it is locked or not."""
    with pytest.raises(WrongRecord) as caught:
        entry_of(wrong(change, entry_members(replace(ENTRY, session=holder))))
    assert caught.value.reason.startswith(reason)
    assert caught.value.expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"ID": b""}, "session b''"),
        ({b"ID": b"me"}, "session b'me'"),
        ({b"Behavior": b"keep"}, "Behavior is 'keep'"),
        ({b"TTL": b"soon"}, "TTL is 'soon'"),
        ({b"TTL": b"-5s"}, "TTL is '-5s'"),
        ({b"LockDelay": 2**63}, f"LockDelay is {2**63}"),
        ({b"LockDelay": "left out"}, "LockDelay is missing"),
        ({b"CreateIndex": 0}, "CreateIndex is 0"),
        ({b"NodeChecks": b"serfHealth"}, "NodeChecks is b'serfHealth'"),
        ({b"NodeChecks": [1]}, "NodeChecks is 1"),
        ({b"Checks": {}}, "Checks is {}"),
        ({b"ServiceChecks": [b"web"]}, "it is b'web'"),
        ({b"ServiceChecks": [{}]}, "ID is missing"),
        ({b"Name": 5}, "Name is 5"),
    ],
)
def test_a_wrong_session_is_refused(change: dict[bytes, Any], reason: str) -> None:
    """The member and its value are named."""
    with pytest.raises(WrongRecord) as caught:
        session_of(wrong(change, session_members(SESSION)))
    assert caught.value.reason.startswith(reason)
    assert caught.value.expected


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=40)
    | st.sampled_from([S1.encode(), b"release", b"30s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.binary(), inner, max_size=3),
)
_names = st.sampled_from(
    [name.encode() for name in {**entry_members(ENTRY), **session_members(SESSION)}]
)


@given(_values | st.dictionaries(_names, _values))
def test_any_record_is_read_or_refused(record: Any) -> None:
    """Nothing but WrongRecord is raised, whatever a record holds."""
    functions: list[Callable[[Any], object]] = [
        entry_of,
        session_of,
        tombstone_of,
        lambda record: index_of(members_of(record), b"CreateIndex"),
        lambda record: raw_of(members_of(record), b"Key"),
        lambda record: kind_left_out(Kind.REGISTRATION, record),
    ]
    for function in functions:
        with suppress(WrongRecord):
            function(record)


@given(st.binary(max_size=40))
def test_any_id_is_read_or_refused(raw: bytes) -> None:
    """An id of another form is refused, and nothing else happens."""
    try:
        owner = owner_of(raw)
    except WrongRecord:
        return
    assert len(raw) == 36
    assert owner

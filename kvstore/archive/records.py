"""The records of `state.bin`: their kinds, and their members ⇄ the values of a store. Pure.

A record is the number of its kind and a map. Keys, values and texts are bytes: Consul writes
msgpack as it was before that had texts.
Source: Consul 1.8.7, structs.MessageType and fsm/snapshot_oss.go; what those do not say was taken
from archives of a real one.

Invariant: what a function here returns is fit for a `State`, or it raises WrongRecord and nothing
else, whatever it is given.
"""

from operator import itemgetter
from typing import Any

from kvstore.duration import InvalidDuration, parse_duration
from kvstore.errors import InvalidSessionId
from kvstore.state.entry import Behavior, Entry, ServiceCheck, Session
from kvstore.state.image import Tombstone
from kvstore.state.session_id import parse_session_id

__all__ = [
    "INDEX_MAX",
    "UNICODE_ERRORS",
    "Kind",
    "WrongRecord",
    "entry_members",
    "entry_of",
    "index_of",
    "kind_left_out",
    "members_of",
    "owner_of",
    "raw_of",
    "session_members",
    "session_of",
    "tombstone_members",
    "tombstone_of",
]

# As in journal/codec.py: texts from clients may hold bytes that are not UTF-8.
UNICODE_ERRORS = "surrogateescape"

# Large enough for any store, and those after it still fit where indexes are kept.
INDEX_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1
_INT64_MAX = 2**63 - 1

# In the flags of a tombstone: a key that went with its tree. Ours: of a tombstone Consul reads
# name and index only.
_WITH_TREE = 1


class Kind:
    """The numbers of the kinds that mean something to us."""

    REGISTRATION = 0  # of a node, and of one of its services or checks
    ENTRY = 2
    SESSION = 3
    TOMBSTONE = 5
    INDEX = 16  # the newest index of a table
    CHUNKS = 29  # writes under way, which no client was told of


# The others, for people. Later versions of Consul have more.
_LEFT_OUT = {
    4: "ACL tokens",
    6: "coordinates",
    7: "prepared queries",
    9: "autopilot settings",
    10: "network areas",
    11: "ACL bootstraps",
    12: "intentions",
    13: "CA roots",
    14: "CA provider states",
    15: "CA settings",
    17: "ACL tokens",
    19: "ACL policies",
    22: "config entries",
    23: "ACL roles",
    25: "ACL binding rules",
    27: "ACL auth methods",
    30: "federation states",
    31: "system metadata",
}


class WrongRecord(Exception):
    """What is wrong with a record, and what was expected instead."""

    def __init__(self, reason: str, expected: str) -> None:
        super().__init__(reason, expected)
        self.reason = reason
        self.expected = expected


def kind_left_out(kind: int, record: Any = None) -> str:
    """Return what a person calls a record that no store of ours takes, in the plural."""
    if kind != Kind.REGISTRATION:
        return _LEFT_OUT.get(kind, f"records of kind {kind}")
    members = members_of(record)
    if members.get(b"Check") is not None:
        return "health checks"
    return "nodes" if members.get(b"Service") is None else "services"


def entry_members(one: Entry) -> dict[str, Any]:
    """Return what stands for an entry."""
    return {
        "CreateIndex": one.create_index,
        "Flags": one.flags,
        "Key": one.key,
        "LockIndex": one.lock_index,
        "ModifyIndex": one.modify_index,
        "Session": one.session,
        "Value": one.value or None,
    }


def session_members(one: Session) -> dict[str, Any]:
    """Return what stands for a session."""
    services = one.service_checks
    checks = (
        None
        if services is None
        else [{"ID": check.id, "Namespace": check.namespace} for check in services]
    )
    return {
        "Behavior": one.behavior,
        "Checks": one.checks or None,
        "CreateIndex": one.create_index,
        "ID": one.id,
        "LockDelay": one.lock_delay_ns,
        "ModifyIndex": one.create_index,
        "Name": one.name,
        "Node": one.node,
        "NodeChecks": one.node_checks,
        "ServiceChecks": checks,
        "TTL": one.ttl,
    }


def tombstone_members(one: Tombstone) -> dict[str, Any]:
    """Return what stands for a tombstone: an entry of which only name and index count."""
    flags = _WITH_TREE if one.with_tree else 0
    return entry_members(Entry(one.name, b"", flags, "", 0, 0, one.index))


_ENTRY = itemgetter(
    b"Key", b"Value", b"Flags", b"Session", b"LockIndex", b"CreateIndex", b"ModifyIndex"
)


def entry_of(record: Any) -> Entry:
    """Return the entry that a record stands for; whether its session exists is not looked at."""
    # Most of an archive: checked at one go, and looked at closely only when that fails.
    try:
        key, value, flags, session, lock_index, create_index, modify_index = _ENTRY(record)
    except (KeyError, TypeError):
        return _entry_of(members_of(record))
    if (
        type(key) is bytes
        and type(value) is bytes
        and session == b""
        and type(flags) is type(lock_index) is type(create_index) is type(modify_index) is int
        and flags >= 0
        and lock_index >= 0
        and 0 < create_index <= modify_index <= INDEX_MAX
    ):
        return Entry(key, value, flags, "", lock_index, create_index, modify_index)
    return _entry_of(record)


def _entry_of(members: dict[bytes, Any]) -> Entry:
    key, holder = raw_of(members, b"Key"), raw_of(members, b"Session")
    if holder:
        owner_of(holder)
    create_index = index_of(members, b"CreateIndex")
    modify_index = index_of(members, b"ModifyIndex")
    if modify_index < create_index:
        raise WrongRecord(
            f"made at {create_index} and changed at {modify_index}", "a change that is no older"
        )
    return Entry(
        key,
        raw_of(members, b"Value"),
        _number(members, b"Flags", 0, _UINT64_MAX),
        holder.decode("ascii"),
        _number(members, b"LockIndex", 0, _UINT64_MAX),
        create_index,
        modify_index,
    )


def session_of(record: Any) -> Session:
    """Return the session that a record stands for."""
    members = members_of(record)
    session_id = raw_of(members, b"ID")
    owner_of(session_id)
    ttl = _text(members, b"TTL")
    return Session(
        session_id.decode("ascii"),
        _text(members, b"Name"),
        _text(members, b"Node"),
        _number(members, b"LockDelay", -_INT64_MAX - 1, _INT64_MAX),
        _behavior(_text(members, b"Behavior")),
        ttl,
        _ttl_ns(ttl),
        _texts(members, b"NodeChecks"),
        _service_checks(members),
        _texts(members, b"Checks") or (),
        index_of(members, b"CreateIndex"),
    )


def tombstone_of(record: Any) -> Tombstone:
    """Return the tombstone that a record stands for."""
    members = members_of(record)
    with_tree = members.get(b"Flags") == _WITH_TREE
    return Tombstone(raw_of(members, b"Key"), index_of(members, b"ModifyIndex"), with_tree)


def members_of(record: Any) -> dict[bytes, Any]:
    """Return a record's members."""
    if not isinstance(record, dict):
        raise WrongRecord(f"it is {record!r:.40}", "a map")
    return record


def raw_of(members: dict[bytes, Any], name: bytes) -> bytes:
    """Return a member of bytes; nil is none, as in Go."""
    value = members.get(name, _MISSING)
    if value is None:
        return b""
    if not isinstance(value, bytes):
        raise WrongRecord(f"{name.decode()} is {value!r:.40}", "bytes")
    return value


def index_of(members: dict[bytes, Any], name: bytes, *, least: int = 1) -> int:
    """Return a member that is an index."""
    return _number(members, name, least, INDEX_MAX)


def owner_of(session_id: bytes) -> bytes:
    """Return the bytes that a session's id stands for."""
    try:
        return parse_session_id(session_id.decode("utf-8", UNICODE_ERRORS))
    except InvalidSessionId as error:
        raise WrongRecord(f"session {session_id!r:.60}", f"an id ({error})") from error


def _behavior(text: str) -> Behavior:
    if text in ("", "release"):
        return "release"
    if text == "delete":
        return "delete"
    raise WrongRecord(f"Behavior is {text!r:.40}", "release or delete")


def _ttl_ns(ttl: str) -> int:
    try:
        ttl_ns = parse_duration(ttl) if ttl else 0
    except InvalidDuration:
        ttl_ns = -1
    if ttl_ns < 0:
        raise WrongRecord(f"TTL is {ttl!r:.40}", "a duration such as 30s")
    return ttl_ns


def _service_checks(members: dict[bytes, Any]) -> tuple[ServiceCheck, ...] | None:
    records = _list(members, b"ServiceChecks")
    if records is None:
        return None
    checks = [members_of(one) for one in records]
    return tuple(ServiceCheck(_text(one, b"ID"), _text(one, b"Namespace")) for one in checks)


def _texts(members: dict[bytes, Any], name: bytes) -> tuple[str, ...] | None:
    values = _list(members, name)
    return None if values is None else tuple(_text({name: one}, name) for one in values)


def _text(members: dict[bytes, Any], name: bytes) -> str:
    return raw_of(members, name).decode("utf-8", UNICODE_ERRORS)


def _list(members: dict[bytes, Any], name: bytes) -> list[Any] | None:
    """Return a member that is a list; None when it is nil, or missing as in older archives."""
    value = members.get(name)
    if value is not None and not isinstance(value, list):
        raise WrongRecord(f"{name.decode()} is {value!r:.40}", "a list")
    return value


def _number(members: dict[bytes, Any], name: bytes, least: int, most: int) -> int:
    value = members.get(name, _MISSING)
    if type(value) is not int or not least <= value <= most:
        raise WrongRecord(f"{name.decode()} is {value!r:.40}", f"a number from {least} to {most}")
    return value


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()

"""Commands ⇄ msgpack: each an array `[opcode, field, ...]`, fields in the dataclass's order.

An opcode is never given a second meaning: a command that gets another field gets a new opcode,
and the old one stays readable. The table is part of docs/journal-format.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from kvstore.state.command import (
    CasKey,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    LockKey,
    RestoreStore,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import Entry, ServiceCheck, Session

__all__ = [
    "UNPACK_ERRORS",
    "UnreadableCommand",
    "decode_commands",
    "encode_commands",
    "entry_fields",
    "session_fields",
    "session_of",
]


# What msgpack, and making values of what it gives, may raise.
UNPACK_ERRORS = (msgpack.exceptions.UnpackException, ValueError, TypeError)


class UnreadableCommand(ValueError):
    """Bytes that are not a list of commands this version knows."""


def _session_fields(one: CreateSession | Session) -> tuple[Any, ...]:
    checks = one.service_checks
    return (
        one.id,
        one.name,
        one.node,
        one.lock_delay_ns,
        one.behavior,
        one.ttl,
        one.ttl_ns,
        one.node_checks,
        None if checks is None else [(check.id, check.namespace) for check in checks],
        one.checks,
    )


def _session_values(fields: Sequence[Any]) -> tuple[Any, ...]:
    *plain, node_checks, services, checks = fields
    return (
        *plain,
        None if node_checks is None else tuple(node_checks),
        None if services is None else tuple(ServiceCheck(*one) for one in services),
        tuple(checks),
    )


def session_fields(one: Session) -> tuple[Any, ...]:
    """Return what a session is made of, for msgpack; the inverse of `session_of`."""
    return (*_session_fields(one), one.create_index)


def session_of(fields: Sequence[Any]) -> Session:
    """Return the session made of these fields. Raises TypeError or ValueError."""
    *plain, create_index = fields
    values: tuple[Any, ...] = (*_session_values(plain), create_index)
    return Session(*values)


def entry_fields(one: Entry) -> tuple[Any, ...]:
    """Return what an entry is made of, for msgpack; `Entry(*fields)` makes it again."""
    return (
        one.key,
        one.value,
        one.flags,
        one.session,
        one.lock_index,
        one.create_index,
        one.modify_index,
    )


# Any: each function takes the class it is listed under.
_ENCODE: dict[type[Command], tuple[int, Callable[[Any], tuple[Any, ...]]]] = {
    CreateStore: (1, lambda c: (c.store_id,)),
    SetKey: (2, lambda c: (c.key, c.value, c.flags)),
    CasKey: (3, lambda c: (c.key, c.value, c.flags, c.cas_index, c.adopt_lost)),
    DeleteKey: (4, lambda c: (c.key,)),
    DeleteKeyCas: (5, lambda c: (c.key, c.cas_index)),
    DeleteTree: (6, lambda c: (c.prefix,)),
    LockKey: (7, lambda c: (c.key, c.value, c.flags, c.session)),
    UnlockKey: (8, lambda c: (c.key, c.value, c.flags, c.session)),
    CreateSession: (9, _session_fields),
    DestroySession: (10, lambda c: (c.id,)),
    RestoreStore: (
        11,
        lambda c: (list(map(session_fields, c.sessions)), list(map(entry_fields, c.entries))),
    ),
}

_DECODE: dict[int, Callable[[list[Any]], Command]] = {
    1: lambda fields: CreateStore(*fields),
    2: lambda fields: SetKey(*fields),
    3: lambda fields: CasKey(*fields),
    4: lambda fields: DeleteKey(*fields),
    5: lambda fields: DeleteKeyCas(*fields),
    6: lambda fields: DeleteTree(*fields),
    7: lambda fields: LockKey(*fields),
    8: lambda fields: UnlockKey(*fields),
    9: lambda fields: CreateSession(*_session_values(fields)),
    10: lambda fields: DestroySession(*fields),
    11: lambda fields: RestoreStore(
        tuple(map(session_of, fields[0])), tuple(Entry(*one) for one in fields[1])
    ),
}

# Session names, nodes and TTLs are text from clients that may hold undecodable bytes; keys and
# values are bytes. `surrogateescape` brings both back as they came.
_UNICODE_ERRORS = "surrogateescape"


def encode_commands(commands: Sequence[Command]) -> bytes:
    """Return the body of a batch: a msgpack array of commands."""
    packed = [(opcode, *fields(one)) for one in commands for opcode, fields in [_ENCODE[type(one)]]]
    body: bytes = msgpack.packb(packed, unicode_errors=_UNICODE_ERRORS)
    return body


def decode_commands(body: bytes) -> list[Command]:
    """Return the commands of a batch's body.

    Raises UnreadableCommand when there is one that this version does not know or cannot read; the
    checksum has been verified before, so this is a newer format or a bug, not damage.
    """
    try:
        packed = msgpack.unpackb(body, unicode_errors=_UNICODE_ERRORS)
        return [_DECODE[opcode](fields) for opcode, *fields in packed]
    except KeyError as error:
        raise UnreadableCommand(f"opcode {error} is unknown to this version") from error
    except UNPACK_ERRORS as error:
        raise UnreadableCommand(f"not a list of commands: {error}") from error

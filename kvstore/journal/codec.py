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
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import ServiceCheck

__all__ = ["UnreadableCommand", "decode_commands", "encode_commands"]


class UnreadableCommand(ValueError):
    """Bytes that are not a list of commands this version knows."""


def _session_fields(c: CreateSession) -> tuple[Any, ...]:
    checks = c.service_checks
    return (
        c.id,
        c.name,
        c.node,
        c.lock_delay_ns,
        c.behavior,
        c.ttl,
        c.ttl_ns,
        c.node_checks,
        None if checks is None else [(check.id, check.namespace) for check in checks],
        c.checks,
    )


def _session(fields: list[Any]) -> CreateSession:
    session_id, name, node, lock_delay_ns, behavior, ttl, ttl_ns, *lists = fields
    node_checks, services, checks = lists
    return CreateSession(
        session_id,
        name,
        node,
        lock_delay_ns,
        behavior,
        ttl,
        ttl_ns,
        None if node_checks is None else tuple(node_checks),
        None if services is None else tuple(ServiceCheck(*one) for one in services),
        tuple(checks),
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
    9: _session,
    10: lambda fields: DestroySession(*fields),
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
    except (msgpack.exceptions.UnpackException, ValueError, TypeError) as error:
        raise UnreadableCommand(f"not a list of commands: {error}") from error

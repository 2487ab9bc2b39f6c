"""Commands ⇄ msgpack: each an array `[opcode, field, ...]`, fields in the dataclass's order.

An opcode is never given a second meaning: a command that gets another field gets a new opcode,
and the old one stays readable. The table is part of docs/journal-format.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Entry, ServiceCheck, Session

__all__ = [
    "UNPACK_ERRORS",
    "CommandEncoder",
    "UnreadableCommand",
    "decode_commands",
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


def _pack(one: Command | TxnOp) -> tuple[Any, ...]:
    return _ENCODE[type(one)](one)


# Any: each function takes the class it is listed under.
_ENCODE: dict[type[Command | TxnOp], Callable[[Any], tuple[Any, ...]]] = {
    CreateStore: lambda c: (1, c.store_id),
    SetKey: lambda c: (2, c.key, c.value, c.flags),
    CasKey: lambda c: (3, c.key, c.value, c.flags, c.cas_index, c.adopt_lost),
    DeleteKey: lambda c: (4, c.key),
    DeleteKeyCas: lambda c: (5, c.key, c.cas_index),
    DeleteTree: lambda c: (6, c.prefix),
    LockKey: lambda c: (7, c.key, c.value, c.flags, c.session),
    UnlockKey: lambda c: (8, c.key, c.value, c.flags, c.session),
    CreateSession: lambda c: (9, *_session_fields(c)),
    DestroySession: lambda c: (10, c.id),
    RestoreStore: lambda c: (
        11,
        list(map(session_fields, c.sessions)),
        list(map(entry_fields, c.entries)),
    ),
    Txn: lambda c: (12, list(map(_pack, c.ops))),
    # Only inside a transaction, beside 2 to 8.
    GetKey: lambda c: (13, c.key, c.or_empty),
    GetTree: lambda c: (14, c.prefix),
    CheckIndex: lambda c: (15, c.key, c.index),
    CheckSession: lambda c: (16, c.key, c.session),
    CheckNotExists: lambda c: (17, c.key),
    ImpossibleOp: lambda c: (18, c.why),
}

# Writes of keys: commands, and operations of a transaction too.
_DECODE_WRITE: dict[int, Callable[[list[Any]], Any]] = {
    2: lambda fields: SetKey(*fields),
    3: lambda fields: CasKey(*fields),
    4: lambda fields: DeleteKey(*fields),
    5: lambda fields: DeleteKeyCas(*fields),
    6: lambda fields: DeleteTree(*fields),
    7: lambda fields: LockKey(*fields),
    8: lambda fields: UnlockKey(*fields),
}
_DECODE_OP: dict[int, Callable[[list[Any]], TxnOp]] = {
    **_DECODE_WRITE,
    13: lambda fields: GetKey(*fields),
    14: lambda fields: GetTree(*fields),
    15: lambda fields: CheckIndex(*fields),
    16: lambda fields: CheckSession(*fields),
    17: lambda fields: CheckNotExists(*fields),
    18: lambda fields: ImpossibleOp(*fields),
}
_DECODE: dict[int, Callable[[list[Any]], Command]] = {
    **_DECODE_WRITE,
    1: lambda fields: CreateStore(*fields),
    9: lambda fields: CreateSession(*_session_values(fields)),
    10: lambda fields: DestroySession(*fields),
    11: lambda fields: _restore_of(*fields),
    12: lambda fields: _txn_of(*fields),
}


def _restore_of(sessions: list[Any], entries: list[Any]) -> RestoreStore:
    return RestoreStore(tuple(map(session_of, sessions)), tuple(Entry(*one) for one in entries))


def _txn_of(ops: list[Any]) -> Txn:
    return Txn(tuple(_DECODE_OP[opcode](fields) for opcode, *fields in ops))


# Session names, nodes and TTLs are text from clients that may hold undecodable bytes; keys and
# values are bytes. `surrogateescape` brings both back as they came.
_UNICODE_ERRORS = "surrogateescape"


# More than this is not kept from one batch to the next.
_KEPT_BYTES_MAX = 8 * 1024 * 1024


class CommandEncoder:
    """Encodes batch after batch, into memory that it keeps: to map it anew takes longer."""

    def __init__(self) -> None:
        self._packer = _packer()

    def encode(self, commands: Sequence[Command]) -> memoryview:
        """Return the body of a batch: a msgpack array of commands.

        It must be given up before the next call, which raises BufferError otherwise.
        """
        self._packer.reset()
        self._packer.pack(list(map(_pack, commands)))
        body: memoryview = self._packer.getbuffer()
        if len(body) > _KEPT_BYTES_MAX:
            self._packer = _packer()
        return body


def _packer() -> msgpack.Packer:
    return msgpack.Packer(autoreset=False, unicode_errors=_UNICODE_ERRORS)


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

"""Every write as a value: complete, so that a replay needs nothing else.

Whatever depends on a clock or on chance (a session's id, its TTL in nanoseconds) was decided
before a command is made.

Adding a command: here, its function in a module of its own noun, the table in `store.py`, the
opcode in `journal/codec.py`, and docs/journal-format.md.
"""

from dataclasses import dataclass
from typing import Final

from kvstore.state.entry import Behavior, Entry, ServiceCheck, Session

__all__ = [
    "CasKey",
    "CheckIndex",
    "CheckNotExists",
    "CheckSession",
    "Command",
    "CreateSession",
    "CreateStore",
    "DeleteKey",
    "DeleteKeyCas",
    "DeleteTree",
    "DestroySession",
    "GetKey",
    "GetTree",
    "ImpossibleOp",
    "LockKey",
    "RestoreStore",
    "SetKey",
    "Txn",
    "TxnOp",
    "UnlockKey",
]


@dataclass(frozen=True, slots=True)
class CreateStore:
    """The first command of every store: gives it a name that a wiped one will not have."""

    store_id: str


@dataclass(slots=True, unsafe_hash=True)
class SetKey:
    """Write a key whatever it was; ignores locks, keeps the holder."""

    key: Final[bytes]
    value: Final[bytes]
    flags: Final[int]


@dataclass(slots=True, unsafe_hash=True)
class CasKey:
    """Write a key if its modify_index is `cas_index`; 0 means only if it is absent.

    With `adopt_lost`, an absent key and an index newer than any this store has issued count as a
    create: such an index can only come from data that was lost.
    """

    key: Final[bytes]
    value: Final[bytes]
    flags: Final[int]
    cas_index: Final[int]
    adopt_lost: Final[bool] = False


@dataclass(slots=True, unsafe_hash=True)
class DeleteKey:
    """Delete a key; no error when it is absent."""

    key: Final[bytes]


@dataclass(frozen=True, slots=True)
class DeleteKeyCas:
    """Delete a key if its modify_index is `cas_index`; an absent key counts as deleted."""

    key: bytes
    cas_index: int


@dataclass(frozen=True, slots=True)
class DeleteTree:
    """Delete every key that starts with `prefix`; the empty prefix is the whole store."""

    prefix: bytes


@dataclass(slots=True, unsafe_hash=True)
class LockKey:
    """Acquire a key for a session and write it."""

    key: Final[bytes]
    value: Final[bytes]
    flags: Final[int]
    session: Final[str]


@dataclass(slots=True, unsafe_hash=True)
class UnlockKey:
    """Release a key that the session holds and write it."""

    key: Final[bytes]
    value: Final[bytes]
    flags: Final[int]
    session: Final[str]


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Make a session; `id` is fresh."""

    id: str
    name: str
    node: str
    lock_delay_ns: int
    behavior: Behavior
    ttl: str
    ttl_ns: int
    node_checks: tuple[str, ...] | None
    service_checks: tuple[ServiceCheck, ...] | None
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DestroySession:
    """Invalidate a session: its keys are released or deleted as its behavior says."""

    id: str


@dataclass(frozen=True, slots=True)
class RestoreStore:
    """Make the store's entries and sessions these and no others, in one step.

    An entry whose session is not among them comes back unlocked. Ids of sessions, and of the
    entries' holders, have the form of one.
    """

    sessions: tuple[Session, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class GetKey:
    """In a transaction: read a key; fails when it is absent, unless `or_empty`."""

    key: bytes
    or_empty: bool = False


@dataclass(frozen=True, slots=True)
class GetTree:
    """In a transaction: read every key that starts with `prefix`; none is fine."""

    prefix: bytes


@dataclass(frozen=True, slots=True)
class CheckIndex:
    """In a transaction: fail unless the key is there with this modify_index."""

    key: bytes
    index: int


@dataclass(frozen=True, slots=True)
class CheckSession:
    """In a transaction: fail unless the key is there and held by this session; "" is unlocked."""

    key: bytes
    session: str


@dataclass(frozen=True, slots=True)
class CheckNotExists:
    """In a transaction: fail unless the key is absent."""

    key: bytes


@dataclass(frozen=True, slots=True)
class ImpossibleOp:
    """In a transaction: fail, whatever the store holds; `why` is for people."""

    why: str


TxnOp = (
    SetKey
    | CasKey
    | DeleteKey
    | DeleteKeyCas
    | DeleteTree
    | LockKey
    | UnlockKey
    | GetKey
    | GetTree
    | CheckIndex
    | CheckSession
    | CheckNotExists
    | ImpossibleOp
)


@dataclass(frozen=True, slots=True)
class Txn:
    """Run operations in order, each seeing what those before it did; all of them or none."""

    ops: tuple[TxnOp, ...]


Command = (
    CreateStore
    | SetKey
    | CasKey
    | DeleteKey
    | DeleteKeyCas
    | DeleteTree
    | LockKey
    | UnlockKey
    | CreateSession
    | DestroySession
    | RestoreStore
    | Txn
)

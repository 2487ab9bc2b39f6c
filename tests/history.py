"""What clients can ask of a store, and what they can be told: the words of a history.

Every write carries a value that no other write has, so that a value tells which write it came
from; the writes of one transaction have the same. Sessions go by their names, which are as unique;
ids are for the wire.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from linearizability import UNKNOWN, Operation

__all__ = [
    "READS",
    "Absent",
    "Answer",
    "At",
    "Call",
    "Cas",
    "CreateSession",
    "Delete",
    "DeleteCas",
    "DeleteTree",
    "DestroySession",
    "Entries",
    "HeldBy",
    "Listing",
    "Lock",
    "Names",
    "Part",
    "ReadKey",
    "ReadNames",
    "ReadSessions",
    "ReadTree",
    "RenewSession",
    "Seen",
    "Set",
    "Txn",
    "Unlock",
    "as_of_death",
    "parts",
]


class Answer(Enum):
    """What a write is told."""

    YES = "yes"
    NO = "no"
    # The session that wants a lock is unknown; a transaction says no.
    REFUSED = "refused"


# --- writes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Set:
    """Write a key."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Cas:
    """Write a key if its modify_index is `index`; 0 means only if it is absent."""

    key: str
    value: str
    index: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key."""

    key: str


@dataclass(frozen=True, slots=True)
class DeleteCas:
    """Delete a key if its modify_index is `index`."""

    key: str
    index: int


@dataclass(frozen=True, slots=True)
class DeleteTree:
    """Delete everything under a prefix."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Acquire a key."""

    key: str
    value: str
    session: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """Release a key."""

    key: str
    value: str
    session: str


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Make a session; without lock-delay, so that time plays no part in what comes after it."""

    name: str
    behavior: str = "release"
    ttl: str = ""


@dataclass(frozen=True, slots=True)
class DestroySession:
    """Invalidate a session."""

    name: str


# --- transactions: YES when all was done, NO when nothing was ------------------------------------


@dataclass(frozen=True, slots=True)
class At:
    """Expect a key to be there with this modify_index."""

    key: str
    index: int


@dataclass(frozen=True, slots=True)
class Absent:
    """Expect a key not to be there."""

    key: str


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Expect a key to be held by this session."""

    key: str
    session: str


Part = Set | Cas | Delete | DeleteCas | DeleteTree | Lock | Unlock | At | Absent | HeldBy


@dataclass(frozen=True, slots=True)
class Txn:
    """Do all of it in order, or nothing; the keys are of one group."""

    ops: tuple[Part, ...]


# --- reads: `past` is the index a blocking query waits to be passed, 0 for a plain one ----------


@dataclass(frozen=True, slots=True)
class ReadKey:
    """Read one key; the outcome is `Entries` of one, or of none."""

    key: str
    past: int = 0


@dataclass(frozen=True, slots=True)
class ReadTree:
    """Read everything under a prefix; the outcome is `Entries`."""

    prefix: str
    past: int = 0


@dataclass(frozen=True, slots=True)
class ReadNames:
    """List the keys under a prefix; the outcome is `Names`."""

    prefix: str
    past: int = 0


@dataclass(frozen=True, slots=True)
class ReadSessions:
    """List all sessions; the outcome is a `Listing`."""

    past: int = 0


@dataclass(frozen=True, slots=True)
class RenewSession:
    """Renew a session; the outcome is NO when it is unknown."""

    name: str


Call = (
    Set
    | Cas
    | Delete
    | DeleteCas
    | DeleteTree
    | Lock
    | Unlock
    | CreateSession
    | DestroySession
    | Txn
    | ReadKey
    | ReadTree
    | ReadNames
    | ReadSessions
    | RenewSession
)
READS = (ReadKey, ReadTree, ReadNames, ReadSessions, RenewSession)


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry as a client saw it; `session` is the holder's name, empty for none."""

    key: str
    value: str
    session: str
    lock_index: int
    create_index: int
    modify_index: int


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a key or prefix by their keys, and the index they came with."""

    by_key: dict[str, Seen]
    index: int


@dataclass(frozen=True, slots=True)
class Names:
    """The keys under a prefix, and the index they came with."""

    keys: frozenset[str]
    index: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All sessions by name, and the index they came with."""

    names: frozenset[str]
    index: int


def parts(call: Call) -> tuple[Call | Part, ...]:
    """Return the operations of a transaction, or the one that a call is."""
    return call.ops if isinstance(call, Txn) else (call,)


def as_of_death(operations: Iterable[Operation], died_ns: float) -> list[Operation]:
    """Return a history whose server was dead by `died_ns`: nothing takes effect after that.

    What was sent to the dead server is left out.
    """
    settled = []
    for one in operations:
        if one.outcome is not UNKNOWN:
            settled.append(one)
        elif one.invoked_ns < died_ns:
            settled.append(replace(one, returned_ns=min(one.returned_ns, died_ns)))
    assert all(one.returned_ns < math.inf for one in settled)
    return settled

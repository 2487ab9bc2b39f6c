"""What comes back from the state: the outcome of a write, the result of a read."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kvstore.errors import RequestError
from kvstore.state.command import TxnOp
from kvstore.state.entry import Entry, Session

__all__ = ["Applied", "OpFailure", "OpResult", "Read", "TxnOutcome"]

T = TypeVar("T")


@dataclass(slots=True, unsafe_hash=True)
class OpResult:
    """What an operation of a transaction has to show."""

    # None for an absent key that was read all the same.
    entry: Final[Entry | None]
    key: Final[bytes]
    # Whether the client sees the value: of what it read, not of what it wrote.
    with_value: Final[bool] = False


@dataclass(frozen=True, slots=True)
class OpFailure:
    """An operation of a transaction that could not be done."""

    # Its place in the transaction, from 0.
    position: int
    op: TxnOp
    # The entry that a read or a check met; None when there was none, and for a write.
    met: Entry | None = None
    # Why the operation makes no sense in this state.
    refusal: RequestError | None = None
    # Whether the key could not be locked yet.
    lock_delayed: bool = False


@dataclass(frozen=True, slots=True)
class TxnOutcome:
    """What came of a transaction: results, or failures if there was one."""

    # In order of the operations; several have none, `GetTree` has many.
    results: tuple[OpResult, ...] = ()
    failures: tuple[OpFailure, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class Applied:
    """The outcome of one command; the same on every replay."""

    # The index the command took, whether or not it changed anything.
    index: Final[int]
    # Whether the write was done; False is a refused check-and-set or a lock held by another.
    done: Final[bool] = True
    # Why the command makes no sense in this state; then `done` is False and nothing changed.
    refusal: Final[RequestError | None] = None
    # Keys that were set, deleted, locked or released.
    changed_keys: Final[tuple[bytes, ...]] = ()
    # The session this command made.
    created: Final[Session | None] = None
    # The session this command invalidated; `changed_keys` are then the keys it held.
    destroyed: Final[Session | None] = None
    # Whether the whole store was restored, so that any session may be another one now.
    restored: Final[bool] = False
    # What came of each operation, when the command was a transaction.
    txn: Final[TxnOutcome | None] = None


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A result and the index it is valid at, as in `X-Consul-Index` (0 on an empty store)."""

    index: int
    value: T

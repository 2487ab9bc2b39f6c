"""What comes back from the state: the outcome of a write, the result of a read."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from kvstore.errors import RequestError
from kvstore.state.entry import Session

__all__ = ["Applied", "Read"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one command; the same on every replay."""

    # The index the command took, whether or not it changed anything.
    index: int
    # Whether the write was done; False is a refused check-and-set or a lock held by another.
    done: bool = True
    # Why the command makes no sense in this state; then `done` is False and nothing changed.
    refusal: RequestError | None = None
    # Keys that were set, deleted, locked or released.
    changed_keys: tuple[bytes, ...] = ()
    # The session this command made.
    created: Session | None = None
    # The session this command invalidated; `changed_keys` are then the keys it held.
    destroyed: Session | None = None
    # Whether the whole store was restored, so that any session may be another one now.
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A result and the index it is valid at, as in `X-Consul-Index` (0 on an empty store)."""

    index: int
    value: T

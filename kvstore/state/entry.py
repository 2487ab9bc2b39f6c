"""The two things a store holds: entries and sessions, as immutable values.

An entry's fields are `Final`, so that the type checker sees that they stay as they are: a frozen
dataclass, which sees it at run time, takes three times as long to make, and there are millions. The
same goes for the commands and outcomes that are made for every write.

Knows nothing of how they are stored, written or shown.
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Behavior", "Entry", "ServiceCheck", "Session"]

Behavior = Literal["release", "delete"]


@dataclass(slots=True, unsafe_hash=True)
class Entry:
    """One key with its value; every change makes a new one."""

    # The full name, a byte string: two spellings that differ in bytes are two keys.
    key: Final[bytes]
    # Up to the server's value limit; empty and missing are the same.
    value: Final[bytes]
    # Opaque to the store, 0 to 2**64-1; libkv marks its keys with it.
    flags: Final[int]
    # Id of the session that holds the lock, as its owner typed it; empty when unlocked.
    session: Final[str]
    # How often the lock was acquired since the last plain write.
    lock_index: Final[int]
    # Index of the write that made the key.
    create_index: Final[int]
    # Index of the write that last changed it.
    modify_index: Final[int]


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A service's health check that a session depends on."""

    id: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Session:
    """A holder of locks; never changes, it is only created and destroyed."""

    # 36 characters, lower-case hex in groups of 8-4-4-4-12.
    id: str
    name: str
    # The node as its creator typed it.
    node: str
    # How long its keys stay unlockable after it was invalidated; may be negative (no delay).
    lock_delay_ns: int
    # What happens to its keys when it goes: unlocked or deleted.
    behavior: Behavior
    # The time to live as typed ("30s"), shown again as it came; empty for none.
    ttl: str
    # The same in nanoseconds; 0 for none.
    ttl_ns: int
    # Ids of checks on the node; None when the creator said null.
    node_checks: tuple[str, ...] | None
    service_checks: tuple[ServiceCheck, ...] | None
    # The deprecated spelling of node_checks, kept when it named more than the default.
    checks: tuple[str, ...]
    create_index: int

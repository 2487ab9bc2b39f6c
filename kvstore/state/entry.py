"""The two things a store holds: entries and sessions, as immutable values.

Knows nothing of how they are stored, written or shown.
"""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Behavior", "Entry", "ServiceCheck", "Session"]

Behavior = Literal["release", "delete"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value; every change makes a new one."""

    # The full name, a byte string: two spellings that differ in bytes are two keys.
    key: bytes
    # Up to the server's value limit; empty and missing are the same.
    value: bytes
    # Opaque to the store, 0 to 2**64-1; libkv marks its keys with it.
    flags: int
    # Id of the session that holds the lock, as its owner typed it; empty when unlocked.
    session: str
    # How often the lock was acquired since the last plain write.
    lock_index: int
    # Index of the write that made the key.
    create_index: int
    # Index of the write that last changed it.
    modify_index: int
    # A rendering of this entry that a reader may keep with it (see `remember`).
    rendered: bytes | None = field(default=None, compare=False, repr=False)

    def remember(self, rendered: bytes) -> None:
        """Keep a rendering of this entry, so that it is made once and not once a read.

        The one field that changes after construction: it is derived from the others, takes part
        in no comparison and is never stored.
        """
        object.__setattr__(self, "rendered", rendered)


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

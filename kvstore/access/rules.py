"""Rules: what is said about keys, prefixes and the rest of the server; and several sets as one.

Source: Consul 1.8.7, acl/policy.go and acl/policy_merger.go, on the scale of one node. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

__all__ = ["NO_RULES", "SCOPES", "Level", "Rules", "merge"]

K = TypeVar("K", bytes, str)

# What there are rules for beside keys. A scope has READ and WRITE; only keys have LIST.
SCOPES = ("session", "agent", "node", "service", "event", "operator")


class Level(IntEnum):
    """What a rule allows; each level but DENY includes those below it."""

    DENY = 0
    READ = 1
    # Counts only where listing needs a right of its own (key-list-policy).
    LIST = 2
    WRITE = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """A set of rules; what it says nothing about is left to the default."""

    # By the whole key.
    keys: Mapping[bytes, Level] = field(default_factory=dict)
    # By a plain byte prefix; b"" is every key.
    prefixes: Mapping[bytes, Level] = field(default_factory=dict)
    # By a name of SCOPES.
    scopes: Mapping[str, Level] = field(default_factory=dict)


NO_RULES = Rules()


def merge(sets: Iterable[Rules]) -> Rules:
    """Return several rule sets as one.

    Of two rules about the very same thing DENY wins, else the higher level. Which of the rules
    about one key counts, the exact one or that of the longest prefix, is decided afterwards: a
    narrow rule of one set beats a wide one of another.
    """
    several = list(sets)
    return Rules(
        keys=_merged(one.keys for one in several),
        prefixes=_merged(one.prefixes for one in several),
        scopes=_merged(one.scopes for one in several),
    )


def _merged(several: Iterable[Mapping[K, Level]]) -> dict[K, Level]:
    merged: dict[K, Level] = {}
    for levels in several:
        for name, level in levels.items():
            known = merged.get(name, level)
            merged[name] = Level.DENY if Level.DENY in (known, level) else max(known, level)
    return merged

"""Grants by rules: which rule is about a key, and whether it allows what is asked.

Source: Consul 1.8.7, acl/policy_authorizer.go: a rule for the exact key beats every prefix, a
longer prefix beats a shorter one, and the default decides where there is no rule. Pure.
"""

from bisect import bisect_left
from collections.abc import Mapping

from kvstore.access.rules import Level, Rules

__all__ = ["RuledGrants"]


class RuledGrants:
    """What a set of rules allows; never changes.

    `default` is WRITE or DENY. With `lists_need_list` listing under a prefix needs LIST there;
    without it nothing but what is read counts (Consul's `enable_key_list_policy`).
    """

    def __init__(
        self, name: str, rules: Rules, default: Level, *, lists_need_list: bool = False
    ) -> None:
        self.name = name
        self._keys = rules.keys
        self._prefixes = rules.prefixes
        self._scopes = rules.scopes
        self._default = default
        self._lists_need_list = lists_need_list
        self._lengths = sorted({len(prefix) for prefix in rules.prefixes}, reverse=True)
        # In order: where rules allow less than READ, less than WRITE.
        self._unreadable = _below(Level.READ, rules.keys, rules.prefixes)
        self._unwritable = _below(Level.WRITE, rules.keys, rules.prefixes)

    def key_read(self, key: bytes) -> bool:
        """Whether this key may be read. O(lengths of prefixes), as all that asks about a key."""
        return self._of_key(key) >= Level.READ

    def key_list(self, prefix: bytes) -> bool:
        """Whether what is under this prefix may be listed at all."""
        return not self._lists_need_list or self._of_key(prefix) >= Level.LIST

    def key_write(self, key: bytes) -> bool:
        """Whether this key may be written, locked, released or deleted."""
        return self._of_key(key) == Level.WRITE

    def tree_read(self, prefix: bytes) -> bool:
        """Whether every key that could be under this prefix may be read. O(log n) in the rules."""
        return self._of_prefix(prefix) >= Level.READ and not _any_under(prefix, self._unreadable)

    def tree_write(self, prefix: bytes) -> bool:
        """Whether every key that could be under this prefix may be written (KeyWritePrefix)."""
        return self._of_prefix(prefix) == Level.WRITE and not _any_under(prefix, self._unwritable)

    def session_read(self) -> bool:
        """Whether sessions may be seen."""
        return self._of_scope("session") >= Level.READ

    def session_write(self) -> bool:
        """Whether sessions may be created, renewed and destroyed."""
        return self._of_scope("session") == Level.WRITE

    def agent_read(self) -> bool:
        """Whether the agent's own description may be read."""
        return self._of_scope("agent") >= Level.READ

    def agent_write(self) -> bool:
        """Whether the agent may be told to do something."""
        return self._of_scope("agent") == Level.WRITE

    def node_read(self) -> bool:
        """Whether nodes, members and their checks may be seen."""
        return self._of_scope("node") >= Level.READ

    def service_read(self) -> bool:
        """Whether services may be seen."""
        return self._of_scope("service") >= Level.READ

    def event_read(self) -> bool:
        """Whether events may be seen."""
        return self._of_scope("event") >= Level.READ

    def event_write(self) -> bool:
        """Whether events may be fired."""
        return self._of_scope("event") == Level.WRITE

    def operator_read(self) -> bool:
        """Whether the figures and the configuration of the server may be read."""
        return self._of_scope("operator") >= Level.READ

    def operator_write(self) -> bool:
        """Whether the server may be operated: snapshot, restore, compaction.

        By a rule only: a default of WRITE does not hand out the whole store, nor let anybody
        replace it. Source: Consul 1.8.7, whose default policy does not reach snapshots either.
        """
        return self._scopes.get("operator") == Level.WRITE

    def _of_key(self, key: bytes) -> Level:
        level = self._keys.get(key)
        return self._of_prefix(key) if level is None else level

    def _of_prefix(self, name: bytes) -> Level:
        for length in self._lengths:
            if length <= len(name):
                level = self._prefixes.get(name[:length])
                if level is not None:
                    return level
        return self._default

    def _of_scope(self, scope: str) -> Level:
        return self._scopes.get(scope, self._default)


def _below(least: Level, *rules: Mapping[bytes, Level]) -> list[bytes]:
    return sorted(name for one in rules for name, level in one.items() if level < least)


def _any_under(prefix: bytes, names: list[bytes]) -> bool:
    """Return whether any of the names, which are in order, begins with the prefix. O(log n)."""
    at = bisect_left(names, prefix)
    return at < len(names) and names[at].startswith(prefix)

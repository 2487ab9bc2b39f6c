"""What a token allows, as questions with a yes or a no.

The kinds of rights are Consul's, on the scale of one node (contract section 10). Pure.
"""

from typing import Protocol

__all__ = ["EVERYTHING", "Grants"]


class Grants(Protocol):
    """What the holder of a token may do."""

    @property
    def name(self) -> str:
        """The token's name for logs; "anonymous" without a token."""
        ...

    def key_read(self, key: bytes, /) -> bool:
        """Whether this key may be read."""
        ...

    def key_list(self, prefix: bytes, /) -> bool:
        """Whether what is under this prefix may be listed at all; what is listed is filtered."""
        ...

    def tree_read(self, prefix: bytes, /) -> bool:
        """Whether every key that could be under this prefix may be read: nothing to filter."""
        ...

    def key_write(self, key: bytes, /) -> bool:
        """Whether this key may be written, locked, released or deleted."""
        ...

    def tree_write(self, prefix: bytes, /) -> bool:
        """Whether every key that could be under this prefix may be written."""
        ...

    def session_read(self) -> bool:
        """Whether sessions may be seen."""
        ...

    def session_write(self) -> bool:
        """Whether sessions may be created, renewed and destroyed."""
        ...

    def agent_read(self) -> bool:
        """Whether the agent's own description may be read."""
        ...

    def agent_write(self) -> bool:
        """Whether the agent may be told to do something."""
        ...

    def node_read(self) -> bool:
        """Whether nodes, members and their checks may be seen."""
        ...

    def service_read(self) -> bool:
        """Whether services may be seen."""
        ...

    def event_read(self) -> bool:
        """Whether events may be seen."""
        ...

    def event_write(self) -> bool:
        """Whether events may be fired."""
        ...

    def operator_read(self) -> bool:
        """Whether the figures and the configuration of the server may be read."""
        ...

    def operator_write(self) -> bool:
        """Whether the server may be operated: snapshot, restore, compaction."""
        ...


class _Everything:
    """All there is: the grants of a server without access control."""

    name = "anyone"

    def _yes(self, _about: bytes = b"") -> bool:
        return True

    key_read = key_list = key_write = tree_read = tree_write = _yes
    session_read = session_write = agent_read = agent_write = node_read = service_read = _yes
    event_read = event_write = operator_read = operator_write = _yes


EVERYTHING: Grants = _Everything()

"""What is drawn: requests with placeholders, the same for both stores.

Placeholders stand in targets, headers and bodies, and become what each store calls the thing:

    {P}        the prefix of this episode, without a slash at the front
    {s0} {S0}  the id of the first session that this episode created, and the same in capitals
    {m:KEY}    the ModifyIndex that was last seen of the key {P}KEY, or 1
    {n} {N}    the name of the store's own node, and the same in capitals
    {archive}  the store's own last answer to `GET /v1/snapshot`
"""

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote_plus

WRITES = frozenset({"PUT", "DELETE"})
_PAIRS = re.compile("[&;]")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, compared at once. Each character of `target` is one byte (latin-1)."""

    method: str
    target: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query, without its question mark."""
        return self.target.partition("?")[2]

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter, or None; as a store decodes it."""
        for pair in _PAIRS.split(self.query):
            given, _, value = pair.partition("=")
            if unquote_plus(given, "latin-1") == name:
                return unquote_plus(value, "latin-1")
        return None


@dataclass(frozen=True, slots=True)
class Park:
    """A plain GET of `target`, then a blocking one with the index that the first one answered.

    Without `wait` it stays until a later operation wakes it or the episode ends. With `wait`, a
    Go duration, nothing else happens meanwhile. `ahead` is added to the index: a thousand for one
    that is not reached, -1 for one that is answered at once.
    """

    target: str
    wait: str = ""
    ahead: int = 0


Operation: TypeAlias = Call | Park

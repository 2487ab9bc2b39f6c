"""Reduces operations to the fewest and simplest with which something still differs. Pure."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Generic, TypeVar

from conformance.fuzz.operation import Call, Operation, Park

T = TypeVar("T")
Fails = Callable[[Sequence[Operation]], T | None]
"""Plays operations; returns what differed, or None."""

TRIES_MAX = 400
PLAIN_BODY = b"v"
PLAIN_NAME = "a"

_NAME = re.compile(r"(?<=^/v1/kv/\{P\})[^?]*")


def shrink(
    operations: Sequence[Operation], found: T, fails: Fails[T], tries_max: int = TRIES_MAX
) -> tuple[list[Operation], T]:
    """Return the fewest and simplest operations that fail, and how they do.

    `found` is how `operations` fail as they are.
    """
    search = _Search(list(operations), found, fails, tries_max)
    changed = True
    while changed and search.tries_left:
        changed = search.drop() | search.simplify()
    return search.operations, search.found


class _Search(Generic[T]):
    """The smallest that is known to fail, and how many tries are left to find a smaller one."""

    def __init__(self, operations: list[Operation], found: T, fails: Fails[T], tries: int) -> None:
        self.operations = operations
        self.found = found
        self._fails = fails
        self.tries_left = tries

    def _take(self, smaller: list[Operation]) -> bool:
        """Try something smaller; keep it if it fails too."""
        if not self.tries_left:
            return False
        self.tries_left -= 1
        found = self._fails(smaller)
        if found is None:
            return False
        self.operations, self.found = smaller, found
        return True

    def drop(self) -> bool:
        """Leave out operations: many at once, then fewer, then one by one."""
        changed = False
        size = max(1, len(self.operations) // 2)
        while True:
            at = len(self.operations)
            while at > 0:
                start = max(0, at - size)
                smaller = self.operations[:start] + self.operations[at:]
                changed |= bool(smaller) and self._take(smaller)
                at = start
            if size == 1:
                return changed
            size //= 2

    def simplify(self) -> bool:
        """Make single operations simpler, each as often as it goes."""
        changed = False
        for at in reversed(range(len(self.operations))):
            again = True
            while again:
                tries = simpler(self.operations[at])
                again = any(
                    self._take([*self.operations[:at], one, *self.operations[at + 1 :]])
                    for one in tries
                )
                changed |= again
        return changed


def simpler(operation: Operation) -> Iterator[Operation]:
    """Yield operations that are a step simpler, the boldest steps first."""
    for target in _simpler_targets(operation.target):
        yield replace(operation, target=target)
    if isinstance(operation, Park):
        if operation.ahead:
            yield replace(operation, ahead=0)
        return
    for at in range(len(operation.headers)):
        yield replace(operation, headers=operation.headers[:at] + operation.headers[at + 1 :])
    if operation.chunked:
        yield replace(operation, chunked=False)
    if operation.body is not None:
        for body in _simpler_bodies(operation):
            yield replace(operation, body=body)


def _simpler_targets(target: str) -> Iterator[str]:
    path, mark, query = target.partition("?")
    if mark:
        pairs = re.split("[&;]", query)
        yield path
        for at in range(len(pairs)):
            if rest := pairs[:at] + pairs[at + 1 :]:
                yield f"{path}?{'&'.join(rest)}"
    name = _NAME.search(path)
    if name is not None and name[0] not in {PLAIN_NAME, ""}:
        yield _NAME.sub(PLAIN_NAME, path) + mark + query


def _simpler_bodies(call: Call) -> Iterator[bytes | None]:
    body = call.body or b""
    if b"{archive}" in body:
        return
    with suppress(ValueError):
        text = body.decode()
        for value in _smaller(json.loads(text)):
            yield json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return
    if not body:
        yield None
    elif body != PLAIN_BODY:
        yield b""
        yield PLAIN_BODY


def _smaller(value: object) -> Iterator[object]:
    """Yield what is left of a JSON value without one of its parts, or with a smaller one."""
    if isinstance(value, list):
        parts = list(enumerate(value))
        for at, _ in parts:
            yield value[:at] + value[at + 1 :]
        for at, part in parts:
            for smaller in _smaller(part):
                yield [*value[:at], smaller, *value[at + 1 :]]
    elif isinstance(value, dict):
        # Without its value, a check-and-set may be of an identical one (see transactions.py).
        may_go = [name for name in value if (name, value.get("Verb")) != ("Value", "cas")]
        for name in may_go:
            yield {other: part for other, part in value.items() if other != name}
        for name, part in value.items():
            for smaller in _smaller(part):
                yield {**value, name: smaller}

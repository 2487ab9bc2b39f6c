"""What a script plays on: a store, the names bound so far, and the connections it has open."""

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from conformance.suite.case import Ground
from conformance.suite.store import Store
from conformance.suite.wire import ANSWER_WITHIN_S, Connection


@dataclass(slots=True)
class Line:
    """One connection that a script calls by a name, and what it has asked on it."""

    connection: Connection
    # Methods and targets of the requests that are not answered yet.
    asked: deque[tuple[str, str]] = field(default_factory=deque)
    sent_at: float = 0.0
    # When the next answer must come: not before so many seconds of the clock, and within so many
    # after the request; None: at any time, soon.
    after_s: float | None = None
    within_s: float | None = None


class Scene:
    """One run through a script. As a context, it closes its connections."""

    def __init__(self, store: Store, ground: Ground, names: dict[str, bytes]) -> None:
        self.store = store
        self.ground = ground
        self.names = names
        # When `the clock starts`; None before.
        self.clock_at: float | None = None
        self._lines: dict[str, Line] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    def line(self, name: str) -> Line:
        """Return the connection of that name, opened if it is new."""
        if name not in self._lines:
            self._lines[name] = Line(self._closing.enter_context(self.store.connect()))
        return self._lines[name]

    def since(self, moment: float) -> float:
        """Return the seconds since the clock started, or since `moment` where none runs."""
        return now_s() - (moment if self.clock_at is None else self.clock_at)

    def patience_s(self, wanted_s: float = ANSWER_WITHIN_S) -> float:
        """Return how long to wait at most: no longer than the case has left."""
        return min(wanted_s, self.ground.left_s())


def now_s() -> float:
    """Return the time on the clock that never jumps."""
    return time.monotonic()

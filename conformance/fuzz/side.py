"""One of the two stores, as the test talks to it: one request at a time, and parked queries."""

from contextlib import suppress
from typing import Protocol

from conformance.fuzz.operation import Call
from conformance.suite.store import Store
from conformance.suite.wire import Answer, Connection, ConnectionEnded, NotAnswered

POLL_S = 0.00001
"""Long enough to see what has come."""


class Line(Protocol):
    """A blocking query under way."""

    def answered(self, within_s: float = POLL_S) -> bool:
        """Return whether an answer is there, or comes within that time."""

    def answer(self) -> Answer:
        """Read the answer; the line is of no more use then."""

    def close(self) -> None:
        """Give it up."""


class Side(Protocol):
    """A store: requests have no placeholders any more."""

    def send(self, call: Call) -> None:
        """Send a request; `receive` must come before the next."""

    def receive(self) -> Answer:
        """Return the answer to what was sent; status 0 when there is none."""

    def park(self, target: str) -> Line:
        """Send a GET that may wait, beside all else."""

    def close(self) -> None:
        """Close all connections but those of parked queries."""


class WireSide:
    """A store over its address, with kept connections: one for requests, one a parked query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._main: Connection | None = None
        self._idle: list[Connection] = []
        self._method = "GET"

    def send(self, call: Call) -> None:
        """Send a request on the main connection. Raises OSError when the store is not there."""
        if self._main is None:
            self._main = self._store.connect()
        self._method = call.method
        self._main.send(
            self._store.encode(
                call.method, call.target, call.body, headers=call.headers, chunked=call.chunked
            )
        )

    def receive(self) -> Answer:
        """Read the answer; the connection is kept unless either side is through with it."""
        assert self._main is not None  # `send` has opened it
        answer = read(self._main, self._method)
        if not keeps(answer):
            self._main.close()
            self._main = None
        return answer

    def park(self, target: str) -> Line:
        """Send a GET on a connection of its own."""
        connection = self._idle.pop() if self._idle else self._store.connect()
        connection.send(self._store.encode("GET", target))
        return WireLine(connection, self._idle)

    def close(self) -> None:
        """Close all connections but those of parked queries."""
        for connection in [*self._idle, *([self._main] if self._main else [])]:
            connection.close()
        self._idle.clear()
        self._main = None


class WireLine:
    """A parked query on a connection, which goes back among the idle ones after its answer."""

    def __init__(self, connection: Connection, idle: list[Connection]) -> None:
        self._connection: Connection | None = connection
        self._idle = idle

    def answered(self, within_s: float = POLL_S) -> bool:
        """Return whether an answer is there, or comes within that time."""
        return self._connection is None or not self._connection.silent_for(within_s)

    def answer(self) -> Answer:
        """Read the answer and give the connection back."""
        connection, self._connection = self._connection, None
        assert connection is not None, "a line has one answer"
        answer = read(connection, "GET")
        if keeps(answer):
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the connection, if the answer has not come."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def read(connection: Connection, method: str) -> Answer:
    """Read an answer; one with status 0 stands for none at all."""
    try:
        return connection.read(method)
    except ConnectionEnded as ended:
        return Answer(0, "the connection ended", (), ended.received)
    except NotAnswered:
        return Answer(0, "no answer in time", (), b"")


def keeps(answer: Answer) -> bool:
    """Return whether the connection is good for another request."""
    if answer.status in {0, 400, 413, 431}:
        return False  # servers close after these, some without saying so
    with suppress(KeyError):
        return {name.lower(): value for name, value in answer.headers}["connection"] != "close"
    return True

"""One client's connection to a store: kept alive, with the headers of Go's client."""

import base64
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from conformance.suite.case import Failed, Store
from conformance.suite.wire import ANSWER_WITHIN_S, Answer, Connection, ConnectionEnded

GO_HEADERS = (("User-Agent", "Go-http-client/1.1"), ("Accept-Encoding", "gzip"))
OK = 200
NOT_FOUND = 404
READ = (OK, NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key's entry, as clients read it."""

    key: str
    value: bytes
    flags: int
    session: str
    lock_index: int
    modify_index: int


class Speaker:
    """One client of a store; for one thread. Used as a context it closes its connection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None
        # How many requests it has sent.
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        expect: Collection[int] = (OK,),
        within_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Send a request and read its answer. Raises Failed when its status is not expected.

        A connection that ended while it was idle is opened again, as Go does.
        """
        self.asked += 1
        request = self._store.encode(
            method, target, b"" if method == "PUT" and body is None else body, headers=GO_HEADERS
        )
        answer = self._answer(method, request, within_s)
        self._store.note(method, target, answer)
        if answer.status not in expect:
            wanted = " or ".join(map(str, expect))
            raise Failed(f"{method} {target}", f"status {wanted}", show(answer))
        return answer

    def read(self, target: str, *, within_s: float = ANSWER_WITHIN_S) -> tuple[int, list[Entry]]:
        """GET keys: the index, and what is there; nothing of a 404."""
        answer = self.ask("GET", target, expect=READ, within_s=within_s)
        return answer.index, entries(answer)

    def true(self, method: str, target: str, body: bytes | None = None) -> bool:
        """Send a write; whether the store did it: clients look for these four letters."""
        return b"true" in self.ask(method, target, body).plain

    def _answer(self, method: str, request: bytes, within_s: float) -> Answer:
        reused, connection = self._connection, self._connection or self._store.connect()
        self._connection = connection
        try:
            connection.send(request)
            return connection.read(method, within_s)
        except ConnectionEnded as ended:
            self.close()
            if reused is None or ended.received:
                raise
        except BaseException:
            self.close()
            raise
        return self._answer(method, request, within_s)


@contextmanager
def speakers(store: Store, count: int) -> Iterator[list[Speaker]]:
    """Give that many clients of a store, and close them at the end."""
    several = [Speaker(store) for _ in range(count)]
    try:
        yield several
    finally:
        for each in several:
            each.close()


def entries(answer: Answer) -> list[Entry]:
    """Return the entries of an answer; none of a 404."""
    if answer.status == NOT_FOUND:
        return []
    return [
        Entry(
            key=row["Key"],
            value=base64.b64decode(row["Value"] or ""),
            flags=row["Flags"],
            session=row.get("Session", ""),
            lock_index=row["LockIndex"],
            modify_index=row["ModifyIndex"],
        )
        for row in json.loads(answer.plain)
    ]


def show(answer: Answer) -> str:
    """Show an answer on one line, with what clients read of it."""
    body = answer.plain[:400].decode("utf-8", "replace")
    return f"{answer.status}, index {answer.get('X-Consul-Index')}, {body or 'no body'}"

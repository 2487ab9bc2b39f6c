"""One connection of a client that acts beside others, in one event loop.

A client that lives for a while does several things at once: it beats, it watches, it waits for a
lock. Each has a line of its own, as each keeps a connection of Go's pool busy.
"""

import asyncio
import json
from collections.abc import Collection

from conformance.clients.speaker import GO_HEADERS, NOT_FOUND, OK, READ, Entry, entries, show
from conformance.suite.case import Failed, Store
from conformance.suite.wire import (
    ANSWER_WITHIN_S,
    Answer,
    Connection,
    ConnectionEnded,
    NotAnswered,
)

TICK_S = 0.01
"""How often a line looks whether its answer has come."""

WAIT_S = 15.0
"""What libkv and Go's lock ask to wait for; in a query it is `wait=15000ms`."""

DEFAULT_WAIT_S = 300.0
"""For how long a store waits that was given an index and no `wait`."""

JITTER = 17 / 16
EARLY_S = 0.2
"""How much earlier an answer may seem than it was: clocks of two processes."""


class Trouble(Exception):
    """What libkv calls an error: another status than it knows, or no connection."""


class Line:
    """One keep-alive connection to a store; for one request at a time.

    While `going` is unset, its client stands still: answers come and are not read.
    `calm` is whether the store stays up: one that is about to stop may end what waits.
    """

    def __init__(self, store: Store, going: asyncio.Event, *, calm: bool = True) -> None:
        self._store = store
        self._going = going
        self._calm = calm
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        expect: Collection[int] = (OK,),
        within_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Send a request and wait for its answer.

        Raises Trouble when there is no connection or another status than expected, NotAnswered
        when the answer does not come in time.
        """
        if method == "PUT" and body is None:
            body = b""
        request = self._store.encode(method, target, body, headers=GO_HEADERS)
        try:
            answer = await self._answer(method, target, request, within_s)
        except (OSError, ConnectionEnded) as error:
            self.close()
            raise Trouble(f"{method} {target}: {error}") from error
        except BaseException:
            self.close()
            raise
        self._store.note(method, target, answer)
        if answer.status not in expect:
            raise Trouble(f"{method} {target}: {show(answer)}")
        return answer

    async def true(self, target: str, body: bytes = b"") -> bool:
        """PUT; whether the store did it: clients look for these four letters."""
        return b"true" in (await self.ask("PUT", target, body)).plain

    async def read(self, target: str) -> tuple[int, list[Entry]]:
        """GET keys: the index, and what is there; nothing of a 404. It must be answered at once."""
        return _known(target, await self.ask("GET", target, expect=READ))

    async def poll(self, target: str, index: int, wait_s: float) -> tuple[int, list[Entry]]:
        """GET keys that wait for a change after `index`; `target` carries the whole query.

        Raises Failed when the answer comes early with nothing new, since that makes clients spin,
        and when its index is an older one. Raises as `ask` does.
        """
        clock = asyncio.get_running_loop().time
        began_s = clock()
        within_s = wait_s * JITTER + ANSWER_WITHIN_S
        answer = await self.ask("GET", target, expect=READ, within_s=within_s)
        now, found = _known(target, answer)
        took_s = clock() - began_s
        early = self._calm and now == index and took_s < wait_s - EARLY_S
        if now < index or early:
            wanted = f"an index over {index}, or no answer for {wait_s:g} s"
            raise Failed(f"GET {target}", wanted, f"{show(answer)}, after {took_s:.2f} s")
        return now, found

    async def _answer(self, method: str, target: str, request: bytes, within_s: float) -> Answer:
        """Send and read; a kept connection that ended meanwhile is opened again, as Go does."""
        kept, connection = self._connection, self._connection or self._store.connect()
        self._connection = connection
        try:
            connection.send(request)
            await self._until_answered(f"{method} {target}", connection, within_s)
            return connection.read(method)
        except ConnectionEnded as ended:
            if kept is None or ended.received:
                raise
        self.close()
        return await self._answer(method, target, request, within_s)

    async def _until_answered(self, asked: str, connection: Connection, within_s: float) -> None:
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + within_s
        while connection.silent_for(0):
            if clock() > deadline_s:
                raise NotAnswered(f"{asked}: no answer within {within_s:g} s")
            await asyncio.sleep(TICK_S)
        await self._going.wait()


async def create_session(line: Line, behavior: str, ttl: str) -> str:
    """Create a session as libkv does and return its id."""
    members = {"Behavior": behavior, "LockDelay": "1ms", "TTL": ttl}
    body = json.dumps(members, separators=(",", ":")).encode() + b"\n"
    answer = await line.ask("PUT", "/v1/session/create", body)
    return str(json.loads(answer.plain)["ID"])


async def renew_session(line: Line, session: str) -> str:
    """Renew a session; return the TTL that the answer says, "" when there is no such session."""
    target = f"/v1/session/renew/{session}"
    answer = await line.ask("PUT", target, expect=(OK, NOT_FOUND))
    return "" if answer.status == NOT_FOUND else str(json.loads(answer.plain)[0]["TTL"])


def _known(target: str, answer: Answer) -> tuple[int, list[Entry]]:
    """Return the index and the entries of a read, whose index clients cannot do without."""
    if answer.index < 1:
        raise Failed(f"GET {target}", "X-Consul-Index of at least 1", show(answer))
    return answer.index, entries(answer)

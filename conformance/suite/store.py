"""A store that somebody runs, and how a case talks to it.

Knows nothing of how the store was started, and nothing of what it should answer.
"""

import json
import time
from contextlib import suppress
from typing import Any, Self

from conformance.suite.address import Address
from conformance.suite.expectation import Failed
from conformance.suite.wire import (
    ANSWER_WITHIN_S,
    Answer,
    Connection,
    ConnectionEnded,
    Headers,
    encode_request,
)

PARKED_S = 0.15
"""A query that has said nothing for this long is waiting; an answer takes a millisecond or two."""

CREATE = "/v1/session/create"
OK = 200


class Store:
    """One store at an address. Each request goes out on a connection of its own.

    `sessions` holds the id of every session that was created through it, in order.
    """

    def __init__(
        self,
        address: Address | None = None,
        *,
        name: str = "",
        token: str | None = None,
        compacts: bool = False,
    ) -> None:
        self.address = address or Address.loopback(0)
        # What people call it; the address where nobody said.
        self.name = name or str(self.address)
        # Sent as X-Consul-Token with every request that names no other.
        self.token = token
        # Bodies of JSON are given without the blanks between their tokens.
        self.compacts = compacts
        self.sessions: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.address)

    def again(self, *, token: str | None = None, compacts: bool | None = None) -> "Store":
        """Return another talker to the same store, with no sessions of its own yet."""
        return Store(
            self.address,
            name=self.name,
            token=token or self.token,
            compacts=self.compacts if compacts is None else compacts,
        )

    def connect(self) -> Connection:
        """Open a new connection. Raises OSError."""
        return Connection(self.address.open(ANSWER_WITHIN_S), compacts=self.compacts)

    def encode(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: Headers = (),
        chunked: bool = False,
    ) -> bytes:
        """Build the bytes of one request to this store, its token included."""
        headers = list(headers)
        if self.token is not None and "x-consul-token" not in {name.lower() for name, _ in headers}:
            headers.append(("X-Consul-Token", self.token))
        host = self.address.host or "localhost"
        return encode_request(method, target, body, headers=headers, chunked=chunked, host=host)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: Headers = (),
        chunked: bool = False,
        within_s: float = ANSWER_WITHIN_S,
    ) -> Answer:
        """Send one request on a connection of its own and read the answer.

        Raises OSError, ConnectionEnded or NotAnswered.
        """
        with self.connect() as connection:
            request = self.encode(method, target, body, headers=headers, chunked=chunked)
            connection.send(request)
            answer = connection.read(method, within_s)
        self.note(method, target, answer)
        return answer

    def note(self, method: str, target: str, answer: Answer) -> None:
        """Remember the session that this answer may have created."""
        if method == "PUT" and target.startswith(CREATE) and answer.status == OK:
            with suppress(ValueError, KeyError, TypeError):  # for the case to judge
                self.sessions.append(str(json.loads(answer.plain)["ID"]))

    # --- keys -------------------------------------------------------------------------------

    def get(self, key: str) -> Answer:
        """GET the key; `key` may carry a query."""
        return self.ask("GET", f"/v1/kv/{key}")

    def put(self, key: str, value: bytes = b"") -> Answer:
        """PUT the value; `key` may carry a query."""
        return self.ask("PUT", f"/v1/kv/{key}", value)

    def delete(self, key: str) -> Answer:
        """DELETE the key; `key` may carry a query."""
        return self.ask("DELETE", f"/v1/kv/{key}")

    def write(self, key: str, value: bytes = b"") -> int:
        """PUT, which must succeed, and return the key's ModifyIndex."""
        answer = self.put(key, value)
        if (answer.status, answer.body) != (OK, b"true"):
            raise Failed(f"PUT /v1/kv/{key}", "200 true", str(answer))
        return self.modify_index(key.partition("?")[0])

    def entry(self, key: str) -> dict[str, Any]:
        """Return the one entry of an existing key."""
        answer = self.get(key)
        if answer.status != OK or len(answer.json) != 1:
            raise Failed(f"GET /v1/kv/{key}", "200 and a list of one entry", str(answer))
        return dict(answer.json[0])

    def modify_index(self, key: str) -> int:
        """Return the ModifyIndex of an existing key."""
        return int(self.entry(key)["ModifyIndex"])

    def kvs_index(self) -> int:
        """Return the index of the last change of any key: what a missing key answers with."""
        return self.get("no/such/key").index

    # --- sessions ---------------------------------------------------------------------------

    def sessions_index(self) -> int:
        """Return the index of the last change of the session table."""
        return self.ask("GET", "/v1/session/list").index

    def session(self, **members: Any) -> str:
        """Create a session, without lock-delay unless asked, and return its id."""
        body = json.dumps({"LockDelay": 0, **members}).encode()
        answer = self.ask("PUT", CREATE, body)
        if answer.status != OK:
            raise Failed(f"PUT {CREATE} {body.decode()}", '200 {"ID":…}', str(answer))
        return str(answer.json["ID"])

    def destroy(self, session: str) -> None:
        """Destroy the session."""
        answer = self.ask("PUT", f"/v1/session/destroy/{session}")
        if (answer.status, answer.body) != (OK, b"true"):
            raise Failed(f"PUT /v1/session/destroy/{session}", "200 true", str(answer))

    # --- blocking queries -------------------------------------------------------------------

    def park(self, target: str) -> "Parked":
        """Start a blocking GET of `target` and prove that it waits."""
        parked = self.call_blocking(target)
        if not parked.waits():
            try:
                got = str(parked.answer())
            except ConnectionEnded as ended:
                got = str(ended)
            parked.close()
            raise Failed(f"GET {target}", f"no answer within {PARKED_S} s: it waits", got)
        return parked

    def call_blocking(self, target: str) -> "Parked":
        """Start a GET of `target`, whether it will wait or not."""
        return Parked(self.connect(), self.encode("GET", target))


class Parked:
    """A GET that has been sent and may wait for its answer; closes its connection at the end."""

    def __init__(self, connection: Connection, request: bytes) -> None:
        self._connection = connection
        self.took_s = 0.0
        """Seconds from sending to the whole answer; 0 until it came."""
        self._sent_at = time.monotonic()
        connection.send(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up waiting."""
        self._connection.close()

    def waits(self, seconds: float = PARKED_S) -> bool:
        """Return whether nothing was answered for that long."""
        return self._connection.silent_for(seconds)

    def answer(self, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Read the answer."""
        answer = self._connection.read(within_s=within_s)
        self.took_s = time.monotonic() - self._sent_at
        return answer

    def ends(self) -> bool:
        """Return whether the store answers or closes the connection: anything but silence."""
        return not self._connection.silent_for(ANSWER_WITHIN_S)

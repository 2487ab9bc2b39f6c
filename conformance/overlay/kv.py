"""A small client of the store, for the lab's own looks and writes.

One connection per request: the lab asks little, and each request must work right after a restart.
Knows nothing of Docker's records.
"""

import base64
import http.client
import json
import socket
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from conformance.clients.golock import LOCK_FLAGS
from conformance.overlay.errors import Mismatch

_TIMEOUT_S = 15.0
_OK = 200
_NOT_FOUND = 404

Connect = Callable[[], socket.socket]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as the store lists it. `value` is empty for a marker; `session` for an unheld key."""

    key: str
    value: bytes
    modify_index: int
    session: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `index` is X-Consul-Index, 0 when the header is missing."""

    status: int
    body: bytes
    index: int

    @property
    def text(self) -> str:
        """The body as text, for messages."""
        return self.body.decode(errors="replace").strip()


class Kv:
    """The store's HTTP API, reached through sockets that `connect` opens.

    Raises OSError (ConnectionError among them) when the store is away, Mismatch when it answers
    with a status that the call does not expect.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        # Goes with every request; empty for none.
        self.token = ""

    def request(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """Send one request and return whatever is answered."""
        connection = http.client.HTTPConnection("store", timeout=_TIMEOUT_S)
        connection.sock = self._connect()
        connection.sock.settimeout(_TIMEOUT_S)
        try:
            headers = {"X-Consul-Token": self.token} if self.token else {}
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            index = int(response.headers.get("X-Consul-Index") or 0)
            return Answer(status=response.status, body=response.read(), index=index)
        except http.client.HTTPException as error:
            raise ConnectionError(f"broken answer to {method} {target}: {error!r}") from error
        finally:
            connection.close()

    def get(self, key: str) -> Entry | None:
        """Return one key, or None if there is none."""
        entries = self._read(f"/v1/kv/{_quote(key)}?consistent=")
        return entries[0] if entries else None

    def tree(self, prefix: str) -> list[Entry]:
        """Return every entry under a prefix in key order; empty if there is none."""
        return self._read(f"/v1/kv/{_quote(prefix)}?consistent=&recurse=")

    def put(self, key: str, value: bytes, *, cas: int | None = None) -> bool:
        """Write a key as libkv does; the answer says whether it was written."""
        condition = "" if cas is None else f"cas={cas}&"
        target = f"/v1/kv/{_quote(key)}?{condition}flags={LOCK_FLAGS}"
        answer = self.request("PUT", target, value)
        return _checked(answer, f"PUT {target}").text == "true"

    def delete(self, key: str) -> None:
        """Delete one key; no matter if it is missing."""
        _checked(self.request("DELETE", f"/v1/kv/{_quote(key)}"), f"DELETE {key}")

    def delete_tree(self, prefix: str) -> None:
        """Delete every key under a prefix."""
        _checked(self.request("DELETE", f"/v1/kv/{_quote(prefix)}?recurse="), f"DELETE {prefix}")

    def ready(self) -> bool:
        """Whether the store is up and has a leader: it answers a consistent read."""
        try:
            return self.request("GET", "/v1/kv/ready?consistent=").status in (_OK, _NOT_FOUND)
        except OSError:
            return False

    def _read(self, target: str) -> list[Entry]:
        answer = self.request("GET", target)
        if answer.status == _NOT_FOUND:
            return []
        return entries(_checked(answer, f"GET {target}").body)


def entries(body: bytes) -> list[Entry]:
    """Return the entries that the body of a read lists."""
    return [
        Entry(
            key=row["Key"],
            value=base64.b64decode(row["Value"] or ""),
            modify_index=row["ModifyIndex"],
            session=row.get("Session", ""),
        )
        for row in json.loads(body)
    ]


def _quote(key: str) -> str:
    return urllib.parse.quote(key, safe="/:")


def _checked(answer: Answer, what: str) -> Answer:
    if answer.status != _OK:
        raise Mismatch(f"{what} answered {answer.status}: {answer.text}")
    return answer

"""A plain HTTP client for what is not load: seeding a store, and checking its answers.

It asks as Go's client does, so that what is checked is what the load gets.
"""

import gzip
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from benchmarks.errors import WrongAnswer

__all__ = ["GO_HEADERS", "Call", "Client", "Reply"]

GO_HEADERS = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
"""What Go's client sends with every request."""

_HOST = "127.0.0.1"
_ANSWER_S = 120.0
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a benchmark."""

    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def index(self) -> int:
        """X-Consul-Index; 0 when there is none."""
        return int(self.headers.get("X-Consul-Index", 0))


class Client:
    """One connection that is kept, and made again when a server has closed it."""

    def __init__(self, port: int, answer_s: float = _ANSWER_S) -> None:
        self._connection = http.client.HTTPConnection(_HOST, port, timeout=answer_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        self._connection.close()

    def send(self, call: Call) -> Reply:
        """Send a request and return its answer. Raises OSError or HTTPException without one."""
        try:
            self._connection.request(call.method, call.target, call.body or None, GO_HEADERS)
            answer = self._connection.getresponse()
            headers, body = dict(answer.headers), answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return Reply(answer.status, headers, body)

    def ask(self, call: Call, *, expect: int = 200) -> Reply:
        """Send a request that must be answered with a status. Raises WrongAnswer."""
        try:
            reply = self.send(call)
        except (OSError, http.client.HTTPException) as error:
            raise WrongAnswer(f"{call.method} {call.target} had no answer: {error!r}") from error
        if reply.status != expect:
            said = reply.body[:_SHOWN_BYTES].decode(errors="replace").strip()
            raise WrongAnswer(
                f"{call.method} {call.target} answered {reply.status} ({said}), expected {expect}"
            )
        return reply

"""The server's answers, read by h11, which is stricter than most, and held against the contract."""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h11

__all__ = ["Answer", "Broken", "check_contract", "read_answers"]

STATUSES = {200, 301, 400, 401, 403, 404, 405, 409, 410, 413, 417, 429, 431, 500, 501, 503, 507}
# What may be in a 500: the contract's own texts, and nothing else.
_TEXTS_500 = re.compile(
    rb"|".join(
        (
            b"",
            b"No path to datacenter",
            b"unexpected EOF",
            rb"strconv\.ParseUint: .*",
            b"(?:failed session lookup|failed prepared query lookup): index error: .*",
            b"(?:Session|Prepared Query) lookup failed: .*",
            b"missing session|invalid session .*",
            b"Must provide Node|Missing node registration|Missing check '.*' registration",
            b"Must provide node|agent: No node found with name '.*'",
            b"Invalid Behavior setting '.*'|Invalid Session TTL .*|Session TTL '.*' invalid: .*",
            b"CheckID .*|ServiceID .*|Bad request: Missing service.*",
            b"Cannot modify non-existent prepared query: .*",
            b"Cannot provide tag filter without service filter",
            b".* was not found in the Raft configuration",
            b"stale not allowed for restore",
            b"[12] errors? occurred:\n\t.*",
            b"Network segments are not supported in this version of Consul",
            b"failed to .*",
        )
    ),
    re.DOTALL,
)


class Broken(AssertionError):
    """Answers that should not be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its body unpacked."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def read_answers(data: bytes, methods: Sequence[str]) -> Iterator[Answer]:
    """Yield the answers in all that a server has sent on a connection, up to its end.

    `methods` are those of the requests; when they are used up the rest are GETs. Raises Broken.
    """
    rest, number = data, 0
    while rest:
        method = methods[number] if number < len(methods) else "GET"
        number += 1
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 21)
        try:
            connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            connection.send(h11.EndOfMessage())
            connection.receive_data(rest)
            connection.receive_data(b"")
            answer = _next(connection)
        except h11.ProtocolError as error:
            raise Broken(f"answer {number} is not HTTP: {error}: {rest[:300]!r}") from error
        yield answer
        rest = connection.trailing_data[0]


def _next(connection: h11.Connection) -> Answer:
    response: h11.Response | None = None
    pieces: list[bytes] = []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            break
        elif not isinstance(event, h11.InformationalResponse):
            raise Broken(f"an answer is cut off: {event!r}")
    assert response is not None
    headers = dict(response.headers)
    body = b"".join(pieces)
    if headers.get(b"content-encoding") == b"gzip":
        body = zlib.decompress(body, wbits=31)
    return Answer(response.status_code, headers, body)


def check_contract(answer: Answer) -> None:
    """Raise Broken for a status or a 500 that the contract does not know."""
    if answer.status not in STATUSES:
        raise Broken(f"status {answer.status}: {answer.body[:300]!r}")
    if answer.status == 500 and not _TEXTS_500.fullmatch(answer.body):
        raise Broken(f"a 500 of our own: {answer.body[:300]!r}")

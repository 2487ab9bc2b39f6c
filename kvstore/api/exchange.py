"""The values an endpoint takes and gives: a request, and an answer that may have to wait.

An endpoint is a plain function from a `Request` to an `Answer`. Whoever moves the bytes (one of the
two lanes) brings each answer to its `Response`:

- `Response`: ready;
- `NeedBody`: read the body, give it to `then`, go on with what that returns;
- `Writing`: wait for the outcome of a write, give it to `render`;
- `Working`: wait for a response that takes long to make;
- `Waiting`: wait for a parked read, give it to `render`; `cancel` it when the client is gone;
- `Streaming`: send piece after piece, until the client is gone or the server stops.

Nobody changes one once it is made: their fields are `Final`, which the type checker sees to. A
frozen dataclass takes three times as long to make, and each request makes some.

Knows nothing of sockets, tasks or aiohttp.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kvstore.access.tokens import Tokens
from kvstore.api.query import Query
from kvstore.engine.blocking import Parked
from kvstore.state.applied import Applied, Read

__all__ = [
    "Answer",
    "Endpoint",
    "Methods",
    "NeedBody",
    "Refused",
    "Request",
    "Response",
    "Routes",
    "Streaming",
    "Waiting",
    "Working",
    "Writing",
]


@dataclass(slots=True)
class Request:
    """The head of a request, after routing."""

    # What follows the route's pattern, decoded: the key, the session's id, the node's name.
    rest: Final[bytes]
    query: Final[Query]
    # Case-insensitive.
    headers: Final[Mapping[str, str]]
    # Who may do what; None when everybody may do everything. See `permission.py`.
    tokens: Final[Tokens | None] = None


@dataclass(slots=True)
class Response:
    """An answer but for the headers that belong to the connection (Date, Content-Length)."""

    status: Final[int]
    # Whole header lines, each with its CR LF.
    headers: Final[bytes]
    body: Final[bytes] = b""
    # Whether the body may be compressed for a client that accepts it.
    compressible: Final[bool] = True
    # Whether the connection ends after this answer.
    close: Final[bool] = False
    # The same, compressed, once somebody wanted it; and the making of it, while it takes a thread.
    # See `outgoing.packed`.
    packed: "Response | None" = field(default=None, compare=False, repr=False)
    packing: "asyncio.Future[Response] | None" = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class NeedBody:
    """The request is acceptable so far and has a body to read."""

    # More than this is answered with `too_large`, which takes the size if it is known.
    limit_bytes: Final[int]
    too_large: Final[Callable[[int | None], Response]]
    then: Final[Callable[[bytes], "Answer"]]


@dataclass(slots=True)
class Writing:
    """A write that is on its way; it may end with a KVStoreError."""

    outcome: Final[asyncio.Future[Applied]]
    render: Final[Callable[[Applied], Response]]


@dataclass(slots=True)
class Working:
    """A response that is being made beside the event loop; it may end with a KVStoreError.

    Cancelling it means that nobody wants to know: what was written by then is written.
    """

    response: Final[asyncio.Future[Response]]


@dataclass(slots=True)
class Waiting:
    """A blocking query that is parked."""

    parked: Final[Parked[Any]]
    render: Final[Callable[[Read[Any]], Response]]


@dataclass(slots=True)
class Streaming:
    """A body without an end; its pieces go out as they come, in chunks.

    `pieces` is closed (`aclose`) when nobody reads it any more, also when it was never begun.
    """

    # Whole header lines, each with its CR LF; the status is 200.
    headers: Final[bytes]
    pieces: Final[AsyncGenerator[bytes, None]]


class Refused(Exception):
    """Raised by an endpoint, or by `NeedBody.then`, to answer at once; `refusals.py` catches it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response


Answer = Response | NeedBody | Writing | Working | Waiting | Streaming
Endpoint = Callable[[Request], Answer]

# By method, in the order of the Allow header.
Methods = Mapping[str, Endpoint]
# By pattern: one that ends in "/" matches by prefix, the longest first; the rest match exactly.
Routes = Mapping[bytes, Methods]

"""Errors → responses: the one table of statuses and Consul's texts.

Many of the client's mistakes are a 500 in Consul; clients match on status and text, so they stay.
"""

from collections.abc import Callable
from typing import TypeVar

from kvstore.api.exchange import Answer, Refused, Response
from kvstore.api.responses import text
from kvstore.errors import (
    InvalidRequest,
    InvalidSession,
    InvalidSessionId,
    JournalUnwritable,
    KVStoreError,
    MissingSession,
    NoRoom,
    Overloaded,
    Stopping,
    TooManySessions,
    UnknownSession,
)

__all__ = ["guarded", "reason", "refusal"]

T = TypeVar("T")

_STATUS: dict[type[KVStoreError], int] = {
    InvalidRequest: 500,  # P4: "strconv.ParseUint: …"
    InvalidSession: 500,  # S3, S5, S7
    InvalidSessionId: 500,  # S9
    MissingSession: 500,  # L3
    UnknownSession: 500,  # L3
    JournalUnwritable: 500,
    NoRoom: 507,
    Overloaded: 503,
    Stopping: 503,
    TooManySessions: 503,
}


def refusal(error: KVStoreError, headers: bytes = b"") -> Response:
    """Return what a client is told of an error."""
    return text(_STATUS.get(type(error), 500), reason(error), headers)


def reason(error: KVStoreError) -> str:
    """Return an error in Consul's words."""
    if isinstance(error, InvalidSessionId):
        return f"failed session lookup: index error: {error}"
    return str(error)


def guarded(step: Callable[[T], Answer], argument: T) -> Answer:
    """Return what an endpoint or a `NeedBody.then` answers, refusals included."""
    try:
        return step(argument)
    except Refused as refused:
        return refused.response
    except KVStoreError as error:
        return refusal(error)

"""Errors as responses: the one table of statuses."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from pathlib import Path

import pytest

from kvstore.api.exchange import Answer, Refused, Response
from kvstore.api.refusals import guarded, refusal
from kvstore.api.responses import NOT_LOOKED
from kvstore.errors import (
    InvalidRequest,
    InvalidSession,
    InvalidSessionId,
    InvariantBroken,
    JournalUnwritable,
    KVStoreError,
    MissingSession,
    Overloaded,
    Stopping,
    UnknownSession,
)

from .calls import head


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (InvalidRequest("strconv.ParseUint: x"), 500, "strconv.ParseUint: x"),
        (InvalidSession("Missing node registration"), 500, "Missing node registration"),
        (MissingSession(), 500, "missing session"),
        (UnknownSession("abc"), 500, 'invalid session "abc"'),
        (
            InvalidSessionId("UUID must be 36 characters"),
            500,
            "failed session lookup: index error: UUID must be 36 characters",
        ),
        (
            JournalUnwritable(Path("/d/1.journal"), OSError(28, "No space left on device")),
            500,
            "the journal cannot be written: /d/1.journal: No space left on device",
        ),
        (Overloaded(9), 503, "too many writes are waiting, the limit is 9: try again"),
        (Stopping(), 503, "the server is stopping"),
        (InvariantBroken("index 7 came after 5"), 500, "index 7 came after 5"),
    ],
)
def test_L3_S9_status_and_text(error: KVStoreError, status: int, body: str) -> None:
    """Consul's texts with Consul's 500; a moment that passes is a 503."""
    response = refusal(error)
    assert (response.status, response.body.decode()) == (status, body)
    assert head(response)["Content-Type"] == "text/plain; charset=utf-8"


def test_headers_go_with_a_refusal() -> None:
    """Session reads say with an error that nobody has looked."""
    assert head(refusal(MissingSession(), NOT_LOOKED))["X-Consul-Knownleader"] == "false"


def test_guarded_passes_an_answer_on() -> None:
    """A step that goes well answers for itself, with its argument."""
    assert guarded(lambda body: Response(200, b"", body), b"x") == Response(200, b"", b"x")


def test_guarded_answers_what_is_refused() -> None:
    """A Refused is its own response, an error becomes one."""
    response = Response(400, b"")

    def refuse(error: Exception) -> Answer:
        raise error

    assert guarded(refuse, Refused(response)) is response
    assert guarded(refuse, Stopping()) == refusal(Stopping())


def test_guarded_hides_no_bug() -> None:
    """What is not raised on purpose is not answered as if it were."""

    def stumble(_: bytes) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(stumble, b"")

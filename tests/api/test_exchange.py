"""The values between endpoints and lanes: they cannot change on the way."""

from dataclasses import FrozenInstanceError

import pytest

from kvstore.api.exchange import NeedBody, Refused, Request, Response

from .calls import read_query


def test_a_response_may_be_compressed_and_keeps_the_connection() -> None:
    """Unless it says otherwise, a response has no body, gains by gzip and ends nothing."""
    response = Response(200, b"")
    assert (response.body, response.compressible, response.close) == (b"", True, False)


def test_a_response_is_shared_and_cannot_change() -> None:
    """The same response can answer many requests, since nobody can change it."""
    response = Response(404, b"")
    with pytest.raises(FrozenInstanceError):
        response.status = 200  # type: ignore[misc]


def test_a_request_cannot_change() -> None:
    """An endpoint's later half sees the request that its first half has checked."""
    request = Request(b"key", read_query("raw"), {})
    with pytest.raises(FrozenInstanceError):
        request.rest = b"other"  # type: ignore[misc]


def test_refused_carries_its_response() -> None:
    """Whoever catches a Refused has the whole answer."""
    response = Response(400, b"", b"no")
    assert Refused(response).response is response


def test_need_body_names_its_limit_and_what_follows() -> None:
    """A lane has all it needs to read a body: how much, what if more, and what then."""
    response, too_large = Response(200, b""), Response(413, b"")
    wanted = NeedBody(7, lambda _: too_large, lambda _: response)
    assert wanted.limit_bytes == 7
    assert wanted.too_large(8) is too_large
    assert wanted.then(b"body") is response

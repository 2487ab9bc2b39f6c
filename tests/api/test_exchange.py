"""The values between endpoints and lanes."""

from kvstore.api.exchange import NeedBody, Refused, Response


def test_a_response_may_be_compressed_and_keeps_the_connection() -> None:
    """Unless it says otherwise, a response has no body, gains by gzip and ends nothing."""
    response = Response(200, b"")
    assert (response.body, response.compressible, response.close) == (b"", True, False)


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

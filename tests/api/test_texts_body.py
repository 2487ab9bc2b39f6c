"""Bodies that are objects of texts."""

import pytest

from kvstore.api.exchange import NeedBody, Refused, Response
from kvstore.api.responses import empty
from kvstore.api.texts_body import TEXTS_BODY_BYTES_MAX, TextsBody
from kvstore.errors import InvalidRequest

KIND = TextsBody(("Status", "Output"), "checkUpdate", "agent.checkUpdate")


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"{}", {"Status": "", "Output": ""}),
        (b"null", {"Status": "", "Output": ""}),
        (b'{"Status":"a","Output":"b"}', {"Status": "a", "Output": "b"}),
        (b'{"status":"a","OUTPUT":null}', {"Status": "a", "Output": ""}),
        (b'{"Status":"a","status":"b"} rest', {"Status": "b", "Output": ""}),
    ],
)
def test_members(body: bytes, members: dict[str, str]) -> None:
    """Any letter case, null is the default, the last of two wins, what follows is not read."""
    assert KIND.parse(body) == members


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"Foo":1}', 'json: unknown field "Foo"'),
        (b"[]", "json: cannot unmarshal array into Go value of type agent.checkUpdate"),
        (
            b'{"status":5}',
            "json: cannot unmarshal number into Go struct field checkUpdate.Status of type string",
        ),
    ],
)
def test_what_is_wrong(body: bytes, reason: str) -> None:
    """In Go's words."""
    with pytest.raises(InvalidRequest) as error:
        KIND.parse(body)
    assert str(error.value) == reason


def test_the_body_is_asked_for() -> None:
    """What can be read goes on; what cannot is a 400, and more than the limit a 413."""
    seen: list[dict[str, str]] = []

    def then(members: dict[str, str]) -> Response:
        seen.append(members)
        return empty(200)

    wanted = KIND.wanted(then)
    assert isinstance(wanted, NeedBody)
    wanted.then(b'{"Status":"passing"}')
    assert seen == [{"Status": "passing", "Output": ""}]
    with pytest.raises(Refused) as refused:
        wanted.then(b"{")
    response = refused.value.response
    assert (response.status, response.body) == (400, b"Request decode failed: unexpected EOF")
    assert wanted.limit_bytes == TEXTS_BODY_BYTES_MAX
    assert b"(70000 bytes) too large" in wanted.too_large(70000).body
    assert wanted.too_large(None).status == 413

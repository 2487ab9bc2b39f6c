"""Operations as text and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.fuzz.drawing import draw_episode
from conformance.fuzz.operation import Call, Park
from conformance.fuzz.script import BadScript, format_operation, format_script, parse_script

LINES = {
    "GET /v1/kv/{P}a": Call("GET", "/v1/kv/{P}a"),
    'PUT /v1/kv/{P}a?cas={m:a} "v\\xff"': Call("PUT", "/v1/kv/{P}a?cas={m:a}", b"v\xff"),
    'PUT /v1/kv/{P}b chunked 600000*"x"': Call("PUT", "/v1/kv/{P}b", b"x" * 600000, chunked=True),
    'PUT /x "a" 70*"b" "\\"c"': Call("PUT", "/x", b"a" + b"b" * 70 + b'"c'),
    'PUT /x ""': Call("PUT", "/x", b""),
    "GET /x [Accept-Encoding: gzip] [A: ]": Call(
        "GET", "/x", headers=(("Accept-Encoding", "gzip"), ("A", ""))
    ),
    "GET /v1/kv/\\xc3\\xa9": Call("GET", "/v1/kv/\xc3\xa9"),
    "park /v1/kv/{P}a?raw": Park("/v1/kv/{P}a?raw"),
    "park /v1/kv/{P}?recurse wait=10ms ahead=-1": Park("/v1/kv/{P}?recurse", "10ms", -1),
}


@pytest.mark.parametrize("line", LINES)
def test_lines(line: str) -> None:
    """A line is what it says, and is written as it was read."""
    assert parse_script(line) == [LINES[line]]
    assert format_operation(LINES[line]) == line


def test_comments_and_empty_lines() -> None:
    """Are left out."""
    assert parse_script("# a comment\n\n  GET /x\n  # more\n") == [Call("GET", "/x")]


@pytest.mark.parametrize("number", range(5))
def test_what_is_drawn_can_be_written_down(number: int) -> None:
    """Whole episodes, byte for byte."""
    drawn = draw_episode(1, number)
    assert parse_script(format_script(drawn)) == drawn


@given(st.binary(), st.text(st.characters(max_codepoint=255), min_size=1), st.booleans())
def test_any_body_and_target(body: bytes, rest: str, chunked: bool) -> None:  # noqa: FBT001
    """Survive."""
    call = Call("PUT", f"/{rest}", body, chunked=chunked)
    assert parse_script(format_script([call])) == [call]


@pytest.mark.parametrize(
    "line",
    ["GET", "", "GET /x what", "park /x wait", "park /x soon=1", "park /x ahead=x", '"a" /x'],
)
def test_what_is_no_operation_is_refused(line: str) -> None:
    """With the number of the line, and what one looks like."""
    if not line:
        assert parse_script(line) == []
        return
    with pytest.raises(BadScript, match=r"line 2 is no operation: .* expected METHOD TARGET"):
        parse_script(f"GET /x\n{line}")

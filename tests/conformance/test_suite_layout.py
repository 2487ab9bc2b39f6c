"""JSON by its tokens, and where two texts part."""

import gzip
import socket

import pytest

from conformance.suite.layout import compact, is_indented
from conformance.suite.pointing import pointed
from conformance.suite.wire import Connection

INDENTED = b'[\n    {\n        "Key": "a b\\" \\\\",\n        "Flags": 0\n    }\n]\n'
COMPACT = b'[{"Key":"a b\\" \\\\","Flags":0}]'


def test_blanks_between_tokens_go() -> None:
    """Those within strings stay, and so do order and spelling."""
    assert compact(INDENTED) == COMPACT
    assert compact(COMPACT) == COMPACT
    assert (is_indented(INDENTED), is_indented(COMPACT), is_indented(b"[]\n")) == (
        *(True, False, True),
    )


@pytest.mark.parametrize(
    ("kind", "body", "shown"),
    [
        ("application/json", INDENTED, COMPACT),
        ("text/plain", INDENTED, INDENTED),
        ("application/json", b"", b""),
    ],
)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_connection_compacts(kind: str, body: bytes, shown: bytes, coding: str) -> None:
    """Only JSON, and packed as it came."""
    sent = gzip.compress(body) if coding and body else body
    coded = f"Content-Encoding: {coding}\r\n" if coding else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{coded}Content-Length: {len(sent)}\r\n\r\n"
    ours, theirs = socket.socketpair()
    with theirs, Connection(ours, compacts=True) as connection:
        theirs.sendall(head.encode() + sent)
        answer = connection.read()
    assert answer.plain == shown
    assert answer.get("Content-Encoding") == (coding or None)


def test_short_texts_are_named() -> None:
    """Whole, on one line."""
    assert pointed("false", "true\n") == "“true\\n” instead of “false”"
    assert pointed("", "x") == "“x” instead of nothing"


def test_long_texts_are_pointed_at() -> None:
    """The mark stands below the first difference, whatever is before it."""
    expected = "first line\n" + "a" * 50 + "\x1bB" + "c" * 50
    got = "first line\n" + "a" * 50 + "\x1bX" + "c" * 50
    where, wanted, came, mark = pointed(expected, got).splitlines()
    assert where == "from line 2, column 52:"
    assert (wanted[mark.index("^")], came[mark.index("^")]) == ("B", "X")
    assert "\\x1bB" in wanted
    assert pointed("a" * 70, "a" * 69).splitlines()[2].endswith("a(ends here)")

"""What is no request to the parser: which words a client hears last, and what is put right."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import logging

import pytest

from kvstore.api.exchange import Answer, Response
from kvstore.api.outgoing import (
    BAD_REQUEST,
    HEAD_TOO_LARGE,
    NO_HOST,
    TLS_ON_PLAIN_PORT,
    TWO_HOSTS,
)
from kvstore.api.responses import plain, text
from kvstore.api.router import BAD_REQUEST as BAD_REQUEST_ANSWER
from kvstore.api.unparsed import HeadRefused, encode_last, escape_target, unparsed
from kvstore.api.web import BadHttpMethod, HttpProcessingError, LineTooLong


def nowhere(method: str, target: str) -> Answer:
    """Route nothing."""
    pytest.fail(f"{method} {target} was routed")


@pytest.mark.parametrize(
    ("data", "escaped"),
    [
        (b"GET /v1/kv/\xc3\xa9 HTTP/1.1\r\n", b"GET /v1/kv/%C3%A9 HTTP/1.1\r\n"),
        (b"GET /v1/kv/a?b=\xff HTTP/1.0\r\n", b"GET /v1/kv/a?b=%FF HTTP/1.0\r\n"),
        # Only the target of the head that it begins with.
        (b"GET /a HTTP/1.1\r\nX: \xff\r\n", b"GET /a HTTP/1.1\r\nX: \xff\r\n"),
        (b"X: 1\r\nGET /\xff HTTP/1.1\r\n", b"X: 1\r\nGET /\xff HTTP/1.1\r\n"),
        # What is no request line stays as it is.
        (b"\xff", b"\xff"),
        (b"GET \xff HTTP/1.1\r\n", b"GET \xff HTTP/1.1\r\n"),
        (b"GET /\xff HTTP/2.0\r\n", b"GET /\xff HTTP/2.0\r\n"),
    ],
)
def test_targets_that_should_have_been_escaped(data: bytes, escaped: bytes) -> None:
    """They are, where Go's server would have taken them."""
    assert escape_target(data) == escaped


@pytest.mark.parametrize(
    ("error", "message", "words"),
    [
        (HeadRefused(b"late"), "refused", b"late"),
        (LineTooLong(b"GET", 5), "400, message: Got more than 5 bytes", HEAD_TOO_LARGE),
        (HttpProcessingError(), "Missing 'Host' header in request.", NO_HOST),
        (HttpProcessingError(), "Duplicate 'Host' header found.", TWO_HOSTS),
        (HttpProcessingError(), "Invalid header token", BAD_REQUEST),
        (None, None, BAD_REQUEST),
    ],
)
def test_last_words(error: Exception | None, message: str | None, words: bytes) -> None:
    """As Go's server says them, by what the parser makes of it."""
    assert unparsed(error, 400, message, b"GET / HTTP/1.1\r\n", nowhere) == words


def test_TLS_on_a_port_without_it() -> None:
    """The beginning of a handshake is told from a strange method."""
    words = unparsed(BadHttpMethod(), 400, "", b"\x16\x03\x01\x02\x00\x01", nowhere)
    assert words == TLS_ON_PLAIN_PORT


def test_H1_a_strange_method_is_routed() -> None:
    """A method that the parser does not know is answered as the routes say, and then it is over."""
    asked = []

    def route(method: str, target: str) -> Answer:
        asked.append((method, target))
        return text(405, "method FOO not allowed")

    words = unparsed(BadHttpMethod(), 400, "", b"FOO /v1/kv/a HTTP/1.1\r\nHost: x\r\n", route)
    assert asked == [("FOO", "/v1/kv/a")]
    assert words.startswith(b"HTTP/1.1 405 ")
    assert b"Connection: close\r\n" in words
    assert words.endswith(b"method FOO not allowed")


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"FOO",
        b"FOO /a HTTP/3\r\n",
        b"F\x00O /a HTTP/1.1\r\n",
        # Sound by itself: what came with it is not, and it is not to be done now.
        b"PUT /v1/kv/a HTTP/1.1\r\n",
    ],
)
def test_strange_methods_that_are_none(received: bytes) -> None:
    """They are no request, and nothing is routed."""
    assert unparsed(BadHttpMethod(), 400, "", received, nowhere) == BAD_REQUEST


def test_a_strange_method_with_a_target_that_is_none() -> None:
    """It is a bad request like any other."""
    line = b"FOO /%zz HTTP/1.1\r\n"
    assert unparsed(BadHttpMethod(), 400, "", line, lambda *_: BAD_REQUEST_ANSWER) == BAD_REQUEST


def test_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client hears of an internal error, the log has all of it."""
    words = unparsed(ZeroDivisionError(), 500, None, b"", nowhere)
    assert words.startswith(b"HTTP/1.1 500 ")
    assert words.endswith(b"internal error")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


def test_a_last_answer_ends_its_connection() -> None:
    """Whatever it was before."""
    assert not plain(408, "late").close
    words = encode_last(Response(408, b"", b"late"))
    assert b"Connection: close\r\n" in words
    assert words.endswith(b"\r\n\r\nlate")

"""Answers as they come from a socket."""

import gzip

import pytest

from benchmarks.answers import body_of, index_of, is_whole, status_of

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Consul-Index: 17\r\n\r\ntrue"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n"
PACKED = gzip.compress(b"true")
GZIPPED = b"HTTP/1.1 404 Not Found\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (
    len(PACKED),
    PACKED,
)


@pytest.mark.parametrize("raw", [PLAIN, CHUNKED, GZIPPED])
def test_an_answer_is_whole_when_its_last_byte_is_there(raw: bytes) -> None:
    """And not one byte before."""
    assert [end for end in range(len(raw) + 1) if is_whole(raw[:end])] == [len(raw)]


@pytest.mark.parametrize("raw", [PLAIN, CHUNKED, GZIPPED])
def test_the_body_is_what_was_meant(raw: bytes) -> None:
    """Without chunks and compression."""
    assert body_of(raw) == b"true"


def test_head() -> None:
    """Status and index; 0 where there is none."""
    assert (status_of(PLAIN), index_of(PLAIN)) == (200, 17)
    assert (status_of(GZIPPED), index_of(GZIPPED)) == (404, 0)

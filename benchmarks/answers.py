"""When an HTTP answer is whole, and what is in it. Pure."""

import gzip
import re

__all__ = ["body_of", "index_of", "is_whole", "status_of"]

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_INDEX = re.compile(rb"\r\nx-consul-index: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_GZIP = re.compile(rb"\r\ncontent-encoding: *gzip", re.IGNORECASE)


def is_whole(raw: bytes | bytearray) -> bool:
    """Return whether all of an answer has come."""
    end = raw.find(_END)
    if end < 0:
        return False
    length = _LENGTH.search(raw, 0, end)
    if length is not None:
        return len(raw) >= end + len(_END) + int(length[1])
    return raw.endswith(b"\r\n0\r\n\r\n")


def status_of(raw: bytes | bytearray) -> int:
    """Return the status of an answer."""
    return int(raw[9:12])


def index_of(raw: bytes | bytearray) -> int:
    """Return X-Consul-Index; 0 when there is none."""
    found = _INDEX.search(raw, 0, raw.find(_END))
    return int(found[1]) if found else 0


def body_of(raw: bytes | bytearray) -> bytes:
    """Return the body of a whole answer, its chunks joined and decompressed."""
    head, _, body = bytes(raw).partition(_END)
    if _CHUNKED.search(head):
        body = b"".join(_chunks(body))
    return gzip.decompress(body) if _GZIP.search(head) else body


def _chunks(raw: bytes) -> list[bytes]:
    chunks: list[bytes] = []
    while True:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return chunks
        chunks.append(raw[:length])
        raw = raw[length + 2 :]

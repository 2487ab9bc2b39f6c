"""Compression of bodies, for clients that accept it and bodies that gain by it.

Consul 1.8.7 compresses every body, also `true`; newer ones from about 1,400 bytes on (contract H32,
V4). We do as the newer ones (rule small-bodies-plain): Go clients accept gzip on every request, and
for a small body the work is all there is.
"""

import zlib
from functools import lru_cache

try:
    # Three times as fast as zlib, and more, for the same size. There are wheels for x86-64 and ARM;
    # elsewhere it is not asked for (pyproject.toml).
    from isal import igzip_lib
except ImportError:
    igzip_lib = None  # type: ignore[assignment]

__all__ = ["GZIP_BYTES_MIN", "accepts_gzip", "compress"]

# Source: Consul 1.15, gziphandler.DefaultMinSize: below it, a packet is not saved.
GZIP_BYTES_MIN = 1400
# The fastest level: lists of entries shrink to a third with it, and hardly more with others.
_LEVEL = 1
_HEADER_CHARS_MAX = 1024
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header names gzip, in any letter case, with q above 0.

    One that is longer than any client's is not looked at.
    """
    return len(accept_encoding) <= _HEADER_CHARS_MAX and _accepts_gzip(accept_encoding)


@lru_cache(maxsize=64)
def _accepts_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.split(","):
        coding, *parameters = part.split(";")
        if coding.strip().lower() == "gzip":
            return all(_quality(parameter) > 0 for parameter in parameters)
    return False


def _quality(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def compress(body: bytes) -> bytes:
    """Return a body in gzip's format. Holds up the caller 3 ms a megabyte, but not the GIL."""
    if igzip_lib is None:
        return zlib.compress(body, _LEVEL, _GZIP_WINDOW_BITS)
    # What it works in by default is 280 KiB, mapped and unmapped for each answer: half its time.
    memory = igzip_lib.MEM_LEVEL_SMALL
    return igzip_lib.compress(body, _LEVEL, igzip_lib.COMP_GZIP, memory)

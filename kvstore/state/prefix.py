"""Byte prefixes: a prefix is a plain byte prefix, not a path (contract G2)."""

__all__ = ["prefix_end"]


def prefix_end(prefix: bytes) -> bytes | None:
    r"""Return the smallest byte string after all that start with `prefix`, None if there is none.

    >>> prefix_end(b"web/")
    b'web0'
    >>> prefix_end(b"a\xff")
    b'b'
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None

"""Byte prefixes: a prefix is a plain byte prefix, not a path (contract G2)."""

from collections.abc import Iterable

__all__ = ["cut_names", "prefix_end"]


def prefix_end(prefix: bytes) -> bytes | None:
    r"""Return the smallest byte string after all that start with `prefix`, None if there is none.

    >>> prefix_end(b"web/")
    b'web0'
    >>> prefix_end(b"a\xff")
    b'b'
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def cut_names(names: Iterable[bytes], prefix: bytes, separator: bytes) -> list[bytes]:
    """Cut each name after its first separator behind the prefix, and list each but once (G4).

    The names begin with the prefix and are in order; without a separator they stay as they are.

    >>> cut_names([b"a/b", b"a/c/d", b"a/c/e"], b"a/", b"/")
    [b'a/b', b'a/c/']
    """
    if not separator:
        return list(names)
    start = len(prefix)
    cut_ones: list[bytes] = []
    for name in names:
        cut = name.find(separator, start)
        short = name if cut < 0 else name[: cut + len(separator)]
        if not cut_ones or cut_ones[-1] != short:
            cut_ones.append(short)
    return cut_ones

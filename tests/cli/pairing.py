"""Exports as text, in one go."""

import io

from kvstore.cli.pairs import Pair, PairReader, PairWriter

__all__ = ["REPLACED", "read", "written"]

# How a byte that is no UTF-8 is shown.
REPLACED = "\ufffd".encode()


def written(some: list[Pair]) -> bytes:
    """Return the text of an export."""
    file = io.BytesIO()
    writer = PairWriter(file)
    writer.write(some)
    writer.close()
    return file.getvalue()


def read(*pieces: str) -> list[Pair]:
    """Return the pairs of a text that comes in pieces."""
    reader = PairReader()
    found = [pair for piece in pieces for pair in reader.feed(piece)]
    reader.close()
    return found

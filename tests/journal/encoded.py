"""Whole bodies and frames, as bytes."""

from collections.abc import Sequence

from kvstore.journal.codec import CommandEncoder
from kvstore.journal.frame import encode_frame_header
from kvstore.state.command import Command

__all__ = ["encode_commands", "encode_frame"]


def encode_commands(commands: Sequence[Command]) -> bytes:
    """Return the body of one batch."""
    return bytes(CommandEncoder().encode(commands))


def encode_frame(
    salt: int, first_index: int, written_ms: int, count: int, body: bytes, *, synced_before: bool
) -> bytes:
    """Return the bytes of one batch for a file with this salt."""
    header = encode_frame_header(
        salt, first_index, written_ms, count, body, synced_before=synced_before
    )
    return header + body

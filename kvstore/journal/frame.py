"""The bytes of a segment: its header, then frames; pure, opens no file. See docs/journal-format.md.

A frame is one batch: what was written by one write and synced by one sync. So only the last frame
of the last segment can ever be unfinished, and a sound frame proves that everything before it was
synced (it says so itself, since a journal can be told not to sync). That tells a torn tail, which
is normal after a crash and holds nothing acknowledged, from damage, which is not; the two never
share a branch.

Every checksum of a frame starts from its segment's salt, a number no client knows, so that a
stored value that looks like a frame is never taken for one.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

__all__ = [
    "FRAME_HEADER_BYTES",
    "SEGMENT_HEADER_BYTES",
    "BadHeader",
    "Damage",
    "Frame",
    "SegmentHeader",
    "TornTail",
    "decode_segment_header",
    "encode_frame",
    "encode_segment_header",
    "scan_frames",
]

FORMAT_VERSION = 1
# Like PNG's: a transfer that rewrites line ends or strips the eighth bit is seen at once.
_SEGMENT_MAGIC = b"\x89kvj\r\n\x1a\n"
# magic, format version, salt, first index, created (ms); then the header's checksum.
_SEGMENT = struct.Struct("<8sIIQQ")
_FRAME_MAGIC = b"KVBt"
# magic, body length, first index, written (ms), commands, flags, body checksum; then the header's.
_FRAME = struct.Struct("<4sIQQIII")
# Flag: everything before this frame was synced before it was written.
_SYNCED_BEFORE = 1
_CRC = struct.Struct("<I")

SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
FRAME_HEADER_BYTES = _FRAME.size + _CRC.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What the first bytes of a segment say."""

    first_index: int
    created_ms: int
    # 0 to 2**32-1, drawn for each segment.
    salt: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One sound batch."""

    first_index: int
    written_ms: int
    # 0 for the seal that a clean close leaves.
    command_count: int
    # Whether everything before it was synced before it was written.
    synced_before: bool
    body: bytes
    # Where the frame begins and where the next one would.
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes behind the last sound frame, of which none is shown to have been synced."""

    offset: int
    # Without the zeros at the end, which are space that was never written.
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BadHeader:
    """A segment header that cannot be used."""

    reason: str
    # Whether its bytes are whole and somebody's, so that this is not the trace of a crash.
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that cannot be read though a sound frame behind them shows that they were synced."""

    offset: int
    reason: str


def encode_segment_header(header: SegmentHeader) -> bytes:
    """Return the first SEGMENT_HEADER_BYTES of a segment."""
    fields = _SEGMENT.pack(
        _SEGMENT_MAGIC, FORMAT_VERSION, header.salt, header.first_index, header.created_ms
    )
    return fields + _CRC.pack(crc32(fields))


def decode_segment_header(data: bytes | memoryview) -> SegmentHeader | BadHeader:
    """Return what a segment's first bytes say, or what is wrong with them."""
    if len(data) < SEGMENT_HEADER_BYTES:
        reason = f"the header has {len(data)} bytes, expected {SEGMENT_HEADER_BYTES}"
        return BadHeader(reason, is_whole=False)
    fields = bytes(data[: _SEGMENT.size])
    (checksum,) = _CRC.unpack_from(data, _SEGMENT.size)
    magic, version, salt, first_index, created_ms = _SEGMENT.unpack(fields)
    if checksum != crc32(fields):
        return BadHeader("the header's checksum does not match", is_whole=False)
    if magic != _SEGMENT_MAGIC:
        return BadHeader("this is not a journal segment", is_whole=True)
    if version != FORMAT_VERSION:
        reason = f"format version {version} is not known here, expected {FORMAT_VERSION}"
        return BadHeader(reason, is_whole=True)
    return SegmentHeader(first_index, created_ms, salt)


def encode_frame(
    salt: int,
    first_index: int,
    written_ms: int,
    command_count: int,
    body: bytes,
    *,
    synced_before: bool,
) -> bytes:
    """Return the bytes of one batch for a segment with this salt."""
    flags = _SYNCED_BEFORE if synced_before else 0
    fields = _FRAME.pack(
        _FRAME_MAGIC, len(body), first_index, written_ms, command_count, flags, crc32(body, salt)
    )
    return b"".join((fields, _CRC.pack(crc32(fields, salt)), body))


def scan_frames(
    data: bytes | memoryview, header: SegmentHeader
) -> Iterator[Frame | TornTail | Damage]:
    """Yield the frames of a segment's bytes (its header included) in order.

    A TornTail or a Damage ends the scan. Zeros from the last frame to the end are unused space:
    a TornTail of size 0.
    """
    view = memoryview(data)
    offset, index = SEGMENT_HEADER_BYTES, header.first_index
    while offset < len(view):
        frame = _frame_at(view, offset, header.salt)
        if isinstance(frame, str):
            yield _end_of_frames(view, offset, header.salt, frame)
            return
        if frame.first_index != index:
            yield Damage(offset, f"expected index {index}, found {frame.first_index}")
            return
        yield frame
        offset, index = frame.end, index + frame.command_count


def _frame_at(view: memoryview, offset: int, salt: int) -> Frame | str:
    """Return the frame at an offset, or a sentence that says why there is none."""
    start = offset + FRAME_HEADER_BYTES
    if start > len(view):
        return "the frame's header is incomplete"
    fields = view[offset : offset + _FRAME.size]
    magic, size, first_index, written_ms, count, flags, body_crc = _FRAME.unpack(fields)
    (header_crc,) = _CRC.unpack_from(view, offset + _FRAME.size)
    if magic != _FRAME_MAGIC or header_crc != crc32(fields, salt):
        return "the frame's header does not match its checksum"
    body = view[start : start + size]
    if len(body) != size:
        return f"the frame's body has {len(body)} bytes of {size}"
    if crc32(body, salt) != body_crc:
        return "the frame's body does not match its checksum"
    synced_before = bool(flags & _SYNCED_BEFORE)
    return Frame(first_index, written_ms, count, synced_before, bytes(body), offset, start + size)


def _end_of_frames(view: memoryview, offset: int, salt: int, reason: str) -> TornTail | Damage:
    """Tell a torn tail from damage, behind which there is a frame written after a sync."""
    rest = bytes(view[offset:])
    at = rest.find(_FRAME_MAGIC, 1)
    while at >= 0:
        later = _frame_at(view, offset + at, salt)
        if isinstance(later, Frame) and later.synced_before:
            return Damage(offset, f"{reason}, yet a sound frame follows at {offset + at}")
        at = rest.find(_FRAME_MAGIC, at + 1)
    return TornTail(offset, len(rest.rstrip(b"\0")))

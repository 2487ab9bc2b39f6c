"""The bytes of a file: its header, then frames; pure, opens no file. See docs/journal-format.md.

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
from enum import Enum
from zlib import crc32

__all__ = [
    "FILE_HEADER_BYTES",
    "FRAME_HEADER_BYTES",
    "BadHeader",
    "Damage",
    "FileHeader",
    "FileKind",
    "Frame",
    "FrameHeader",
    "TornTail",
    "decode_file_header",
    "decode_frame_header",
    "encode_file_header",
    "encode_frame_header",
    "frame_of",
    "scan_frames",
]

FORMAT_VERSION = 1
# magic, format version, salt, index, created (ms); then the header's checksum.
_FILE = struct.Struct("<8sIIQQ")
_FRAME_MAGIC = b"KVBt"
# magic, body length, first index, written (ms), commands, flags, body checksum; then the header's.
_FRAME = struct.Struct("<4sIQQIII")
# Flag: everything before this frame was synced before it was written.
_SYNCED_BEFORE = 1
_CRC = struct.Struct("<I")

FILE_HEADER_BYTES = _FILE.size + _CRC.size
FRAME_HEADER_BYTES = _FRAME.size + _CRC.size


class FileKind(Enum):
    """What a file is, by its magic.

    Like PNG's: a transfer that rewrites line ends or strips the eighth bit is seen at once.
    """

    SEGMENT = b"\x89kvj\r\n\x1a\n"
    SNAPSHOT = b"\x89kvs\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What the first bytes of a file say."""

    # Of a segment's first record; of the last record that a snapshot holds the outcome of.
    index: int
    created_ms: int
    # 0 to 2**32-1, drawn for each file.
    salt: int


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What the first bytes of a frame say of it."""

    first_index: int
    written_ms: int
    command_count: int
    synced_before: bool
    body_bytes: int
    body_crc: int


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
    """A file's header that cannot be used."""

    reason: str
    # Whether its bytes are whole and somebody's, so that this is not the trace of a crash.
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that cannot be read though a sound frame behind them shows that they were synced."""

    offset: int
    reason: str


def encode_file_header(kind: FileKind, header: FileHeader) -> bytes:
    """Return the first FILE_HEADER_BYTES of a file."""
    fields = _FILE.pack(kind.value, FORMAT_VERSION, header.salt, header.index, header.created_ms)
    return fields + _CRC.pack(crc32(fields))


def decode_file_header(kind: FileKind, data: bytes | memoryview) -> FileHeader | BadHeader:
    """Return what a file's first bytes say, or what is wrong with them."""
    if len(data) < FILE_HEADER_BYTES:
        reason = f"the header has {len(data)} bytes, expected {FILE_HEADER_BYTES}"
        return BadHeader(reason, is_whole=False)
    fields = bytes(data[: _FILE.size])
    (checksum,) = _CRC.unpack_from(data, _FILE.size)
    magic, version, salt, index, created_ms = _FILE.unpack(fields)
    if checksum != crc32(fields):
        return BadHeader("the header's checksum does not match", is_whole=False)
    if magic != kind.value:
        return BadHeader(f"this is not a journal's {kind.name.lower()}", is_whole=True)
    if version != FORMAT_VERSION:
        reason = f"format version {version} is not known here, expected {FORMAT_VERSION}"
        return BadHeader(reason, is_whole=True)
    return FileHeader(index, created_ms, salt)


def encode_frame_header(
    salt: int,
    first_index: int,
    written_ms: int,
    command_count: int,
    body: bytes | memoryview,
    *,
    synced_before: bool,
) -> bytes:
    """Return what comes before the body of one batch, in a file with this salt."""
    flags = _SYNCED_BEFORE if synced_before else 0
    fields = _FRAME.pack(
        _FRAME_MAGIC, len(body), first_index, written_ms, command_count, flags, crc32(body, salt)
    )
    return fields + _CRC.pack(crc32(fields, salt))


def scan_frames(
    data: bytes | memoryview, header: FileHeader, behind: Frame | None = None
) -> Iterator[Frame | TornTail | Damage]:
    """Yield the frames of a segment's bytes (its header included) in order, or those behind one.

    A TornTail or a Damage ends the scan. Zeros from the last frame to the end are unused space:
    a TornTail of size 0.
    """
    view = memoryview(data)
    offset, index = FILE_HEADER_BYTES, header.index
    if behind is not None:
        offset, index = behind.end, behind.first_index + behind.command_count
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


def decode_frame_header(data: bytes | memoryview, salt: int) -> FrameHeader | str:
    """Return what a frame's first bytes say, or a sentence that says why they are none."""
    if len(data) < FRAME_HEADER_BYTES:
        return "the frame's header is incomplete"
    fields = data[: _FRAME.size]
    magic, size, first_index, written_ms, count, flags, body_crc = _FRAME.unpack(fields)
    (header_crc,) = _CRC.unpack_from(data, _FRAME.size)
    if magic != _FRAME_MAGIC or header_crc != crc32(fields, salt):
        return "the frame's header does not match its checksum"
    synced_before = bool(flags & _SYNCED_BEFORE)
    return FrameHeader(first_index, written_ms, count, synced_before, size, body_crc)


def frame_of(header: FrameHeader, body: bytes | memoryview, salt: int, offset: int) -> Frame | str:
    """Return the frame with this header and body, or a sentence that says what is wrong with it."""
    if len(body) != header.body_bytes:
        return f"the frame's body has {len(body)} bytes of {header.body_bytes}"
    if crc32(body, salt) != header.body_crc:
        return "the frame's body does not match its checksum"
    end = offset + FRAME_HEADER_BYTES + header.body_bytes
    return Frame(
        header.first_index,
        header.written_ms,
        header.command_count,
        header.synced_before,
        bytes(body),
        offset,
        end,
    )


def _frame_at(view: memoryview, offset: int, salt: int) -> Frame | str:
    """Return the frame at an offset, or a sentence that says why there is none."""
    start = offset + FRAME_HEADER_BYTES
    header = decode_frame_header(view[offset:start], salt)
    if isinstance(header, str):
        return header
    return frame_of(header, view[start : start + header.body_bytes], salt, offset)


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

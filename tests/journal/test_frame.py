"""Frames and segment headers: how they look, and how a torn tail is told from damage."""

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.frame import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    BadHeader,
    Damage,
    FileHeader,
    FileKind,
    Frame,
    TornTail,
    decode_file_header,
    encode_file_header,
    scan_frames,
)

from .encoded import encode_frame

HEADER = FileHeader(index=5, created_ms=1_600_000_000_000, salt=0xDEADBEEF)
START = FILE_HEADER_BYTES


def segment(*frames: bytes) -> bytes:
    """Return a segment with these frames."""
    return encode_file_header(FileKind.SEGMENT, HEADER) + b"".join(frames)


def frame(
    first_index: int,
    count: int,
    body: bytes,
    *,
    salt: int = HEADER.salt,
    synced_before: bool = True,
) -> bytes:
    """Return a frame of HEADER's segment."""
    return encode_frame(salt, first_index, 1234, count, body, synced_before=synced_before)


def header_bytes(magic: bytes, version: int) -> bytes:
    """Return a header as another program, or another version of this one, may write it."""
    fields = magic + version.to_bytes(4, "little") + bytes(20)
    return fields + crc32(fields).to_bytes(4, "little")


def scan(data: bytes) -> list[Frame | TornTail | Damage]:
    """Return all that a scan finds."""
    return list(scan_frames(data, HEADER))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_segment_header_comes_back(first_index: int, created_ms: int, salt: int) -> None:
    """Whatever numbers it carries."""
    header = FileHeader(first_index, created_ms, salt)
    encoded = encode_file_header(FileKind.SEGMENT, header)
    assert len(encoded) == FILE_HEADER_BYTES
    assert decode_file_header(FileKind.SEGMENT, encoded) == header
    assert decode_file_header(FileKind.SEGMENT, encoded + b"frames") == header


def test_segment_header_says_what_is_wrong_with_it() -> None:
    """Too short, damaged, of another program, or of a later version.

    The last two are whole: somebody meant them, so they are no trace of a crash.
    """
    good = encode_file_header(FileKind.SEGMENT, HEADER)
    for data, reason, is_whole in [
        (b"", "the header has 0 bytes, expected 36", False),
        (good[:-1], "the header has 35 bytes, expected 36", False),
        (bytes(36), "the header's checksum does not match", False),
        (good[:8] + b"\x02" + good[9:], "the header's checksum does not match", False),
        (header_bytes(b"\x89PNG\r\n\x1a\n", 1), "this is not a journal's segment", True),
        (header_bytes(good[:8], 2), "format version 2 is not known here, expected 1", True),
    ]:
        assert decode_file_header(FileKind.SEGMENT, data) == BadHeader(reason, is_whole)


def test_every_bit_flipped_in_a_segment_header_is_seen() -> None:
    """Wherever it is, and it never passes for somebody else's header."""
    good = encode_file_header(FileKind.SEGMENT, HEADER)
    expected = BadHeader("the header's checksum does not match", is_whole=False)
    for place in range(len(good)):
        for bit in range(8):
            flipped = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
            assert decode_file_header(FileKind.SEGMENT, flipped) == expected


def test_segment_mangled_by_a_text_transfer_is_no_segment() -> None:
    """Rewritten line ends and a stripped eighth bit are seen in the first bytes."""
    good = encode_file_header(FileKind.SEGMENT, HEADER)
    for mangled in (
        good.replace(b"\r\n", b"\n") + b"\0\0",
        good.replace(b"\n", b"\r\n"),
        bytes(byte & 0x7F for byte in good),
    ):
        expected = BadHeader("the header's checksum does not match", is_whole=False)
        assert decode_file_header(FileKind.SEGMENT, mangled) == expected


def test_empty_segment_has_no_frames() -> None:
    """A header alone is a whole segment."""
    assert scan(segment()) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.binary(max_size=40)), max_size=5))
def test_frames_come_back_in_order(batches: list[tuple[int, bool, bytes]]) -> None:
    """Each with its place and its flag, and numbered on from the segment's first index."""
    expected, data, index = [], segment(), HEADER.index
    for count, synced_before, body in batches:
        start = len(data)
        data += frame(index, count, body, synced_before=synced_before)
        assert len(data) - start == FRAME_HEADER_BYTES + len(body)
        expected.append(Frame(index, 1234, count, synced_before, body, start, len(data)))
        index += count
    assert scan(data) == expected


def test_frame_looks_as_the_format_says() -> None:
    """Field by field, with the two checksums at the end of its header (docs/journal-format.md)."""
    data = encode_frame(7, 2, 1_700_000_000_000, 1, b"body", synced_before=True)
    assert len(data) == FRAME_HEADER_BYTES + 4 == 44
    fields = struct.unpack("<4sIQQIIII", data[:40])
    checksums = crc32(b"body", 7), crc32(data[:36], 7)
    assert fields == (b"KVBt", 4, 2, 1_700_000_000_000, 1, 1, *checksums)
    unsynced = encode_frame(7, 2, 1_700_000_000_000, 1, b"body", synced_before=False)
    assert unsynced[28:32] == bytes(4)


def test_cut_in_the_last_frame_is_a_torn_tail_at_every_byte() -> None:
    """Whatever is there of an unfinished frame, the frame before it stands."""
    first = frame(5, 1, b"one")
    second = frame(6, 1, b"two\x01")
    whole = segment(first, second)
    start = START + len(first)
    for cut in range(start + 1, len(whole)):
        sound, tail = scan(whole[:cut])
        assert isinstance(sound, Frame)
        assert sound.body == b"one"
        assert tail == TornTail(start, len(whole[start:cut].rstrip(b"\0")))


def test_zeros_behind_the_last_frame_are_no_bytes_of_a_tail() -> None:
    """Space that was reserved and never written has nothing to tell about."""
    first = frame(5, 1, b"one")
    assert scan(segment(first) + bytes(100))[1:] == [TornTail(START + len(first), 0)]


def test_damage_before_a_sound_frame_is_no_torn_tail() -> None:
    """The sound frame was written after the sync of the damaged one, which names its place."""
    first, second = frame(5, 1, b"one"), frame(6, 1, b"two")
    for place in range(len(first)):
        damaged = first[:place] + bytes([first[place] ^ 0x10]) + first[place + 1 :]
        (found,) = scan(segment(damaged, second))
        assert isinstance(found, Damage)
        assert found.offset == START
        assert f"yet a sound frame follows at {START + len(first)}" in found.reason


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hole_before_frames_that_prove_no_sync_is_a_torn_tail(count: int) -> None:
    """They may have got to the disk before it did; what is cut goes to the very end."""
    first = frame(5, 1, b"one", synced_before=False)
    rest = b"".join(frame(6 + n, 1, b"more", synced_before=False) for n in range(count))
    for hole in (bytes(len(first)), first[:-1] + b"\0", b"\0" + first[1:]):
        expected = TornTail(START, len(hole + rest))
        assert scan(segment(hole, rest)) == [expected]


def test_hole_before_any_frame_that_proves_a_sync_is_damage() -> None:
    """However many that prove nothing are between the two, and whatever follows it."""
    proof = frame(7, 1, b"three")
    for before in (b"", frame(6, 1, b"two", synced_before=False)):
        for after in (b"", b"torn", frame(8, 1, b"four", synced_before=False)):
            (found,) = scan(segment(bytes(50), before, proof, after))
            assert isinstance(found, Damage)
            at = START + 50 + len(before)
            assert found.reason.endswith(f"yet a sound frame follows at {at}")


def test_frame_that_proves_a_sync_proves_nothing_of_what_is_behind_it() -> None:
    """A tail behind the last sound frame is torn, flag or no flag."""
    first, second = frame(5, 1, b"one"), frame(6, 1, b"two")
    assert scan(segment(first, second[:-1]))[1:] == [TornTail(START + len(first), len(second) - 1)]


def test_zeroed_frame_before_a_sound_one_is_damage() -> None:
    """A lost page in the middle is not taken for unused space."""
    first, second = frame(5, 1, b"one"), frame(6, 1, b"two")
    (found,) = scan(segment(bytes(len(first)), second))
    assert isinstance(found, Damage)


@pytest.mark.parametrize("index", [4, 5, 6, 8])
def test_frame_out_of_order_is_damage(index: int) -> None:
    """A frame that is sound and not the next one: something is missing or there twice."""
    first = frame(5, 2, b"one")
    damage = Damage(START + len(first), f"expected index 7, found {index}")
    assert scan(segment(first, frame(index, 1, b"two")))[1:] == [damage]


def test_frame_of_another_salt_is_only_bytes() -> None:
    """A stored value that looks like a frame proves nothing about what stands before it."""
    lookalike = frame(6, 1, b"two", salt=HEADER.salt ^ 1)
    torn = frame(5, 1, b"one" + lookalike + b"more")[:-4]
    assert scan(segment(torn)) == [TornTail(START, len(torn))]
    with_the_salt = frame(5, 1, b"one" + frame(6, 1, b"two") + b"more")[:-4]
    (found,) = scan(segment(with_the_salt))
    assert isinstance(found, Damage)


def test_size_that_points_beyond_the_end_is_a_torn_tail() -> None:
    """The size is believed only as far as there are bytes."""
    torn = frame(5, 1, bytes(1000))[: FRAME_HEADER_BYTES + 10]
    assert scan(segment(torn)) == [TornTail(START, len(torn.rstrip(b"\0")))]


def test_view_of_the_bytes_will_do() -> None:
    """Bytes need not be copied to be scanned."""
    data = segment(frame(5, 1, b"one"))
    assert list(scan_frames(memoryview(data), HEADER)) == scan(data)
    assert decode_file_header(FileKind.SEGMENT, memoryview(data)) == HEADER

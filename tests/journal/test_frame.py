"""Frames and segment headers: how they look, and how a torn tail is told from damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.frame import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Damage,
    Frame,
    SegmentHeader,
    TornTail,
    decode_segment_header,
    encode_frame,
    encode_segment_header,
    scan_frames,
)

HEADER = SegmentHeader(first_index=5, created_ms=1_600_000_000_000, salt=0xDEADBEEF)
START = SEGMENT_HEADER_BYTES


def segment(*frames: bytes) -> bytes:
    """Return a segment with these frames."""
    return encode_segment_header(HEADER) + b"".join(frames)


def frame(first_index: int, count: int, body: bytes, salt: int = HEADER.salt) -> bytes:
    """Return a frame of HEADER's segment."""
    return encode_frame(salt, first_index, 1234, count, body)


def scan(data: bytes) -> list[Frame | TornTail | Damage]:
    """Return all that a scan finds."""
    return list(scan_frames(data, HEADER))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_segment_header_comes_back(first_index: int, created_ms: int, salt: int) -> None:
    """Whatever numbers it carries."""
    header = SegmentHeader(first_index, created_ms, salt)
    encoded = encode_segment_header(header)
    assert len(encoded) == SEGMENT_HEADER_BYTES
    assert decode_segment_header(encoded) == header
    assert decode_segment_header(encoded + b"frames") == header


def test_segment_header_says_what_is_wrong_with_it() -> None:
    """Too short, another file, damaged, or of a later version."""
    good = encode_segment_header(HEADER)
    assert decode_segment_header(good[:-1]) == "the header has 35 bytes, expected 36"
    assert decode_segment_header(b"") == "the header has 0 bytes, expected 36"
    assert decode_segment_header(b"x" + good[1:]) == "this is not a journal segment"
    damaged = good[:20] + bytes([good[20] ^ 1]) + good[21:]
    assert decode_segment_header(damaged) == "the header's checksum does not match"


def test_segment_mangled_by_a_text_transfer_is_no_segment() -> None:
    """Rewritten line ends and a stripped eighth bit are seen in the first bytes."""
    good = encode_segment_header(HEADER)
    for mangled in (
        good.replace(b"\r\n", b"\n") + b"\0\0",
        good.replace(b"\n", b"\r\n"),
        bytes(byte & 0x7F for byte in good),
    ):
        assert decode_segment_header(mangled) == "this is not a journal segment"


def test_empty_segment_has_no_frames() -> None:
    """A header alone is a whole segment."""
    assert scan(segment()) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40)), max_size=5))
def test_frames_come_back_in_order(batches: list[tuple[int, bytes]]) -> None:
    """Each with its place, and numbered on from the segment's first index."""
    expected, data, index = [], segment(), HEADER.first_index
    for count, body in batches:
        start = len(data)
        data += frame(index, count, body)
        assert len(data) - start == FRAME_HEADER_BYTES + len(body)
        expected.append(Frame(index, 1234, count, body, start, len(data)))
        index += count
    assert scan(data) == expected


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
    assert decode_segment_header(memoryview(data)) == HEADER

"""Single bits of libnetwork's bitmaps, against a plain set of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.overlay.bitmap import Bitmap
from conformance.soak.bits import empty, first_clear, with_bit

# Recorded from an engine: a subnet of 256 addresses of which none is taken, then 0, 255 and 1.
RECORDED = [
    "AAAAAAAAAQAAAAAAAAABAAAAAAAAAAAAAAAACA==",
    "AAAAAAAAAQAAAAAAAAAA/4AAAAAAAAAAAAAAAQAAAAAAAAAAAAAABw==",
    "AAAAAAAAAQAAAAAAAAAA/oAAAAAAAAAAAAAAAQAAAAAAAAAAAAAABgAAAAEAAAAAAAAAAQ==",
    "AAAAAAAAAQAAAAAAAAAA/cAAAAAAAAAAAAAAAQAAAAAAAAAAAAAABgAAAAEAAAAAAAAAAQ==",
]


def test_bits_are_written_as_an_engine_writes_them() -> None:
    """Byte for byte, from a fresh bitmap on."""
    bitmap = empty(256)
    written = [bitmap.encode()]
    for ordinal in (0, 255, 1):
        bitmap = with_bit(bitmap, ordinal, taken=True)
        written.append(bitmap.encode())

    assert written == RECORDED


@given(
    bits=st.integers(1, 300),
    changes=st.lists(st.tuples(st.integers(0, 299), st.booleans())),
)
def test_bits_are_a_set_of_numbers(bits: int, changes: list[tuple[int, bool]]) -> None:
    """Whatever is taken and freed, twice or not: same set, sound bitmap, lowest clear bit."""
    bitmap, taken = empty(bits), set[int]()
    for ordinal, wanted in changes:
        if ordinal >= bits:
            continue
        bitmap = with_bit(bitmap, ordinal, taken=wanted)
        taken = taken | {ordinal} if wanted else taken - {ordinal}

    assert set(bitmap.ordinals()) == taken
    assert bitmap.clear == bits - len(taken)
    assert bitmap.faults() == []
    assert all(one[0] != other[0] for one, other in zip(bitmap.runs, bitmap.runs[1:], strict=False))
    clear = set(range(bits)) - taken
    if clear:
        assert first_clear(bitmap) == min(clear)


def test_many_bits_are_few_runs() -> None:
    """The bitmap of VXLAN ids has half a million blocks; a change costs no more for it."""
    bitmap = with_bit(empty(16_776_960), 8_000_000, taken=True)

    assert len(bitmap.runs) == 3
    assert list(bitmap.ordinals()) == [8_000_000]


def test_a_full_bitmap_has_no_clear_bit() -> None:
    """Bits beyond the last one do not count, though the last block has room for them."""
    full = Bitmap(bits=33, clear=0, runs=((0xFFFFFFFF, 1), (0x80000000, 1)))

    with pytest.raises(ValueError, match="all 33 bits are taken"):
        first_clear(full)


@pytest.mark.parametrize("ordinal", [-1, 256])
def test_there_is_no_bit_beyond_the_last(ordinal: int) -> None:
    """A bug of the caller is not written into the store."""
    with pytest.raises(ValueError, match="of 256"):
        with_bit(empty(256), ordinal, taken=True)

"""Bit sequences: the vectors of the spec, and what is not a sequence."""

import pytest

from conformance.overlay.bitmap import Bitmap

VECTORS = [
    (
        "AAAAAAAAAQAAAAAAAAAA/OAAAAAAAAAAAAAAAQAAAAAAAAAAAAAABgAAAAEAAAAAAAAAAQ==",
        256,
        252,
        [0, 1, 2, 255],
    ),
    (
        "AAAAAAABAAAAAAAAAAD//MEAAAAAAAAAAAAAAQAAAAAAAAAAAAAH/gAAAAEAAAAAAAAAAQ==",
        65536,
        65532,
        [0, 1, 7, 65535],
    ),
    (
        "////////////////////+/AAAAAAAAAAAAAAAQAAAAAH/////////w==",
        18446744073709551615,
        18446744073709551611,
        [0, 1, 2, 3],
    ),
    ("AAAAAAD//wAAAAAAAP/+/4AAAAAAAAAAAAAAAQAAAAAAAAAAAAf/9w==", 16776960, 16776959, [0]),
]


@pytest.mark.parametrize(("sequence", "bits", "clear", "ordinals"), VECTORS)
def test_real_sequences_decode(sequence: str, bits: int, clear: int, ordinals: list[int]) -> None:
    """A sequence an engine wrote gives its size, its clear bits, and the set ones in order."""
    bitmap = Bitmap.decode(sequence)

    assert (bitmap.bits, bitmap.clear) == (bits, clear)
    assert list(bitmap.ordinals()) == ordinals
    assert bitmap.faults() == []


@pytest.mark.parametrize("sequence", [vector[0] for vector in VECTORS])
def test_encode_gives_back_what_was_decoded(sequence: str) -> None:
    """Decoding and encoding changes no byte."""
    assert Bitmap.decode(sequence).encode() == sequence


@pytest.mark.parametrize("text", ["", "not base64!", "AAAA", "AAAAAAAAAQAAAAAAAAAA/OAA"])
def test_other_text_is_refused(text: str) -> None:
    """Whatever is not a header and whole runs is a ValueError, nothing else."""
    with pytest.raises(ValueError, match="bitmap"):
        Bitmap.decode(text)


def test_a_run_that_repeats_gives_every_bit() -> None:
    """A full block repeated twice is 64 bits in a row, after the clear block before it."""
    bitmap = Bitmap(bits=96, clear=32, runs=((0, 1), (0xFFFFFFFF, 2)))

    assert list(bitmap.ordinals()) == list(range(32, 96))
    assert bitmap.faults() == []


def test_a_full_ipv6_pool_is_refused_rather_than_listed() -> None:
    """Listing 2**64 numbers would never end, so the limit speaks first."""
    bitmap = Bitmap(bits=1 << 64, clear=0, runs=((0xFFFFFFFF, 1 << 59),))

    with pytest.raises(ValueError, match="limit is 1000000"):
        list(bitmap.ordinals())


def test_faults_are_named() -> None:
    """A wrong count of clear bits, missing blocks and an empty run are all reported."""
    bitmap = Bitmap(bits=256, clear=256, runs=((0x80000000, 1), (0, 0)))

    assert bitmap.faults() == [
        "clear count is 256, expected 255",
        "1 blocks do not cover 256 bits",
        "a run of length 0",
    ]

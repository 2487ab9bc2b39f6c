"""Taking and freeing single bits of libnetwork's bitmaps. Pure.

Source: libnetwork, bitseq/sequence.go; spec/docker-cluster-store.md, section 2.7.
"""

from conformance.overlay.bitmap import Bitmap

_BLOCK_BITS = 32
_FIRST_BIT = 0x80000000
_FULL = 0xFFFFFFFF


def empty(bits: int) -> Bitmap:
    """Return a bitmap of so many clear bits."""
    return Bitmap(bits=bits, clear=bits, runs=((0, -(-bits // _BLOCK_BITS)),))


def first_clear(bitmap: Bitmap) -> int:
    """Return the lowest clear bit. Raises ValueError when there is none."""
    start = 0
    for block, repeat in bitmap.runs:
        if block != _FULL:
            offset = next(n for n in range(_BLOCK_BITS) if not block & (_FIRST_BIT >> n))
            if start + offset < bitmap.bits:
                return start + offset
        start += repeat * _BLOCK_BITS
    raise ValueError(f"all {bitmap.bits} bits are taken")


def with_bit(bitmap: Bitmap, ordinal: int, *, taken: bool) -> Bitmap:
    """Return the bitmap with one bit taken or free; equal neighbours are merged."""
    if not 0 <= ordinal < bitmap.bits:
        raise ValueError(f"bit {ordinal} of {bitmap.bits}")
    position = ordinal // _BLOCK_BITS
    mask = _FIRST_BIT >> ordinal % _BLOCK_BITS
    runs: list[tuple[int, int]] = []
    start = clear = 0
    for block, repeat in bitmap.runs:
        before = position - start
        parts: tuple[tuple[int, int], ...] = ((block, repeat),)
        if 0 <= before < repeat:
            changed = block | mask if taken else block & ~mask
            clear = bitmap.clear + block.bit_count() - changed.bit_count()
            parts = ((block, before), (changed, 1), (block, repeat - before - 1))
        for part in parts:
            _append(runs, *part)
        start += repeat
    return Bitmap(bits=bitmap.bits, clear=clear, runs=tuple(runs))


def _append(runs: list[tuple[int, int]], block: int, repeat: int) -> None:
    """Add a run, merged with the last one if they are alike; none of length 0."""
    if runs and runs[-1][0] == block:
        runs[-1] = (block, runs[-1][1] + repeat)
    elif repeat:
        runs.append((block, repeat))

"""libnetwork's bit sequences: which addresses of a pool, or which VXLAN ids, are taken.

Pure. The layout, all numbers big-endian:

    0       8   number of bits
    8       8   number of clear bits
    16+12i  4   block: 32 bits, most significant bit first
    20+12i  8   how many times the block repeats

Source: libnetwork, bitseq/sequence.go, ToByteArray; spec/docker-cluster-store.md, section 2.7.
"""

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_HEADER = struct.Struct(">QQ")
_RUN = struct.Struct(">IQ")
_BLOCK_BITS = 32
_FIRST_BIT = 0x80000000
_FULL = 0xFFFFFFFF
# An IPv6 /64 that is full would have 2**64 set bits; no honest pool of a lab has this many.
_SET_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A decoded sequence: `runs` of (block, repeat), and the two numbers its header claims."""

    bits: int
    clear: int
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def decode(cls, sequence: str) -> Self:
        """Return the bitmap in a record's base64 `sequence`. Raises ValueError for other text."""
        try:
            raw = base64.b64decode(sequence, validate=True)
        except binascii.Error as error:
            raise ValueError(f"bitmap is not base64: {error}") from error
        body = len(raw) - _HEADER.size
        if body < 0 or body % _RUN.size != 0:
            raise ValueError(f"bitmap of {len(raw)} bytes, expected 16 + 12 for each run")
        bits, clear = _HEADER.unpack_from(raw)
        runs = tuple(_RUN.iter_unpack(raw[_HEADER.size :]))
        return cls(bits=bits, clear=clear, runs=runs)

    def encode(self) -> str:
        """Return the base64 text of this bitmap, as an engine would write it."""
        raw = _HEADER.pack(self.bits, self.clear)
        return base64.b64encode(raw + b"".join(_RUN.pack(*run) for run in self.runs)).decode()

    def ordinals(self) -> Iterator[int]:
        """Yield the numbers of the set bits, ascending. Raises ValueError beyond a million."""
        start = 0
        found = 0
        for block, repeat in self.runs:
            if block:
                found += block.bit_count() * repeat
                if found > _SET_MAX:
                    raise ValueError(f"bitmap has {found} set bits or more, limit is {_SET_MAX}")
                for turn in range(repeat):
                    base = start + turn * _BLOCK_BITS
                    yield from (base + n for n in range(_BLOCK_BITS) if block & (_FIRST_BIT >> n))
            start += repeat * _BLOCK_BITS

    def faults(self) -> list[str]:
        """Return what is wrong with the bitmap itself; empty for a sound one."""
        set_bits = sum(block.bit_count() * repeat for block, repeat in self.runs)
        found = []
        if self.clear != self.bits - set_bits:
            found.append(f"clear count is {self.clear}, expected {self.bits - set_bits}")
        blocks = sum(repeat for _, repeat in self.runs)
        if blocks * _BLOCK_BITS < self.bits - self.bits % _BLOCK_BITS:
            found.append(f"{blocks} blocks do not cover {self.bits} bits")
        if any(repeat == 0 for _, repeat in self.runs):
            found.append("a run of length 0")
        return found

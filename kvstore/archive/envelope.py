"""What an archive is wrapped in: a gzip'd tar of `meta.json`, `state.bin` and `SHA256SUMS`.

Nothing is given out before both sums were verified and the end of the gzip stream was seen.
The texts are Consul's where it has one, and it is as strict: no other files, nothing behind the
end, not even padding. Source: Consul 1.8.7, snapshot/archive.go and snapshot.go; Go 1.15,
archive/tar and compress/gzip.

Knows nothing of what the files mean.
"""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from kvstore.errors import ArchiveUnreadable

__all__ = ["META", "STATE", "read_envelope", "write_envelope"]

META, STATE, _SUMS = "meta.json", "state.bin", "SHA256SUMS"

_BLOCK_BYTES = tarfile.BLOCKSIZE
_PIECE_BYTES = 256 * 1024
# Little, since what is left of it is copied with every piece that it unpacks to.
_PACKED_BYTES = 16 * 1024
# The two small files take some hundred bytes each, `meta.json` more in a cluster of many servers.
_SMALL_BYTES_MAX = 1024 * 1024
# Half the time of Go's default of 6, for a tenth more bytes.
_COMPRESSION = 3

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEAD_BYTES = 10

_READING = "failed to read snapshot file: "
_READING_TAR = _READING + "failed reading snapshot: "
_CHECKING = _READING + "failed checking integrity of snapshot: "
_READING_OF = {
    META: "decode snapshot metadata",
    STATE: "read or write snapshot data",
    _SUMS: "read snapshot hashes",
}
_WHOLE = "an archive that `consul snapshot save` wrote, whole and unchanged"


def write_envelope(
    file: IO[bytes], meta: bytes, state: IO[bytes], size_bytes: int, digest: str, made_s: int
) -> None:
    """Write an archive of `meta` and of the `size_bytes` of `state`, whose SHA-256 is `digest`.

    Its files are dated `made_s`. Raises what the files raise.
    """
    sums = f"{hashlib.sha256(meta).hexdigest()}  {META}\n{digest}  {STATE}\n".encode("ascii")
    with gzip.GzipFile("", "wb", _COMPRESSION, file, made_s) as packed:
        packed.write(_header(META, len(meta), made_s) + meta + _padding(len(meta)))
        packed.write(_header(STATE, size_bytes, made_s))
        while piece := state.read(_PIECE_BYTES):
            packed.write(piece)
        packed.write(_padding(size_bytes))
        packed.write(_header(_SUMS, len(sums), made_s) + sums + _padding(len(sums)))
        packed.write(bytes(2 * _BLOCK_BYTES))


def _header(name: str, size_bytes: int, made_s: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size_bytes, 0o600, made_s
    return member.tobuf(tarfile.GNU_FORMAT)  # the plain format ends at 8 GiB


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % _BLOCK_BYTES)


def read_envelope(file: IO[bytes], state: IO[bytes], state_bytes_max: int) -> tuple[bytes, int]:
    """Copy an archive's `state.bin` to `state`; return `meta.json` and how much was copied.

    Both are what their sums say. Raises ArchiveUnreadable, and what the files raise.
    """
    with _doing("failed to decompress snapshot: "):
        source = _Inflated(file)
    small = {META: b"", _SUMS: b""}
    size_bytes, digest = 0, hashlib.sha256().hexdigest()
    seen: set[str] = set()
    while (member := _next_member(source)) is not None:
        name = member.name
        if name in seen:
            raise ArchiveUnreadable(f'{_READING}file "{name}" is there twice', _WHOLE)
        seen.add(name)
        _check_size(member, state_bytes_max if name == STATE else _SMALL_BYTES_MAX)
        with _doing(f"{_READING}failed to {_READING_OF[name]}: "):
            if name == STATE:
                size_bytes, digest = member.size, _copy(source, member.size, state)
            else:
                small[name] = source.read_exactly(member.size)
        with _doing(_READING_TAR):
            source.read(-member.size % _BLOCK_BYTES)
    meta = small[META]
    _verify(small[_SUMS], {META: hashlib.sha256(meta).hexdigest(), STATE: digest})
    _see_end(source)
    return meta, size_bytes


class _Broken(Exception):
    """What is wrong with the stream, in Go's words; `_doing` adds what was being done."""


@contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except _Broken as broken:
        raise ArchiveUnreadable(f"{what}{broken}", _WHOLE) from broken


class _Inflated:
    """What a gzip stream unpacks to, and those that follow it; holds a piece of it at a time.

    All that it does raises _Broken.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Compressed bytes that come next.
        self._packed = b""
        if not self._begin():
            raise _Broken("EOF")

    def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        data = self.read(size)
        if len(data) < size:
            raise _Broken("unexpected EOF")
        return data

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        pieces: list[bytes] = []
        while size and (piece := self._read_some(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _read_some(self, size: int) -> bytes:
        """Return some of the next `size` bytes, none at the end."""
        while True:
            if self._inflater.eof:
                self._packed = self._inflater.unused_data
                if not self._begin():
                    return b""
            try:
                piece = self._inflater.decompress(self._packed, size)
            except zlib.error as error:
                raise _Broken(_go_reason(error)) from error
            self._packed = self._inflater.unconsumed_tail
            if piece:
                return piece
            if not self._packed and not self._inflater.eof:
                self._packed = self._file.read(_PACKED_BYTES)
                if not self._packed:
                    raise _Broken("unexpected EOF")

    def _begin(self) -> bool:
        """Begin with the next gzip stream; False when there is none."""
        while len(self._packed) < _GZIP_HEAD_BYTES and (more := self._file.read(_PACKED_BYTES)):
            self._packed += more
        if not self._packed:
            return False
        if len(self._packed) < _GZIP_HEAD_BYTES:
            raise _Broken("unexpected EOF")
        if not self._packed.startswith(_GZIP_MAGIC):
            raise _Broken("gzip: invalid header")
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return True


def _go_reason(error: zlib.error) -> str:
    text = str(error)
    checked = "incorrect data check" in text or "incorrect length check" in text
    return "gzip: invalid checksum" if checked else "flate: corrupt input"


def _next_member(source: _Inflated) -> tarfile.TarInfo | None:
    """Return what the next header says; None at the end of the tar."""
    with _doing(_READING_TAR):
        block = source.read(_BLOCK_BYTES)
        if not any(block):
            block = source.read(_BLOCK_BYTES)  # the end is two empty blocks; one will do
            if not any(block):
                return None
            raise _Broken("archive/tar: invalid tar header")
        if len(block) < _BLOCK_BYTES:
            raise _Broken("unexpected EOF")
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise _Broken("archive/tar: invalid tar header") from error
    is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    if not is_plain or member.name not in (META, STATE, _SUMS):
        name = member.name.encode("unicode_escape").decode("ascii")
        raise ArchiveUnreadable(f'{_READING}unexpected file "{name}" in snapshot', _WHOLE)
    return member


def _check_size(member: tarfile.TarInfo, bytes_max: int) -> None:
    if not 0 <= member.size <= bytes_max:
        reason = f'{_READING}"{member.name}" has {member.size} bytes'
        raise ArchiveUnreadable(reason, f"{bytes_max} at most")


def _copy(source: _Inflated, size_bytes: int, target: IO[bytes]) -> str:
    """Copy that much and return its SHA-256."""
    digest = hashlib.sha256()
    while size_bytes:
        piece = source.read_exactly(min(size_bytes, _PIECE_BYTES))
        digest.update(piece)
        target.write(piece)
        size_bytes -= len(piece)
    return digest.hexdigest()


def _verify(sums: bytes, digests: dict[str, str]) -> None:
    """Verify that each file has the sum that is listed, and that each is listed."""
    listed: set[str] = set()
    for line in sums.decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition(" ")
        name = name.strip()
        if name not in digests:
            raise ArchiveUnreadable(f'{_CHECKING}list missing hash for "{name}"', _WHOLE)
        if digest.lower() != digests[name]:
            expected = f"the SHA-256 {digests[name]} and not {digest:.64}"
            raise ArchiveUnreadable(f'{_CHECKING}hash check failed for "{name}"', expected)
        listed.add(name)
    for name in digests:
        if name not in listed:
            raise ArchiveUnreadable(f'{_CHECKING}file missing for "{name}"', _WHOLE)


def _see_end(source: _Inflated) -> None:
    """Read up to the end of the stream, whose own checksum is verified there."""
    with _doing(""):
        rest = source.read(_SMALL_BYTES_MAX)
    if rest:
        reason = f"{len(rest)} unread uncompressed bytes remain"
        raise ArchiveUnreadable(reason, "none, not even padding")

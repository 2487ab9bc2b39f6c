"""Archives made with the standard library alone: sound ones of any content, and broken ones."""

import gzip
import hashlib
import io
import json
import random
import re
import tarfile
from typing import Any

import msgpack

__all__ = [
    "BROKEN",
    "GOOD",
    "HEADER",
    "META",
    "STATE",
    "SUMS",
    "meta_json",
    "pack",
    "record",
    "sums",
    "tar",
    "wrap",
]

META, STATE, SUMS = "meta.json", "state.bin", "SHA256SUMS"


def pack(value: object) -> bytes:
    """Return msgpack as Consul writes it."""
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed


def record(kind: int, members: object) -> bytes:
    """Return a record of `state.bin`."""
    return bytes([kind]) + pack(members)


def meta_json(state: bytes, **changes: Any) -> bytes:
    """Return what describes a `state.bin`; `changes` are other members, None leaves one out."""
    members = {"Version": 1, "ID": "2-7-1", "Index": 7, "Term": 2, "Size": len(state), **changes}
    return json.dumps(
        {name: value for name, value in members.items() if value is not None}
    ).encode()


def sums(*files: tuple[str, bytes]) -> bytes:
    """Return the content of `SHA256SUMS`."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files]
    return "".join(lines).encode()


def tar(*files: tuple[str, bytes]) -> bytes:
    """Return a tar that ends with its two empty blocks."""
    out = io.BytesIO()
    for name, data in files:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        out.write(member.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
    return out.getvalue() + bytes(1024)


def wrap(state: bytes, raw_meta: bytes = b"", **meta: Any) -> bytes:
    """Return an archive of a `state.bin` whose sums are right; `meta` changes `meta.json`."""
    files = [(META, raw_meta or meta_json(state, **meta)), (STATE, state)]
    return gzip.compress(tar(*files, (SUMS, sums(*files))), mtime=0)


HEADER = pack({"LastIndex": 7})
GOOD = wrap(HEADER)
_TAR = gzip.decompress(GOOD)
# Too varied to shrink, so that half of its archive ends within it.
_LARGE = random.Random(1).randbytes(100_000)
_META = (META, meta_json(HEADER))
_STATE = (STATE, HEADER)
_NO_JSON = (META, b"{nope")


def _zip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _summed(listed: bytes) -> bytes:
    return _zip(tar(_META, _STATE, (SUMS, listed)))


READING = "failed to read snapshot file: "
READING_STATE = READING + "failed to read or write snapshot data: "
TARRING = READING + "failed reading snapshot: "
CHECKING = READING + "failed checking integrity of snapshot: "
RESTORING = "Raft error when restoring snapshot: "

# What is no archive, and what a Consul says of it, as a regular expression.
BROKEN: dict[str, tuple[bytes, str]] = {
    name: (archive, text if text.startswith(".*") else re.escape(text))
    for name, archive, text in [
        ("empty", b"", "failed to decompress snapshot: EOF"),
        ("one byte", GOOD[:1], "failed to decompress snapshot: unexpected EOF"),
        ("nine bytes", b"012345678", "failed to decompress snapshot: unexpected EOF"),
        ("a line", b"a line of text\n", "failed to decompress snapshot: gzip: invalid header"),
        ("its head", GOOD[:12], TARRING + "unexpected EOF"),
        ("half", wrap(_LARGE)[:50_000], READING_STATE + "unexpected EOF"),
        ("all but a byte", GOOD[:-1], "unexpected EOF"),
        ("three bytes more", GOOD + b"xyz", "unexpected EOF"),
        ("a line more", GOOD + b"a line of text\n", "gzip: invalid header"),
        ("twice", GOOD + GOOD, f"{len(_TAR)} unread uncompressed bytes remain"),
        ("padding", _zip(_TAR + bytes(4096)), "4096 unread uncompressed bytes remain"),
        ("other checksum", GOOD[:-8] + bytes(4) + GOOD[-4:], ".*gzip: invalid checksum"),
        ("other length", GOOD[:-4] + bytes(4), ".*gzip: invalid checksum"),
        ("a short text", _zip(b"a text"), TARRING + "unexpected EOF"),
        ("a long text", _zip(b"a text" * 200), TARRING + "archive/tar: invalid tar header"),
        ("tar checksum", _zip(b"N" + _TAR[1:]), TARRING + "archive/tar: invalid tar header"),
        ("no files", _zip(b""), f'.*{CHECKING}file missing for ".*"'),
        ("no sums", _zip(tar(_META, _STATE)), f'.*{CHECKING}file missing for ".*"'),
        ("no state", _summed(sums(_META)), CHECKING + 'file missing for "state.bin"'),
        ("other file", _zip(tar(("x", b""))), READING + 'unexpected file "x" in snapshot'),
        (
            "sum of another file",
            _summed(sums(_META, _STATE, ("x", b""))),
            CHECKING + 'list missing hash for "x"',
        ),
        (
            "sum of another state",
            _summed(sums(_META, (STATE, b""))),
            CHECKING + 'hash check failed for "state.bin"',
        ),
        (
            "sum of other metadata",
            _summed(sums((META, b""), _STATE)),
            CHECKING + 'hash check failed for "meta.json"',
        ),
        ("version", wrap(HEADER, Version=9), RESTORING + "unsupported snapshot version 9"),
        (
            "size",
            wrap(HEADER, Size=5),
            f"{RESTORING}failed to write snapshot, size didn't match ({len(HEADER)} != 5)",
        ),
        (
            "no JSON",
            _zip(tar(_NO_JSON, _STATE, (SUMS, sums(_NO_JSON, _STATE)))),
            f".*{READING}failed to decode snapshot metadata: .*",
        ),
    ]
}

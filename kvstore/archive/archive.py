"""Consul's snapshot archive ⇄ an image of a store: what `consul snapshot` saves and restores.

An archive that is written here is one that a real Consul restores, with every index, session and
lock; and what a real Consul saved is read here, but for what is no business of a key-value store.
What Consul has no place for (the store's id, the tombstones' floor) is in a member of `meta.json`
that it does not look at.

Pure: no I/O but on the files it is handed and on temporary ones, no clock, no asyncio.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from kvstore.archive.envelope import read_envelope, write_envelope
from kvstore.archive.records import INDEX_MAX
from kvstore.archive.state_bin import decode_state, encode_state
from kvstore.errors import ArchiveUnreadable, InvalidSessionId
from kvstore.state.image import Facts, Image
from kvstore.state.session_id import parse_session_id

__all__ = ["RECORDS_MAX", "STATE_BYTES_MAX", "Archive", "read_archive", "write_archive"]

# What is read when no other limits are given: more than fits a store that is held in memory.
STATE_BYTES_MAX = 8 * 1024**3
RECORDS_MAX = 20_000_000

# A `state.bin` that is larger waits on disk, where the system keeps temporary files.
_SPOOL_MEMORY_BYTES = 8 * 1024 * 1024

# Source: hashicorp/raft, SnapshotVersion: the only one that Consul 1.8.7 restores.
_VERSION = 1
# The term of an election; a single server needs one only. Any will do, Consul goes on with its own.
_TERM = 1
# Our member of `meta.json`.
_OURS, _STORE_ID, _FLOOR = "KVStore", "StoreID", "TombstoneFloor"
_RESTORING = "Raft error when restoring snapshot: "


@dataclass(frozen=True, slots=True)
class Archive:
    """What was in an archive."""

    # With the id of its store, "" when a Consul made it. Fit for a `State`.
    image: Image
    # Number of records that are not in the image, by what a person calls them, in the plural.
    left_out: dict[str, int]


def write_archive(image: Image, file: IO[bytes], *, made_ms: int) -> None:
    """Write an image as an archive that was made at `made_ms`, in milliseconds since 1970.

    Takes the image's entries once. O(1) in memory, but for the largest value; the whole waits in a
    temporary file. Raises what the files raise.
    """
    with SpooledTemporaryFile(_SPOOL_MEMORY_BYTES) as state:
        digest = hashlib.sha256()
        for piece in encode_state(image):
            digest.update(piece)
            state.write(piece)
        size_bytes = state.tell()
        state.seek(0)
        meta = _encode_meta(image.facts, size_bytes, made_ms)
        write_envelope(file, meta, state, size_bytes, digest.hexdigest(), made_ms // 1000)


def read_archive(
    file: IO[bytes], *, state_bytes_max: int = STATE_BYTES_MAX, records_max: int = RECORDS_MAX
) -> Archive:
    """Return what is in an archive, which is read from where the file stands to its end.

    Raises ArchiveUnreadable when it is no archive, is damaged, or when its `state.bin` has more
    than `state_bytes_max` or more than `records_max` records; and what the files raise.
    """
    with SpooledTemporaryFile(_SPOOL_MEMORY_BYTES) as state:
        meta, size_bytes = read_envelope(file, state, state_bytes_max)
        described = _decode_meta(meta, size_bytes)
        state.seek(0)
        decoded = decode_state(state, size_bytes, records_max)
    facts = _described_facts(decoded.image.facts, described)
    return Archive(replace(decoded.image, facts=facts), decoded.left_out)


def _encode_meta(facts: Facts, size_bytes: int, made_ms: int) -> bytes:
    index = facts.last_index
    meta = {
        "Version": _VERSION,
        "ID": f"{_TERM}-{index}-{made_ms}",
        "Index": index,
        "Term": _TERM,
        "Peers": None,
        "Configuration": {"Servers": []},
        "ConfigurationIndex": 0,
        "Size": size_bytes,
        _OURS: {_STORE_ID: facts.store_id, _FLOOR: facts.tombstone_floor},
    }
    # No line end behind it: Consul's sum ends with the last byte that its parser had to see.
    return json.dumps(meta, separators=(",", ":")).encode("ascii")


def _decode_meta(meta: bytes, size_bytes: int) -> dict[str, Any]:
    """Return what describes a `state.bin` of that size."""
    doing = "failed to read snapshot file: failed to decode snapshot metadata: "
    try:
        described = json.loads(meta)
    except (ValueError, RecursionError) as error:
        raise ArchiveUnreadable(f"{doing}{error}", "a JSON object") from error
    if not isinstance(described, dict):
        raise ArchiveUnreadable(f"{doing}it is {described!r:.40}", "a JSON object")
    version, size = described.get("Version"), described.get("Size")
    if version != _VERSION:
        reason = f"{_RESTORING}unsupported snapshot version {version!r:.40}"
        raise ArchiveUnreadable(reason, f"version {_VERSION}")
    if size != size_bytes:
        reason = f"failed to write snapshot, size didn't match ({size_bytes} != {size!r:.40})"
        raise ArchiveUnreadable(_RESTORING + reason, "the size in meta.json")
    return described


def _described_facts(facts: Facts, described: dict[str, Any]) -> Facts:
    """Return the facts of `state.bin` with those of `meta.json`."""
    last_index = max(facts.last_index, _meta_index(described, "Index", INDEX_MAX))
    ours = described.get(_OURS, {})
    if not isinstance(ours, dict):
        raise _wrong_meta(_OURS, ours, "a JSON object")
    store_id = str(ours.get(_STORE_ID, ""))
    try:
        if store_id:
            parse_session_id(store_id)  # it has the same form
    except InvalidSessionId as error:
        raise _wrong_meta(_STORE_ID, store_id, "an id of 36 characters") from error
    floor = _meta_index(ours, _FLOOR, last_index)
    return replace(facts, store_id=store_id, last_index=last_index, tombstone_floor=floor)


def _meta_index(members: dict[str, Any], name: str, most: int) -> int:
    value = members.get(name, 0)
    if type(value) is not int or not 0 <= value <= most:
        raise _wrong_meta(name, value, f"a number from 0 to {most}")
    return value


def _wrong_meta(name: str, value: object, expected: str) -> ArchiveUnreadable:
    return ArchiveUnreadable(f"meta.json: {name} is {value!r:.60}", expected)

"""`state.bin` ⇄ an image: a header with the last index, then records, all of it msgpack.

The number of a record's kind is one byte, which is itself msgpack for a small number.

Invariants:
- what `decode_state` returns is fit for a `State`: keys are in order, nothing is there twice, the
  session of a lock is there, and no index is larger than `last_index`;
- it raises nothing but ArchiveUnreadable, whatever the bytes.

Nodes are not written though sessions name them. A Consul takes a session without its node; but a
node that is not in its cluster is dead to it, and with a dead node go its sessions.
Knows nothing of compression, of tar or of checksums.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import IO, Any

import msgpack

from kvstore.archive.records import (
    UNICODE_ERRORS,
    Kind,
    WrongRecord,
    entry_members,
    entry_of,
    index_of,
    kind_left_out,
    members_of,
    owner_of,
    raw_of,
    session_members,
    session_of,
    tombstone_members,
    tombstone_of,
)
from kvstore.errors import ArchiveUnreadable
from kvstore.state.entry import Entry, Session
from kvstore.state.image import Facts, Image, Tombstone

__all__ = ["Decoded", "decode_state", "encode_state"]

# A piece is as large as it pays to hash and write at once; a single value may be larger.
_PIECE_BYTES = 256 * 1024
# Everything but its key and its value that an entry takes, about.
_ENTRY_BYTES = 150

# More than any record of a real Consul has, and so little that a few hostile bytes cannot ask for
# much memory: msgpack 1.1 makes a list as long as it says it is before it reads its items.
_RECORD_BYTES_MAX = 64 * 1024 * 1024
_ITEMS_MAX = 4_096

# Tables in Consul's table of indexes.
_KVS, _SESSIONS, _TOMBSTONES = b"kvs", b"sessions", b"tombstones"

_UNPACK_ERRORS = (msgpack.exceptions.UnpackException, ValueError)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What `state.bin` holds."""

    # But for what is not in it: the store's id and the tombstones' floor.
    image: Image
    # Number of records that are not in the image, by what a person calls them.
    left_out: dict[str, int]


def encode_state(image: Image) -> Iterator[bytes]:
    """Yield `state.bin` piece by piece, taking the image's entries as it goes.

    O(1) in memory, but for the largest value.
    """
    packer = msgpack.Packer(use_bin_type=False, unicode_errors=UNICODE_ERRORS, autoreset=False)
    pack = packer.pack
    pack({"LastIndex": image.facts.last_index})
    for session in image.sessions:
        pack(Kind.SESSION)
        pack(session_members(session))
    size_bytes = _PIECE_BYTES  # what is there by now is a piece
    for entry in image.entries:
        if size_bytes >= _PIECE_BYTES:
            yield packer.bytes()
            packer.reset()
            size_bytes = 0
        size_bytes += _ENTRY_BYTES + len(entry.key) + len(entry.value)
        pack(Kind.ENTRY)
        pack(entry_members(entry))
    # Of two with one name Consul keeps the later: what a delete named, as it knows no other.
    for tombstone in sorted(image.tombstones, key=attrgetter("with_tree"), reverse=True):
        pack(Kind.TOMBSTONE)
        pack(tombstone_members(tombstone))
    for table, index in _table_indexes(image):
        pack(Kind.INDEX)
        pack({"Key": table, "Value": index})
    yield packer.bytes()


def _table_indexes(image: Image) -> Iterator[tuple[bytes, int]]:
    """Yield the tables that were ever written to, with their newest index."""
    newest = max((one.index for one in image.tombstones), default=0)
    indexes = {
        _KVS: image.facts.kv_index,
        _SESSIONS: image.facts.session_index,
        _TOMBSTONES: newest,
    }
    yield from ((table, index) for table, index in indexes.items() if index)


def decode_state(file: IO[bytes], size_bytes: int, records_max: int) -> Decoded:
    """Return what a file of `size_bytes` says; it is read from where it stands.

    Raises ArchiveUnreadable when it is no `state.bin`, holds what no store can hold, or more than
    `records_max` records.
    """
    unpacker = msgpack.Unpacker(
        file,
        raw=True,
        read_size=_PIECE_BYTES,
        max_buffer_size=_RECORD_BYTES_MAX,
        max_array_len=_ITEMS_MAX,
        max_map_len=_ITEMS_MAX,
    )
    tables = _Tables(records_max)
    at = 0  # where the record begins that is read, or the header
    try:
        last_index = index_of(members_of(unpacker.unpack()), b"LastIndex", least=0)
        while (at := unpacker.tell()) < size_bytes:
            tables.take(unpacker)
        return tables.decoded(last_index)
    except WrongRecord as wrong:
        reason, expected = wrong.reason, wrong.expected
    except _UNPACK_ERRORS as error:
        reason, expected = str(error) or type(error).__name__, "msgpack as Consul writes it"
    raise ArchiveUnreadable(f"state.bin, record {tables.count} at byte {at}: {reason}", expected)


class _Tables:
    """What the records have said so far."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        # Number of records so far, with the one that is being read.
        self.count = 0
        self._entries: list[Entry] = []
        # By the bytes of their ids.
        self._sessions: dict[bytes, Session] = {}
        # By kind and name.
        self._tombstones: dict[tuple[bool, bytes], Tombstone] = {}
        # By the name of a table.
        self._indexes: dict[bytes, int] = {}
        self._left_out: Counter[str] = Counter()

    def take(self, unpacker: Any) -> None:
        """Read one record. Raises WrongRecord, and what the unpacker raises."""
        self.count += 1
        if self.count > self._count_max:
            raise WrongRecord("it is one too many", f"{self._count_max} at most")
        kind = unpacker.unpack()
        if type(kind) is not int or kind < 0:
            raise WrongRecord(f"its kind is {kind!r:.40}", "a small number")
        if kind == Kind.ENTRY:
            self._entries.append(entry_of(unpacker.unpack()))
        elif kind == Kind.SESSION:
            self._take_session(session_of(unpacker.unpack()))
        elif kind == Kind.TOMBSTONE:
            tombstone = tombstone_of(unpacker.unpack())
            self._tombstones[tombstone.with_tree, tombstone.name] = tombstone
        elif kind == Kind.INDEX:
            members = members_of(unpacker.unpack())
            self._indexes[raw_of(members, b"Key")] = index_of(members, b"Value", least=0)
        elif kind == Kind.REGISTRATION:
            self._left_out[kind_left_out(kind, unpacker.unpack())] += 1
        else:
            unpacker.skip()
            if kind != Kind.CHUNKS:
                self._left_out[kind_left_out(kind)] += 1

    def _take_session(self, session: Session) -> None:
        owner = owner_of(session.id.encode("ascii"))
        if owner in self._sessions:
            raise WrongRecord(f"session {session.id} is there twice", "each session once")
        self._sessions[owner] = session

    def decoded(self, last_index: int) -> Decoded:
        """Return all of it, in order and fit for a `State`. Raises WrongRecord."""
        sessions = [self._sessions[owner] for owner in sorted(self._sessions)]
        tombstones = [self._tombstones[name] for name in sorted(self._tombstones)]
        entries = self._ordered_entries()
        # The table of indexes names the newest; it is looked at no further if it does.
        session_index = max(
            self._indexes.get(_SESSIONS, 0), max((one.create_index for one in sessions), default=0)
        )
        kv_index = max(
            self._indexes.get(_KVS, 0),
            self._indexes.get(_TOMBSTONES, 0),
            max((one.index for one in tombstones), default=0),
            max((one.modify_index for one in entries), default=0),
        )
        newest = max(last_index, kv_index, session_index)
        facts = Facts("", newest, kv_index, session_index, 0)
        return Decoded(Image(facts, sessions, tombstones, entries), dict(self._left_out))

    def _ordered_entries(self) -> list[Entry]:
        """Return the entries by key, those unlocked whose session is not there."""
        entries = self._entries
        entries.sort(key=attrgetter("key"))  # Consul writes them in this order already
        for one, following in pairwise(entries):
            if one.key == following.key:
                raise WrongRecord(f"key {one.key!r:.100} is there twice", "each key once")
        holders = {one.session for one in entries if one.session}
        gone = {
            holder for holder in holders if owner_of(holder.encode("ascii")) not in self._sessions
        }
        if not gone:
            return entries
        return [replace(one, session="") if one.session in gone else one for one in entries]

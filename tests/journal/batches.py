"""Commands to fill journals with, and the shortest ways to write and to read one."""

from collections.abc import Sequence

from hypothesis import strategies as st

from kvstore.journal.file import FileJournal
from kvstore.journal.journal import Journal
from kvstore.state import image as whole
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Entry, ServiceCheck, Session

from .fake_disk import FakeDisk, Image

__all__ = [
    "EVERY_COMMAND",
    "EVERY_OP",
    "FIRST",
    "SEGMENT_BYTES",
    "WRITTEN_MS",
    "Batch",
    "a_command",
    "a_store_command",
    "an_entry",
    "an_image",
    "flat",
    "recover",
    "replayed",
    "small_batches",
    "whole_batches",
    "write",
]

Batch = Sequence[Command]

WRITTEN_MS = 1_600_000_000_123

# The name of the first segment of any store.
FIRST = "00000000000000000001.journal"

# Room for two or three of the small batches in a segment.
SEGMENT_BYTES = 170

_ID = "aaaaaaaa-0000-4000-8000-00000000000b"

_WRITES: list[TxnOp] = [
    SetKey(b"k\xff", b"\x00\xff", 2**64 - 1),
    CasKey(b"k", b"v", 0, 2**64 - 1),
    CasKey(b"k", b"v", 7, 0, adopt_lost=True),
    DeleteKey(b""),
    DeleteKeyCas(b"k", 3),
    DeleteTree(b"\xff"),
    LockKey(b"k", b"", 1, _ID),
    UnlockKey(b"k", b"v", 2, "not an id, \udcff"),
]

# What a transaction may hold.
EVERY_OP: list[TxnOp] = [
    *_WRITES,
    GetKey(b"k\x00"),
    GetKey(b"k", or_empty=True),
    GetTree(b""),
    CheckIndex(b"k", 2**64 - 1),
    CheckSession(b"k", "\udc80"),
    CheckNotExists(b"\xff"),
    ImpossibleOp("é, \udcff"),
]

EVERY_COMMAND: list[Command] = [
    CreateStore("a name"),
    *_WRITES,
    Txn(()),
    Txn(tuple(EVERY_OP)),
    CreateSession(_ID, "\udc80", "n1", -(2**63) + 1, "delete", "1h", 3600, None, None, ()),
    CreateSession(
        _ID, "", "N1", 2**63 - 1, "release", "", 0, ("a", ""), (ServiceCheck("s", "ns"),), ("c",)
    ),
    DestroySession(_ID),
    RestoreStore(
        (
            Session(_ID, "\udc80", "n", -1, "delete", "1h", 9, None, None, (), 4),
            Session(_ID, "", "", 0, "release", "", 0, ("a",), (ServiceCheck("s", ""),), ("c",), 5),
        ),
        (
            Entry(b"\xff", b"\x00", 2**64 - 1, _ID, 1, 2, 3),
            Entry(b"", b"", 0, "", 0, 2**64 - 1, 2**64 - 1),
        ),
    ),
]


def small_batches(count: int) -> list[list[Command]]:
    """Return batches of one or two short commands, no two of them equal."""
    return [
        [SetKey(b"k%d" % number, b"v" * (1 + number % 2), position) for position in range(size)]
        for number in range(count)
        for size in (1 + number % 2,)
    ]


def flat(batches: Sequence[Batch]) -> list[Command]:
    """Return the commands of batches in one list."""
    return [command for batch in batches for command in batch]


def whole_batches(batches: Sequence[Batch], commands: Sequence[Command]) -> int | None:
    """Return how many batches the commands are; None if they do not end with one."""
    for count in range(len(batches) + 1):
        if flat(batches[:count]) == list(commands):
            return count
    return None


async def write(journal: Journal, batches: Sequence[Batch]) -> list[int]:
    """Append batches, and return the index of the first command of each."""
    return [await journal.append(batch, WRITTEN_MS) for batch in batches]


def replayed(journal: Journal) -> list[Command]:
    """Replay a journal and return its commands; their indexes must count from 1."""
    assert journal.base() is None
    records = list(journal.replay())
    assert [record.index for record in records] == list(range(1, len(records) + 1))
    return [record.command for record in records]


def recover(image: Image) -> list[Command]:
    """Return what a start on these files finds."""
    return replayed(FileJournal(FakeDisk(image)))


_texts = st.binary(max_size=12).map(lambda data: data.decode("utf-8", "surrogateescape"))
_keys = st.binary(max_size=20)
_uint64 = st.integers(0, 2**64 - 1)
_int64 = st.integers(-(2**63), 2**63 - 1)
_lists = st.none() | st.lists(_texts, max_size=3).map(tuple)
_checks = st.builds(ServiceCheck, _texts, _texts)

_a_write = st.one_of(
    st.builds(SetKey, _keys, _keys, _uint64),
    st.builds(CasKey, _keys, _keys, _uint64, _uint64, st.booleans()),
    st.builds(DeleteKey, _keys),
    st.builds(DeleteKeyCas, _keys, _uint64),
    st.builds(DeleteTree, _keys),
    st.builds(LockKey, _keys, _keys, _uint64, _texts),
    st.builds(UnlockKey, _keys, _keys, _uint64, _texts),
)
_an_op = st.one_of(
    _a_write,
    st.builds(GetKey, _keys, st.booleans()),
    st.builds(GetTree, _keys),
    st.builds(CheckIndex, _keys, _uint64),
    st.builds(CheckSession, _keys, _texts),
    st.builds(CheckNotExists, _keys),
    st.builds(ImpossibleOp, _texts),
)

a_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(CreateStore, _texts),
    _a_write,
    st.builds(Txn, st.lists(_an_op, max_size=4).map(tuple)),
    st.builds(
        CreateSession,
        *(_texts, _texts, _texts, _int64, st.sampled_from(["release", "delete"]), _texts, _int64),
        *(_lists, st.none() | st.lists(_checks, max_size=3).map(tuple)),
        st.lists(_texts, max_size=3).map(tuple),
    ),
    st.builds(DestroySession, _texts),
)

_behaviors = st.sampled_from(["release", "delete"])
_session_fields = (
    *(_texts, _texts, _int64, _behaviors, _texts, _int64),
    *(_lists, st.none() | st.lists(_checks, max_size=3).map(tuple)),
    st.lists(_texts, max_size=3).map(tuple),
)
an_entry: st.SearchStrategy[Entry] = st.builds(
    Entry, _keys, _keys, _uint64, _texts, _uint64, _uint64, _uint64
)
# A store as values, whether or not commands could lead there.
an_image: st.SearchStrategy[whole.Image] = st.builds(
    whole.Image,
    st.builds(whole.Facts, _texts, *[_uint64] * 4),
    st.lists(st.builds(Session, _texts, *_session_fields, _uint64), max_size=4),
    st.lists(st.builds(whole.Tombstone, _keys, _uint64, st.booleans()), max_size=4),
    st.lists(an_entry, max_size=4),
)

# Few keys and sessions, so that commands meet what others have left.
_few_keys = st.sampled_from([b"", b"a", b"a/", b"a/b", b"a/\xff", b"b"])
_ids = [f"aaaaaaaa-0000-4000-8000-00000000000{digit}" for digit in "bcd"]
_few_ids = st.sampled_from(_ids)
# The last two are other spellings, one of them of an id that is never made.
_spelled_ids = st.sampled_from([*_ids * 2, _ids[0].upper(), _ids[0].replace("b", "e")])
_small = st.integers(0, 30)

_a_store_write = st.one_of(
    st.builds(SetKey, _few_keys, _keys, _uint64),
    st.builds(CasKey, _few_keys, _keys, _uint64, _small, st.booleans()),
    st.builds(DeleteKey, _few_keys),
    st.builds(DeleteKeyCas, _few_keys, _small),
    st.builds(DeleteTree, _few_keys),
    st.builds(LockKey, _few_keys, _keys, _uint64, _spelled_ids),
    st.builds(UnlockKey, _few_keys, _keys, _uint64, _spelled_ids),
)
_a_store_op = st.one_of(
    _a_store_write,
    st.builds(GetTree, _few_keys),
    st.builds(GetKey, _few_keys, st.just(True)),
    st.builds(CheckNotExists, _few_keys),
)

# What a store may be given, again and again.
a_store_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(CreateStore, st.sampled_from(["one", "two"])),
    _a_store_write,
    st.builds(Txn, st.lists(_a_store_op, max_size=3).map(tuple)),
    st.builds(CreateSession, _few_ids, *_session_fields),
    st.builds(CreateSession, _few_ids, *_session_fields),
    st.builds(DestroySession, _spelled_ids),
    st.builds(
        RestoreStore,
        st.lists(
            st.builds(Session, _few_ids, *_session_fields, st.integers(1, 40)),
            max_size=3,
            unique_by=lambda one: one.id,
        ).map(tuple),
        st.lists(
            st.builds(
                *(Entry, _few_keys, _keys, _uint64, st.just("") | _few_ids),
                *(_uint64, st.integers(1, 40), st.integers(1, 40)),
            ),
            max_size=4,
            unique_by=lambda one: one.key,
        ).map(tuple),
    ),
)

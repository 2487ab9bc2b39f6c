"""Commands to fill journals with, and the shortest ways to write and to read one."""

from collections.abc import Sequence

from hypothesis import strategies as st

from kvstore.journal.file import FileJournal
from kvstore.journal.journal import Journal
from kvstore.state.command import (
    CasKey,
    Command,
    CreateSession,
    CreateStore,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    LockKey,
    SetKey,
    UnlockKey,
)
from kvstore.state.entry import ServiceCheck

from .fake_disk import FakeDisk, Image

__all__ = [
    "EVERY_COMMAND",
    "FIRST",
    "SEGMENT_BYTES",
    "WRITTEN_MS",
    "Batch",
    "a_command",
    "flat",
    "recover",
    "replayed",
    "small_batches",
    "write",
]

Batch = Sequence[Command]

WRITTEN_MS = 1_600_000_000_123

# The name of the first segment of any store.
FIRST = "00000000000000000001.journal"

# Room for two or three of the small batches in a segment.
SEGMENT_BYTES = 170

_ID = "aaaaaaaa-0000-4000-8000-00000000000b"

EVERY_COMMAND: list[Command] = [
    CreateStore("a name"),
    SetKey(b"k\xff", b"\x00\xff", 2**64 - 1),
    CasKey(b"k", b"v", 0, 2**64 - 1),
    CasKey(b"k", b"v", 7, 0, adopt_lost=True),
    DeleteKey(b""),
    DeleteKeyCas(b"k", 3),
    DeleteTree(b"\xff"),
    LockKey(b"k", b"", 1, _ID),
    UnlockKey(b"k", b"v", 2, "not an id, \udcff"),
    CreateSession(_ID, "\udc80", "n1", -(2**63) + 1, "delete", "1h", 3600, None, None, ()),
    CreateSession(
        _ID, "", "N1", 2**63 - 1, "release", "", 0, ("a", ""), (ServiceCheck("s", "ns"),), ("c",)
    ),
    DestroySession(_ID),
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


async def write(journal: Journal, batches: Sequence[Batch]) -> list[int]:
    """Append batches, and return the index of the first command of each."""
    return [await journal.append(batch, WRITTEN_MS) for batch in batches]


def replayed(journal: Journal) -> list[Command]:
    """Replay a journal and return its commands; their indexes must count from 1."""
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

a_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(CreateStore, _texts),
    st.builds(SetKey, _keys, _keys, _uint64),
    st.builds(CasKey, _keys, _keys, _uint64, _uint64, st.booleans()),
    st.builds(DeleteKey, _keys),
    st.builds(DeleteKeyCas, _keys, _uint64),
    st.builds(DeleteTree, _keys),
    st.builds(LockKey, _keys, _keys, _uint64, _texts),
    st.builds(UnlockKey, _keys, _keys, _uint64, _texts),
    st.builds(
        CreateSession,
        *(_texts, _texts, _texts, _int64, st.sampled_from(["release", "delete"]), _texts, _int64),
        *(_lists, st.none() | st.lists(_checks, max_size=3).map(tuple)),
        st.lists(_texts, max_size=3).map(tuple),
    ),
    st.builds(DestroySession, _texts),
)

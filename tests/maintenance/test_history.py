"""Looking back: what came of each record, and every change of one key."""

from pathlib import Path

import pytest

from kvstore.errors import JournalCorrupt
from kvstore.journal.disk import Folder
from kvstore.maintenance.history import key_history, keys_named, named_key, steps
from kvstore.maintenance.point import Moment
from kvstore.state.command import (
    CheckNotExists,
    CheckSession,
    CreateStore,
    DeleteKey,
    DeleteTree,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
)
from kvstore.state.entry import Entry

from .stories import SESSION, STORY, grow, ms_of, session
from .test_point import forget

LAST = len(STORY)


async def test_steps(tmp_path: Path) -> None:
    """Each record comes with its time, what came of it, and what was there before."""
    await grow(tmp_path, snapshots=[4])
    found = list(steps(Folder(tmp_path), 1, LAST))
    assert [one.record.command for one in found] == STORY
    assert [one.record.written_ms for one in found] == [ms_of(one) for one in range(1, LAST + 1)]
    assert [one.record.index for one in found if not one.applied.done] == [7]
    refused = found[6]
    assert refused.before == Entry(b"a", b"2", 0, "", 0, 2, 6)
    assert found[10].applied.changed_keys == (b"lock",)


async def test_steps_from_the_middle(tmp_path: Path) -> None:
    """What is shown is the same whichever base it is replayed from."""
    await grow(tmp_path, snapshots=[4, 10])
    files = Folder(tmp_path)
    everything = list(steps(files, 1, LAST))
    for first in range(1, LAST + 1):
        assert list(steps(files, first, 12)) == everything[first - 1 : 12]
    forget(files, 10)
    assert list(steps(files, 11, LAST)) == everything[10:]


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (b"a", [(2, "set"), (6, "check-and-set"), (13, "delete"), (15, "set")]),
        (b"tree/x", [(3, "set"), (8, "deleted with its tree"), (12, "set")]),
        (
            b"lock",
            [(5, "lock"), (9, "unlock"), (10, "lock"), (11, "released: its session ended")],
        ),
        (b"odd\xff\x00", [(14, "set")]),
        (b"never", []),
    ],
)
async def test_a_key(tmp_path: Path, key: bytes, changes: list[tuple[int, str]]) -> None:
    """Whatever changed a key is there, by what it did, and nothing that changed nothing."""
    await grow(tmp_path, snapshots=[4])
    found = key_history(Folder(tmp_path), key)
    assert [(one.index, one.what) for one in found.changes] == changes
    assert [one.written_ms for one in found.changes] == [ms_of(index) for index, _ in changes]
    assert found.since == Moment(0, ms_of(1))


async def test_what_is_left_of_a_key(tmp_path: Path) -> None:
    """Each change has the entry from then on, None when it is gone."""
    await grow(tmp_path)
    found = key_history(Folder(tmp_path), b"lock").changes
    assert [one.entry and (one.entry.value, one.entry.session) for one in found] == [
        (b"me", SESSION),
        (b"free", ""),
        (b"me again", SESSION),
        (b"me again", ""),
    ]
    assert key_history(Folder(tmp_path), b"a").changes[2].entry is None


async def test_deleted_with_a_session_and_restored(tmp_path: Path) -> None:
    """The end of a session and a restore say what they did to the key."""
    other = Entry(b"k", b"old", 0, "", 0, 1, 1)
    commands = [session("delete"), LockKey(b"k", b"v", 0, SESSION), *STORY[10:11]]
    commands += [RestoreStore((), (other,)), RestoreStore((), ())]
    await grow(tmp_path, commands)
    assert [one.what for one in key_history(Folder(tmp_path), b"k").changes] == [
        "lock",
        "deleted: its session ended",
        "restored",
        "deleted by a restore",
    ]


async def test_what_a_transaction_did_to_a_key(tmp_path: Path) -> None:
    """One change, named by the last operation about it; none when nothing came of it."""
    commands = [
        CreateStore("s"),
        Txn((SetKey(b"k", b"1", 0), SetKey(b"k", b"2", 0), SetKey(b"other", b"", 0), GetKey(b"k"))),
        Txn((SetKey(b"k", b"3", 0), GetKey(b"never"))),
        Txn((SetKey(b"k", b"2", 0), GetTree(b""))),
        Txn((DeleteTree(b"o"), DeleteKey(b"k"))),
        Txn((SetKey(b"k", b"", 0), DeleteTree(b"k"))),
        Txn((DeleteTree(b""), SetKey(b"k", b"4", 0))),
    ]
    await grow(tmp_path, commands)
    found = key_history(Folder(tmp_path), b"k").changes
    assert [(one.index, one.what, one.entry and one.entry.value) for one in found] == [
        (2, "set in a transaction", b"2"),
        (5, "delete in a transaction", None),
        (6, "deleted with its tree in a transaction", None),
        (7, "set in a transaction", b"4"),
    ]
    assert [one.index for one in key_history(Folder(tmp_path), b"other").changes] == [2, 5]
    refused = list(steps(Folder(tmp_path), 1, 7))[2]
    assert (refused.applied.done, refused.before) == (False, None)


async def test_a_key_older_than_history(tmp_path: Path) -> None:
    """What the oldest snapshot has comes first, at the index of its last change."""
    await grow(tmp_path, snapshots=[10])
    forget(Folder(tmp_path), 10)
    found = key_history(Folder(tmp_path), b"a")
    assert found.since == Moment(10, ms_of(10))
    first = found.changes[0]
    assert (first.index, first.written_ms, first.what) == (6, None, "known from a snapshot")
    assert [one.index for one in found.changes] == [6, 13, 15]


async def test_damage_in_old_history(tmp_path: Path) -> None:
    """A key's history begins behind what is damaged, if a snapshot is there; else it is raised."""
    await grow(tmp_path, snapshots=[4])
    first = tmp_path / f"{1:020d}.journal"
    first.write_bytes(first.read_bytes()[:-20] + bytes(20))
    found = key_history(Folder(tmp_path), b"a")
    assert found.since == Moment(4, None)
    assert [one.index for one in found.changes] == [2, 6, 13, 15]
    (tmp_path / f"{4:020d}.snapshot").write_bytes(b"nothing")
    with pytest.raises(JournalCorrupt):
        key_history(Folder(tmp_path), b"a")


def test_the_key_a_command_names() -> None:
    """A tree is no key."""
    assert named_key(SetKey(b"k", b"", 0)) == b"k"
    assert named_key(DeleteTree(b"k")) is None
    assert keys_named(SetKey(b"k", b"", 0)) == {b"k"}
    assert keys_named(DeleteTree(b"k")) == set()
    assert keys_named(session()) == set()


def test_the_keys_a_transaction_names() -> None:
    """Each that an operation is about, also one that only looks; for `named_key` that is none."""
    ops = (SetKey(b"a", b"", 0), GetKey(b"b"), CheckSession(b"a", ""), CheckNotExists(b"c"))
    txn = Txn((*ops, DeleteTree(b"d"), GetTree(b"e"), ImpossibleOp("f")))
    assert keys_named(txn) == {b"a", b"b", b"c"}
    assert named_key(txn) is None

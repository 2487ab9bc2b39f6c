"""Looking back: what each record did, and every change of one key, by replaying a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvstore.errors import JournalCorrupt
from kvstore.journal.disk import Files
from kvstore.journal.journal import Record
from kvstore.journal.listing import Listing
from kvstore.journal.reader import JournalReader
from kvstore.maintenance.point import Moment, nearest_base, oldest, require_store
from kvstore.maintenance.rebuild import begun_with
from kvstore.state.applied import Applied
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    Command,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    DestroySession,
    GetKey,
    LockKey,
    RestoreStore,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.entry import Entry
from kvstore.state.store import State

__all__ = ["Change", "KeyHistory", "Step", "key_history", "keys_named", "named_key", "steps"]

Progress = Callable[[int], None]

_WRITES_OF_A_KEY = (SetKey, CasKey, DeleteKey, DeleteKeyCas, LockKey, UnlockKey)
_ABOUT_A_KEY = (*_WRITES_OF_A_KEY, GetKey, CheckIndex, CheckSession, CheckNotExists)


@dataclass(frozen=True, slots=True)
class Step:
    """A record and what came of it."""

    record: Record
    applied: Applied
    # The entry of the key that the command names, as it was before.
    before: Entry | None


@dataclass(frozen=True, slots=True)
class Change:
    """What one record did to one key."""

    index: int
    # Since 1970; None for what a snapshot says of a time before it.
    written_ms: int | None
    # "set", "deleted with its tree" and the like.
    what: str
    # The entry from then on; None when it is gone.
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """Every change of a key that is still known."""

    # What happened before this is not.
    since: Moment
    changes: list[Change]


def keys_named(command: Command) -> set[bytes]:
    """Return the keys that a command writes, reads or checks by name; a prefix is none."""
    ops = command.ops if isinstance(command, Txn) else (command,)
    return {op.key for op in ops if isinstance(op, _ABOUT_A_KEY)}


def named_key(command: Command | TxnOp) -> bytes | None:
    """Return the key that a write is about; None for one that names none, or more than one."""
    return command.key if isinstance(command, _WRITES_OF_A_KEY) else None


def steps(
    files: Files, first: int, upto: int, progress: Progress = lambda _: None
) -> Iterator[Step]:
    """Yield the records from `first` to `upto`, in order, with what came of each.

    Both must be in the folder: see `point.find`. `progress` is told how many bytes were read since
    the last time. Raises JournalCorrupt and JournalUnreadable.
    """
    listing = require_store(files)
    base = nearest_base(listing, first - 1)
    state, reader = _loaded(files, listing, base, upto, progress)
    for record in reader.records():
        key = named_key(record.command)
        before = None if key is None else state.get(key).value
        applied = state.apply(record.index, record.command)
        if record.index >= first:
            yield Step(record, applied, before)


def key_history(files: Files, key: bytes, progress: Progress = lambda _: None) -> KeyHistory:
    """Return every change of a key, as far back as the folder is whole.

    Raises NoStore, JournalUnreadable, and JournalCorrupt when nothing can be read.
    """
    listing = require_store(files)
    since = oldest(files)
    damage: JournalCorrupt | None = None
    for base in listing.bases():
        try:
            changes = list(_changes(files, listing, base, key, progress))
        except JournalCorrupt as corrupt:
            damage = damage or corrupt
        else:
            return KeyHistory(since if base == since.index else Moment(base, None), changes)
    assert damage is not None  # `oldest` has seen that there is a base
    raise damage


def _changes(
    files: Files, listing: Listing, base: int, key: bytes, progress: Progress
) -> Iterator[Change]:
    state, reader = _loaded(files, listing, base, None, progress)
    entry = state.get(key).value
    if entry is not None:
        yield Change(entry.modify_index, None, "known from a snapshot", entry)
    for record in reader.records():
        applied = state.apply(record.index, record.command)
        if key in applied.changed_keys:
            entry = state.get(key).value
            what = _what_happened(record.command, key, entry)
            yield Change(record.index, record.written_ms, what, entry)


def _loaded(
    files: Files, listing: Listing, base: int, upto: int | None, progress: Progress
) -> tuple[State, JournalReader]:
    reader = JournalReader(files, listing, listing.chain(base), upto=upto, progress=progress)
    return begun_with(reader.base()), reader


_WHAT: dict[type[Command | TxnOp], str] = {
    SetKey: "set",
    CasKey: "check-and-set",
    DeleteKey: "delete",
    DeleteKeyCas: "delete by check-and-set",
    DeleteTree: "deleted with its tree",
    LockKey: "lock",
    UnlockKey: "unlock",
}


def _what_happened(command: Command, key: bytes, entry: Entry | None) -> str:
    """Say what a command did to a key, of which `entry` is left."""
    if isinstance(command, Txn):
        last = next(op for op in reversed(command.ops) if _concerns(op, key))
        return f"{_WHAT[type(last)]} in a transaction"
    if isinstance(command, DestroySession):
        return "deleted: its session ended" if entry is None else "released: its session ended"
    if isinstance(command, RestoreStore):
        return "deleted by a restore" if entry is None else "restored"
    return _WHAT[type(command)]


def _concerns(op: TxnOp, key: bytes) -> bool:
    """Return whether an operation of a transaction may change a key."""
    return named_key(op) == key or (isinstance(op, DeleteTree) and key.startswith(op.prefix))

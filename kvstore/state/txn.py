"""Transactions: operations in order, at one index, all of them or none.

All run, also behind one that failed, so that the client hears of every failure at once (T4). What
each does to a key is in `kv.py`.

Source: Consul 1.8.7, state/txn.go; contract section 8.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kvstore.state import kv
from kvstore.state.applied import Applied, OpFailure, OpResult, TxnOutcome
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    Txn,
    TxnOp,
    UnlockKey,
)
from kvstore.state.tables import Tables

__all__ = ["READING_OPS", "read_txn", "run_txn"]

# The operations that change nothing, whatever the store holds.
READING_OPS = (GetKey, GetTree, CheckIndex, CheckSession, CheckNotExists, ImpossibleOp)

# Any: each function takes the class it is listed under.
_WRITE: dict[type[TxnOp], Callable[[Tables, int, Any], Applied]] = {
    SetKey: kv.set_key,
    CasKey: kv.cas_key,
    LockKey: kv.lock_key,
    UnlockKey: kv.unlock_key,
    DeleteKey: kv.delete_key,
    DeleteKeyCas: kv.delete_key_cas,
    DeleteTree: kv.delete_tree,
}
# Those that leave an entry, which is their result.
_LEAVING = (SetKey, CasKey, LockKey, UnlockKey)


def run_txn(tables: Tables, index: int, command: Txn) -> Applied:
    """Run a transaction; when one of its operations fails, nothing has changed."""
    tables.begin()
    results: list[OpResult] = []
    failures: list[OpFailure] = []
    changed: list[bytes] = []
    entry_of = tables.entries.get
    for position, op in enumerate(command.ops):
        write = _WRITE.get(type(op))
        if write is None:
            _read(tables, position, op, results, failures)
            continue
        applied = write(tables, index, op)
        changed += applied.changed_keys
        if not applied.done:
            failures.append(OpFailure(position, op, refusal=applied.refusal))
        elif isinstance(op, _LEAVING):
            results.append(OpResult(entry_of(op.key), op.key))
    if failures:
        tables.roll_back()
        return Applied(index, done=False, txn=TxnOutcome(failures=tuple(failures)))
    tables.commit()
    once = tuple(dict.fromkeys(changed))
    return Applied(index, changed_keys=once, txn=TxnOutcome(tuple(results)))


def read_txn(tables: Tables, ops: Iterable[TxnOp]) -> TxnOutcome:
    """Run operations that are all among READING_OPS; nothing changes."""
    results: list[OpResult] = []
    failures: list[OpFailure] = []
    for position, op in enumerate(ops):
        _read(tables, position, op, results, failures)
    return TxnOutcome(failures=tuple(failures)) if failures else TxnOutcome(tuple(results))


def _read(
    tables: Tables, position: int, op: TxnOp, results: list[OpResult], failures: list[OpFailure]
) -> None:
    """Run one operation that changes nothing."""
    if isinstance(op, ImpossibleOp):
        failures.append(OpFailure(position, op))
        return
    if isinstance(op, GetTree):
        found = tables.entries.under(op.prefix)
        results += [OpResult(entry, entry.key, with_value=True) for entry in found]
        return
    assert isinstance(op, READING_OPS)  # the writes have a table of their own
    entry = tables.entries.get(op.key)
    if isinstance(op, GetKey):
        holds, shown = entry is not None or op.or_empty, True
    elif isinstance(op, CheckIndex):
        holds, shown = entry is not None and entry.modify_index == op.index, True
    elif isinstance(op, CheckSession):
        holds, shown = entry is not None and entry.session == op.session, True
    else:
        holds, shown = entry is None, False
    if not holds:
        failures.append(OpFailure(position, op, entry))
    elif shown:
        results.append(OpResult(entry, op.key, with_value=isinstance(op, GetKey)))

"""`/v1/txn`: operations on keys that are done all together or not at all (contract section 8).

A transaction that only reads is answered from the state; one that writes is one command. Keys are
taken as they come, also those that `/v1/kv/` cannot spell (H12).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from kvstore.access.grants import EVERYTHING, Grants
from kvstore.api.exchange import Answer, NeedBody, Request, Response, Routes, Writing
from kvstore.api.gotext import quote
from kvstore.api.params import check_datacenter, parse_read
from kvstore.api.permission import grants_of
from kvstore.api.query import Query
from kvstore.api.refusals import reason
from kvstore.api.render import render_entry, render_value
from kvstore.api.responses import KNOWN_LEADER, json_response, text, too_large
from kvstore.api.txn_body import WrittenOp, parse_txn_body
from kvstore.engine.engine import Engine
from kvstore.errors import InvalidRequest
from kvstore.state.applied import Applied, OpFailure, OpResult, TxnOutcome
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    DeleteKeyCas,
    DeleteTree,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    Txn,
    UnlockKey,
)
from kvstore.state.entry import Entry

__all__ = ["TXN_BYTES_MAX", "TXN_OPS_MAX", "TxnEndpoints"]

# Consul's txn_max_req_len default.
TXN_BYTES_MAX = 512 * 1024
# As in Consul from 1.14 on (V7); 1.8.7 takes 64.
TXN_OPS_MAX = 128

_HELP = " See https://www.consul.io/docs/agent/options.html#txn_max_req_len."
_too_large = partial(too_large, max_bytes=TXN_BYTES_MAX, advice=_HELP)
# What an answer says of a read, in Consul's words; the index is always 0 (T6).
_READ_END = b',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}'
# From here on it is worth loading what reads plain bodies faster.
_LARGE_BYTES = 4096

_ParsePlain = Callable[[bytes], list[WrittenOp] | None]

_READS = (GetKey, GetTree)
_CHECKS = (CheckIndex, CheckSession)


class TxnEndpoints:
    """The one endpoint of transactions."""

    def __init__(self, engine: Engine, datacenter: str) -> None:
        self._engine = engine
        self._datacenter = datacenter
        # Loaded when the first large body comes.
        self._parse_plain: _ParsePlain | None = None

    def routes(self) -> Routes:
        """Return the one route."""
        return {b"/v1/txn": {"PUT": self.run}}

    def run(self, request: Request) -> Answer:
        """Run a transaction: 200 with results, or 409 with every operation that failed."""
        return NeedBody(TXN_BYTES_MAX, _too_large, partial(self._run, request))

    def _run(self, request: Request, body: bytes) -> Answer:
        try:
            written = self._parse(body)
        except InvalidRequest as error:
            return text(400, f"Failed to parse body: {error}")
        if len(written) > TXN_OPS_MAX:
            found = f"{len(written)} > {TXN_OPS_MAX}"
            return text(413, f"Transaction contains too many operations ({found})")
        ops = [one for one in written if one is not None]
        writes = any(one.is_write for one in ops)
        if not writes:
            parse_read(request)
        check_datacenter(request, self._datacenter)
        grants = grants_of(request)
        answer = partial(_render, request.query, ops, grants, writes=writes)
        if failures := self._refused(ops, grants):
            return answer(TxnOutcome(failures=failures))
        if not writes:
            return answer(self._engine.state.read_txn(one.op for one in ops))
        outcome = self._engine.submit(Txn(tuple(one.op for one in ops)))
        return Writing(outcome, lambda applied: answer(_outcome(applied)))

    def _parse(self, body: bytes) -> Sequence[WrittenOp | None]:
        if len(body) < _LARGE_BYTES:
            return parse_txn_body(body)
        if self._parse_plain is None:
            self._parse_plain = _load_parse_plain()
        plain = self._parse_plain(body)
        return parse_txn_body(body) if plain is None else plain

    def _refused(self, ops: list[WrittenOp], grants: Grants) -> tuple[OpFailure, ...]:
        """Return what fails before anything is run (T4); nothing when all may run.

        Lock-delay alone is the writer's to say, since it may begin with a write in flight.
        """
        refused = {
            position: OpFailure(position, one.op)
            for position, one in enumerate(ops)
            if (one.needs_key and not one.key) or not _may(grants, one)
        }
        if refused:
            others = ((at, one.op) for at, one in enumerate(ops) if at not in refused)
            refused.update((one.position, one) for one in self._engine.lock_delayed(others))
        return tuple(refused[position] for position in sorted(refused))


def _load_parse_plain() -> _ParsePlain:
    try:
        from kvstore.api.txn_plain import parse_plain  # noqa: PLC0415 - heavy and seldom needed
    except ImportError:  # there is no msgspec for this machine
        return lambda _: None
    return parse_plain


def _may(grants: Grants, one: WrittenOp) -> bool:
    """Return whether an operation may be tried; what is read is filtered afterwards (A6).

    Source: Consul 1.8.7, kvsPreApply. A check tells of one key, so it needs the right to read it.
    """
    if grants is EVERYTHING or isinstance(one.op, _READS):
        return True
    if isinstance(one.op, _CHECKS):
        return grants.key_read(one.key)
    if isinstance(one.op, DeleteTree):
        return grants.tree_write(one.key)
    return not one.needs_key or grants.key_write(one.key)


def _outcome(applied: Applied) -> TxnOutcome:
    assert applied.txn is not None  # what the writer answers a Txn with
    return applied.txn


def _render(
    query: Query, ops: list[WrittenOp], grants: Grants, outcome: TxnOutcome, *, writes: bool
) -> Response:
    end = b"}" if writes else _READ_END
    headers = b"" if writes else KNOWN_LEADER
    if outcome.failures:
        failed = [_failure(one, ops[one.position], grants) for one in outcome.failures]
        body = b'{"Results":null,"Errors":' + render_value(failed) + end
        return json_response(query, body, headers, status=409)
    shown: Iterable[OpResult] = outcome.results
    if grants is not EVERYTHING:
        shown = (one for one in shown if grants.key_read(one.key))
    results = b",".join([b'{"KV":%b}' % _result(one) for one in shown])
    return json_response(query, b'{"Results":[%b],"Errors":null%b' % (results, end), headers)


def _result(one: OpResult) -> bytes:
    if one.entry is None:
        return render_entry(Entry(one.key, b"", 0, "", 0, 0, 0))
    return render_entry(one.entry, with_value=one.with_value)


def _failure(failure: OpFailure, written: WrittenOp, grants: Grants) -> dict[str, Any]:
    if written.needs_key and not written.key:
        what = "Must provide key"
    elif not _may(grants, written):
        what = "Permission denied"
    elif failure.lock_delayed:
        what = f"failed to lock key {_quoted(written.key)} due to lock delay"
    elif failure.refusal is not None:
        what = reason(failure.refusal)
    else:
        what = _WHAT[type(failure.op)](failure, written.key)
    return {"OpIndex": failure.position, "What": what}


def _quoted(key: bytes) -> str:
    return quote(key.decode("utf-8", "surrogateescape"))


def _check_index(failure: OpFailure, key: bytes) -> str:
    assert isinstance(failure.op, CheckIndex)
    if failure.met is None:
        return f"failed to check index, key {_quoted(key)} doesn't exist"
    found = f"current modify index {failure.met.modify_index} != {failure.op.index}"
    return f"failed index check for key {_quoted(key)}, {found}"


def _check_session(failure: OpFailure, key: bytes) -> str:
    assert isinstance(failure.op, CheckSession)
    if failure.met is None:
        return f"failed to check session, key {_quoted(key)} doesn't exist"
    found = f"{quote(failure.met.session)} != {quote(failure.op.session)}"
    return f"failed session check for key {_quoted(key)}, current session {found}"


def _impossible(failure: OpFailure, _key: bytes) -> str:
    assert isinstance(failure.op, ImpossibleOp)
    return failure.op.why


# Consul's words for an operation that failed (T7).
_WHAT: dict[type, Callable[[OpFailure, bytes], str]] = {
    CasKey: lambda _, key: f"failed to set key {_quoted(key)}, index is stale",
    DeleteKeyCas: lambda _, key: f"failed to delete key {_quoted(key)}, index is stale",
    LockKey: lambda _, key: f"failed to lock key {_quoted(key)}, lock is already held",
    UnlockKey: lambda _, key: (
        f"failed to unlock key {_quoted(key)}, lock isn't held, or is held by another session"
    ),
    GetKey: lambda _, key: f"key {_quoted(key)} doesn't exist",
    CheckNotExists: lambda _, key: f"key {_quoted(key)} exists",
    CheckIndex: _check_index,
    CheckSession: _check_session,
    ImpossibleOp: _impossible,
}

"""Clients of a server that is killed: they write down what they asked, when, and what came of it.

Knows the wire; what the operations mean is in `history.py`.
"""

import http.client
import itertools
import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from history import (
    Absent,
    Answer,
    At,
    Call,
    Cas,
    CreateSession,
    Delete,
    DeleteCas,
    DeleteTree,
    DestroySession,
    Entries,
    HeldBy,
    Listing,
    Lock,
    Names,
    Part,
    ReadKey,
    ReadNames,
    ReadSessions,
    ReadTree,
    RenewSession,
    Seen,
    Set,
    Txn,
    Unlock,
)
from linearizability import UNKNOWN, Operation
from running import WITHIN_S

__all__ = ["Client", "Directory", "Fuse", "ServerGone"]

# How long a blocking query waits: not long, so that some run out within a round.
_WAIT = "50ms"

_OK, _NOT_FOUND, _CONFLICT, _ERROR = 200, 404, 409, 500


_VERBS = {
    Set: "set",
    Cas: "cas",
    Delete: "delete",
    DeleteCas: "delete-cas",
    DeleteTree: "delete-tree",
    Lock: "lock",
    Unlock: "unlock",
    At: "check-index",
    Absent: "check-not-exists",
    HeldBy: "check-session",
}


class ServerGone(Exception):
    """The connection broke: whether the operation was done is unknown."""


class Fuse:
    """Does something once, when clients have sent or had answered so many requests."""

    def __init__(self, count: int, *, when_sent: bool, burn: Callable[[], None]) -> None:
        self._count = count
        self._burn = burn
        self._sent = itertools.count(1)
        self._answered = itertools.count(1)
        self._when_sent = when_sent
        self._burnt = threading.Event()

    def sent(self) -> None:
        """Count a request that was sent."""
        if next(self._sent) == self._count and self._when_sent:
            self._go()

    def answered(self) -> None:
        """Count an answer that came."""
        if next(self._answered) == self._count and not self._when_sent:
            self._go()

    def wait(self) -> bool:
        """Wait until it has burnt; False when that takes far too long."""
        return self._burnt.wait(WITHIN_S)

    def _go(self) -> None:
        self._burn()
        self._burnt.set()


class Directory:
    """The ids of sessions and their names, shared by all clients."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {"": ""}
        self._ids: dict[str, str] = {}

    def learn(self, session_id: str, name: str) -> None:
        """Remember the id of a name; neither ever has another."""
        assert self._names.setdefault(session_id, name) == name, (session_id, name)
        assert self._ids.setdefault(name, session_id) == session_id, (session_id, name)

    def name_of(self, session_id: str) -> str:
        """Return a session's name; a text that is nobody's when the id is unknown."""
        return self._names.get(session_id, f"unknown session {session_id}")

    def id_of(self, name: str) -> str:
        """Return the id of a session that was learnt."""
        return self._ids[name]


class Client:
    """One connection to a server, and the history of what went over it."""

    def __init__(self, port: int, directory: Directory, fuse: Fuse | None = None) -> None:
        self.operations: list[Operation] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
        self._directory = directory
        self._fuse = fuse

    def do(self, call: Call) -> Any:
        """Perform an operation and return its outcome; raises ServerGone."""
        method, target, body = self._request(call)
        invoked_ns = time.monotonic_ns()
        try:
            status, index, answer = self._ask(method, target, body)
        except TimeoutError:
            raise AssertionError(f"no answer within {WITHIN_S} s: {call}") from None
        except (OSError, http.client.HTTPException) as error:
            self.operations.append(Operation(call, UNKNOWN, invoked_ns))
            raise ServerGone from error
        returned_ns = time.monotonic_ns()
        outcome = self._outcome(call, status, index, answer)
        self.operations.append(Operation(call, outcome, invoked_ns, returned_ns))
        if self._fuse is not None:
            self._fuse.answered()
        return outcome

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, target: str, body: bytes | None) -> tuple[int, int, bytes]:
        self._connection.request(method, target, body)
        if self._fuse is not None:
            self._fuse.sent()
        with self._connection.getresponse() as answer:
            return answer.status, int(answer.getheader("X-Consul-Index", "0")), answer.read()

    def _request(  # noqa: C901, PLR0911, PLR0912 - a table
        self, call: Call
    ) -> tuple[str, str, bytes | None]:
        """Return the method, target and body of an operation."""
        id_of = self._directory.id_of
        match call:
            case Set(key, value):
                return "PUT", f"/v1/kv/{key}", value.encode()
            case Cas(key, value, index):
                return "PUT", f"/v1/kv/{key}?cas={index}", value.encode()
            case Lock(key, value, session):
                return "PUT", f"/v1/kv/{key}?acquire={id_of(session)}", value.encode()
            case Unlock(key, value, session):
                return "PUT", f"/v1/kv/{key}?release={id_of(session)}", value.encode()
            case Delete(key):
                return "DELETE", f"/v1/kv/{key}", None
            case DeleteCas(key, index):
                return "DELETE", f"/v1/kv/{key}?cas={index}", None
            case DeleteTree(prefix):
                return "DELETE", f"/v1/kv/{prefix}?recurse", None
            case CreateSession(name, behavior, ttl):
                wanted = {"Name": name, "Behavior": behavior, "TTL": ttl, "LockDelay": "0s"}
                return "PUT", "/v1/session/create", json.dumps(wanted).encode()
            case DestroySession(name):
                return "PUT", f"/v1/session/destroy/{id_of(name)}", None
            case RenewSession(name):
                return "PUT", f"/v1/session/renew/{id_of(name)}", None
            case Txn(ops):
                return "PUT", "/v1/txn", json.dumps(list(map(self._op, ops))).encode()
            case ReadKey(key, past):
                return "GET", _query(f"/v1/kv/{key}", past), None
            case ReadTree(prefix, past):
                return "GET", _query(f"/v1/kv/{prefix}", past, recurse=""), None
            case ReadNames(prefix, past):
                return "GET", _query(f"/v1/kv/{prefix}", past, keys=""), None
            case ReadSessions(past):
                return "GET", _query("/v1/session/list", past), None

    def _op(self, op: Part) -> dict[str, Any]:
        """Return an operation of a transaction as JSON has it."""
        name = op.prefix if isinstance(op, DeleteTree) else op.key
        members: dict[str, Any] = {"Verb": _VERBS[type(op)], "Key": name}
        if isinstance(op, Set | Cas | Lock | Unlock):
            members["Value"] = b64encode(op.value.encode()).decode()
        if isinstance(op, Cas | DeleteCas | At):
            members["Index"] = op.index
        if isinstance(op, Lock | Unlock | HeldBy):
            members["Session"] = self._directory.id_of(op.session)
        return {"KV": members}

    def _outcome(  # noqa: PLR0911 - a table
        self, call: Call, status: int, index: int, answer: bytes
    ) -> Any:
        """Return what an operation was told."""
        match call:
            case ReadKey() | ReadTree():
                entries = map(self._seen, _listed(status, answer))
                return Entries({seen.key: seen for seen in entries}, index)
            case ReadNames():
                return Names(frozenset(_listed(status, answer)), index)
            case ReadSessions():
                assert status == _OK, answer
                listed = [(one["ID"], one["Name"]) for one in json.loads(answer)]
                for session_id, name in listed:
                    self._directory.learn(session_id, name)
                return Listing(frozenset(name for _id, name in listed), index)
            case RenewSession():
                assert status in (_OK, _NOT_FOUND), answer
                return Answer.YES if status == _OK else Answer.NO
            case CreateSession(name):
                assert status == _OK, answer
                self._directory.learn(json.loads(answer)["ID"], name)
                return Answer.YES
            case Txn():
                assert status in (_OK, _CONFLICT), answer
                return Answer.YES if status == _OK else Answer.NO
            case Lock() if status == _ERROR and answer.startswith(b"invalid session "):
                return Answer.REFUSED
            case _:
                assert status == _OK, answer
                return {b"true": Answer.YES, b"false": Answer.NO}[answer]

    def _seen(self, entry: dict[str, Any]) -> Seen:
        return Seen(
            entry["Key"],
            b64decode(entry["Value"] or "").decode(),
            self._directory.name_of(entry.get("Session", "")),
            entry["LockIndex"],
            entry["CreateIndex"],
            entry["ModifyIndex"],
        )


def _query(path: str, past: int, **parameters: str) -> str:
    if past:
        parameters |= {"index": str(past), "wait": _WAIT}
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _listed(status: int, answer: bytes) -> list[Any]:
    """Return a JSON list; nothing found is an empty one."""
    assert status in (_OK, _NOT_FOUND), answer
    listed: list[Any] = json.loads(answer) if status == _OK else []
    return listed

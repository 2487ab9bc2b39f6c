"""A store in memory, for the random differential test: right, or wrong in a way that is planted."""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.fuzz.operation import Call, Operation, Park
from conformance.suite.wire import Answer

Tamper = Callable[[Call, Answer], Answer]


def answer(
    status: int = 200, body: bytes = b"", index: int | None = None, **headers: str
) -> Answer:
    """Return an answer; `_` in a header's name stands for `-`."""
    told = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if index is not None:
        told.append(("X-Consul-Index", str(index)))
    return Answer(status, "", tuple(told), body)


@dataclass
class FakeStore:
    """Keys and sessions with indexes; knows plain, cas and recursive calls, all else is a 404.

    `tamper` sees each request and its answer, and returns the answer that is given. `loses` says
    which writes are said to be done and are not. Indexes grow by `step`.
    """

    index: int = 10
    step: int = 1
    tamper: Tamper = lambda _, answer: answer
    loses: Callable[[Call], bool] = lambda _: False
    sleeps: bool = False
    """Whether parked queries are never woken."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    asked: list[Call] = field(default_factory=list)
    _kvs: int = 5
    _sessions: int = 5

    def send(self, call: Call) -> None:
        """Take a request."""
        self.asked.append(call)

    def receive(self) -> Answer:
        """Answer the last request."""
        return self.tamper(self.asked[-1], self._answer(self.asked[-1]))

    def park(self, target: str) -> "FakeLine":
        """Begin a query that waits."""
        return FakeLine(self, Call("GET", target))

    def close(self) -> None:
        """Have nothing to close."""

    def now(self, call: Call) -> Answer:
        """Return what a plain query would be answered."""
        return self.tamper(call, self._answer(call))

    def _answer(self, call: Call) -> Answer:
        if call.path == "/v1/session/create" and call.method == "PUT":
            return self._create()
        if call.path.startswith("/v1/session/destroy/") and call.method == "PUT":
            if self.sessions.pop(call.path.rpartition("/")[2], None) is not None:
                self._sessions = self._next()
            return answer(body=b"true")
        if call.path == "/v1/session/list" and call.method == "GET":
            listed = [{"ID": each, "CreateIndex": self.sessions[each]} for each in self.sessions]
            return answer(body=_json(sorted(listed, key=str)), index=self._sessions)
        if call.path.startswith("/v1/kv/"):
            return self._key(call, call.path.removeprefix("/v1/kv/"))
        return answer(404)

    def _create(self) -> Answer:
        session = str(uuid.uuid4())
        self._sessions = self.sessions[session] = self._next()
        return answer(body=_json({"ID": session}))

    def _key(self, call: Call, key: str) -> Answer:
        tree = call.parameter("recurse") is not None
        found = [
            one for one in sorted(self.entries) if one == key or (tree and one.startswith(key))
        ]
        if call.method == "GET":
            shown = [self.entries[one] for one in found]
            newest = max((one["ModifyIndex"] for one in shown), default=self._kvs)
            return answer(200 if shown else 404, _json(shown) if shown else b"", newest)
        if call.method not in {"PUT", "DELETE"}:
            return answer(405)
        if (cas := call.parameter("cas")) is not None:
            current = self.entries[key]["ModifyIndex"] if key in self.entries else 0
            if str(current) != cas:
                return answer(body=b"false")
        if not self.loses(call) and (found or call.method == "PUT"):
            self._write(call, key, found)
        return answer(body=b"true")

    def _write(self, call: Call, key: str, found: list[str]) -> None:
        self._kvs = self._next()
        if call.method == "DELETE":
            for one in found:
                del self.entries[one]
            return
        created = self.entries[key]["CreateIndex"] if found else self._kvs
        value = b64encode(call.body or b"").decode()
        indexes = {"CreateIndex": created, "ModifyIndex": self._kvs}
        self.entries[key] = {"Key": key, "Value": value, **indexes}

    def _next(self) -> int:
        self.index += self.step
        return self.index


class FakeLine:
    """A query that is answered once its index has been passed."""

    def __init__(self, store: FakeStore, call: Call) -> None:
        self._store = store
        self._call = call
        self._waits = call.parameter("wait") == "60s"
        self._index = int(call.parameter("index") or 0)

    def answered(self, within_s: float = 0.0) -> bool:
        """Return whether the query's index has been passed, or its time is up."""
        del within_s
        passed = self._store.now(self._call).headers and self.answer().index > self._index
        return not self._waits or bool(passed and not self._store.sleeps)

    def answer(self) -> Answer:
        """Answer with what is there now."""
        return self._store.now(self._call)

    def close(self) -> None:
        """Have nothing to close."""


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def changed(match: Callable[[Call, Answer], bool], **changes: Any) -> Tamper:
    """Return a tamper that changes these parts of the answers that match."""
    return lambda call, said: replace(said, **changes) if match(call, said) else said


def requests(operations: Sequence[Operation]) -> list[str]:
    """Return operations as short texts."""
    return [
        f"park {each.target}" if isinstance(each, Park) else f"{each.method} {each.target}"
        for each in operations
    ]

"""Playing a recording to a store, and comparing what it answers.

Requests go out one after the other in the recorded order, each on the connection that its client
used; long polls stay open on theirs until the step that answered them. Nothing waits for a clock:
where a session's time was up it is destroyed, a long poll waits for as long as the replay may take,
and one that ended with nothing new is asked for again, with a wait of a millisecond.
"""

import json
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from conformance.recordings.recording import Do, Recording, Step
from conformance.recordings.relation import Relation, Unlike
from conformance.suite.case import Failed, Ground, Store
from conformance.suite.wire import Answer, Connection

KV = "/v1/kv/"
LOCK_DELAY_S = 0.01
"""The recorded sessions have a lock-delay of 1 ms, which nobody then tries to beat."""

POLL_WAIT = "10m"
"""Longer than any replay takes: a busy machine is no difference of the store."""

SEED_SESSION = {"Behavior": "delete", "LockDelay": "1ms", "TTL": "30s"}
"""A session of an engine's, where the recording began behind its creation."""

INDEX = "X-Consul-Index"
LEADER = "X-Consul-Knownleader"
OK = 200
NOT_FOUND = 404
SHOWN_MAX = 600


def play(recording: Recording, store: Store, ground: Ground) -> None:
    """Play a recording below the ground's prefix. Raises Failed at the first wrong answer."""
    player = _Player(recording, store, ground)
    try:
        for number, step in enumerate(recording.steps, start=1):
            player.play(number, step)
    finally:
        player.close()


@dataclass(slots=True)
class _Line:
    """One client's connection, and the long poll on it."""

    connection: Connection
    polled: str = ""
    index: int = 0


class _Player:
    def __init__(self, recording: Recording, store: Store, ground: Ground) -> None:
        self._recording = recording
        self._store = store
        self._prefix = ground.prefix
        self._relation = Relation(ground.prefix)
        self._headers = list(recording.headers.items())
        self._lines: dict[str, _Line] = {}
        self._last_use = {step.on: n for n, step in enumerate(recording.steps, start=1)}
        self._where = ""

    def play(self, number: int, step: Step) -> None:
        """Play one step."""
        self._where = f"{self._recording.name}, step {number}, {step}"
        match step.do:
            case Do.SEED:
                self._seed(step)
            case Do.ASK:
                self._ask(step)
            case Do.OPEN:
                self._open(step)
            case Do.ANSWERED:
                self._answered(step)
            case Do.UNANSWERED:
                self._unanswered(step)
            case Do.EXPIRED:
                self._end_session(step)
        if self._last_use.get(step.on) == number and step.on in self._lines:
            self._lines.pop(step.on).connection.close()

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.connection.close()
        self._lines.clear()

    # --- steps ------------------------------------------------------------------------------

    def _seed(self, step: Step) -> None:
        target = self._target(step)
        if step.session:
            if self._relation.session(step.session) == step.session:
                self._relation.know(step.session, self._store.session(**SEED_SESSION))
            self._write(f"{target}&acquire={self._relation.session(step.session)}", b"")
        self._write(target, b64decode(step.answer or ""))

    def _write(self, target: str, value: bytes) -> None:
        answer = self._store.ask("PUT", target, value)
        if (answer.status, answer.plain) != (OK, b"true"):
            raise self._failed(f"PUT {target}", "200 true", answer)

    def _ask(self, step: Step) -> None:
        target = self._target(step)
        line = self._line(step.on)
        self._send(line, step.method, target, step.body)
        answer = line.connection.read(step.method)
        self._store.note(step.method, step.target, answer)
        self._judge(step, f"{step.method} {target}", answer)
        if "/session/destroy/" in target:
            time.sleep(LOCK_DELAY_S)

    def _open(self, step: Step) -> None:
        line = self._line(step.on)
        line.polled = _with(self._target(step), wait=POLL_WAIT)
        line.index = self._index(step)
        self._send(line, "GET", line.polled)

    def _answered(self, step: Step) -> None:
        line = self._lines[step.on]
        answer = line.connection.read()
        while answer.status == NOT_FOUND != step.status:
            # The index of what is not there is the store's: a client asks again with it.
            self._again(line, answer)
            answer = line.connection.read()
        self._judge(step, f"GET {line.polled}", answer)

    def _unanswered(self, step: Step) -> None:
        line = self._lines.pop(step.on)
        with line.connection:
            while not line.connection.silent_for(0):
                answer = line.connection.read()
                if answer.status != NOT_FOUND or step.status != NOT_FOUND:
                    raise self._failed(f"GET {line.polled}", "no answer: nothing changed", answer)
                self._again(line, answer)
        target = _with(line.polled, wait="1ms")
        answer = self._store.ask("GET", target, headers=self._headers)
        self._judge(step, f"GET {target}", answer)

    def _end_session(self, step: Step) -> None:
        target = f"/v1/session/destroy/{self._relation.session(step.session)}"
        self._write(target, b"")
        time.sleep(LOCK_DELAY_S)

    # --- connections ------------------------------------------------------------------------

    def _line(self, name: str) -> _Line:
        if name not in self._lines:
            self._lines[name] = _Line(self._store.connect())
        return self._lines[name]

    def _send(self, line: _Line, method: str, target: str, body: str = "") -> None:
        data = body.encode() if method == "PUT" else None
        line.connection.send(self._store.encode(method, target, data, headers=self._headers))

    def _again(self, line: _Line, answer: Answer) -> None:
        """Poll again for what is not there, with the index of the answer; it must have moved."""
        index = _index(answer)
        if index <= line.index:
            expected = f"no answer before X-Consul-Index passes {line.index}"
            raise self._failed(f"GET {line.polled}", expected, answer)
        line.index = index
        line.polled = _with(line.polled, index=str(index))
        self._send(line, "GET", line.polled)

    # --- requests and answers ---------------------------------------------------------------

    def _target(self, step: Step) -> str:
        """Return the target of a step with the store's prefix, ids and indexes."""
        path, _, query = step.target.partition("?")
        if path.startswith(KV):
            path = KV + self._prefix + path.removeprefix(KV)
        path = self._relation.text(path)
        changes = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name in {"acquire", "release"}:
                changes[name] = self._relation.session(value)
            elif name == "cas" and value != "0":
                changes[name] = str(self._relation.index(int(value), step.target) or value)
            elif name == "index":
                changes[name] = str(self._index(step))
        return _with(f"{path}?{query}" if query else path, **changes)

    def _index(self, step: Step) -> int:
        """Return the index that a long poll carries; read it if the recording began behind it."""
        recorded = int(dict(parse_qsl(step.target.partition("?")[2]))["index"])
        known = self._relation.index(recorded, _path(step.target))
        if known is not None:
            return known
        path, _, query = step.target.partition("?")
        path = KV + self._prefix + path.removeprefix(KV)
        keep = "?recurse=" if "recurse" in query else ""
        return self._store.ask("GET", path + keep).index

    def _judge(self, step: Step, asked: str, answer: Answer) -> None:
        """Compare an answer with the recorded one. Raises Failed."""
        try:
            self._compare(step, answer)
        except Unlike as unlike:
            body = json.dumps(step.answer)[:SHOWN_MAX] if step.answer is not None else "no body"
            recorded = f"{unlike}\nrecorded: {step.status}, index {step.index}, {body}"
            raise self._failed(asked, recorded, answer) from unlike

    def _compare(self, step: Step, answer: Answer) -> None:
        """Compare status, headers and body. Raises Unlike."""
        for complaint in _complaints(step, answer):
            raise Unlike(complaint)
        if step.index and step.status == NOT_FOUND:
            self._relation.see_absent(step.index, _index(answer), _path(step.target))
        elif step.index:
            self._relation.see_index(step.index, _index(answer), INDEX)
        if isinstance(step.answer, str):
            self._relation.compare(self._relation.text(step.answer), _body(answer))
        elif step.answer is not None:
            self._relation.compare(step.answer, _body(answer))

    def _failed(self, asked: str, expected: str, answer: Answer) -> Failed:
        plain = answer.plain[:SHOWN_MAX].decode("utf-8", "replace")
        got = f"{answer.status}, index {answer.get(INDEX)}, {plain or 'no body'}"
        return Failed(asked, expected, got, where=self._where)


def _complaints(step: Step, answer: Answer) -> Iterator[str]:
    """Yield what is wrong with the status and the headers that clients read."""
    if answer.status != step.status:
        yield f"status {answer.status}, expected {step.status}"
    if step.index:
        if not _index(answer):
            yield f"{INDEX} {answer.get(INDEX)}, expected a number of at least 1"
        if answer.get(LEADER) != "true":
            yield f"{LEADER} {answer.get(LEADER)}, expected true"
    kind = answer.get("Content-Type") or ""
    if step.status == OK and kind != "application/json":
        yield f"Content-Type {kind!r}, expected 'application/json'"


def _index(answer: Answer) -> int:
    """Return the number in the index header; 0 where there is none."""
    value = answer.get(INDEX) or ""
    return int(value) if value.isdecimal() else 0


def _path(target: str) -> str:
    return target.partition("?")[0]


def _with(target: str, **parameters: str) -> str:
    """Return a target with some parameters of its query set, in the order of their names."""
    path, _, query = target.partition("?")
    known = {**dict(parse_qsl(query, keep_blank_values=True)), **parameters}
    return f"{path}?{urlencode(sorted(known.items()))}" if known else path


def _body(answer: Answer) -> object:
    """Return the body as JSON, or as text where it is none."""
    text = answer.plain.decode("utf-8", "replace")
    try:
        return json.loads(text) if answer.get("Content-Type") == "application/json" else text
    except ValueError:
        return text

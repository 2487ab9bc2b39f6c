"""Sends the same requests to both stores and compares the answers.

What must differ is mapped: session ids and the node's name become labels, indexes are compared by
their order. Deliberate differences are allowed where a named rule says so, and nowhere else.
"""

import json
import re
from bisect import bisect
from dataclasses import dataclass, field

from .stores import Store
from .watched import watched
from .wire import Answer

INDEX = re.compile(rb'(?<=(?:Create|Modify)Index":)( ?)(\d+)')
NODE = re.compile(rb'(?<="Node":)( ?)"[^"]*"')
SESSION_LIST = re.compile(rb'\[\s*{\s*"ID":')
CREATED = re.compile(rb'{\s*"ID":\s*"([^"]+)"\s*}')
CONFLICT = b"Conflicting flags: "
CAS = re.compile(rb"cas=\d+")
DECODE = b"Request decode failed: "


class Differs(AssertionError):
    """The stores answered the same request differently, and no rule allows it."""


@dataclass(frozen=True)
class Call:
    """One request with placeholders, the same for both stores.

    In `target`, `{P}` is the prefix of this run, `{s0}`, `{s1}` … are sessions (`{S0}` is in
    capitals), and `{m:KEY}` is the ModifyIndex that the store itself has for that key, or 1.
    """

    method: str
    target: str
    body: bytes | None = None
    chunked: bool = False

    def __str__(self) -> str:
        """Show the request as one would type it."""
        body = "" if self.body is None else f" {self.body!r}"
        return f"{self.method} {self.target}{body}{' (chunked)' if self.chunked else ''}"


@dataclass
class Twins:
    """Two stores side by side, what each calls its sessions, and how their indexes pair up."""

    consul: Store
    kvstore: Store
    prefix: str
    sessions: list[tuple[str, str]] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    indexes: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0), (1, 1)])
    repairs: int = 0

    def call(self, call: Call) -> None:
        """Send a request to both and compare; after a write compare all that it could change."""
        self.history.append(str(call))
        before = self._modify_indexes(call) if "cas" in call.target else None
        targets = [self._fill(call.target, side) for side in (0, 1)]
        theirs = self._send(self.consul, call, targets[0])
        ours = self._send(self.kvstore, call, targets[1])
        if ours.status != 301:
            theirs = self._follow(theirs, call)
        created = [CREATED.match(answer.body) for answer in (theirs, ours)]
        if any(created):
            ids = [match[1].decode() if match else "none" for match in created]
            self.sessions.append((ids[0], ids[1]))
        self._compare(call, theirs, ours)
        if before and ours.body.strip() == b"true" and call.method == "PUT":
            self._repair_identical_cas(call, before)
        if call.method in {"PUT", "DELETE"}:
            self.compare_state()

    def compare_state(self) -> None:
        """Compare everything under the prefix, the sessions, and the index of all keys."""
        for target in ("/v1/kv/{P}?recurse", "/v1/kv/{P}no/such/key", "/v1/session/list"):
            call = Call("GET", target)
            answers = [self._send(store, call, self._fill(target, 0)) for store in self._both()]
            self._compare(call, *answers)

    def end(self) -> None:
        """Destroy the sessions and delete the keys of this run, whatever the stores say."""
        for pair in self.sessions:
            for store, session in zip(self._both(), pair, strict=True):
                store.ask("PUT", f"/v1/session/destroy/{session}")
        for store in self._both():
            store.ask("DELETE", f"/v1/kv/{self.prefix}?recurse")

    # --- sending ----------------------------------------------------------------------------

    def _both(self) -> tuple[Store, Store]:
        return self.consul, self.kvstore

    def _send(self, store: Store, call: Call, target: str) -> Answer:
        return store.ask(call.method, target, call.body, chunked=call.chunked)

    def _follow(self, answer: Answer, call: Call) -> Answer:
        """Rule unclean-write-in-place: what we do at once, Consul does at the place it names."""
        location = answer.get("Location")
        is_write = call.method in {"PUT", "DELETE"} and call.target.startswith("/v1/kv/")
        if answer.status == 301 and is_write and location:
            return self._send(self.consul, call, location)
        return answer

    def _fill(self, target: str, side: int) -> str:
        """Put in what this store calls the sessions and indexes."""
        target = target.replace("{P}", self.prefix)
        for number, pair in enumerate(self.sessions):
            target = target.replace(f"{{s{number}}}", pair[side])
            target = target.replace(f"{{S{number}}}", pair[side].upper())
        target = re.sub(r"\{[sS]\d+\}", "00000000-aaaa-bbbb-cccc-000000000000", target)
        wanted = re.search(r"\{m:([^}]*)\}", target)
        if wanted is None:
            return target
        answer = self._both()[side].get(self.prefix + wanted[1])
        index = answer.json[0]["ModifyIndex"] if answer.status == 200 else 1
        return target.replace(wanted[0], str(index))

    def _modify_indexes(self, call: Call) -> tuple[str, list[int]] | None:
        """Return the key of this call and its ModifyIndex on both, or None without the key."""
        path = self._fill(call.target, 0).partition("?")[0]
        answers = []
        for store in self._both():
            answer = store.ask("GET", path)
            if answer.status == 301:
                path = answer.get("Location") or path
                answer = store.ask("GET", path)
            answers.append(answer)
        if [answer.status for answer in answers] != [200, 200]:
            return None
        return path, [answer.index for answer in answers]

    def _repair_identical_cas(self, call: Call, before: tuple[str, list[int]]) -> None:
        """Rule cas-identical-wakes: ours moved, Consul did not; write both to bring them level."""
        path, (theirs, ours) = before
        now = [store.ask("GET", path).index for store in self._both()]
        if now[0] != theirs:
            return
        if now[1] == ours:
            self._fail(call, "an identical CAS write did not move our index (cas-identical-wakes)")
        self.repairs += 1
        for store in self._both():
            store.ask("PUT", path, b"repaired %d" % self.repairs)

    # --- comparing --------------------------------------------------------------------------

    def _compare(self, call: Call, theirs: Answer, ours: Answer) -> None:
        seen = []
        for side, answer in enumerate((theirs, ours)):
            headers = watched(answer)
            headers.pop("X-Consul-Index", None)
            if "Location" in headers:
                place = self._without_sessions(headers["Location"].encode("latin-1"), side)
                headers["Location"] = CAS.sub(b"cas=N", place).decode("latin-1")
            seen.append((answer.status, headers, self._labelled(answer, side)))
        numbers = [self._numbers(answer) for answer in (theirs, ours)]
        if seen[0] != seen[1] or len(numbers[0]) != len(numbers[1]):
            self._fail(call, "the answers differ", theirs, ours)
        for pair in zip(*numbers, strict=True):
            if not self._pairs(*pair) and not self._may_be_ahead(call, *pair):
                self._fail(call, f"index {pair[1]} is not Consul's {pair[0]}", theirs, ours)

    def _labelled(self, answer: Answer, side: int) -> bytes:
        """Return the body with ids, node names and indexes replaced."""
        body = INDEX.sub(rb"\1 0", NODE.sub(rb'\1"NODE"', answer.body))
        if body.startswith(DECODE) and b"time:" not in body:
            return DECODE  # S2: only the beginning is promised
        if body.startswith(CONFLICT):
            body = CAS.sub(b"cas=N", body)
        body = self._without_sessions(body, side)
        if SESSION_LIST.match(body):  # sessions are in order of ids, which no two stores share
            body = json.dumps(sorted(json.loads(body), key=lambda each: str(each["ID"]))).encode()
        return body

    def _without_sessions(self, text: bytes, side: int) -> bytes:
        for number, pair in enumerate(self.sessions):
            text = text.replace(pair[side].encode(), b"SESSION-%d" % number)
            text = text.replace(pair[side].upper().encode(), b"SESSION-%d-UPPER" % number)
        return text

    def _numbers(self, answer: Answer) -> list[int]:
        """Return all indexes of an answer, in an order that is the same for both stores."""
        found = [int(number) for _, number in INDEX.findall(answer.body)]
        if SESSION_LIST.match(answer.body):
            found.sort()
        if answer.get("X-Consul-Index"):
            found.append(answer.index)
        return found

    def _pairs(self, theirs: int, ours: int) -> bool:
        """Return whether this pair keeps the order of all pairs seen; remember it if so."""
        at = bisect(self.indexes, (theirs, ours))
        low = self.indexes[at - 1]
        if low == (theirs, ours):
            return True
        high = self.indexes[at] if at < len(self.indexes) else (theirs + 1, ours + 1)
        if low[0] < theirs < high[0] and low[1] < ours < high[1]:
            self.indexes.insert(at, (theirs, ours))
            return True
        return False

    def _may_be_ahead(self, call: Call, theirs: int, ours: int) -> bool:
        """Rule index-never-back: the index of a prefix may be later than Consul's, if known."""
        is_prefix = call.method == "GET" and re.search(r"[?&;](recurse|keys)", call.target)
        known = [pair[0] for pair in self.indexes if pair[1] == ours]
        return bool(is_prefix) and bool(known) and known[0] > theirs

    def _fail(
        self, call: Call, why: str, theirs: Answer | None = None, ours: Answer | None = None
    ) -> None:
        lines = [f"{why}", f"request: {call}", f"consul:  {theirs}", f"kvstore: {ours}"]
        lines += [f"prefix {self.prefix}, sessions (consul, kvstore) {self.sessions}", "after:"]
        lines += [f"  {each}" for each in self.history]
        raise Differs("\n".join(lines))

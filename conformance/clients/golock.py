"""api.Lock and api.Semaphore of Consul's Go client, request by request.

`consul lock`, libkv's locks and Swarm's election are made of the first.
Source: spec/consul-http.md, section 11.1.
"""

import json
import time
from dataclasses import dataclass

from conformance.clients.speaker import Entry, Speaker
from conformance.suite.case import Failed

LOCK_FLAGS = 3304740253564472344
SEMAPHORE_FLAGS = 16210313421097356768
WAIT_S = 15.0
RETRY_S = 0.05
"""How long to sleep under lock-delay; Go's client sleeps five seconds."""

LATE_S = 10.0


def create_session(speaker: Speaker, **members: object) -> str:
    """Create a session as Go's client does, newline included, and return its id."""
    body = json.dumps(members, separators=(",", ":")).encode() + b"\n"
    return str(json.loads(speaker.ask("PUT", "/v1/session/create", body).plain)["ID"])


def destroy_session(speaker: Speaker, session: str) -> None:
    """Destroy a session."""
    speaker.ask("PUT", f"/v1/session/destroy/{session}")


@dataclass(slots=True)
class Lock:
    """One contender for a lock on `key` ("a/.lock"), with a session of its own."""

    speaker: Speaker
    key: str
    session: str
    value: bytes = b""
    # How often `acquire` was refused.
    refused: int = 0

    @property
    def target(self) -> str:
        """Where the key is."""
        return f"/v1/kv/{self.key}"

    def acquire(self, within_s: float) -> Entry:
        """Wait until the lock is ours, and return its entry. Raises Failed when it never is."""
        deadline = time.monotonic() + within_s
        index = 0
        while time.monotonic() < deadline:
            holder, index = self._holder(index, deadline)
            if holder:
                continue
            if self._try():
                return self.entry()
            self.refused += 1
            index, found = self.speaker.read(f"{self.target}?wait=15000ms")
            if not (found and found[0].session):
                index = 0
                time.sleep(RETRY_S)  # lock-delay
        raise Failed(f"lock on {self.key}", f"held within {within_s:g} s", f"{self.entry()}")

    def entry(self) -> Entry:
        """Read the lock's entry; Failed when there is none."""
        _, found = self.speaker.read(f"{self.target}?consistent=")
        if not found:
            raise Failed(f"GET {self.target}?consistent=", "the lock's entry", "404")
        return found[0]

    def release(self) -> None:
        """Give the lock back. Raises Failed when it was not ours."""
        target = f"{self.target}?flags={LOCK_FLAGS}&release={self.session}"
        if not self.speaker.true("PUT", target, self.value):
            raise Failed(f"PUT {target}", "true: the holder releases", "false")

    def wait_lost(self, index: int, within_s: float) -> None:
        """Monitor the lock until its entry no longer names our session, with no `wait`."""
        deadline = time.monotonic() + within_s
        while True:
            target = f"{self.target}?consistent=&index={index}"
            left_s = max(0.1, deadline - time.monotonic())
            index, found = self.speaker.read(target, within_s=left_s)
            if not found or found[0].session != self.session:
                return

    def _holder(self, index: int, deadline: float) -> tuple[str, int]:
        """Return who holds the lock; wait for a change first where `index` is not 0."""
        query = f"index={index}&wait=15000ms" if index else "wait=15000ms"
        left_s = min(WAIT_S * 17 / 16, max(0.1, deadline - time.monotonic())) + LATE_S
        now, found = self.speaker.read(f"{self.target}?{query}", within_s=left_s)
        if found and found[0].flags != LOCK_FLAGS:
            raise Failed(f"GET {self.target}", f"Flags {LOCK_FLAGS}", str(found[0]))
        return (found[0].session if found else ""), now

    def _try(self) -> bool:
        target = f"{self.target}?acquire={self.session}&flags={LOCK_FLAGS}"
        return self.speaker.true("PUT", target, self.value)


@dataclass(slots=True)
class Semaphore:
    """One contender for a semaphore at `prefix` ("a/sem") that `limit` may hold."""

    speaker: Speaker
    prefix: str
    session: str
    limit: int

    def acquire(self, within_s: float) -> None:
        """Wait until one of the places is ours. Raises Failed when none is."""
        deadline = time.monotonic() + within_s
        contender = f"/v1/kv/{self.prefix}/{self.session}"
        target = f"{contender}?acquire={self.session}&flags={SEMAPHORE_FLAGS}"
        if not self.speaker.true("PUT", target):
            raise Failed(f"PUT {target}", "true: the key is its session's own", "false")
        index = 0
        while time.monotonic() < deadline:
            index, holders, lock_index = self._holders(index)
            if len(holders) >= self.limit:
                continue
            if self._write([*holders, self.session], lock_index):
                return
            index = 0
        raise Failed(f"semaphore at {self.prefix}", f"held within {within_s:g} s", "not held")

    def release(self) -> None:
        """Give the place back."""
        while True:
            _, holders, lock_index = self._holders(0)
            left = [each for each in holders if each != self.session]
            if len(left) == len(holders):
                raise Failed(f"semaphore at {self.prefix}", "our session among holders", "it isn't")
            if self._write(left, lock_index):
                break
        self.speaker.ask("DELETE", f"/v1/kv/{self.prefix}/{self.session}")

    def _holders(self, index: int) -> tuple[int, list[str], int]:
        """Return the index of all, the living holders, and the index of the lock's entry."""
        query = f"index={index}&recurse=&wait=15000ms" if index else "recurse=&wait=15000ms"
        answer_s = WAIT_S * 17 / 16 + LATE_S
        now, found = self.speaker.read(f"/v1/kv/{self.prefix}?{query}", within_s=answer_s)
        lock = next((each for each in found if each.key == f"{self.prefix}/.lock"), None)
        alive = {each.session for each in found if each.session}
        holders = list(json.loads(lock.value)["Holders"]) if lock else []
        return now, [each for each in holders if each in alive], lock.modify_index if lock else 0

    def _write(self, holders: list[str], index: int) -> bool:
        record = {"Limit": self.limit, "Holders": dict.fromkeys(holders, True)}
        target = f"/v1/kv/{self.prefix}/.lock?cas={index}&flags={SEMAPHORE_FLAGS}"
        return self.speaker.true("PUT", target, json.dumps(record).encode())

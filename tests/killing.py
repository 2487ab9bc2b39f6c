"""Clients of a server that is killed: they remember every answer they had from it."""

import http.client
import itertools
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from running import WITHIN_S

__all__ = ["Acknowledged", "Client", "Counter", "Entry", "Writer"]


@dataclass(frozen=True)
class Entry:
    """An entry as a client sees it."""

    key: str
    value: str
    modify_index: int


class Client:
    """One connection to a server; raises OSError or HTTPException when the server is gone."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)

    def put(self, target: str, body: str) -> bool:
        """PUT, and return the server's yes or no."""
        answer = self._ask("PUT", f"/v1/kv/{target}", body)
        assert answer in (b"true", b"false"), answer
        return answer == b"true"

    def entries(self, prefix: str) -> dict[str, Entry]:
        """GET all entries under a prefix, by their keys."""
        answer = self._ask("GET", f"/v1/kv/{prefix}?recurse")
        listed: list[dict[str, Any]] = json.loads(answer or b"[]")
        entries = [
            Entry(one["Key"], b64decode(one["Value"] or "").decode(), one["ModifyIndex"])
            for one in listed
        ]
        return {entry.key: entry for entry in entries}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, target: str, body: str | None = None) -> bytes:
        self._connection.request(method, target, body)
        with self._connection.getresponse() as answer:
            return answer.read()


class Acknowledged:
    """How many writes were acknowledged in a round, to kill the server after so many."""

    def __init__(self) -> None:
        self._count = 0
        self._more = threading.Condition()

    def add(self) -> None:
        """Count one."""
        with self._more:
            self._count += 1
            self._more.notify_all()

    def wait_for(self, count: int) -> bool:
        """Wait until there are so many; False when that takes far too long."""
        with self._more:
            return self._more.wait_for(lambda: self._count >= count, WITHIN_S)


@dataclass
class Writer:
    """Writes one key of its own with ever larger numbers, over all rounds."""

    key: str
    # The last number that was acknowledged, and the last that was sent; "" for none.
    acknowledged: str = ""
    sent: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, client: Client, acknowledged: Acknowledged) -> None:
        """Write until the server is gone."""
        for number in self.numbers:
            self.sent = str(number)
            assert client.put(self.key, self.sent)
            self.acknowledged = self.sent
            acknowledged.add()

    def check(self, entries: dict[str, Entry]) -> None:
        """Verify what is left: what was acknowledged last, or the write that was under way."""
        value = entries[self.key].value if self.key in entries else ""
        assert value in (self.acknowledged, self.sent), (value, self)
        self.acknowledged = self.sent = value


@dataclass
class Counter:
    """Counts up a key that it shares with others, by check-and-set."""

    key: str
    # How many of its own steps were acknowledged, and how many are unknown since a kill.
    acknowledged: int = 0
    unknown: int = 0

    def run(self, client: Client, acknowledged: Acknowledged) -> None:
        """Count until the server is gone; a refused step is tried again with what is there."""
        while True:
            entry = client.entries(self.key).get(self.key, Entry(self.key, "0", 0))
            self.unknown += 1
            done = client.put(f"{self.key}?cas={entry.modify_index}", str(int(entry.value) + 1))
            self.unknown -= 1
            if done:
                self.acknowledged += 1
                acknowledged.add()

"""Writers that hammer the store while it is killed, and what they may then demand of it.

Each writer owns its keys, so what must be there afterwards is known exactly: for every key the
last acknowledged value, or the one value that was sent and never answered.
"""

import http.client
import json
from dataclasses import dataclass, field

from conformance.overlay.kv import Connect, Kv

_KEYS = 40
_OK = 200
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Writer:
    """One connection that writes `lab/<name>/<n>` round and round until the store is gone."""

    name: str
    connect: Connect
    # Key → last acknowledged value, and the index its write got (0 until read back).
    acknowledged: dict[str, str] = field(default_factory=dict)
    # The write that was under way when the store went: key and value.
    in_flight: tuple[str, str] = ("", "")
    index_max: int = 0
    writes: int = 0

    def run(self) -> None:
        """Write until the store does not answer any more."""
        connection = http.client.HTTPConnection("store", timeout=_TIMEOUT_S)
        try:
            connection.sock = self.connect()
            while True:
                key = f"lab/{self.name}/{self.writes % _KEYS}"
                self._write(connection, key, f"value {self.writes}")
        except (OSError, http.client.HTTPException):
            return  # the store is gone, as it should be
        finally:
            connection.close()

    def _write(self, connection: http.client.HTTPConnection, key: str, value: str) -> None:
        self.in_flight = (key, value)
        connection.request("PUT", f"/v1/kv/{key}", body=value)
        answer = connection.getresponse()
        if answer.read().strip() != b"true" or answer.status != _OK:
            return  # refused while it goes down: not acknowledged
        self.acknowledged[key] = value
        self.in_flight = ("", "")
        self.writes += 1
        if self.writes % 10 == 0:  # now and then, see which index the write got
            connection.request("GET", f"/v1/kv/{key}?consistent=")
            seen = connection.getresponse()
            rows = json.loads(seen.read() or b"[]")
            self.index_max = max([self.index_max, *(row["ModifyIndex"] for row in rows)])

    def losses(self, stored: dict[str, str]) -> list[str]:
        """Return the keys whose value in the store is neither acknowledged nor in flight."""
        key, value = self.in_flight
        return [
            f"{name}: {stored.get(name)!r}, acknowledged {wanted!r}"
            for name, wanted in self.acknowledged.items()
            if stored.get(name) != wanted and not (name == key and stored.get(name) == value)
        ]


def verify(kv: Kv, writers: list[Writer]) -> list[str]:
    """Return what a restarted store lost or numbered twice; empty when all is well."""
    entries = kv.tree("lab/")
    stored = {entry.key: entry.value.decode() for entry in entries}
    found = [loss for writer in writers for loss in writer.losses(stored)]
    index_max = max([0, *(writer.index_max for writer in writers)])
    kv.put("lab/next", b"")
    fresh = kv.get("lab/next")
    if fresh is None or fresh.modify_index <= index_max:
        seen = fresh.modify_index if fresh else None
        found.append(f"the next write got index {seen}, but {index_max} was seen before the kill")
    kv.delete("lab/next")
    return found

"""What a Docker engine asks of its cluster store, step by step, without an engine.

Source: spec/old-clients.md, sections 3 and 4.
"""

from dataclasses import dataclass

from conformance.clients.golock import LOCK_FLAGS, create_session
from conformance.clients.speaker import NOT_FOUND, OK, READ, Entry, Speaker, entries, show
from conformance.suite.case import Failed

NODES = "docker/nodes"


@dataclass(slots=True)
class Engine:
    """One engine at `address` ("10.0.0.1:2376"), below a prefix that ends in a slash.

    `flags` is whether this version sends flags with every write, and not only with an acquire.
    """

    speaker: Speaker
    prefix: str
    address: str
    flags: bool = True
    ttl: str = "30s"
    behavior: str = "delete"
    home: str = NODES
    session: str = ""

    @property
    def nodes(self) -> str:
        """Where all engines are."""
        return f"/v1/kv/{self.prefix}{self.home}"

    @property
    def node(self) -> str:
        """Where this engine is."""
        return f"{self.nodes}/{self.address}"

    def put(self, target: str, value: bytes = b"") -> None:
        """Write a key unconditionally. Raises Failed unless the store says true."""
        target = f"{target}?flags={LOCK_FLAGS}" if self.flags else target
        if not self.speaker.true("PUT", target, value):
            raise Failed(f"PUT {target}", "true", "false")

    def atomic_put(self, target: str, value: bytes, index: int) -> int:
        """Write a key that still has `index`; return the new one, or 0 when it has another."""
        flags = f"&flags={LOCK_FLAGS}" if self.flags else ""
        if not self.speaker.true("PUT", f"{target}?cas={index}{flags}", value):
            return 0
        return self.index(target)

    def index(self, target: str) -> int:
        """Read the index of what is there, from the header, as libkv does."""
        answer = self.speaker.ask("GET", f"{target}?consistent=", expect=READ)
        found = entries(answer)
        if found and found[0].modify_index != answer.index:
            expected = f"X-Consul-Index {found[0].modify_index}, the key's own ModifyIndex"
            raise Failed(f"GET {target}?consistent=", expected, show(answer))
        return answer.index

    def entry(self) -> Entry | None:
        """Read this engine's own entry, as its heartbeat does; None when it is gone."""
        found = self.speaker.read(self.node)[1]
        return found[0] if found else None

    def find_nodes(self) -> None:
        """See that the directory of nodes is there, and list it, as engines since 1.10 begin."""
        if self.speaker.ask("GET", f"{self.nodes}?consistent=", expect=READ).status == NOT_FOUND:
            self.put(self.nodes)
        self.speaker.ask("GET", f"{self.nodes}?recurse=&wait=15000ms", expect=(OK,))

    def register(self) -> int:
        """Register for the first time; return the index from which the monitor watches."""
        self.speaker.ask("GET", self.node, expect=(NOT_FOUND,))
        self.session = create_session(
            self.speaker, Behavior=self.behavior, LockDelay="1ms", TTL=self.ttl
        )
        self.speaker.ask("GET", f"{self.node}?wait=15000ms", expect=(NOT_FOUND,))
        target = f"{self.node}?acquire={self.session}&flags={LOCK_FLAGS}"
        if not self.speaker.true("PUT", target):
            raise Failed(f"PUT {target}", "true: nobody holds it", "false")
        index, _ = self.speaker.read(f"{self.node}?consistent=")
        self.renew()
        self.put(self.node, self.address.encode())
        return index

    def beat(self) -> None:
        """Send one heartbeat. Raises Failed when the entry or the session is gone."""
        if self.entry() is None:
            raise Failed(f"GET {self.node}", "200: the engine is alive", "404")
        self.renew()
        self.put(self.node, self.address.encode())

    def renew(self) -> None:
        """Renew the session."""
        self.speaker.ask("PUT", f"/v1/session/renew/{self.session}")

"""A manager of classic Swarm that stands for election, request by request.

Source: spec/old-clients.md, section 5.2.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from conformance.clients.golock import Lock, create_session
from conformance.clients.speaker import Entry, Speaker
from conformance.suite.case import UNREACHABLE, Failed, Store

LEADER = "docker/swarm/leader"


@dataclass(slots=True)
class Manager:
    """One candidate: `stand` is its run for office, on one connection; it renews on another."""

    store: Store
    key: str
    address: str
    ttl: str
    ttl_s: float
    session: str = ""
    renewed_at: float = 0.0
    _dead: threading.Event = field(default_factory=threading.Event)

    def stand(self, within_s: float) -> Entry:
        """Make a session, keep it alive, and wait to lead. Returns the leader's entry."""
        with Speaker(self.store) as speaker:
            self.session = create_session(
                speaker, Behavior="release", LockDelay="1ms", TTL=self.ttl
            )
            self.renewed_at = time.monotonic()
            threading.Thread(target=self._keep_alive, daemon=True).start()
            return self._lock(speaker).acquire(within_s)

    def monitor(self, index: int, within_s: float) -> None:
        """Return when it no longer leads; the request has no `wait`, and is held until then."""
        with Speaker(self.store) as speaker:
            self._lock(speaker).wait_lost(index, within_s)

    def kill(self) -> None:
        """Die at once: nothing more is renewed, nothing is destroyed."""
        self._dead.set()

    def _lock(self, speaker: Speaker) -> Lock:
        return Lock(speaker, self.key, self.session, self.address.encode())

    def _keep_alive(self) -> None:
        """Renew at half of the TTL, until it is killed or the session is gone."""
        with Speaker(self.store) as speaker:
            while not self._dead.wait(self.ttl_s / 2):
                began = time.monotonic()
                target = f"/v1/session/renew/{self.session}"
                with suppress(*UNREACHABLE, Failed):  # a store that restarts; the next beat tells
                    speaker.ask("PUT", target)
                    self.renewed_at = began

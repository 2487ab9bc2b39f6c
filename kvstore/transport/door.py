"""How many connections there may be, in all and of one client; who is one too many is told so.

A connection counts from the moment it is accepted until its socket is closed, TLS handshakes
included. So the number of descriptors is bounded, and the journal can always open its files.
"""

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kvstore.transport.throttle import Throttle

__all__ = ["CONNECTIONS_MAX", "Admitted", "Door", "connections_within"]

log = logging.getLogger(__name__)

# 64 engines with 500 networks each. An idle connection takes some 2 KiB, a parked query some 4; in
# aiohttp's lane more.
CONNECTIONS_MAX = 32_768
# One client may have three quarters of the connections: far more than an engine's one for each
# network, also where the system allows few, and still no single client keeps out all others.
_CLIENT_SHARE = 3 / 4
# Fewer are worth a warning: two engines with 500 networks each would not do.
_FEW = 1024
# Descriptors that are kept free of connections: for the journal, snapshots and the processes that
# make them, and for those clients that are just being told why they have to go.
_RESERVED = 128
_LINGERING_MAX = 64
# How long a client that was turned away may take to read why, so that it sees that and no reset.
_LINGER_S = 1.0
_LOG_EVERY_S = 60.0


def _answer(status: str, text: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}"
    return f"{head}\r\nConnection: close\r\n\r\n{text}".encode("ascii")


# Source: Consul 1.9's answer, byte for byte (contract V3).
_TOO_MANY_OF_ONE = _answer(
    "429 Too Many Requests",
    "Your IP is issuing too many concurrent connections, please rate limit your calls\n",
)
_TOO_MANY = _answer(
    "503 Service Unavailable", "too many connections to this server: try again in a while\n"
)


def connections_within(wanted: int, descriptors: int | None = None) -> int:
    """Return how many connections there can be: those wanted (0: any number), or what is possible.

    `descriptors` is what the process may open; by default the system is asked.
    """
    if descriptors is None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    possible = max(descriptors - _RESERVED - _LINGERING_MAX, descriptors // 2)
    if wanted and wanted <= possible:
        return wanted
    if wanted:
        log.log(
            logging.INFO if possible >= _FEW else logging.WARNING,
            "there can be %d connections, not %d: the limit of open files is %d. "
            "Raise it (LimitNOFILE= of systemd, --ulimit nofile= of Docker, ulimit -n)",
            possible,
            wanted,
            descriptors,
        )
    return possible


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    answer: bytes


class Admitted(socket.socket):
    """A connection that was let in; closing it tells the door."""

    __slots__ = ("_left",)

    def __init__(self, accepted: socket.socket, left: Callable[[], None]) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, accepted.detach())
        self._left: Callable[[], None] | None = left

    def close(self) -> None:
        """Close it; a second call does nothing."""
        super().close()
        left, self._left = self._left, None
        if left is not None:
            left()


class Door:
    """Counts the connections of all listeners; 0 for a client is its share of all."""

    def __init__(self, connections_max: int, client_connections_max: int = 0) -> None:
        self._max = connections_max
        self._client_max = client_connections_max or max(1, int(connections_max * _CLIENT_SHARE))
        self._count = 0
        self._clients: Counter[str] = Counter()
        self._lingering: set[socket.socket] = set()
        self._throttle = Throttle(_LOG_EVERY_S)

    @property
    def count(self) -> int:
        """How many connections there are."""
        return self._count

    def admit(self, connection: socket.socket, peer: Any, *, tells: bool) -> Admitted | None:
        """Return the connection if it may come in; None when it was turned away.

        `peer` is its address as `accept` gives it. Clients of a unix socket are not told apart,
        so they have no limit but the one of all. Who is turned away gets an answer in plain HTTP
        if `tells`.
        """
        client = peer[0] if isinstance(peer, tuple) else ""
        refusal = self._refusal(client)
        if refusal is None:
            self._count += 1
            self._clients[client] += 1
            return Admitted(connection, lambda: self._leave(client))
        more = self._throttle.admit((client, refusal.reason))
        if more is not None:
            shown = client or "a unix socket"
            log.warning("no connection with %s: %s%s", shown, refusal.reason, more)
        self._turn_away(connection, refusal.answer if tells else b"")
        return None

    def close(self) -> None:
        """Let go of those that are being turned away."""
        for connection in self._lingering:
            connection.close()
        self._lingering.clear()

    def _refusal(self, client: str) -> _Refusal | None:
        if self._count >= self._max:
            return _Refusal(f"there are {self._max}, see --connections-max", _TOO_MANY)
        if client and self._clients[client] >= self._client_max:
            reason = f"it has {self._client_max}, see --client-connections-max"
            return _Refusal(reason, _TOO_MANY_OF_ONE)
        return None

    def _leave(self, client: str) -> None:
        self._count -= 1
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def _turn_away(self, connection: socket.socket, answer: bytes) -> None:
        connection.setblocking(False)
        with suppress(OSError):  # gone already
            connection.send(answer)
            connection.shutdown(socket.SHUT_WR)
        if not answer or len(self._lingering) >= _LINGERING_MAX:
            connection.close()
            return
        self._lingering.add(connection)
        asyncio.get_running_loop().call_later(_LINGER_S, self._let_go, connection)

    def _let_go(self, connection: socket.socket) -> None:
        self._lingering.discard(connection)
        connection.close()

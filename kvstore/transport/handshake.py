"""TLS handshakes: each ends in a connection, or in one sentence in the log about who and why."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any

from kvstore.transport.credentials import Credentials
from kvstore.transport.failures import reason_of
from kvstore.transport.secured import Secured, Wire
from kvstore.transport.throttle import Throttle

__all__ = ["Handshakes"]

log = logging.getLogger(__name__)

_WITHIN_S = 10.0
_AT_ONCE_MAX = 1000
# How long a client that was refused may take to read why, so that it sees that and no reset.
_LINGER_S = 2.0
# The same refusal of the same client is logged this often.
_LOG_EVERY_S = 60.0

# The type of the record that begins a handshake (RFC 8446, section 5.1).
_HANDSHAKE_RECORD = 0x16
# How much is read from a socket at once; Linux gives 64 KiB and more to a fast sender.
_BUFFER_BYTES = 64 * 1024
# What Go's server says, word for word; a Docker engine without all three kv.*file options sees it.
_PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Handshakes:
    """Makes the protocols of a TLS listener's connections; `application` makes those above TLS.

    There are `at_once_max` under way at most. For one more the oldest is given up: an honest
    client is done in milliseconds, so a flood of slow ones pushes out its own.
    """

    def __init__(
        self,
        credentials: Credentials,
        application: Callable[[], asyncio.Protocol],
        *,
        within_s: float = _WITHIN_S,
        at_once_max: int = _AT_ONCE_MAX,
    ) -> None:
        self.credentials = credentials
        self.application = application
        self.within_s = within_s
        # Shared by all connections, see `Secured`.
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._at_once_max = at_once_max
        # In the order in which they began.
        self._under_way: dict[_Handshake, None] = {}
        self._throttle = Throttle(_LOG_EVERY_S)

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return _Handshake(self)

    @property
    def under_way(self) -> int:
        """How many have begun and not ended."""
        return len(self._under_way)

    def close(self) -> None:
        """Give up those that are under way."""
        for handshake in list(self._under_way):
            handshake.abort()

    def began(self, handshake: "_Handshake") -> None:
        """Count one, and make room for it."""
        if len(self._under_way) >= self._at_once_max:
            next(iter(self._under_way)).give_up("too many handshakes at once")
        self._under_way[handshake] = None

    def ended(self, handshake: "_Handshake") -> None:
        """Count it no more; harmless when that was done."""
        self._under_way.pop(handshake, None)

    def refused(self, peer: Any, reason: str) -> None:
        """Log that a client got no connection: once a minute for each client and reason."""
        host = peer[0] if isinstance(peer, tuple) else peer
        more = self._throttle.admit((host, reason))
        if more is not None:
            log.warning("no TLS connection with %s: %s%s", _shown(peer), reason, more)


def _shown(peer: Any) -> str:
    """Return who a client is, for people."""
    if isinstance(peer, tuple):
        host, port = peer[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # The system does not know the address of one that has left already.
    return "a client that has left" if peer is None else "a unix socket"


class _Handshake(asyncio.Protocol):
    """One connection until it is secured, or refused."""

    def __init__(self, handshakes: Handshakes) -> None:
        self._handshakes = handshakes
        self._wire = Wire()
        # Set by the first bytes, if they are TLS.
        self._tls: ssl.SSLObject | None = None
        # Whether the client was refused or given up; then what it sends is thrown away.
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and look at the clock."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(
            self._handshakes.within_s, self._too_slow
        )
        self._handshakes.began(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self._over:
            return
        if self._tls is None:
            if data[0] != _HANDSHAKE_RECORD:
                self._not_tls(data)
                return
            context = self._handshakes.credentials.context
            self._tls = context.wrap_bio(self._wire.incoming, self._wire.outgoing, server_side=True)
        self._wire.incoming.write(data)
        self._go_on(self._tls)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; a client that left in the middle is logged."""
        self._end()
        if self._over:
            return
        self._over = True
        if self._tls is None:  # probes of load balancers open and close
            log.debug("a connection ended before its handshake: %s", exc or "closed")
        else:
            self._handshakes.refused(
                self._peer, "it broke off the handshake; perhaps it does not trust this server"
            )

    def abort(self) -> None:
        """End it without a word."""
        self._over = True
        self._end()
        self._transport.abort()

    def give_up(self, reason: str) -> None:
        """End it at once, and say why."""
        if not self._over:
            self._handshakes.refused(self._peer, reason)
        self.abort()

    @property
    def _peer(self) -> Any:
        return self._transport.get_extra_info("peername")

    def _too_slow(self) -> None:
        within_s = self._handshakes.within_s
        said = "did not finish its handshake" if self._tls else "sent nothing"
        self.give_up(f"it {said} within {within_s:g} s")

    def _not_tls(self, data: bytes) -> None:
        if not b"A" <= data[:1] <= b"Z":
            self._refuse("it speaks neither TLS nor HTTP")
            return
        self._transport.write(_PLAIN_HTTP)
        self._refuse(
            "it speaks plain HTTP; a Docker engine does unless it has all three of "
            "kv.cacertfile, kv.certfile and kv.keyfile"
        )

    def _go_on(self, tls: ssl.SSLObject) -> None:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # the alert
            self._refuse(reason_of(error))
        else:
            self._flush()
            self._end()
            self._over = True
            application = self._handshakes.application()
            buffer = self._handshakes.buffer
            Secured(self._transport, tls, self._wire, buffer, application).begin()

    def _flush(self) -> None:
        if data := self._wire.outgoing.read():
            self._transport.write(data)

    def _refuse(self, reason: str) -> None:
        """Log it, send no more, and leave the client some time to read what was sent."""
        self._over = True
        self._handshakes.refused(self._peer, reason)
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self.abort)
        self._transport.write_eof()

    def _end(self) -> None:
        self._timer.cancel()
        self._handshakes.ended(self)

"""A connection under TLS, after its handshake: bytes of the wire ⇄ bytes of the protocol above.

asyncio's own keeps a buffer of 256 KiB for each connection, drops the alert that tells a client
why it was refused, and cannot answer a client that has closed its sending side. So only the
`ssl` module's sans-IO half is used, on a plain transport.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Secured", "Wire"]

log = logging.getLogger(__name__)

# What a TLS record holds at most.
_RECORD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Wire:
    """OpenSSL's ends: what came from the client, what is to go to it."""

    incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)


class Secured(asyncio.Transport, asyncio.BufferedProtocol):
    """Between a socket's transport, whose protocol it is, and a protocol, whose transport it is.

    `buffer` is where the socket's transport puts what it has read. All connections of a loop may
    share it: it is emptied at once.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        tls: ssl.SSLObject,
        wire: Wire,
        buffer: memoryview,
        application: asyncio.Protocol,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._tls = tls
        self._incoming = wire.incoming
        self._outgoing = wire.outgoing
        self._buffer = buffer
        self._application = application
        self._closing = False
        # Whether the client has said that it sends no more.
        self._ended = False

    def begin(self) -> None:
        """Take over the transport; what came with the end of the handshake is delivered soon."""
        self._transport.set_protocol(self)
        self._application.connection_made(self)
        # Not at once: on a plain socket, too, the protocol has a turn of the loop before.
        asyncio.get_running_loop().call_soon(self._read)

    # --- the protocol of the socket ---------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Return where to put what is read."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes off the wire."""
        self._incoming.write(self._buffer[:nbytes])
        self._read()

    def eof_received(self) -> bool:
        """Pass on that the client sends no more, also one that did not say so by TLS."""
        self._end()
        return not self._closing

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._closing = True
        self._application.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._application.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._application.resume_writing()

    def _read(self) -> None:
        """Decrypt all that has come and deliver it; a record that is not whole waits."""
        if self._closing:
            return
        pieces: list[bytes] = []
        ended = False
        try:
            while not ended and self._incoming.pending:
                piece = self._tls.read(_RECORD_BYTES)
                pieces.append(piece)
                ended = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            log.debug("a TLS connection broke: %s", error)
            self._closing = True
            self._flush()  # the alert
            self._transport.close()
            return
        self._flush()  # the answer to a change of keys
        if data := b"".join(pieces):
            self._application.data_received(data)
        if ended:
            self._end()

    def _end(self) -> None:
        if self._ended or self._closing:
            return
        self._ended = True
        if not self._application.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    # --- the transport of the application ---------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol go on with the connection."""
        assert isinstance(protocol, asyncio.Protocol)
        self._application = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._application

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; without effect after `close`."""
        if self._closing:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError as error:
            log.debug("a TLS connection broke: %s", error)
            self.abort()
            return
        self._flush()

    def close(self) -> None:
        """Say the end, and close when all is sent."""
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # ours is said; the client's answer is not waited for
            self._tls.unwrap()
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing or self._transport.is_closing()

    def can_write_eof(self) -> bool:
        """TLS has no half-closing that all clients know."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection; "ssl_object" has the rest."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take nothing off the wire until `resume_reading`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        """Whether it takes bytes off the wire."""
        return self._transport.is_reading()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the socket has not taken yet."""
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from when the application is to pause writing."""
        self._transport.set_write_buffer_limits(high, low)

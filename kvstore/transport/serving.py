"""All listening sockets of one server: opened for business, reloaded, closed."""

import asyncio
from collections.abc import Callable, Sequence

from kvstore.listening import Listener, TcpAddress
from kvstore.transport.accepting import Acceptor
from kvstore.transport.credentials import Credentials, TlsFiles
from kvstore.transport.door import Door
from kvstore.transport.handshake import Handshakes

__all__ = ["Serving"]

# How often a server that runs for years looks whether its certificates will do.
_DAY_S = 24 * 3600.0


class Serving:
    """The listeners, which it owns from now on, and what TLS on them needs.

    Reads the files of TLS, and raises TlsUnusable; then the listeners are closed.
    """

    def __init__(
        self, listeners: Sequence[Listener], files: TlsFiles | None, door: Door | None = None
    ) -> None:
        self._listeners = listeners
        self._door = door
        self._acceptors: list[Acceptor] = []
        self._handshakes: Handshakes | None = None
        self._tomorrow: asyncio.TimerHandle | None = None
        try:
            self._credentials = None if files is None else Credentials(files)
        except BaseException:
            self.close()
            raise

    def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept from now on; `protocol` makes one for each connection, above TLS if it has it."""
        if self._credentials is not None:
            self._handshakes = Handshakes(self._credentials, protocol)
            self._look_at_dates_tomorrow()
        for listener in self._listeners:
            makes = protocol
            if isinstance(listener.address, TcpAddress) and listener.address.tls:
                assert self._handshakes is not None, "TLS without its files"
                makes = self._handshakes
            plain = makes is protocol
            acceptor = Acceptor(listener.socket, makes, listener.url, self._door, tells=plain)
            acceptor.open()
            self._acceptors.append(acceptor)

    def pause(self) -> bool:
        """Accept no more; return whether those that come now wait for another server."""
        for acceptor in self._acceptors:
            acceptor.pause()
        return any(listener.inherited for listener in self._listeners)

    def close(self) -> None:
        """Accept no more, and give up the sockets; connections go on, but for handshakes."""
        while self._acceptors:
            self._acceptors.pop().close()
        if self._door is not None:
            self._door.close()
        for listener in self._listeners:
            listener.close()
        if self._handshakes is not None:
            self._handshakes.close()
        if self._tomorrow is not None:
            self._tomorrow.cancel()

    @property
    def credentials(self) -> Credentials | None:
        """What TLS uses; None without TLS."""
        return self._credentials

    @property
    def connections_count(self) -> int:
        """How many connections there are, those in their handshakes included; 0 without a door."""
        return 0 if self._door is None else self._door.count

    @property
    def handshakes_count(self) -> int:
        """How many TLS handshakes are under way."""
        return 0 if self._handshakes is None else self._handshakes.under_way

    def _look_at_dates_tomorrow(self) -> None:
        self._tomorrow = asyncio.get_running_loop().call_later(_DAY_S, self._look_at_dates)

    def _look_at_dates(self) -> None:
        assert self._credentials is not None
        self._credentials.warn_of_dates()
        self._look_at_dates_tomorrow()

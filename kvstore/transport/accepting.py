"""Connections are accepted from one listening socket, and each is given a protocol.

What `loop.create_server` does, but for a lack of descriptors: asyncio then tries as often as the
backlog is long, and writes a traceback each time. Here it is one line, and a second's rest.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from kvstore.transport.door import Door

__all__ = ["Acceptor"]

log = logging.getLogger(__name__)

# Connections taken at once, some milliseconds of work, so that those that are open get their turn
# during a burst.
_AT_ONCE = 32
# How long it rests when the system has no descriptor or memory for another connection.
_REST_S = 1.0


_Connecting = asyncio.Task[tuple[Any, asyncio.BaseProtocol]]


class Acceptor:
    """Accepts for one socket, from `open` to `close`; `name` is for the log.

    `door` decides who may come in, and tells the others in plain HTTP why not, if `tells`.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        name: str,
        door: Door | None = None,
        *,
        tells: bool = True,
    ) -> None:
        self._listener = listener
        self._door = door
        self._tells = tells
        self._protocol = protocol
        self._name = name
        self._loop = asyncio.get_running_loop()
        # Accepted, and on their way to their protocols.
        self._tasks: set[_Connecting] = set()
        self._rest: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to accept, those first that wait already."""
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def pause(self) -> None:
        """Accept no more; those that were accepted go on to their protocols."""
        self._loop.remove_reader(self._listener)
        if self._rest is not None:
            self._rest.cancel()

    def close(self) -> None:
        """Accept no more; closing the socket is its owner's."""
        self.pause()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._take_a_rest(error)
                return
            self._recovered()
            self._let_in(connection, peer)

    def _let_in(self, accepted: socket.socket, peer: Any) -> None:
        connection: socket.socket | None = accepted
        if self._door is not None:
            connection = self._door.admit(accepted, peer, tells=self._tells)
        if connection is None:
            return
        connection.setblocking(False)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol, connection)
        )
        self._tasks.add(task)
        task.add_done_callback(partial(self._connected, connection))

    def _connected(self, connection: socket.socket, task: _Connecting) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            connection.close()
        elif error := task.exception():
            connection.close()
            log.error("a bug: a connection to %s has no protocol", self._name, exc_info=error)

    def _take_a_rest(self, error: OSError) -> None:
        """Say it once, stop looking, and look again in a while; clients wait in the backlog."""
        if self._rest is None:
            log.error(
                "cannot accept connections to %s: %s; they wait, it is tried again every second",
                self._name,
                error.strerror or error,
            )
        self._loop.remove_reader(self._listener)
        self._rest = self._loop.call_later(
            _REST_S, self._loop.add_reader, self._listener, self._accept
        )

    def _recovered(self) -> None:
        if self._rest is not None:
            self._rest = None
            log.warning("connections to %s are accepted again", self._name)

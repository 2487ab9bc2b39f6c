"""A TCP relay: listens on one socket, dials another for each connection, copies bytes both ways.

It joins two networks that share no route: the lab's namespaces and the machine the lab runs on.
Knows nothing of HTTP.
"""

import socket
import threading
from collections.abc import Callable
from typing import Self

_CHUNK_BYTES = 65536
_CONNECT_S = 5.0

Connect = Callable[[], socket.socket]


def dial(address: str, port: int) -> Connect:
    """Return a function that opens a connection from the lab's own process."""
    return lambda: socket.create_connection((address, port), timeout=_CONNECT_S)


class Relay:
    """Serves `listener` until its context ends; each connection costs two threads."""

    def __init__(self, listener: socket.socket, connect: Connect) -> None:
        self._listener = listener
        self._connect = connect

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._connect()
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until either side ends, then end both: Docker's clients never half-close."""
    try:
        while chunk := source.recv(_CHUNK_BYTES):
            sink.sendall(chunk)
    except OSError:
        pass  # the other direction ended both
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # already gone

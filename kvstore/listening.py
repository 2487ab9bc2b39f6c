"""The listening sockets, opened before anything slow is loaded.

From the moment a restarted server listens, its clients' connections wait in the backlog instead of
being refused; a Docker engine loses a watch for good by one refused connection. So this module
imports nothing but the standard library and the errors.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from kvstore.errors import CannotListen

__all__ = [
    "BACKLOG",
    "Address",
    "Listener",
    "TcpAddress",
    "UnixAddress",
    "open_listener",
    "open_listeners",
    "parse_address",
    "reachable_host",
]

# Fifty engines that start fifty containers at once open 900 connections in a burst.
BACKLOG = 4096

# Who may connect to a unix socket if nobody says otherwise: its owner and its group.
_UNIX_MODE = 0o660
_MODE_MAX = 0o777


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (a name or an address) and a port (0: any free one), with TLS or without."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket's file, and who may connect: the permissions of the file."""

    path: Path
    mode: int = _UNIX_MODE

    def __str__(self) -> str:
        return f"unix://{quote(os.fsencode(self.path))}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Return what http://HOST:PORT, https://HOST:PORT or unix:///PATH[?mode=0660] names.

    Raises ValueError with a sentence for anything else.
    """
    wrong = ValueError(
        f"{text!r} is nothing to listen on; expected http://HOST:PORT, https://HOST:PORT or "
        "unix:///PATH?mode=0660"
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise wrong from error
    if parts.fragment or parts.username is not None:
        raise wrong
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return _unix_address(text, parts.path, parts.query)
    beside = parts.path.strip("/") or parts.query
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None or beside:
        raise wrong
    return TcpAddress(parts.hostname, port, tls=parts.scheme == "https")


def _unix_address(text: str, path: str, query: str) -> UnixAddress:
    mode = _UNIX_MODE
    for name, value in parse_qsl(query, keep_blank_values=True):
        try:
            mode = int(value, 8) if name == "mode" else -1
        except ValueError:
            mode = -1
        if not 0 <= mode <= _MODE_MAX:
            raise ValueError(f"{text!r} has {name}={value}; expected mode=0660 or the like")
    if path.endswith("/") or "\0" in unquote(path):
        raise ValueError(f"{text!r} does not name a file; expected unix:///run/kvstore.sock")
    return UnixAddress(Path(unquote(path)), mode)


@dataclass(frozen=True, slots=True)
class Listener:
    """One open listening socket, and the address that it was opened for."""

    address: Address
    socket: socket.socket
    # Device and number of a unix socket's file, so that no other server's is removed.
    file_id: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        """Where it listens, with the address and the port that it really has."""
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        host, port = self.socket.getsockname()[:2]
        return str(TcpAddress(host, port, tls=self.address.tls))

    def close(self) -> None:
        """Close it, and remove its file; harmless when that was done."""
        self.socket.close()
        if isinstance(self.address, UnixAddress):
            with suppress(OSError):
                if _file_id(self.address.path) == self.file_id:
                    self.address.path.unlink()


def open_listeners(addresses: Iterable[Address]) -> list[Listener]:
    """Listen on all the addresses or, when one of them cannot be had, on none.

    Raises CannotListen, which names it.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners.append(_open(address))  # noqa: PERF401 - those before a failure are closed
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _open(address: Address) -> Listener:
    try:
        if isinstance(address, TcpAddress):
            return Listener(address, open_listener(address.host, address.port))
        return _open_unix(address)
    except UnicodeError as error:
        raise CannotListen(str(address), OSError("that is no host's name")) from error
    except OSError as error:
        raise CannotListen(str(address), error) from error


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` (a name or an address) and `port` (0: any free one).

    The addresses "0.0.0.0" and "::" are every interface. Raises OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _open_unix(address: UnixAddress) -> Listener:
    """Listen on a file of our own; one that a server left behind is replaced."""
    _remove_stale(address.path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file has its permissions from the first moment, not only after a chmod.
    umask = os.umask(_MODE_MAX & ~address.mode)
    try:
        listener.bind(os.fspath(address.path))
        file_id = _file_id(address.path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return Listener(address, listener, file_id)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; raises OSError for anything else there."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # nobody listens there any more
            path.unlink()
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its backlog is full: it is alive
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _file_id(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def reachable_host(listener: socket.socket) -> str:
    """Return the address under which others reach a listener, as far as this machine can tell.

    For every interface that is the address of the default route; it is found without sending
    anything. Without a route it is the machine's name.
    """
    bound: str = listener.getsockname()[0]
    if bound not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address of the documentation range: asks the routing table, sends no packet.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        address: str = probe.getsockname()[0]
        return address

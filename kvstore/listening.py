"""The listening sockets, opened before anything slow is loaded, or inherited.

From the moment a restarted server listens, its clients' connections wait in the backlog instead of
being refused; a Docker engine loses a watch for good by one refused connection. So this module
imports nothing but the standard library and the errors.

Sockets that somebody else holds, systemd for one, refuse no connection while there is no server at
all. They are handed over as sd_listen_fds(3) has it, and:

- every socket that is handed over is served;
- an address that a socket was handed over for is not opened once more. It is the same address when
  the path is the same, or the port, with the same host or "every interface" on either side;
- a socket speaks TLS when its name begins with "https" (FileDescriptorName=https), or when it was
  handed over for an https:// address; an https socket for an http:// address is an error;
- closing one gives up this process's share of it: it goes on listening, its file stays, and
  connections that were not accepted wait for the next server.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from kvstore.errors import CannotListen

__all__ = [
    "BACKLOG",
    "Address",
    "Listener",
    "TcpAddress",
    "UnixAddress",
    "assign",
    "inherited_listeners",
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

# Source: sd_listen_fds(3). The first descriptor that is handed over, and what tells of them.
_FIRST_DESCRIPTOR = 3
_HANDED_OVER = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_EVERY_INTERFACE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


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
    # Device and number of a unix socket's file, so that no other server's is removed; None where it
    # is not ours to remove.
    file_id: tuple[int, int] | None = None
    # Whether somebody else holds the socket too, so that it goes on listening without us.
    inherited: bool = False

    @property
    def url(self) -> str:
        """Where it listens, with the address and the port that it really has."""
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        host, port = self.socket.getsockname()[:2]
        return str(TcpAddress(host, port, tls=self.address.tls))

    def close(self) -> None:
        """Close it, and remove its file if that is ours; harmless when that was done."""
        self.socket.close()
        if isinstance(self.address, UnixAddress) and self.file_id is not None:
            with suppress(OSError):
                if _file_id(self.address.path) == self.file_id:
                    self.address.path.unlink()


def inherited_listeners(environment: MutableMapping[str, str] = os.environ) -> list[Listener]:
    """Return the sockets that were handed over to this process; usually there are none.

    Takes the variables that tell of them out of `environment`, so that no child believes they are
    its own. Raises CannotListen for anything but a listening stream socket.
    """
    pid, count, names = (environment.pop(name, "") for name in _HANDED_OVER)
    if pid != str(os.getpid()) or not count:  # meant for nobody, or for another process
        return []
    if not count.isdecimal():
        wrong = OSError(f"LISTEN_FDS is {count!r}, expected how many there are")
        raise CannotListen("sockets that were handed over", wrong)
    named = names.split(":")
    return [
        _inherit(_FIRST_DESCRIPTOR + n, named[n] if n < len(named) else "")
        for n in range(int(count))
    ]


def _inherit(descriptor: int, name: str) -> Listener:
    shown = f"descriptor {descriptor} ({name or 'without a name'}) that was handed over"
    try:
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise CannotListen(shown, error) from error
    tls = name.startswith("https")
    wrong = _why_unusable(listener, tls=tls)
    if wrong:
        listener.detach()  # it is not ours to close
        raise CannotListen(shown, OSError(wrong))
    bound = listener.getsockname()
    if _is_unix(listener):
        path = os.fsdecode(bound).replace("\0", "@", 1)  # as people write an abstract name
        return Listener(UnixAddress(Path(path)), listener, inherited=True)
    return Listener(TcpAddress(bound[0], bound[1], tls=tls), listener, inherited=True)


def _is_unix(listener: socket.socket) -> bool:
    return listener.family == socket.AF_UNIX


def _why_unusable(listener: socket.socket, *, tls: bool) -> str:
    """Return what is wrong with a socket that is to be listened on; nothing if it will do."""
    expected = "expected a listening stream socket (ListenStream= and Accept=no of systemd)"
    if listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        return f"it is neither a TCP nor a unix socket, {expected}"
    if listener.type != socket.SOCK_STREAM:
        return f"it is no stream socket, {expected}"
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return f"it does not listen, {expected}"
    if tls and _is_unix(listener):
        return "it is a unix socket, expected a TCP socket by the name of https"
    return ""


def assign(
    inherited: Sequence[Listener], addresses: Iterable[Address]
) -> tuple[list[Listener], list[Address]]:
    """Return the inherited listeners, as the addresses want them, and the addresses still to open.

    Raises ValueError with a sentence when a socket and its address disagree about TLS.
    """
    listeners = list(inherited)
    rest = []
    for address in addresses:
        found = [n for n, one in enumerate(listeners) if _is_at(one, address)]
        if not found:
            rest.append(address)
        for n in found:
            listeners[n] = _as_wanted(listeners[n], address)
    return listeners, rest


def _is_at(listener: Listener, address: Address) -> bool:
    if isinstance(address, UnixAddress) or isinstance(listener.address, UnixAddress):
        return str(listener.address) == str(address)
    if listener.address.port != address.port:
        return False
    hosts = {listener.address.host, _resolved(address)}
    return len(hosts) == 1 or bool(hosts & _EVERY_INTERFACE)


def _resolved(address: TcpAddress) -> str:
    """Return the host as it would be bound; as it is written if it has no address."""
    try:
        return str(_bindable(address.host, address.port)[3][0])
    except (OSError, UnicodeError):
        return address.host


def _as_wanted(listener: Listener, address: Address) -> Listener:
    bound = listener.address
    if isinstance(bound, UnixAddress) or isinstance(address, UnixAddress):
        return listener
    if bound.tls and not address.tls:
        raise ValueError(
            f"the socket handed over for {address} is named https, expected plain HTTP: say "
            f"https://{address.host}:{address.port}, or give the socket another name"
        )
    return replace(listener, address=replace(bound, tls=address.tls))


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
    family, kind, protocol, address = _bindable(host, port)
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


def _bindable(host: str, port: int) -> tuple[int, int, int, tuple[Any, ...]]:
    """Return family, kind, protocol and address to bind for a host's name or address."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return family, kind, protocol, address


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

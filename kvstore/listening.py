"""The listening socket, opened before anything slow is loaded.

From the moment a restarted server listens, its clients' connections wait in the backlog instead of
being refused; a Docker engine loses a watch for good by one refused connection. So this module
imports nothing but the standard library.
"""

import socket

__all__ = ["BACKLOG", "open_listener", "reachable_host"]

# Fifty engines that start fifty containers at once open 900 connections in a burst.
BACKLOG = 4096


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

"""What people see at the start: who it is, where the data is, and how engines get here."""

import ipaddress
from collections.abc import Sequence

from kvstore import __version__
from kvstore.listening import Listener, TcpAddress, reachable_host
from kvstore.settings import Settings

__all__ = ["greeting"]

_TLS_OPTIONS = (
    ("kv.cacertfile", "CA.pem"),
    ("kv.certfile", "ENGINE.pem"),
    ("kv.keyfile", "ENGINE-KEY.pem"),
)


def greeting(settings: Settings, listeners: Sequence[Listener]) -> str:
    """Return it, in lines that fit to be copied."""
    first, *others = (_described(settings, one) for one in listeners)
    where = "in memory only (--dev): nothing survives the end of this process"
    if settings.data_dir is not None:
        promise = "synced before it is acknowledged" if settings.sync else "synced now and then"
        where = f"in {settings.data_dir.absolute()}, each write {promise}"
    return "\n".join(
        [
            f"kvstore {__version__} listens on {first}",
            *(f"  and on {other}" for other in others),
            f"  node {settings.node}, datacenter {settings.datacenter}; data {where}",
            *_for_engines(settings, listeners),
        ]
    )


def _described(settings: Settings, listener: Listener) -> str:
    if not _is_tls(listener):
        return listener.url
    asks = settings.tls is not None and settings.tls.client_ca is not None
    whom = "only for clients with" if asks else "also for clients without"
    return f"{listener.url}, {whom} a certificate"


def _for_engines(settings: Settings, listeners: Sequence[Listener]) -> list[str]:
    tcp = [one for one in listeners if isinstance(one.address, TcpAddress)]
    if not tcp:
        return [
            "  Docker engines cannot use a unix socket. To have one for them, too, add:",
            "    --listen http://0.0.0.0:8500",
        ]
    reachable = [one for one in tcp if not _is_loopback(one)]
    if not reachable:
        lines = [
            "  Only this machine can reach it. To open it to the engines of other hosts:",
            f"    {_how_to_open(tcp[0])}",
            "  Then, or for an engine on this machine:",
        ]
    else:
        lines = ["  Start each engine with:"]
    if settings.tokens is not None:
        lines += ["    CONSUL_HTTP_TOKEN=SECRET in its environment, and"]
    for tls in (False, True):
        usable = [one for one in reachable or tcp if _is_tls(one) is tls]
        lines += _command(usable[0]) if usable else []
    return lines


def _command(listener: Listener) -> list[str]:
    address = TcpAddress(reachable_host(listener.socket), listener.socket.getsockname()[1])
    store = f"--cluster-store=consul{str(address).removeprefix('http')}"
    if not _is_tls(listener):
        return [f"    dockerd {store} --cluster-advertise=ENGINE_IP:2376"]
    return [
        f"    dockerd {store} \\",
        *(f"      --cluster-store-opt {name}={file} \\" for name, file in _TLS_OPTIONS),
        "      --cluster-advertise=ENGINE_IP:2376",
        "  With fewer than these three options it speaks plain HTTP, and does not say so.",
    ]


def _is_tls(listener: Listener) -> bool:
    return isinstance(listener.address, TcpAddress) and listener.address.tls


def _is_loopback(listener: Listener) -> bool:
    address = listener.socket.getsockname()[0].partition("%")[0]
    return ipaddress.ip_address(address).is_loopback


def _how_to_open(listener: Listener) -> str:
    """Return what opens a listener of this machine to others."""
    port = listener.socket.getsockname()[1]
    if listener.inherited:
        return f"ListenStream={port} in the socket unit that hands it over"
    if _is_tls(listener):
        return f"kvstore serve --listen https://0.0.0.0:{port} …"
    return f"kvstore serve --host 0.0.0.0 --port {port}"

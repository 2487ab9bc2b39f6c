"""`kvstore health`: does the server answer? For the health checks of containers and monitors.

It runs every few seconds beside the server, so it loads nothing slow: of HTTP the standard
library's client, of TLS nothing before an https address.
"""

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from kvstore.cli.params import ServerUrl
from kvstore.errors import CallFailed
from kvstore.listening import Address, TcpAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    import ssl

__all__ = ["health", "own_address"]

# Docker knows 0 and 1 only, and keeps 2 for itself.
_EXIT_UNHEALTHY = 1
# Shorter than the time-out of a container's health check, which would say nothing.
_ANSWER_WITHIN_S = 3.0
_TARGET = "/v1/status/leader"
_OK = 200

# Where a server that listens on every interface is reached from its own machine.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@click.command()
@click.option(
    "--url",
    type=ServerUrl(),
    envvar="KVSTORE_URL",
    help="The server to ask; default KVSTORE_URL, or where KVSTORE_LISTEN, KVSTORE_HOST and "
    "KVSTORE_PORT, or the file of KVSTORE_CONFIG, have a server on this machine listen.",
)
def health(*, url: str | None) -> None:
    """Ask a server whether it leads, as clients find out; exit code 0 when it does, else 1.

    It needs no token. Of several listeners it asks a unix socket, or one without TLS, before one
    with TLS, whose certificate it does not look at if it is this machine's own.

    \b
      kvstore health
      kvstore health --url https://keystore.example:8500
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are
    try:
        leader = _leader(_address_of(url) if url else own_address(os.environ), trusting=not url)
    except CallFailed as failure:
        click.echo(f"kvstore: {failure}", err=True)
        sys.exit(_EXIT_UNHEALTHY)
    click.echo(f"healthy: the leader is {leader}")


def own_address(environ: Mapping[str, str]) -> Address:
    """Return where settings have a server listen, as this machine reaches it.

    They are those of the environment, which counts more, and of the file that it names. Raises
    CallFailed for some that no server would start with.
    """
    names = {name: f"KVSTORE_{name.upper()}" for name in ("listen", "host", "port")}
    told = {name: environ[variable] for name, variable in names.items() if environ.get(variable)}
    filed = _file_settings(environ.get("KVSTORE_CONFIG"))
    listen: Iterable[str] = told.get("listen", "").split() or (() if told else filed["listen"])
    short = {"host": "127.0.0.1", "port": 8500, **filed, **told}
    try:
        addresses = [parse_address(one) for one in listen]
        addresses = addresses or [TcpAddress(short["host"], int(short["port"]))]
    except ValueError as error:
        raise CallFailed(f"settings of where to listen are wrong: {error}") from error
    address = min(addresses, key=_hardness)
    if isinstance(address, UnixAddress):
        return address
    return TcpAddress(_LOOPBACK.get(address.host, address.host), address.port, address.tls)


def _file_settings(path: str | None) -> dict[str, Any]:
    """Return what a server's file of settings says, and an empty `listen` if it has none."""
    if not path:
        return {"listen": []}
    import tomllib  # noqa: PLC0415 - many servers have no file

    try:
        return {"listen": [], **tomllib.loads(Path(path).read_text(encoding="utf-8"))}
    except (OSError, ValueError) as error:
        raise CallFailed(f"cannot read {path} (KVSTORE_CONFIG): {error}") from error


def _hardness(address: Address) -> int:
    """Order listeners by what there is to go wrong: TLS may want a certificate."""
    return 0 if isinstance(address, UnixAddress) else 1 + address.tls


def _address_of(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parse_address(url)
    assert parts.hostname is not None
    tls = parts.scheme == "https"
    return TcpAddress(parts.hostname, parts.port or (443 if tls else 80), tls)


def _leader(address: Address, *, trusting: bool) -> str:
    """Return the leader that a server names; raises CallFailed when there is no such answer."""
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = _connected(address, trusting=trusting)
        connection.request("GET", _TARGET)
        response = connection.getresponse()
        status, body = response.status, response.read()
        leader = json.loads(body) if status == _OK else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CallFailed(f"{address} does not answer: {_reason(error)}") from error
    finally:
        connection.close()
    if status != _OK:
        text = " ".join(body.decode("utf-8", "replace").split())
        raise CallFailed(f"{address} answered {status}: {text}")
    if not isinstance(leader, str) or not leader:
        raise CallFailed(f"{address} has no leader")
    return leader


def _reason(error: Exception) -> str:
    if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
        return (
            "it asks for a client certificate. KVSTORE_CLIENT_CERT and KVSTORE_CLIENT_KEY name the "
            "files of one; or add a listener for this machine alone, http://127.0.0.1:8501"
        )
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _connected(address: Address, *, trusting: bool) -> socket.socket:
    if isinstance(address, UnixAddress):
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(_ANSWER_WITHIN_S)
        plain.connect(os.fspath(address.path))
        return plain
    plain = socket.create_connection((address.host, address.port), _ANSWER_WITHIN_S)
    return _secured(plain, address.host, trusting=trusting) if address.tls else plain


def _secured(plain: socket.socket, host: str, *, trusting: bool) -> "ssl.SSLSocket":
    import ssl  # noqa: PLC0415 - most health checks need none

    from kvstore.client_tls import server_name, tls_context  # noqa: PLC0415 - as above

    context = tls_context()
    if trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=server_name() or host)

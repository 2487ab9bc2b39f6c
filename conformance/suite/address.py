"""Where a store listens: http, https or a unix socket, from a URL as users write it."""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

PORTS = {"http": 8500, "https": 8501}
"""What Consul uses where a URL names no port."""

FORMS = "http://HOST:PORT, https://HOST:PORT or unix:///PATH"


class AddressInvalid(ValueError):
    """A URL, certificate or key that nothing can be reached with; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to."""

    scheme: str
    host: str = ""
    port: int = 0
    # Of a unix socket.
    path: str = ""
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
    ) -> Self:
        """Read a URL. The files are for https: whom to trust, and who we are.

        Raises AddressInvalid.
        """
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return cls("unix", path=parts.path)
        try:
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            port = 0
        if (
            not port
            or parts.scheme not in PORTS
            or not parts.hostname
            or parts.path not in {"", "/"}
            or parts.query
        ):
            raise AddressInvalid(f"{url!r} is no address of a store: write {FORMS}")
        tls = _context(ca_file, cert_file, key_file) if parts.scheme == "https" else None
        return cls(parts.scheme, parts.hostname, port, tls=tls)

    @classmethod
    def loopback(cls, port: int) -> Self:
        """Return the address of a plain port on this machine."""
        return cls("http", "127.0.0.1", port)

    def open(self, within_s: float) -> socket.socket:
        """Connect, TLS included. Raises OSError, of which ssl.SSLError is one."""
        if self.scheme == "unix":
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(within_s)
            opened.connect(self.path)
            return opened
        opened = socket.create_connection((self.host, self.port), timeout=within_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            return opened
        return self.tls.wrap_socket(opened, server_hostname=self.host)

    def __str__(self) -> str:
        """Show it as a URL."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def _context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError among them
        names = ", ".join(str(each) for each in (ca_file, cert_file, key_file) if each)
        raise AddressInvalid(f"cannot use {names}: {error}") from error
    return context

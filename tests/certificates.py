"""Certificates for tests, made in the test: authorities, servers, clients, and their files."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import trustme

__all__ = ["Authority", "Issued"]

# In whole seconds, as certificates have them, and naive, as trustme takes them.
_NOW = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A CA that writes what it issues into a folder, as NAME.pem and NAME-key.pem."""

    def __init__(self, folder: Path, name: str = "ca", of: Self | None = None) -> None:
        self.folder = folder
        # One that another has signed, or one that signs itself.
        self.ca = of.ca.create_child_ca() if of else trustme.CA(organization_name=name)
        self.file = folder / f"{name}.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def issue(
        self,
        name: str,
        *identities: str,
        begins: timedelta = -DAY,
        ends: timedelta = 365 * DAY,
    ) -> Issued:
        """Issue for hosts and addresses; valid from and until so long from now."""
        issued = self.ca.issue_cert(
            *(identities or (name,)), not_before=_NOW + begins, not_after=_NOW + ends
        )
        files = Issued(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        # Those between come behind; trustme has the whole in parts.
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        files.certificate.write_bytes(chain)
        issued.private_key_pem.write_to_path(files.key)
        return files

    def server(self, name: str = "server", **when: timedelta) -> Issued:
        """Issue for this machine: its loopback address and its name."""
        return self.issue(name, "127.0.0.1", "localhost", **when)

    def client_context(self, client: Issued | None = None) -> ssl.SSLContext:
        """Return what a client uses that trusts this CA, with a certificate or without."""
        context = ssl.create_default_context(cafile=self.file)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

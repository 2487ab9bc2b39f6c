"""Certificates for a store with TLS and its engines, each kind that may go wrong among them.

They are made by trustme, for one run of one scenario.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme

__all__ = ["Certificates", "Identity"]

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Certificates:
    """An authority, a stranger's, and what they vouch for; all files are in one folder."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._address = address
        self._authority, self._stranger = trustme.CA(), trustme.CA()
        self.authority = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))
        self.strange_authority = folder / "stranger.pem"
        self._stranger.cert_pem.write_to_path(str(self.strange_authority))
        self.server = self.renew_server()
        self.client = self._write("client", self._authority.issue_cert("engine"))
        self.strange_client = self._write("strange-client", self._stranger.issue_cert("engine"))
        expired = self._authority.issue_cert("engine", not_after=_LONG_AGO)
        self.expired_client = self._write("expired-client", expired)

    def renew_server(self) -> Identity:
        """Make the server's certificate, over the old one if there is one."""
        return self._write("server", self._authority.issue_cert(self._address))

    def engine_flags(self, identity: Identity, authority: Path | None = None) -> list[str]:
        """Return what an engine is told: all three files, or libkv silently speaks plain HTTP."""
        files = {
            "cacertfile": authority or self.authority,
            "certfile": identity.cert,
            "keyfile": identity.key,
        }
        return [f"--cluster-store-opt=kv.{name}={path}" for name, path in files.items()]

    def _write(self, name: str, leaf: trustme.LeafCert) -> Identity:
        made = Identity(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(str(made.cert))
        leaf.private_key_pem.write_to_path(str(made.key))
        return made

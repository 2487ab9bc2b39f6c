"""The server's certificate, its key and the clients' CA: from files to what handshakes use."""

import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NoReturn

from kvstore.errors import TlsUnusable
from kvstore.transport.validity import read_validity

__all__ = ["Credentials", "TlsFiles", "TlsVersion"]

log = logging.getLogger(__name__)

TlsVersion = Literal["1.2", "1.3"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# Of TLS 1.2: forward secrecy and authenticated encryption only, which Go has had since 1.2.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Which files TLS takes, all PEM, and the oldest version it speaks."""

    # The certificate, followed by those between it and its CA; and its key.
    certificate: Path
    key: Path
    # Who signs the certificates that clients must then have; None asks for none.
    client_ca: Path | None = None
    min_version: TlsVersion = "1.2"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Credentials:
    """What the files say, as of the last time they were read well.

    Raises TlsUnusable when they cannot be used at first.
    """

    def __init__(self, files: TlsFiles, now: Callable[[], datetime] = _utc_now) -> None:
        self._files = files
        self._now = now
        self._context, self._dates = _load(files)
        self.warn_of_dates()

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake is made with."""
        return self._context

    def reload(self) -> None:
        """Read the files again: for new handshakes only, connections that exist go on.

        Raises TlsUnusable; then all stays as it was.
        """
        self._context, self._dates = _load(self._files)
        own, *_ = self._dates
        log.info("the certificate was read again: %s, valid until %s", own.name, _date(own.ends))
        self.warn_of_dates()

    def warn_of_dates(self) -> None:
        """Log which certificates are not valid now, or not for long any more.

        They are used all the same: clients may have been told not to look.
        """
        now = self._now()
        for one in self._dates:
            if one.ends < now:
                log.warning("a certificate has expired on %s: %s", _date(one.ends), one.name)
            elif one.begins > now:
                log.warning("a certificate is not valid before %s: %s", _date(one.begins), one.name)
            elif one.ends < now + _SOON:
                log.warning("a certificate expires on %s: %s", _date(one.ends), one.name)


@dataclass(frozen=True, slots=True)
class _Dated:
    """A certificate of one of the files, by the name of the file and its place in it."""

    name: str
    begins: datetime
    ends: datetime


def _load(files: TlsFiles) -> tuple[ssl.SSLContext, list[_Dated]]:
    """Return what the files make, and all their certificates, the server's own first."""
    dates = _dates(files.certificate, _certificates(files.certificate))
    _check_key(files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[files.min_version]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _load_chain(context, files)
    if files.client_ca is not None:
        blocks = _certificates(files.client_ca)
        dates += _dates(files.client_ca, blocks)
        _require_clients(context, files.client_ca, blocks)
    return context, dates


def _require_clients(context: ssl.SSLContext, path: Path, blocks: list[str]) -> None:
    try:
        context.load_verify_locations(cadata="\n".join(blocks))
    except ssl.SSLError as error:
        raise TlsUnusable(path, f"cannot be used as a CA: {_words(error)}") from error
    context.verify_mode = ssl.CERT_REQUIRED
    # A CA between is enough, as for Go: its own CA need not be in the file.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _dates(path: Path, blocks: list[str]) -> list[_Dated]:
    dates = []
    for number, block in enumerate(blocks, 1):
        name = str(path) if len(blocks) == 1 else f"{path} (number {number})"
        try:
            validity = read_validity(ssl.PEM_cert_to_DER_cert(block))
        except ValueError as error:
            raise TlsUnusable(path, f"certificate number {number} in it is damaged") from error
        dates.append(_Dated(name, validity.begins, validity.ends))
    return dates


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise TlsUnusable(path, f"cannot be read: {error.strerror or error}") from error


def _certificates(path: Path) -> list[str]:
    """Return the PEM of every certificate of a file, of which there must be one."""
    text = _read(path)
    blocks: list[str] = _CERTIFICATE.findall(text)
    if not blocks:
        found = "is empty" if not text.strip() else "has none"
        expected = "expected a certificate in PEM, which begins -----BEGIN CERTIFICATE-----"
        raise TlsUnusable(path, f"{found}; {expected}")
    return blocks


def _check_key(path: Path) -> None:
    text = _read(path)
    if not _KEY.search(text):
        found = "is empty" if not text.strip() else "has none"
        expected = "expected a private key in PEM, which begins -----BEGIN PRIVATE KEY-----"
        raise TlsUnusable(path, f"{found}; {expected}")


class _Encrypted(Exception):
    """OpenSSL asks for the key's password."""


def _ask_nobody() -> NoReturn:
    raise _Encrypted


def _load_chain(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key, password=_ask_nobody)
    except _Encrypted as error:
        step = f"write it without: openssl pkey -in {files.key} -out NEW"
        raise TlsUnusable(files.key, f"is encrypted with a password; {step}") from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"is not the key of the certificate {files.certificate}"
        elif error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
            raise TlsUnusable(files.certificate, f"is too weak: {_words(error)}") from error
        else:
            reason = f"cannot be used with {files.certificate}: {_words(error)}"
        raise TlsUnusable(files.key, reason) from error
    except OSError as error:  # replaced since it was read
        raise TlsUnusable(files.key, f"cannot be read: {error.strerror or error}") from error


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")

"""How commands speak TLS, as the environment says: the names are those of Consul's own command.

Each can also be had with KVSTORE_ for CONSUL_, which counts first.
"""

import os
import ssl
from collections.abc import Mapping

from kvstore.errors import CallFailed

__all__ = ["is_tls_default", "server_name", "setting", "tls_context"]

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


def setting(environ: Mapping[str, str], name: str) -> str:
    """Return KVSTORE_<name> or CONSUL_<name>, "" without either."""
    return environ.get(f"KVSTORE_{name}") or environ.get(f"CONSUL_{name}") or ""


def is_tls_default(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an address without a scheme means https (HTTP_SSL)."""
    return setting(environ, "HTTP_SSL").lower() in _TRUE


def server_name(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the host that the server's certificate must be for, None for that of the address."""
    return setting(environ, "TLS_SERVER_NAME") or None


def tls_context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return what to call an https server with.

    CACERT is a file and CAPATH a folder of CAs, beside or without which the system's are trusted;
    CLIENT_CERT and CLIENT_KEY are this side's; HTTP_SSL_VERIFY=false trusts anybody. Raises
    CallFailed for a file that cannot be used.
    """
    file, folder = setting(environ, "CACERT"), setting(environ, "CAPATH")
    context = ssl.create_default_context()
    # Certificates of many a private CA lack what 3.13 began to ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if setting(environ, "HTTP_SSL_VERIFY").lower() in _FALSE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if file or folder:
        _load_authorities(context, file, folder)
    _load_own(context, setting(environ, "CLIENT_CERT"), setting(environ, "CLIENT_KEY"))
    return context


def _load_authorities(context: ssl.SSLContext, file: str, folder: str) -> None:
    named = " and ".join(filter(None, (file, folder)))
    try:
        context.load_verify_locations(file or None, folder or None)
    except ssl.SSLError as error:
        raise CallFailed(f"{named} (KVSTORE_CACERT) has no certificate in PEM") from error
    except OSError as error:
        raise CallFailed(f"cannot read {named} (KVSTORE_CACERT): {error.strerror}") from error


def _load_own(context: ssl.SSLContext, certificate: str, key: str) -> None:
    if not certificate:
        if key:
            raise CallFailed("KVSTORE_CLIENT_KEY is set, and KVSTORE_CLIENT_CERT is not")
        return
    named = f"{certificate} (KVSTORE_CLIENT_CERT) with the key {key or certificate}"
    try:
        context.load_cert_chain(certificate, key or None)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise CallFailed(f"cannot use {named}: {reason}") from error
    except OSError as error:
        raise CallFailed(f"cannot read {named}: {error.strerror}") from error

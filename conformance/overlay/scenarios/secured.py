"""Chapter S: engines and a store that trust nobody: TLS, certificates, tokens.

Source: spec/docker-cluster-store.md, section 5, rows F1, F2 and F8, and section 3.
"""

import json
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from conformance.overlay.certificates import Certificates, Identity
from conformance.overlay.errors import Skipped
from conformance.overlay.lab import Lab
from conformance.overlay.records import NODES
from conformance.overlay.scenario import Chapter
from conformance.overlay.store import TLS_PORT
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SOON_S = 15.0
_REGISTER_S = 20.0
_REFUSED_S = 30.0
_HANDSHAKE_S = 10.0
_LOG_LINES = 5_000


@CHAPTER.scenario(
    "F1", "TLS with client certificates: all as ever, new ones too", quick=True, wrecks=True
)
def tls(lab: Lab) -> None:
    """Both engines register and use a network over TLS 1.3, node keys under a path of their own.

    The server's certificate is renewed under way: no watch is lost, and a new network works.
    """
    certificates = _secure(lab)
    flags = [*certificates.engine_flags(certificates.client), "--cluster-store-opt=kv.path=lab/n"]
    _start(lab, _tls_url(lab), *flags)
    lab.wait_nodes("lab/n")
    expect(that=_version(lab, certificates) == "TLSv1.3", what="TLS 1.3", seen="less")
    lab.use("shop")
    before = _serial(lab, certificates)
    certificates.renew_server()
    lab.store.reload()
    wait_until(
        lambda: _serial(lab, certificates) != before, _SOON_S, "the store shows its new certificate"
    )
    lab.use("depot")
    for engine in lab.engines:
        lost = "Unexpected watch error" in engine.logged()
        expect(that=not lost, what=f"no watch of {engine.name} lost", seen="one lost")


@CHAPTER.scenario("F2", "a TLS port and an engine that speaks plain HTTP", wrecks=True)
def plain_on_tls(lab: Lab) -> None:
    """Expect the engine's log to say what is wrong, since it is answered and not cut off."""
    _secure(lab)
    lab.stop_engines()
    lab.start_bare()
    lab.h1.launch(_tls_url(lab))
    said = "Client sent an HTTP request to an HTTPS server"
    wait_until(lambda: said in lab.h1.logged(), _REFUSED_S, f"{said!r} in the engine's log")


@CHAPTER.scenario(
    "F9", "certificates that nobody should trust are refused, by name", quick=True, wrecks=True
)
def refused(lab: Lab) -> None:
    """Try an unknown authority on either side, an expired certificate, and none at all.

    The engine of a client with a wrong one never registers; the store's log says which it was.
    """
    certificates = _secure(lab)
    cases: list[tuple[str, Identity, Path, str]] = [
        ("a wrong CA", certificates.client, certificates.strange_authority, "does not trust"),
        ("a stranger", certificates.strange_client, certificates.authority, "signed by a CA"),
        ("expired", certificates.expired_client, certificates.authority, "expired"),
    ]
    for name, identity, authority, reason in cases:
        lab.stop_engines()
        lab.start_bare()
        lab.h1.mark_log()
        lab.h1.launch(_tls_url(lab), *certificates.engine_flags(identity, authority))
        wait_until(_complains_of_tls(lab), _REFUSED_S, f"the engine's log says so ({name})")
        _wait_logged(lab, reason, f"the store's log names the cause ({name})")
        seen = [entry.key for entry in lab.store.kv.tree(NODES) if entry.session]
        expect(that=not seen, what=f"no engine registered ({name})", seen=seen)
    _handshake_without_certificate(lab, certificates)
    _wait_logged(lab, "no client certificate", "the store's log says that none was sent")


@CHAPTER.scenario(
    "F8", "CONSUL_HTTP_TOKEN: engines with rights of their own", quick=True, wrecks=True
)
def tokens(lab: Lab) -> None:
    """Expect an engine with its token to work, one without to be refused, no secret in a log.

    The token may do what engines do: write keys under docker/, and sessions.
    """
    if lab.store.kind != "kvstore":
        raise Skipped("tokens are made as this server has them: in a file")
    folder = Path(lab.closing.enter_context(tempfile.TemporaryDirectory()))
    file = folder / "tokens.toml"
    engine = _create_token(file, "engines", "--key-prefix=docker/=write", "--session=write")
    lab.store.kv.token = _create_token(
        file, "lab", "--key-prefix==write", "--session=write", "--operator=write"
    )
    lab.closing.callback(setattr, lab.store.kv, "token", "")
    lab.stop_engines()
    lab.store.stop()
    lab.store.start(f"--tokens={file}", "--log-level=debug")
    lab.start_bare()
    lab.h1.launch(lab.store_url, env={"CONSUL_HTTP_TOKEN": engine})
    lab.h2.launch(lab.store_url)
    wait_until(lambda: "403" in lab.h2.logged(), _REFUSED_S, "h2, without a token, is refused")
    expect(that=len(lab.view().engines) <= 1, what="h2 unknown", seen=lab.view().engines)
    lab.h2.stop()
    lab.h2.launch(lab.store_url, env={"CONSUL_HTTP_TOKEN": engine})
    lab.wait_answering()
    lab.wait_nodes()
    lab.use("shop")
    logged = lab.store.log_tail(_LOG_LINES)
    expect(that="/v1/kv/docker" in logged, what="requests in the store's log", seen="none")
    expect(that=engine not in logged, what="no token in the store's log", seen="the token")


def _secure(lab: Lab) -> Certificates:
    """Have the store listen with TLS too, and ask for certificates that its authority made."""
    folder = Path(lab.closing.enter_context(tempfile.TemporaryDirectory()))
    certificates = Certificates(folder, lab.store.host.address)
    lab.stop_engines()
    lab.store.stop()
    lab.store.start(*_flags(lab.store.kind, certificates))
    return certificates


def _flags(kind: str, certificates: Certificates) -> list[str]:
    server, authority = certificates.server, certificates.authority
    if kind == "kvstore":
        return [
            f"--listen=https://0.0.0.0:{TLS_PORT}",  # inside a namespace
            f"--tls-cert-file={server.cert}",
            f"--tls-key-file={server.key}",
            f"--tls-client-ca-file={authority}",
        ]
    wanted = {
        "ports": {"https": TLS_PORT},
        "cert_file": str(server.cert),
        "key_file": str(server.key),
        "ca_file": str(authority),
        "verify_incoming_https": True,
    }
    return ["-hcl", json.dumps(wanted)]


def _tls_url(lab: Lab) -> str:
    return f"consul://{lab.store.host.address}:{TLS_PORT}"


def _start(lab: Lab, store_url: str, *flags: str) -> None:
    lab.start_bare()
    for engine in lab.engines:
        engine.launch(store_url, *flags)
    lab.wait_answering()


def _complains_of_tls(lab: Lab) -> Callable[[], bool]:
    return lambda: any(words in lab.h1.logged() for words in ("x509: ", "tls: "))


def _wait_logged(lab: Lab, text: str, what: str) -> None:
    if lab.store.kind != "kvstore":
        return  # what the log of another store says is its own affair
    wait_until(lambda: text in lab.store.log_tail(_LOG_LINES), _REFUSED_S, what)


# --- the lab as a client of its own -------------------------------------------------------------


def _version(lab: Lab, certificates: Certificates) -> str:
    with _dial(lab, certificates, certificates.client) as connection:
        return connection.version() or ""


def _serial(lab: Lab, certificates: Certificates) -> str:
    with _dial(lab, certificates, certificates.client) as connection:
        shown = connection.getpeercert() or {}
        return str(shown["serialNumber"])


def _handshake_without_certificate(lab: Lab, certificates: Certificates) -> None:
    """Expect to be cut off: in TLS 1.3 a client hears of it when it reads."""
    try:
        with _dial(lab, certificates, None) as connection:
            connection.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: store\r\n\r\n")
            answer = connection.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return
    expect(that=not answer, what="no answer without a certificate", seen=answer)


def _dial(lab: Lab, certificates: Certificates, client: Identity | None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=certificates.authority)
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    host = lab.store.host
    plain: socket.socket = host.connect(TLS_PORT, timeout_s=_HANDSHAKE_S)
    return context.wrap_socket(plain, server_hostname=host.address)


def _create_token(file: Path, name: str, *rights: str) -> str:
    """Make a token with the command for it, as an operator does, and return its secret."""
    made = subprocess.run(
        [sys.executable, "-m", "kvstore", "token", "create", name, f"--file={file}", *rights],
        capture_output=True,
        check=True,
        text=True,
    )
    return made.stdout.splitlines()[0]

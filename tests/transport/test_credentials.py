"""Files of TLS: what is wrong with each is said, and a bad new file changes nothing."""

import logging
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import DAY, Authority
from unprivileged import unprivileged

from kvstore.errors import TlsUnusable
from kvstore.transport.credentials import Credentials, TlsFiles


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give a CA."""
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    """Give files that are in order."""
    server = authority.server()
    return TlsFiles(server.certificate, server.key, authority.file)


def test_good_files(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    """A context that asks for certificates, speaks 1.2 and newer, and HTTP/1.1; no warning."""
    context = Credentials(files).context
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not caplog.records


def test_no_client_ca(files: TlsFiles) -> None:
    """Without a CA for clients nobody is asked."""
    assert Credentials(replace(files, client_ca=None)).context.verify_mode == ssl.CERT_NONE


def test_the_oldest_version(files: TlsFiles) -> None:
    """It can be 1.3."""
    context = Credentials(replace(files, min_version="1.3")).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


def test_ciphers_of_tls_1_2(files: TlsFiles) -> None:
    """Forward secrecy and authenticated encryption, those of Go's first 1.2 among them."""
    names = {one["name"] for one in Credentials(files).context.get_ciphers()}
    old = {one for one in names if not one.startswith("TLS_")}
    assert {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"} <= old
    assert all(one.startswith("ECDHE-") for one in old)
    assert all("GCM" in one or "CHACHA20" in one for one in old)


def breaks(files: TlsFiles) -> str:
    """Return what is said of files that cannot be used."""
    with pytest.raises(TlsUnusable) as caught:
        Credentials(files)
    assert str(caught.value) == f"{caught.value.path}: {caught.value.reason}"
    return str(caught.value)


PLACES = ["certificate", "key", "client_ca"]


@pytest.mark.parametrize("place", PLACES)
def test_a_missing_file(files: TlsFiles, place: str, tmp_path: Path) -> None:
    """It is named."""
    missing = tmp_path / "nope.pem"
    assert breaks(replace(files, **{place: missing})) == (
        f"{missing}: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_folder(files: TlsFiles, place: str, tmp_path: Path) -> None:
    """A folder in the place of a file is named."""
    assert breaks(replace(files, **{place: tmp_path})) == (
        f"{tmp_path}: cannot be read: Is a directory"
    )


READING = """
import sys
from pathlib import Path
from kvstore.transport.credentials import Credentials, TlsFiles

Credentials(TlsFiles(*map(Path, sys.argv[1:])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_may_not_be_read(files: TlsFiles, place: str) -> None:
    """The system's reason is told."""
    path = getattr(files, place)
    path.chmod(0)
    named = [str(files.certificate), str(files.key), str(files.client_ca)]
    command = unprivileged([sys.executable, "-c", READING, *named])
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stderr.endswith(f"{path}: cannot be read: Permission denied\n")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("content", "found"), [(b"", "is empty"), (b"\n", "is empty"), (b"\x30\x82\xff", "has none")]
)
def test_a_file_that_is_no_pem(files: TlsFiles, place: str, content: bytes, found: str) -> None:
    """Empty files and DER are told apart, and what was expected is said."""
    path = getattr(files, place)
    path.write_bytes(content)
    kind, header = ("private key", "PRIVATE KEY") if place == "key" else ("certificate",) * 2
    assert breaks(files) == (
        f"{path}: {found}; expected a {kind} in PEM, which begins -----BEGIN {header.upper()}-----"
    )


def test_the_two_exchanged(files: TlsFiles) -> None:
    """The key where the certificate belongs is no certificate."""
    said = breaks(replace(files, certificate=files.key, key=files.certificate))
    assert said.startswith(f"{files.key}: has none; expected a certificate")


@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_file(files: TlsFiles, place: str) -> None:
    """What is between the lines of PEM is looked at, too."""
    path = getattr(files, place)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "bm9uZQ==", lines[-1]]))
    said = breaks(files)
    assert said.startswith(f"{path}: ")
    expected = "cannot be used with" if place == "key" else "certificate number 1 in it is damaged"
    assert expected in said


def test_a_key_of_another_certificate(files: TlsFiles, authority: Authority) -> None:
    """They must belong together."""
    other = authority.server("other")
    assert breaks(replace(files, key=other.key)) == (
        f"{other.key}: is not the key of the certificate {files.certificate}"
    )


def test_an_encrypted_key(files: TlsFiles, tmp_path: Path) -> None:
    """Nobody is asked for a password; the command that takes it off is named."""
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", files.key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True,
    )
    assert breaks(replace(files, key=locked)) == (
        f"{locked}: is encrypted with a password; write it without: "
        f"openssl pkey -in {locked} -out NEW"
    )


def test_a_weak_certificate(files: TlsFiles, tmp_path: Path) -> None:
    """A key that OpenSSL thinks too small is the certificate's fault."""
    weak = TlsFiles(tmp_path / "weak.pem", tmp_path / "weak-key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=x"),
            *("-keyout", weak.key, "-out", weak.certificate),
        ],
        check=True,
        capture_output=True,
    )
    assert breaks(weak) == f"{weak.certificate}: is too weak: ee key too small"


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (-2 * DAY, -DAY, "a certificate has expired on "),
        (DAY, 2 * DAY, "a certificate is not valid before "),
        (-DAY, 13 * DAY, "a certificate expires on "),
    ],
)
def test_dates_are_warnings(
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    begins: timedelta,
    ends: timedelta,
    said: str,
) -> None:
    """A server with such a certificate starts, for clients that do not look, and says so."""
    server = authority.server(begins=begins, ends=ends)
    Credentials(TlsFiles(server.certificate, server.key))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith(said)
    assert record.message.endswith(f" UTC: {server.certificate}")


def test_days_pass(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    """A server that runs for long can look again; the CA's date counts, too."""
    now = [datetime.now(UTC)]
    credentials = Credentials(files, lambda: now[0])
    assert not caplog.records
    now[0] += 366 * DAY
    credentials.warn_of_dates()
    assert [record.message.split(" on ")[0] for record in caplog.records] == [
        "a certificate has expired"
    ]
    now[0] = datetime(9000, 1, 1, tzinfo=UTC)
    caplog.clear()
    credentials.warn_of_dates()
    assert len(caplog.records) == 2
    assert caplog.records[1].message.endswith(str(files.client_ca))


def test_several_in_one_file(
    files: TlsFiles, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Of several CAs the one that is past its time is named by its number."""
    old = authority.issue("old", begins=-2 * DAY, ends=-DAY)
    assert files.client_ca is not None
    text = f"# ours\n{files.client_ca.read_text()}\n# theirs\n{old.certificate.read_text()}"
    files.client_ca.write_text(text)
    credentials = Credentials(files)
    assert credentials.context.cert_store_stats()["x509"] == 2
    (record,) = caplog.records
    assert record.message.endswith(f"{files.client_ca} (number 2)")


Spoil = Callable[[TlsFiles], object]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: files.certificate.unlink(),
        lambda files: files.certificate.write_text("garbage"),
        lambda files: files.key.write_text(""),
        lambda files: files.client_ca.write_text(""),
    ],
)
def test_a_bad_new_file_changes_nothing(files: TlsFiles, spoil: Spoil) -> None:
    """The old context stays in force, and the next good file is taken."""
    credentials = Credentials(files)
    before = credentials.context
    good = files.certificate.read_text(), files.key.read_text(), files.client_ca.read_text()
    spoil(files)
    with pytest.raises(TlsUnusable):
        credentials.reload()
    assert credentials.context is before
    for path, text in zip((files.certificate, files.key, files.client_ca), good, strict=True):
        path.write_text(text)
    credentials.reload()
    assert credentials.context is not before


def test_a_reload_is_logged(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    """With the file, and until when it is good."""
    credentials = Credentials(files)
    with caplog.at_level(logging.INFO):
        credentials.reload()
    (record,) = caplog.records
    assert record.message.startswith(
        f"the certificate was read again: {files.certificate}, valid until 20"
    )

"""How commands speak TLS: variables; what they do with servers is in cli/test_serve_tls.py."""

import ssl
from pathlib import Path

import pytest
from certificates import Authority

from kvstore.client_tls import is_tls_default, server_name, setting, tls_context
from kvstore.errors import CallFailed


def test_ours_count_first() -> None:
    """And what is empty does not count."""
    assert setting({"KVSTORE_CACERT": "a", "CONSUL_CACERT": "b"}, "CACERT") == "a"
    assert setting({"KVSTORE_CACERT": "", "CONSUL_CACERT": "b"}, "CACERT") == "b"
    assert setting({}, "CACERT") == ""


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("TRUE", True), ("t", True), ("0", False), ("", False)]
)
def test_tls_by_default(text: str, *, expected: bool) -> None:
    """As Go's programs read a truth."""
    assert is_tls_default({"CONSUL_HTTP_SSL": text}) is expected


def test_another_name() -> None:
    """None is the host of the address."""
    assert server_name({"CONSUL_TLS_SERVER_NAME": "kv.example"}) == "kv.example"
    assert server_name({}) is None


def test_the_system_is_trusted() -> None:
    """Without a word, certificates and names are looked at."""
    context = tls_context({})
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_files(tmp_path: Path) -> None:
    """A CA by its file or by a folder of hashed names, and a certificate of one's own."""
    authority = Authority(tmp_path)
    client = authority.issue("client")
    environ = {
        "CONSUL_CACERT": str(authority.file),
        "CONSUL_CLIENT_CERT": str(client.certificate),
        "CONSUL_CLIENT_KEY": str(client.key),
    }
    before = tls_context({}).cert_store_stats()["x509_ca"]
    assert tls_context(environ).cert_store_stats()["x509_ca"] == before + 1
    assert tls_context({"KVSTORE_CAPATH": str(tmp_path)}).cert_store_stats()["x509_ca"] == before


def test_one_file_for_both(tmp_path: Path) -> None:
    """A certificate and its key may share a file."""
    client = Authority(tmp_path).issue("client")
    both = tmp_path / "both.pem"
    both.write_text(client.certificate.read_text() + client.key.read_text())
    assert tls_context({"CONSUL_CLIENT_CERT": str(both)})


@pytest.mark.parametrize("text", ["false", "0"])
def test_not_looking(text: str) -> None:
    """Anybody is trusted, if that is what is wanted."""
    context = tls_context({"CONSUL_HTTP_SSL_VERIFY": text})
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CONSUL_CACERT": "/nope"}, "cannot read /nope"),
        ({"CONSUL_CACERT": __file__}, "has no certificate in PEM"),
        ({"CONSUL_CLIENT_CERT": "/nope"}, "cannot read /nope"),
        ({"CONSUL_CLIENT_CERT": __file__}, "cannot use "),
        ({"CONSUL_CLIENT_KEY": "/nope"}, "KVSTORE_CLIENT_CERT is not"),
    ],
)
def test_files_that_cannot_be_used(environ: dict[str, str], said: str) -> None:
    """Are named."""
    with pytest.raises(CallFailed, match=said):
        tls_context(environ)

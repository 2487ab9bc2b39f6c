"""OpenSSL's words as sentences; real handshakes that fail are in test_handshake.py."""

import ssl

import pytest

from kvstore.transport.failures import reason_of


def failed(reason: str) -> ssl.SSLError:
    """Return an error as OpenSSL's handshakes raise it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower()} (_ssl.c:1006)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "it sent no client certificate"),
        ("NO_SHARED_CIPHER", "it has no cipher in common with this server"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
        (
            "SSLV3_ALERT_CERTIFICATE_EXPIRED",
            "it does not trust the certificate of this server: it has expired",
        ),
        ("LENGTH_MISMATCH", "the handshake failed: length mismatch"),
    ],
)
def test_reasons(reason: str, said: str) -> None:
    """Those that operators meet have words of ours; the others keep OpenSSL's."""
    assert reason_of(failed(reason)) == said


def test_an_error_without_a_reason() -> None:
    """There is always something to say."""
    error = ssl.SSLError(5, "what it was")
    error.reason = None  # type: ignore[assignment]
    assert reason_of(error) == "the handshake failed: what it was"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (10, "its certificate has expired"),
        (26, "its certificate is not for clients (extended key usage)"),
        (23, "its certificate is not accepted: certificate revoked"),
    ],
)
def test_certificates(code: int, said: str) -> None:
    """What is wrong with a client's certificate is told, in OpenSSL's words if need be."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    error.verify_message = "certificate revoked"
    assert reason_of(error) == said

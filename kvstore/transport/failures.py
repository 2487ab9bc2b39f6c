"""Why a handshake failed: from OpenSSL's words to a sentence about the client. Pure."""

import ssl

__all__ = ["reason_of"]

# What OpenSSL calls it when this side gave up.
_OURS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it sent no client certificate",
    "UNSUPPORTED_PROTOCOL": "its TLS version is too old; --tls-min-version is the oldest accepted",
    "VERSION_TOO_LOW": "its TLS version is too old; --tls-min-version is the oldest accepted",
    "NO_SHARED_CIPHER": "it has no cipher in common with this server",
    "NO_SHARED_GROUP": "it has no key exchange in common with this server",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "it cannot check a signature by a key of our kind",
    "NO_COMMON_SIGNATURE_ALGORITHMS": "it cannot check a signature by a key of our kind",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
}
# The same for alerts: the client gave up.
_DISTRUST = "it does not trust the certificate of this server"
_THEIRS = {
    "TLSV1_ALERT_UNKNOWN_CA": f"{_DISTRUST}: the CA is unknown to it",
    "SSLV3_ALERT_BAD_CERTIFICATE": f"{_DISTRUST}: wrong CA, wrong host, or expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": f"{_DISTRUST}: wrong CA, wrong host, or expired",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_DISTRUST}: it has expired",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": f"{_DISTRUST}: it is of a kind that it does not know",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it does not accept the TLS versions of this server",
}
# What OpenSSL found out about the client's certificate (X509_V_ERR_…).
_CERTIFICATE = {
    9: "its certificate is not yet valid; look at both clocks",
    10: "its certificate has expired",
    18: "its certificate is signed by itself and not in --tls-client-ca-file",
    19: "its certificate is signed by a CA that is not in --tls-client-ca-file",
    20: "its certificate is signed by a CA that is not in --tls-client-ca-file",
    21: "its certificate is signed by a CA that is not in --tls-client-ca-file",
    26: "its certificate is not for clients (extended key usage)",
}


def reason_of(error: ssl.SSLError) -> str:
    """Return why a client was not connected, as the second half of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code)
        return known or f"its certificate is not accepted: {error.verify_message}"
    name = error.reason or ""
    return _OURS.get(name) or _THEIRS.get(name) or _in_openssls_words(error)


def _in_openssls_words(error: ssl.SSLError) -> str:
    words = (error.reason or str(error)).replace("_", " ").lower()
    return f"the handshake failed: {words}"

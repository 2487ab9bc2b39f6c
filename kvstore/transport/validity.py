"""From when to when a certificate is valid: read from its DER (RFC 5280, section 4.1). Pure.

The standard library tells it of a peer's certificate only, and only of one that it trusts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Validity", "read_validity"]

_VERSION_TAG = 0xA0
_UTC_TIME_TAG = 0x17
# Two digits stand for 1950 to 2049 (section 4.1.2.5.1).
_CENTURY_TURNS_AT = 50


@dataclass(frozen=True, slots=True)
class Validity:
    """The first and the last moment of a certificate."""

    begins: datetime
    ends: datetime


def read_validity(der: bytes) -> Validity:
    """Return the validity of a certificate; raises ValueError when it is none."""
    try:
        _, at, _ = _element(der, 0)  # Certificate
        _, at, _ = _element(der, at)  # TBSCertificate
        tag, _, end = _element(der, at)
        if tag == _VERSION_TAG:
            at = end
        for _ in ("serialNumber", "signature", "issuer"):
            _, _, at = _element(der, at)
        _, at, _ = _element(der, at)  # Validity
        begins, at = _time(der, at)
        ends, _ = _time(der, at)
    except IndexError as error:
        raise ValueError("the certificate is cut short") from error
    return Validity(begins, ends)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the element at an offset, and where its content begins and ends."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        digits = length & 0x7F
        length = int.from_bytes(der[start : start + digits], "big")
        start += digits
    return tag, start, start + length


def _time(der: bytes, at: int) -> tuple[datetime, int]:
    """Return the time at an offset, and the offset behind it."""
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME_TAG:
        text = ("19" if int(text[:2]) >= _CENTURY_TURNS_AT else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC), end

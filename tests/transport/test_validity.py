"""Dates of certificates: held against what a library for certificates reads."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from kvstore.transport.validity import read_validity


def naive(moment: datetime) -> datetime:
    """Return a moment as trustme takes it."""
    return moment.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2021, 6, 7, 8, 9, 10, tzinfo=UTC)),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        # From 2050 on certificates have another kind of time.
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)),
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_dates(begins: datetime, ends: datetime) -> None:
    """They are read to the second, whichever of the two kinds of time they have."""
    issued = trustme.CA().issue_cert("h", not_before=naive(begins), not_after=naive(ends))
    pem = issued.cert_chain_pems[0].bytes()
    parsed = x509.load_pem_x509_certificate(pem)
    validity = read_validity(ssl.PEM_cert_to_DER_cert(pem.decode()))
    assert validity.begins == begins == parsed.not_valid_before_utc
    assert validity.ends == ends == parsed.not_valid_after_utc


def test_what_is_no_certificate(tmp_path: Path) -> None:
    """A certificate cut short anywhere before its dates, and noise, are a ValueError."""
    pem = trustme.CA().cert_pem.bytes().decode()
    der = ssl.PEM_cert_to_DER_cert(pem)
    whole = read_validity(der)
    read = 0
    for length in range(len(der)):
        try:
            assert read_validity(der[:length]) == whole
            read += 1
        except ValueError:
            assert read == 0, "what is longer can be read, too"
    assert read > 0
    for noise in (b"", b"\0" * 100, b"\xff" * 100, b"not a certificate" * 10):
        with pytest.raises(ValueError):  # noqa: PT011 - there is nothing to tell apart
            read_validity(noise)

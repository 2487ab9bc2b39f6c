"""Go durations: read, refused and written as Go does."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.duration import NS_PER_S, InvalidDuration, format_duration, parse_duration

INT64_MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5 * NS_PER_S),
        ("+5s", 5 * NS_PER_S),
        ("-5s", -5 * NS_PER_S),
        ("1.5s", 1_500_000_000),
        ("15.0s", 15 * NS_PER_S),
        (".5s", 500_000_000),
        ("5.s", 5 * NS_PER_S),
        ("1m30s", 90 * NS_PER_S),
        ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        ("10000ms", 10 * NS_PER_S),
        ("1us1µs1μs", 3_000),
        ("1s1s", 2 * NS_PER_S),
        ("0.9ns", 0),
        ("9223372036854775807ns", INT64_MAX),
        ("-9223372036854775807ns", -INT64_MAX),
        ("0.00000000000000000000000001h", 0),
        ("000000000000000000000000000001s", NS_PER_S),
    ],
)
def test_contract_1_9_read(text: str, ns: int) -> None:
    """An optional sign, then numbers with units; a bare 0 needs none."""
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("abc", 'time: invalid duration "abc"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1s5", 'time: missing unit in duration "1s5"'),
        ("00", 'time: missing unit in duration "00"'),
        ("10S", 'time: unknown unit "S" in duration "10S"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("5 s", 'time: unknown unit " s" in duration "5 s"'),
        (" 5s", 'time: invalid duration " 5s"'),
        ("5s ", 'time: unknown unit "s " in duration "5s "'),
        ("--5s", 'time: invalid duration "--5s"'),
        ("\u0665s", 'time: invalid duration "\u0665s"'),
        ("99999999h", 'time: invalid duration "99999999h"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9" * 5000 + "s", f'time: invalid duration "{"9" * 5000}s"'),
    ],
)
def test_contract_1_9_refused(text: str, error: str) -> None:
    """Everything else is refused with Go's text, which clients see."""
    with pytest.raises(InvalidDuration) as caught:
        parse_duration(text)
    assert str(caught.value) == error


@given(text=st.text() | st.text("0123456789.+-nuµmsh"))
def test_a_duration_is_read_or_refused(text: str) -> None:
    """No text raises anything but InvalidDuration, and what is read fits 64 bits."""
    with suppress(InvalidDuration):
        assert -INT64_MAX <= parse_duration(text) <= INT64_MAX


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (NS_PER_S, "1s"),
        (3_300_000_000, "3.3s"),
        (10 * NS_PER_S, "10s"),
        (60 * NS_PER_S, "1m0s"),
        (90 * NS_PER_S, "1m30s"),
        (24 * 3600 * NS_PER_S, "24h0m0s"),
        (3600 * NS_PER_S + 1, "1h0m0.000000001s"),
        (-5 * NS_PER_S, "-5s"),
        (INT64_MAX, "2562047h47m16.854775807s"),
    ],
)
def test_written_as_go_prints_it(ns: int, text: str) -> None:
    """The largest units that fit, no zeros at the end of a fraction."""
    assert format_duration(ns) == text


@given(ns=st.integers(-INT64_MAX, INT64_MAX))
def test_what_is_written_is_read_back(ns: int) -> None:
    """Every duration comes back as it was."""
    assert parse_duration(format_duration(ns)) == ns

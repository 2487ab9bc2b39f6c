"""Texts as Go writes them: quoting, numbers, escapes."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.gotext import (
    is_printable,
    parse_uint64,
    path_escape,
    path_unescape,
    query_escape,
    query_unescape,
    quote,
)
from kvstore.errors import InvalidRequest

UINT64_MAX = 2**64 - 1

# What a decoded parameter can be: text whose undecodable bytes are surrogates.
WIRE_TEXT = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("abc", '"abc"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x00\x1f\x7f", r'"\x00\x1f\u007f"'),
        ("é世", '"é世"'),
        ("\x80\xa0", r'"\u0080\u00a0"'),
        ("\u200b\ufeff", r'"\u200b\ufeff"'),
        ("\U000e0001", r'"\U000e0001"'),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), r'"\xff\xfe"'),
    ],
)
def test_quote_writes_what_strconv_quote_writes(text: str, quoted: str) -> None:
    """Printable characters stay, others are escaped by their size, raw bytes as hex."""
    assert quote(text) == quoted


@given(text=WIRE_TEXT)
def test_a_quoted_text_can_be_read_back(text: str) -> None:
    """Quoting loses nothing: Python reads Go's escapes, but for those of raw bytes."""
    quoted = quote(text)
    assert is_printable(quoted)
    raw = quoted[1:-1].encode("ascii", "backslashreplace").decode("unicode_escape")
    undecodable = any("\udc80" <= char <= "\udcff" for char in text)
    assert undecodable or raw == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("0" * 5000 + "1", 1),
        ("18446744073709551615", UINT64_MAX),
    ],
)
def test_P4_H19_decimal_numbers_of_64_bits(text: str, number: int) -> None:
    """Leading zeros are fine, and the whole range of 64 bits is."""
    assert parse_uint64(text) == number


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("abc", 'parsing "abc": invalid syntax'),
        ("", 'parsing "": invalid syntax'),
        ("-1", 'parsing "-1": invalid syntax'),
        ("+5", 'parsing "+5": invalid syntax'),
        (" 5", 'parsing " 5": invalid syntax'),
        ("1.5", 'parsing "1.5": invalid syntax'),
        ("0x10", 'parsing "0x10": invalid syntax'),
        ("1_0", 'parsing "1_0": invalid syntax'),
        ("٣", 'parsing "٣": invalid syntax'),
        ("²", 'parsing "²": invalid syntax'),
        ("18446744073709551616", 'parsing "18446744073709551616": value out of range'),
        ("99999999999999999999x", 'parsing "99999999999999999999x": value out of range'),
        ("9" * 5000, f'parsing "{"9" * 5000}": value out of range'),
    ],
)
def test_P4_others_are_refused_in_gos_words(text: str, error: str) -> None:
    """Clients see strconv.ParseUint's text, quotes and all."""
    with pytest.raises(InvalidRequest) as caught:
        parse_uint64(text)
    assert str(caught.value) == f"strconv.ParseUint: {error}"


@given(text=WIRE_TEXT | st.text("0123456789-+. x"))
def test_a_number_is_read_or_refused(text: str) -> None:
    """No text raises anything but InvalidRequest, and what is read is in range."""
    with suppress(InvalidRequest):
        assert 0 <= parse_uint64(text) <= UINT64_MAX


@given(number=st.integers(0, UINT64_MAX), zeros=st.integers(0, 30))
def test_every_number_in_range_is_read(number: int, zeros: int) -> None:
    """Any 64-bit number comes back, however many zeros lead it."""
    assert parse_uint64("0" * zeros + str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "a b", "é", "世界", "\ufffd", "~!@#$%^&*()", "\u0301", "½", "😀"]
)
def test_contract_1_2_printable(text: str) -> None:
    """Letters, marks, numbers, punctuation, symbols and the ASCII space are printable."""
    assert is_printable(text)


@pytest.mark.parametrize(
    "char",
    list("\x00\x1f\x7f\x80\x9f\xa0\u3000\u200b\ufeff\u2028\u2029\ue000\u0378\u00ad"),
)
def test_contract_1_2_not_printable(char: str) -> None:
    """Controls, other spaces, separators, private and unassigned characters are not."""
    assert not is_printable(f"a{char}b")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"", b""),
        (b"/a+b", b"/a+b"),
        (b"/a%20b", b"/a b"),
        (b"%2f%2F", b"//"),
        (b"%25zz", b"%zz"),
        (b"%ff\xff", b"\xff\xff"),
        (b"%0A%00", b"\n\x00"),
    ],
)
def test_paths_are_decoded_once(raw: bytes, path: bytes) -> None:
    """Escapes become bytes, in either letter case; a plus sign is a plus sign."""
    assert path_unescape(raw) == path


@pytest.mark.parametrize("raw", [b"%", b"%2", b"%zz", b"a%2", b"%2g", b"%%20", b"%\n1", b"% 1"])
def test_bad_escapes_are_refused(raw: bytes) -> None:
    """A percent sign without two hex digits is no escape, in a path or in a query."""
    with pytest.raises(InvalidRequest):
        path_unescape(raw)
    with pytest.raises(InvalidRequest):
        query_unescape(raw)


def test_a_plus_in_a_query_is_a_space() -> None:
    """In a query "+" means a space and "%2B" means a plus."""
    assert query_unescape(b"a+b%2B%20") == b"a b+ "


@given(raw=st.binary() | st.text("%0aF+/").map(str.encode))
def test_a_path_is_decoded_or_refused(raw: bytes) -> None:
    """No bytes raise anything but InvalidRequest."""
    with suppress(InvalidRequest):
        assert len(path_unescape(raw)) <= len(raw)


@given(data=st.binary())
def test_what_is_escaped_is_decoded_again(data: bytes) -> None:
    """Escaping loses nothing, and what it makes is plain ASCII without spaces."""
    for escaped, unescape in (
        (path_escape(data), path_unescape),
        (query_escape(data), query_unescape),
    ):
        assert escaped.isascii()
        assert " " not in escaped
        assert unescape(escaped.encode("ascii")) == data


@pytest.mark.parametrize(
    ("data", "in_path", "in_query"),
    [
        (b"a/b", "a/b", "a%2Fb"),
        (b"sp ace", "sp%20ace", "sp+ace"),
        ("é".encode(), "%C3%A9", "%C3%A9"),
        (b"a=b&c;d", "a=b&c;d", "a%3Db%26c%3Bd"),
        (b"-_.~", "-_.~", "-_.~"),
        (b"!*'()", "%21%2A%27%28%29", "%21%2A%27%28%29"),
        (b"a%b?#", "a%25b%3F%23", "a%25b%3F%23"),
    ],
)
def test_H7_P5_what_is_escaped_where(data: bytes, in_path: str, in_query: str) -> None:
    """A path keeps its slashes and a query none; both keep what Go calls unreserved."""
    assert path_escape(data) == in_path
    assert query_escape(data) == in_query

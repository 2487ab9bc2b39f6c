"""JSON as Go reads it: what values come of it, and Go's words for what is wrong."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import json
import re
from base64 import b64encode
from contextlib import suppress
from itertools import chain, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kvstore.api.gojson import Members, Number, bytes_of, decode, text_of, uint_of, wrong_type
from kvstore.errors import InvalidRequest

PLACE = "Go struct field X.Y"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """Return what was decoded as `json.loads` would have it."""
    if isinstance(value, Members):
        return {name: plain(one) for name, one in value}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return int(value) if isinstance(value, Number) else value


@given(JSON_VALUES)
def test_decode_gives_what_was_encoded(value: Any) -> None:
    """Objects keep their members, lists their order, whatever is in them."""
    assert plain(decode(json.dumps(value).encode())) == value
    assert plain(decode(json.dumps(value, ensure_ascii=False, indent=1).encode())) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' \t\r\n"x"', "x"),
        (b"[] junk", []),
        (b"nullnull", None),
        (b"{}{", Members()),
        (b'{"a":1,"A":2,"a":3}', Members([("a", "1"), ("A", "2"), ("a", "3")])),
        (b"1e400", "1e400"),
        (b"-0", "-0"),
        (b"9" * 5000, "9" * 5000),
        (rb'"\ud83d\ude00\u00e9"', "😀é"),
    ],
)
def test_H31_the_first_value_counts(body: bytes, value: Any) -> None:
    """What follows is not looked at; every member is there; a number has its digits."""
    assert decode(body) == value


def test_kinds_are_told_apart() -> None:
    """An object is no list, a number no text."""
    (members, numbers, text) = decode(b'[{"a":1},[1],"1"]')
    assert isinstance(members, Members)
    assert not isinstance(numbers, Members)
    assert isinstance(numbers[0], Number)
    assert not isinstance(text, Number)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"[", "unexpected EOF"),
        (b'{"a"', "unexpected EOF"),
        (b'["a', "unexpected EOF"),
        (b'["\\', "unexpected EOF"),
        (b'["\\u00', "unexpected EOF"),
        (b"[tru", "unexpected EOF"),
        (b"[-", "unexpected EOF"),
        (b"[1.", "unexpected EOF"),
        (b"[1e+", "unexpected EOF"),
        (b"]", "invalid character ']' looking for beginning of value"),
        (b"[,]", "invalid character ',' looking for beginning of value"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"[NaN]", "invalid character 'N' looking for beginning of value"),
        (b"[Infinity]", "invalid character 'I' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[" * 200_000, "exceeded max depth"),
    ],
)
def test_T1_what_is_no_json(body: bytes, error: str) -> None:
    """It is refused in Go's words."""
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert str(caught.value) == error


WHOLE = rb'[{"KV":{"Verb":"a\n\u00e9\"\\","Flags":-1.5e+7,"a":true,"b":null,"c":false}} , [] ]'


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_T1_what_is_cut_off(length: int) -> None:
    """Wherever that was."""
    with pytest.raises(InvalidRequest, match=r"^unexpected EOF$"):
        decode(WHOLE[:length])


@given(st.binary() | st.text(alphabet='[]{}",:\\u01eE+-.truefalsn \n').map(str.encode))
@example(b"\xff")
@example(b'"\xff\xed\xa0\x80"')
@example(b'{"a":' * 200_000)
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    """No bytes raise anything but InvalidRequest, and its text can be sent."""
    try:
        decode(body)
    except InvalidRequest as error:
        str(error).encode("utf-8", "surrogateescape")


# --- values ---------------------------------------------------------------------------------

WRONG = [
    (True, "bool"),
    (Number("5"), "number"),
    ("x", "string"),
    (["x"], "array"),
    (Members([("x", "y")]), "object"),
]


@pytest.mark.parametrize(("value", "kind"), WRONG)
def test_wrong_type(value: Any, kind: str) -> None:
    """The kind that it is, its place, and Go's type for what it should be."""
    error = wrong_type(value, PLACE, "api.T")
    assert str(error) == f"json: cannot unmarshal {kind} into {PLACE} of type api.T"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"a b"', "a b"),
        (b'""', ""),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (rb'"\ud800"', "\ufffd"),
        (rb'"\udfff\ud800"', "\ufffd\ufffd"),
        ('"\ufffdé"'.encode(), "\ufffdé"),
    ],
)
def test_text_of(body: bytes, text: str) -> None:
    """What UTF-8 cannot spell is replaced, one for each byte."""
    found = text_of(decode(body), PLACE)
    assert found == text
    found.encode()


@pytest.mark.parametrize("value", [one for one, kind in WRONG if kind != "string"])
def test_what_is_no_text(value: Any) -> None:
    """The type that was wanted may have a name."""
    with pytest.raises(InvalidRequest, match="of type string"):
        text_of(value, PLACE)
    with pytest.raises(InvalidRequest, match=r"of type api\.KVOp"):
        text_of(value, PLACE, "api.KVOp")


@pytest.mark.parametrize(
    ("number", "bits", "value"),
    [("0", 8, 0), ("255", 8, 255), ("0", 64, 0), ("18446744073709551615", 64, 2**64 - 1)],
)
def test_uint_of(number: str, bits: int, value: int) -> None:
    """From nothing to the largest."""
    assert uint_of(Number(number), PLACE, bits) == value


@pytest.mark.parametrize(
    ("number", "bits"),
    [
        ("256", 8),
        ("-1", 8),
        ("18446744073709551616", 64),
        ("-5", 64),
        ("-0", 64),
        ("1.0", 64),
        ("1e3", 64),
        ("9" * 5000, 64),
    ],
)
def test_T1_what_is_no_uint(number: str, bits: int) -> None:
    """The number is told as it was typed."""
    with pytest.raises(InvalidRequest) as caught:
        uint_of(Number(number), PLACE, bits)
    wanted = f"json: cannot unmarshal number {number} into {PLACE} of type uint{bits}"
    assert str(caught.value) == wanted


@pytest.mark.parametrize("value", [one for one, kind in WRONG if kind != "number"])
def test_T1_what_is_no_number(value: Any) -> None:
    """A text of digits is none either."""
    with pytest.raises(InvalidRequest, match="of type uint64"):
        uint_of(value, PLACE, 64)


@given(st.binary(), st.lists(st.integers(0, 100)))
def test_bytes_of_base64(value: bytes, breaks: list[int]) -> None:
    """Any bytes come back, with line breaks wherever they are."""
    text = b64encode(value).decode()
    for at in breaks:
        text = text[:at] + "\r\n"[at % 2] + text[at:]
    assert bytes_of(text, PLACE) == value


@given(st.binary(max_size=50))
def test_T2_bytes_of_a_list(value: bytes) -> None:
    """Any bytes come back."""
    assert bytes_of([Number(str(byte)) for byte in value], PLACE) == value


def test_T2_null_in_a_list_is_zero() -> None:
    """As in Go."""
    assert bytes_of([Number("1"), None, Number("3")], PLACE) == b"\x01\x00\x03"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("d", 0),
        ("dj", 0),
        ("djE", 0),
        ("====", 0),
        ("d===", 1),
        ("djE==", 4),
        ("dj=E", 2),
        ("dj=\nE", 3),
        ("djE=djE=", 4),
        ("djE=d", 4),
        ("djE=\nx", 5),
        (" djE=", 0),
        ("-_8=", 0),
        ("+_8=", 1),
        ("é", 0),
        ("djEx é", 4),
        ("dj\n", 1),
        ("\nd\n", 2),
    ],
)
def test_T1_what_is_no_base64(text: str, at: int) -> None:
    """Consul 1.8.7 stops at the same byte, the odd ones included."""
    with pytest.raises(InvalidRequest) as caught:
        bytes_of(text, PLACE)
    assert str(caught.value) == f"illegal base64 data at input byte {at}"


def test_all_short_texts_are_base64_or_not() -> None:
    """Whole groups of four, the last one filled up with one or two signs, and breaks anywhere."""
    whole = re.compile("([A9]{4})*([A9]{2}==|[A9]{3}=)?")
    for text in map("".join, chain.from_iterable(product("A9=\n-", repeat=n) for n in range(8))):
        try:
            bytes_of(text, PLACE)
        except InvalidRequest:
            assert not whole.fullmatch(text.replace("\n", "")), repr(text)
        else:
            assert whole.fullmatch(text.replace("\n", "")), repr(text)


def test_base64_with_bits_to_spare() -> None:
    """Bits that no byte needs may be set."""
    assert bytes_of("dj==", PLACE) == bytes_of("dg==", PLACE) == b"v"


@pytest.mark.parametrize("value", [True, Number("5"), Members()])
def test_T1_what_are_no_bytes(value: Any) -> None:
    """Go's name of bytes is a list of numbers."""
    with pytest.raises(InvalidRequest, match=r"of type \[\]uint8"):
        bytes_of(value, PLACE)


@pytest.mark.parametrize("item", [True, "5", Number("256"), ["5"]])
def test_T2_what_is_no_byte(item: Any) -> None:
    """Each of a list is looked at."""
    with pytest.raises(InvalidRequest, match="of type uint8"):
        bytes_of([Number("1"), item], PLACE)


@given(st.text(alphabet="abcd=\r\n -é", max_size=12))
def test_any_text_is_bytes_or_refused(text: str) -> None:
    """Where it stops is in the text, or at its end."""
    try:
        found = bytes_of(text, PLACE)
    except InvalidRequest as error:
        stopped_at = int(str(error).rpartition(" ")[2])
    else:
        stopped_at = len(text.encode())
        assert len(found) <= stopped_at
    assert 0 <= stopped_at <= len(text.encode())


def test_a_large_value_is_decoded() -> None:
    """As large as a transaction may be."""
    value = bytes(range(256)) * 1500
    with suppress(InvalidRequest):
        bytes_of(b64encode(value).decode()[:-1], PLACE)
    assert bytes_of(b64encode(value).decode(), PLACE) == value

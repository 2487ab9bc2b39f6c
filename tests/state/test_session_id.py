"""Session ids: which texts are one, which two texts are the same one, and what the errors say."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.errors import InvalidSessionId
from kvstore.state.session_id import parse_session_id

PLAIN = "0123abcd-ef01-2345-6789-abcdef012345"
MEANING = bytes.fromhex("0123abcdef0123456789abcdef012345")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(PLAIN.upper(), id="upper-case"),
        pytest.param("0123ABCD-ef01-2345-6789-abcdef012345", id="mixed-case"),
        pytest.param("0-1-2-3-abcdef0123456789abcdef012345", id="hyphens-elsewhere"),
        pytest.param("----0123abcdef0123456789abcdef012345", id="hyphens-first"),
        pytest.param("0123abcdef0123456789abcdef012345----", id="hyphens-last"),
    ],
)
def test_S9_an_id_is_its_bytes(text: str) -> None:
    """Letter case and the places of the four hyphens do not matter."""
    assert parse_session_id(text) == MEANING


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0123abcdef0123456789abcdef0123456789", 18),
        ("0123abcd-ef01-23456789abcdef01234567", 17),
    ],
)
def test_S9_fewer_hyphens_are_well_formed_but_no_session(text: str, size_bytes: int) -> None:
    """36 characters with none or two hyphens mean more bytes than any session id has."""
    assert len(parse_session_id(text)) == size_bytes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "UUID must be 36 characters"),
        ("x", "UUID must be 36 characters"),
        (PLAIN[:-1], "UUID must be 36 characters"),
        (PLAIN + "/", "UUID must be 36 characters"),
        ("-" * 36, 'UUID should have maximum of 4 "-"; got 36'),
        ("0123abcd-ef01-2345-6789-abcd-f012345", 'UUID should have maximum of 4 "-"; got 5'),
        ("0123abcd-ef01-2345-6789aabcdef012345", "Input (without hyphens) must be even length"),
        ("0123abcd-ef0102345067890abcdef012345", "Input (without hyphens) must be even length"),
        ("0123abcd ef01-2345-6789-aabcdef01234", "Input (without hyphens) must be even length"),
    ],
)
def test_S9_malformed_ids_say_which_rule_they_break(text: str, reason: str) -> None:
    """Length, hyphens, evenness and digits are checked in this order, in Consul's words."""
    with pytest.raises(InvalidSessionId) as caught:
        parse_session_id(text)
    assert caught.value.reason == reason
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zz23abcd-ef01-2345-6789-abcdef012345", "U+007A 'z'"),
        ("0123abcd-ef01-2345-6789-abcdef01234g", "U+0067 'g'"),
        ("0123 bcd-ef01-2345-6789-abcdef012345", "U+0020 ' '"),
        ("0123\nbcd-ef01-2345-6789-abcdef012345", "U+000A"),
        ("0123\x7fbcd-ef01-2345-6789-abcdef012345", "U+007F"),
        # Characters outside ASCII are two bytes; the first of them is the invalid one.
        ("é23abcd-ef01-2345-6789-abcdef012345", "U+00C3 'Ã'"),
        ("٣23abcd-ef01-2345-6789-abcdef012345", "U+00D9 'Ù'"),
        # Undecodable bytes of a path, as Python carries them in text; 0xAD is not printable.
        ("\udcff123abcd-ef01-2345-6789-abcdef012345", "U+00FF 'ÿ'"),
        ("\udcad123abcd-ef01-2345-6789-abcdef012345", "U+00AD"),
    ],
)
def test_S9_other_bytes_than_hex_digits_are_named(text: str, shown: str) -> None:
    """The first byte that is no hex digit is named as Go names it, shown when printable."""
    with pytest.raises(InvalidSessionId) as caught:
        parse_session_id(text)
    assert caught.value.reason == f"Invalid UUID: encoding/hex: invalid byte: {shown}"


def test_S9_the_size_of_an_id_is_counted_in_bytes() -> None:
    """36 characters with one of two bytes among them are too many."""
    with pytest.raises(InvalidSessionId, match="UUID must be 36 characters"):
        parse_session_id("é" + PLAIN[1:])


@given(
    meaning=st.binary(min_size=16, max_size=16),
    places=st.lists(st.integers(0, 32), min_size=4, max_size=4),
)
def test_S9_any_spelling_of_16_bytes_means_them(meaning: bytes, places: list[int]) -> None:
    """Four hyphens anywhere and any letter case leave the bytes as they are."""
    text = meaning.hex()
    for place in sorted(places, reverse=True):
        text = f"{text[:place]}-{text[place:]}"
    assert parse_session_id(text) == meaning
    assert parse_session_id(text.upper()) == meaning


@given(
    raw=st.binary(max_size=40)
    | st.text("-0aFgé", min_size=34, max_size=37).map(lambda text: text.encode())
)
def test_S9_nothing_but_invalid_session_id_is_raised(raw: bytes) -> None:
    """Whatever bytes a path carries, they are an id or are refused with the rule they break."""
    text = raw.decode("utf-8", "surrogateescape")
    try:
        meaning = parse_session_id(text).hex()
    except InvalidSessionId:
        return
    assert meaning == text.replace("-", "").lower()

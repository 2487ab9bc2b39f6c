"""The JSON of pairs, as text.

That a real Consul writes and reads the same is in contract/test_export.py.
"""

import io
import re
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.cli.pairs import FLAGS_MAX, Pair, PairWriter, WrongPairs

from .pairing import REPLACED, read, written

flags = st.sampled_from([0, 1, FLAGS_MAX]) | st.integers(0, FLAGS_MAX)
text_keys = st.text(min_size=1).filter(lambda text: not re.search("[\ud800-\udfff]", text))
pairs = st.builds(Pair, text_keys.map(str.encode), flags, st.binary())
byte_pairs = st.builds(Pair, st.binary(min_size=1), flags, st.binary())


def test_the_form() -> None:
    """Tabs, this order of members, base64, and a line end behind it all."""
    some = [Pair(b"a/<b>&\x00\n\x7f", FLAGS_MAX, b"\x00\xff"), Pair("é\u2028".encode(), 0, b"")]
    assert written(some) == (
        b'[\n\t{\n\t\t"key": "a/\\u003cb\\u003e\\u0026\\u0000\\n\x7f",\n'
        b'\t\t"flags": 18446744073709551615,\n\t\t"value": "AP8="\n\t},\n'
        b'\t{\n\t\t"key": "\xc3\xa9\\u2028",\n\t\t"flags": 0,\n\t\t"value": ""\n\t}\n]\n'
    )
    assert written([]) == b"[]\n"


@given(some=st.lists(pairs), cuts=st.sets(st.integers(0, 2000)))
def test_what_was_written_is_read(some: list[Pair], cuts: set[int]) -> None:
    """Pairs come back as they were and in their order, wherever the text is cut in pieces."""
    text = written(some).decode()
    ends = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert read(*(text[begin:end] for begin, end in pairwise(ends))) == some


@given(some=st.lists(byte_pairs))
def test_bytes_that_are_no_text(some: list[Pair]) -> None:
    """Each byte of a key that is no UTF-8 is shown as U+FFFD, and the keys are counted."""
    writer = PairWriter(io.BytesIO())
    writer.write(some)
    found = read(written(some).decode())
    assert [(one.flags, one.value) for one in found] == [(one.flags, one.value) for one in some]
    changed = 0
    for before, after in zip(some, found, strict=True):
        changed += before.key != after.key or REPLACED in before.key
        expected = before.key.decode("utf-8", "surrogateescape")
        assert after.key.decode() == re.sub("[\udc80-\udcff]", "\ufffd", expected)
    assert writer.inexact == changed


def test_what_else_is_read() -> None:
    """Members in any case, missing, null or unknown; base64 with line ends; any white space."""
    text = """\r
    [{"Value":null,"Key":"a","LockIndex":0,"Session":"x"},\t{"key":"b"},{"KEY":"c","flags":null,
    "value":"aG\\r\\nk=","x":[{}]}]
    """
    assert read(text) == [Pair(b"a", 0, b""), Pair(b"b", 0, b""), Pair(b"c", 0, b"hi")]
    assert read(" [ ] ") == []


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", (1, 1), "the text ends, expected ["),
        ("{}", (1, 1), "found '{', expected ["),
        ("null", (1, 1), "found 'n', expected ["),
        ("[", (1, 2), "the text ends, expected { or ]"),
        ("[\n1]", (2, 1), "found '1', expected { or ]"),
        ('[{"key":"a"}', (1, 13), "the text ends, expected , or ]"),
        ('[{"key":"a"},]', (1, 14), "found ']', expected {"),
        ('[{"key":"a"}\n{"key":"b"}]', (2, 1), "found '{', expected , or ]"),
        ("[]\n\n x", (3, 2), "found 'x', expected nothing more"),
        ('[{"key":"a"},\n {"key":"b"', (2, 12), "not JSON: expecting ',' delimiter"),
        ('[\n\n{"key" "b"}]', (3, 8), "not JSON: expecting ':' delimiter"),
        ("[{}]", (1, 2), '"key" is missing, expected a text that is not empty'),
        ('[{"key":""}]', (1, 2), '"key" is "", expected a text that is not empty'),
        ('[{"key":7}]', (1, 2), '"key" is 7, expected a text that is not empty'),
        ('[{"key":"\\ud800"}]', (1, 2), '"key" is "\\ud800", expected text in UTF-8'),
        ('[{"key":"a","flags":-1}]', (1, 2), '"flags" of "a" is -1, expected a whole number'),
        ('[{"key":"a","flags":1.0}]', (1, 2), '"flags" of "a" is 1.0, expected a whole number'),
        ('[{"key":"a","flags":true}]', (1, 2), '"flags" of "a" is true, expected a whole number'),
        (f'[{{"key":"a","flags":{2**64}}}]', (1, 2), f'"flags" of "a" is {2**64}, expected'),
        (f'[{{"key":"a","flags":{"9" * 5000}}}]', (1, 2), "not JSON that can be read: Exceeds"),
        ('[{"key":"a","value":"x"}]', (1, 2), '"value" of "a" is "x", expected base64'),
        ('[{"key":"a","value":"eA==eA=="}]', (1, 2), '"value" of "a" is "eA==eA==", expected'),
        ('[{"key":"a","namespace":"x"}]', (1, 2), '"a" is of another namespace, "x", expected the'),
        ('[{"key":"a","value":[]}]', (1, 2), '"value" of "a" is [], expected base64'),
        ('[{"key":"a","x":' + "[" * 100_000, (1, 2), "not JSON that can be read: "),
    ],
)
@pytest.mark.parametrize("by", [1, 1000_000])
def test_wrong_text(text: str, place: tuple[int, int], reason: str, by: int) -> None:
    """What is wrong is told with its line and column, however the text came in."""
    if by == 1 and len(text) > 1000:
        by = 1000  # a character at a time would take minutes
    with pytest.raises(WrongPairs) as caught:
        read(*(text[at : at + by] for at in range(0, len(text), by)))
    assert (caught.value.line, caught.value.column) == place
    assert caught.value.reason.startswith(reason)
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: {reason}")


@given(text=st.text(alphabet='[]{}",:\\ \n\t0akeyvlufgsEd=-+.\ud800\ufffd', max_size=60))
def test_any_text_is_pairs_or_wrong(text: str) -> None:
    """No text does anything but this."""
    with suppress(WrongPairs):
        assert all(pair.key for pair in read(text))

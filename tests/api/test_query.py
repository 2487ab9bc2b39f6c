"""The query string: its pairs, the options of reads, and what is wrong with them."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.gotext import query_escape
from kvstore.api.query import Query, ReadOptions, check_cache_control, parse_query

from .calls import read_query

WIRE_TEXT = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
UNICODE = ("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", ()),
        ("&&", ()),
        ("raw", (("raw", ""),)),
        ("a=", (("a", ""),)),
        ("=v", (("", "v"),)),
        ("a=b=c", (("a", "b=c"),)),
        ("a=1&b=2", (("a", "1"), ("b", "2"))),
        ("a=1;b=2", (("a", "1"), ("b", "2"))),
        ("a=1&a=2", (("a", "1"), ("a", "2"))),
        ("a+b=c+d", (("a b", "c d"),)),
        ("a%3Db=%26%3B", (("a=b", "&;"),)),
        ("a?b=?", (("a?b", "?"),)),
        ("k=%C3%A9", (("k", "é"),)),
        ("k=%FF", (("k", "\udcff"),)),
    ],
)
def test_H14_pairs(raw: str, pairs: tuple[tuple[str, str], ...]) -> None:
    """Pairs are parted by "&" and ";", names from values by the first "="."""
    assert read_query(raw).pairs == pairs


@pytest.mark.parametrize("raw", ["a=%zz", "%", "raw&x=%2", "a=1;%g0=2"])
def test_H13_what_does_not_decode(raw: str) -> None:
    """One bad escape anywhere makes the whole query unreadable."""
    assert parse_query(raw) is None


@given(raw=WIRE_TEXT | st.text("ab%2=&;+"))
def test_a_query_is_read_or_not(raw: str) -> None:
    """Nothing a client can send raises, and every option of it can be asked for."""
    query = parse_query(raw)
    if query is not None:
        assert isinstance(query.consistency_error, str)
        assert isinstance(query.read_options, ReadOptions | str)
        assert query.encoded().isascii()


@pytest.mark.parametrize("value", ["", "0", "5", "-1", "1h", "9" * 5000, "é", "\x00", "\udcff"])
def test_options_of_odd_values(value: str) -> None:
    """Whatever stands where an option is read, it is an option or a sentence."""
    names = ["wait", "index", "max_stale", "stale", "consistent"]
    for chosen in (names, *([name] for name in names)):
        query = Query(tuple((name, value) for name in chosen))
        assert isinstance(query.consistency_error, str)
        assert isinstance(query.read_options, ReadOptions | str)


def test_H15_presence_counts() -> None:
    """A parameter is there whatever its value, and its letter case matters."""
    query = read_query("recurse=false&raw&PRETTY=1")
    assert "recurse" in query
    assert "raw" in query
    assert "pretty" not in query


def test_H16_the_first_value_wins() -> None:
    """Of several values of one name the first is read."""
    assert read_query("cas=1&cas=2").get("cas") == "1"


def test_a_missing_parameter_is_empty() -> None:
    """Asking for what is not there gives an empty text, or empty bytes."""
    assert read_query("a=1").get("b") == ""
    assert read_query("a=1").get_bytes("b") == b""


def test_bytes_come_back_as_they_were_sent() -> None:
    """A separator may be bytes that are no text."""
    assert read_query("separator=%FFa").get_bytes("separator") == b"\xffa"


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        ("cas=1&acquire=a", "acquire=a&cas=1"),
        ("cas&acquire", "acquire=&cas="),
        ("release=b&cas=0&flags=3&x=y%20z&b=%26", "b=%26&cas=0&flags=3&release=b&x=y+z"),
        ("b=2&a=1&b=1", "a=1&b=2&b=1"),
    ],
)
def test_P5_all_parameters_sorted_by_name(raw: str, encoded: str) -> None:
    """Sorted by name, form-encoded, the values of one name in their order."""
    assert read_query(raw).encoded() == encoded


@given(pairs=st.lists(st.tuples(WIRE_TEXT.filter(bool), WIRE_TEXT), max_size=5))
def test_encoded_pairs_are_read_back(pairs: list[tuple[str, str]]) -> None:
    """Reading what was encoded gives the same pairs, sorted by name."""
    raw = "&".join(
        f"{query_escape(name.encode(*UNICODE))}={query_escape(value.encode(*UNICODE))}"
        for name, value in pairs
    )
    query = read_query(raw)
    assert query.pairs == tuple(pairs)
    assert sorted(read_query(query.encoded()).pairs) == sorted(pairs)


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        ("", ReadOptions(0, 0.0)),
        ("index=&wait=", ReadOptions(0, 0.0)),
        ("index=007", ReadOptions(7, 0.0)),
        ("wait=1m30s", ReadOptions(0, 90.0)),
        ("wait=0", ReadOptions(0, 0.0)),
        ("wait=-5s&index=18446744073709551615", ReadOptions(2**64 - 1, -5.0)),
    ],
)
def test_H18_read_options(raw: str, options: ReadOptions) -> None:
    """When a read may be answered; an empty value is not given."""
    assert read_query(raw).read_options == options


@pytest.mark.parametrize("wait", ["abc", "5", "1d", "99999999h", "1S", " 1s"])
def test_H17_invalid_wait(wait: str) -> None:
    """A wait that is no Go duration; it is looked at before the index."""
    assert read_query(f"index=abc&wait={wait}").read_options == "Invalid wait time"


@pytest.mark.parametrize("index", ["abc", "-1", "1.5", "%2B7", "18446744073709551616"])
def test_H17_invalid_index(index: str) -> None:
    """An index that is no number of 64 bits."""
    assert read_query(f"index={index}").read_options == "Invalid index"


CONFLICT = "Cannot specify ?{} with ?consistent, conflicting semantics."


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", ""),
        ("stale&cached", ""),
        ("consistent", ""),
        ("max_stale=5s", ""),
        ("max_stale=0s&consistent", ""),
        ("max_stale=abc", 'Invalid max_stale value "abc"'),
        ("max_stale=%22", 'Invalid max_stale value "\\""'),
        ("stale&consistent", CONFLICT.format("stale")),
        ("max_stale=5s&consistent", CONFLICT.format("stale")),
        ("cached&consistent", CONFLICT.format("cached")),
        ("cached&consistent&stale", CONFLICT.format("stale")),
        ("max_stale=x&stale&consistent", 'Invalid max_stale value "x"'),
    ],
)
def test_H17_consistency(raw: str, error: str) -> None:
    """What excludes what, and in which order it is looked at."""
    assert read_query(raw).consistency_error == error


@pytest.mark.parametrize(
    "value",
    [
        "",
        "no-cache",
        "must-revalidate",
        "max-age=5",
        "max-age=+5",
        "MAX-AGE=5",
        "max-age",
        "stale-if-error=3, no-cache",
        "foo=bar",
        "max-age=-1",
    ],
)
def test_H19_cache_control_taken(value: str) -> None:
    """Directives without a number, and numbers where they belong, have no effect."""
    assert check_cache_control(value)


@pytest.mark.parametrize("value", ["max-age=x", "max-age=", "stale-if-error=x", "a, max-age=1.5"])
def test_H17_cache_control_refused(value: str) -> None:
    """An age that is no number."""
    assert not check_cache_control(value)

"""The request target: decoded, cleaned, and where a redirect goes."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.target import parse_target, redirect_location
from kvstore.errors import InvalidRequest

WIRE_TEXT = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
# Paths with everything that cleaning is about.
PATHS = st.lists(st.sampled_from(["/", ".", "..", "a", "%2e", "%2F", "é"]), max_size=12).map(
    lambda parts: "/" + "".join(parts)
)


@pytest.mark.parametrize(
    ("raw", "path", "raw_query"),
    [
        ("/v1/kv/a", b"/v1/kv/a", ""),
        ("/v1/kv/a?raw&x=%zz", b"/v1/kv/a", "?raw&x=%zz"),
        ("/v1/kv/a?", b"/v1/kv/a", "?"),
        ("/v1/kv/a?b?c", b"/v1/kv/a", "?b?c"),
        ("/v1/kv/a%2Fb%3F", b"/v1/kv/a/b?", ""),
        ("/v1/kv/a#b", b"/v1/kv/a#b", ""),
        ("/v1/kv/a;b:@!$&'()*,=+", b"/v1/kv/a;b:@!$&'()*,=+", ""),
        ("/\udcc3\udca9", "/é".encode(), ""),
        ("http://h:8500/v1/kv/a?raw", b"/v1/kv/a", "?raw"),
        ("HTTPS://h", b"/", ""),
        ("http://h?raw", b"/", "?raw"),
    ],
)
def test_contract_1_2_parts(raw: str, path: bytes, raw_query: str) -> None:
    """The path is decoded, the query is not; scheme and host do not count (H9)."""
    target = parse_target(raw)
    assert (target.path, target.raw_query) == (path, raw_query)


@pytest.mark.parametrize(
    "raw", ["", "a", "*", "?raw", "v1/kv/a", "/%zz", "/a%2", "http:a", "://h/"]
)
def test_contract_1_2_no_target(raw: str) -> None:
    """Without a leading slash, or with an escape that is none, it is no target."""
    with pytest.raises(InvalidRequest):
        parse_target(raw)


@given(raw=WIRE_TEXT | PATHS | WIRE_TEXT.map(lambda text: "/" + text))
def test_a_target_is_read_or_refused(raw: str) -> None:
    """No text raises anything but InvalidRequest."""
    with suppress(InvalidRequest):
        target = parse_target(raw)
        assert target.path.startswith(b"/")
        assert target.printable in (True, False)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("/", b"/"),
        ("//", b"/"),
        ("/.", b"/"),
        ("/..", b"/"),
        ("/v1/kv//a", b"/v1/kv/a"),
        ("///v1/kv/a", b"/v1/kv/a"),
        ("//v1//kv//", b"/v1/kv/"),
        ("/v1/kv/..", b"/v1"),
        ("/v1/kv/a/..", b"/v1/kv"),
        ("/v1/kv/a/../", b"/v1/kv/"),
        ("/v1/kv/%2e%2e/status/leader", b"/v1/status/leader"),
        ("/v1/kv/%2Flead", b"/v1/kv/lead"),
        ("/v1/kv/a/./b/", b"/v1/kv/a/b/"),
        ("/v1/kv/a..b/.c", b"/v1/kv/a..b/.c"),
        ("/../../v1", b"/v1"),
    ],
)
def test_H7_cleaning(raw: str, clean: bytes) -> None:
    """Empty and dot segments go, also escaped ones; a trailing slash stays."""
    assert parse_target(raw).clean == clean


@given(raw=PATHS)
def test_a_clean_path_has_nothing_left_to_clean(raw: str) -> None:
    """Cleaning once is enough, keeps the last slash and leaves no empty or dot segment."""
    clean = parse_target(raw).clean
    assert clean.startswith(b"/")
    inner = clean[1:].removesuffix(b"/").split(b"/") if clean != b"/" else []
    assert not {b"", b".", b".."} & set(inner)
    again = parse_target(clean.decode().replace("%", "%25"))
    assert again.clean == again.path == clean


@pytest.mark.parametrize(
    ("raw", "printable"),
    [
        ("/v1/kv/a b", True),
        ("/v1/kv/%C3%A9", True),
        ("/v1/kv/%FF", True),
        ("/v1/kv/%00", False),
        ("/v1/kv/%0A", False),
        ("/v1/kv/%C2%A0", False),
        ("/v1/kv/%E2%80%8B", False),
        ("/v1/kv/a?x=%00", True),
    ],
)
def test_contract_1_2_printable(raw: str, *, printable: bool) -> None:
    """The decoded path counts, bytes that are no text pass, the query is not looked at."""
    assert parse_target(raw).printable == printable


@pytest.mark.parametrize(
    ("path", "raw_query", "location", "linked"),
    [
        (b"/v1/kv/a", "", "/v1/kv/a", "/v1/kv/a"),
        (b"/v1/kv/a", "?recurse&x=1", "/v1/kv/a?recurse&x=1", "/v1/kv/a?recurse&amp;x=1"),
        ("/v1/kv/sp aceé".encode(), "?raw", "/v1/kv/sp%20ace%C3%A9?raw", None),
        (b"/v1/kv/x", "?a=%zz", "/v1/kv/x?a=%zz", None),
        (b"/v1/kv/x", "?a=\udcff", "/v1/kv/x?a=%FF", "/v1/kv/x?a=\udcff"),
        (b"/<\"'>", "", "/%3C%22%27%3E", None),
        (b"/", "?<\"'>", "/?<\"'>", "/?&lt;&#34;&#39;&gt;"),
    ],
)
def test_H7_location_and_page(
    path: bytes, raw_query: str, location: str, linked: str | None
) -> None:
    """The path is escaped again, the query unchanged; the page is escaped as HTML."""
    link = f'<a href="{linked or location}">Moved Permanently</a>.\n\n'
    assert redirect_location(path, raw_query) == (location, link)


@given(path=st.binary(), raw_query=WIRE_TEXT)
def test_a_location_is_plain_ascii(path: bytes, raw_query: str) -> None:
    """A Location header can always be written."""
    location, _ = redirect_location(b"/" + path, raw_query)
    assert location.isascii()

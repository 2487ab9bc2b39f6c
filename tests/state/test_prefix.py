"""Where the keys under a prefix end, and how their names are cut."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.state.prefix import cut_names, prefix_end


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"web/", b"web0"),
        (b"a", b"b"),
        (b"a\x00", b"a\x01"),
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"\xfe\xff", b"\xff"),
        (b"\x00", b"\x01"),
        (b"", None),
        (b"\xff", None),
        (b"\xff\xff", None),
    ],
)
def test_prefix_ends_at_the_next_byte_string(prefix: bytes, end: bytes | None) -> None:
    """The end is the smallest name after the prefix's keys, and None where no name comes after."""
    assert prefix_end(prefix) == end


@given(prefix=st.binary(max_size=4), name=st.binary(max_size=6))
def test_G2_between_prefix_and_its_end_lie_exactly_its_keys(prefix: bytes, name: bytes) -> None:
    """A name lies in the range from the prefix to its end if and only if it starts with it."""
    end = prefix_end(prefix)
    assert (prefix <= name and (end is None or name < end)) == name.startswith(prefix)


@given(prefix=st.binary(max_size=4), rest=st.binary(max_size=4))
def test_G2_every_extension_lies_before_the_end(prefix: bytes, rest: bytes) -> None:
    """Whatever is added to a prefix, the name stays within its range."""
    end = prefix_end(prefix)
    assert end is None or prefix + rest < end


@pytest.mark.parametrize(
    ("prefix", "separator", "names"),
    [
        (b"", b"", [b"a", b"a/b", b"a/c/d", b"a/c/e", b"b/"]),
        (b"", b"/", [b"a", b"a/", b"b/"]),
        (b"a/", b"/", [b"a/b", b"a/c/"]),
        (b"a/c", b"/", [b"a/c/"]),
        (b"", b"/c/", [b"a", b"a/b", b"a/c/", b"b/"]),
    ],
)
def test_G4_names_are_cut_behind_the_prefix(
    prefix: bytes, separator: bytes, names: list[bytes]
) -> None:
    """After the first separator there, which may be any text; each cut name comes once."""
    stored = [b"a", b"a/b", b"a/c/d", b"a/c/e", b"b/"]
    under = [name for name in stored if name.startswith(prefix)]
    assert cut_names(under, prefix, separator) == names

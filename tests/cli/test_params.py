"""Kinds of values that flags take: what is understood, and what is said of the rest."""

import click
import pytest

from kvstore.cli.params import GoDuration, Name, Size
from kvstore.duration import NS_PER_S


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1", 1),
        ("512", 512),
        ("512b", 512),
        ("512B", 512),
        ("1k", 1024),
        ("1K", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("64MiB", 64 * 1024**2),
        ("64 MiB", 64 * 1024**2),
        (" 64mib ", 64 * 1024**2),
        ("1.5g", 3 * 1024**3 // 2),
        ("0.5K", 512),
        ("2TiB", 2 * 1024**4),
        ("2T", 2 * 1024**4),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    """Units are powers of 1024 in any spelling; without one it is bytes."""
    assert Size().convert(text, None, None) == size_bytes


def test_a_size_that_is_a_number_already() -> None:
    """As defaults are."""
    assert Size().convert(64, None, None) == 64


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "-1", "1e3", "1.", ".5", "1 M i B", "1PiB", "MiB", "1,5G", "0x10", "1\n2"],
)
def test_what_is_no_size(text: str) -> None:
    """It is repeated, and what was expected is shown."""
    with pytest.raises(click.BadParameter) as caught:
        Size().convert(text, None, None)
    assert caught.value.message == f"{text!r} is no size; expected something like 64MiB or 1GiB"


@pytest.mark.parametrize(
    ("text", "ns"),
    [("10s", 10 * NS_PER_S), ("1m30s", 90 * NS_PER_S), ("1ns", 1), ("1.5s", 15 * 10**8)],
)
def test_durations(text: str, ns: int) -> None:
    """Go's, in nanoseconds."""
    assert GoDuration().convert(text, None, None) == ns
    assert GoDuration(zero=True).convert(text, None, None) == ns
    assert GoDuration().convert(ns, None, None) == ns


@pytest.mark.parametrize(
    ("text", "zero", "sentence"),
    [
        ("0", False, "'0' is not more than 0"),
        ("-1s", False, "'-1s' is not more than 0"),
        ("-1s", True, "'-1s' is not at least 0"),
        ("10", True, "missing unit in duration"),
        ("soon", False, "expected something like 10s or 1m30s"),
    ],
)
def test_what_is_no_duration(text: str, sentence: str, *, zero: bool) -> None:
    """Why, and what would be one."""
    with pytest.raises(click.BadParameter) as caught:
        GoDuration(zero=zero).convert(text, None, None)
    assert sentence in caught.value.message


def test_no_time_at_all_where_it_makes_sense() -> None:
    """`--history 0` keeps none."""
    assert GoDuration(zero=True).convert("0", None, None) == 0
    assert GoDuration(zero=True).convert("0s", None, None) == 0


def test_names() -> None:
    """Anything but nothing."""
    assert Name().convert("n1", None, None) == "n1"
    with pytest.raises(click.BadParameter, match="a name must not be empty"):
        Name().convert("", None, None)

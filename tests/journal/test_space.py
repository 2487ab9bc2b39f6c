"""When a folder has no room, and what its bytes are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.journal.space import Space, Usage, format_bytes

COUNTS = st.integers(0, 2**60)


@given(COUNTS, COUNTS)
def test_no_limit_is_never_reached(folder_bytes: int, free_bytes: int) -> None:
    """Both are 0 unless they are set."""
    assert Space().shortage(folder_bytes, free_bytes) is None


@given(st.integers(1, 2**60), COUNTS, COUNTS, COUNTS)
def test_shortage_begins_at_the_limits(
    folder_bytes_max: int, free_bytes_min: int, folder_bytes: int, free_bytes: int
) -> None:
    """A folder may be filled up to its limit, and what must stay free may be all there is."""
    shortage = Space(folder_bytes_max, free_bytes_min).shortage(folder_bytes, free_bytes)
    assert (shortage is None) == (folder_bytes < folder_bytes_max and free_bytes >= free_bytes_min)


def test_shortage_says_what_is_held_and_what_is_allowed() -> None:
    """As a clause for an error's text."""
    space = Space(folder_bytes_max=2048, free_bytes_min=1024**2)
    held = "the data folder holds 2.0 KiB, its limit is 2.0 KiB"
    assert space.shortage(2048, 0) == held
    free = "the disk has 1023 bytes left, at least 1.0 MiB must stay free"
    assert space.shortage(2047, 1023) == free


def test_history_is_what_a_start_does_not_read() -> None:
    """Everything but the newest snapshot and the segments behind it."""
    usage = Usage(base_index=9, snapshot_bytes=100, tail_bytes=20, folder_bytes=150)
    assert usage.history_bytes == 30


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (1024**4, "1.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_bytes_are_written_as_people_read_them(count: int, text: str) -> None:
    """In the largest unit of which there is one."""
    assert format_bytes(count) == text

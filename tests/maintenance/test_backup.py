"""Backups in files are read with every check."""

import io
from pathlib import Path

import pytest

from kvstore.archive.archive import write_archive
from kvstore.errors import ArchiveUnreadable
from kvstore.maintenance.backup import read_backup

from .stories import STORY, image_at, plain


def test_a_backup_is_read(tmp_path: Path) -> None:
    """What was written is there, with the size of the file."""
    file = io.BytesIO()
    write_archive(image_at(10), file, made_ms=1)
    read = read_backup(file)
    assert plain(read.state) == image_at(10)
    assert read.size_bytes == len(file.getvalue())
    assert read.left_out == {}


def test_a_consuls_backup_is_read() -> None:
    """One that a real Consul saved has what a key-value store has no place for."""
    with (Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap").open("rb") as file:
        read = read_backup(file)
    assert read.state.entry_count
    assert read.left_out


def test_a_damaged_backup(tmp_path: Path) -> None:
    """A changed bit is seen."""
    file = io.BytesIO()
    write_archive(image_at(len(STORY)), file, made_ms=1)
    data = bytearray(file.getvalue())
    data[len(data) // 2] ^= 1
    with pytest.raises(ArchiveUnreadable):
        read_backup(io.BytesIO(data))

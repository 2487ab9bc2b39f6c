"""Points as people type them, how keys, values and times are shown, and how commands end."""

import re
from datetime import datetime
from pathlib import Path

import click
import pytest

from kvstore.cli.past import (
    PointType,
    bytes_fields,
    ends_in_a_sentence,
    json_time,
    now_ms,
    shown,
    shown_time,
    shown_value,
    size_to_read,
)
from kvstore.errors import (
    ArchiveUnreadable,
    CallFailed,
    JournalCorrupt,
    JournalLocked,
    NoStore,
    NotKept,
)
from kvstore.journal.disk import Folder
from kvstore.maintenance.point import AtIndex, AtTime, Point

HOUR_MS = 3_600_000
THEN_MS = 1_700_000_000_123


def point(text: str) -> Point:
    """Return what a text on the command line means; raises click's errors."""
    return PointType().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "4711", " 7 "])
def test_an_index(text: str) -> None:
    """Digits alone are an index."""
    assert point(text) == AtIndex(int(text))


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T23:13:20+01:00",
        "2023-11-14 22:13:20+00:00",
        datetime.fromtimestamp(1_700_000_000).strftime("%Y-%m-%d %H:%M:%S"),  # noqa: DTZ006 - local
        "2023-11-14T22:13:20.000Z",
    ],
)
def test_a_time(text: str) -> None:
    """RFC 3339, or the time of day here."""
    assert point(text) == AtTime(1_700_000_000_000, text)


@pytest.mark.parametrize(
    ("text", "ago_ms"), [("-1h", HOUR_MS), ("1h ago", HOUR_MS), ("-1h30m", HOUR_MS * 3 // 2)]
)
def test_how_long_ago(text: str, ago_ms: int) -> None:
    """A Go duration before now."""
    before = now_ms()
    found = point(text)
    assert isinstance(found, AtTime)
    assert before <= found.time_ms + ago_ms <= now_ms()


@pytest.mark.parametrize("text", ["", "x", "1h", "--1h", "yesterday", "2023-13-01", "-1", "²"])
def test_neither(text: str) -> None:
    """What is expected is told."""
    with pytest.raises(click.BadParameter, match="neither an index nor a time; expected"):
        point(text)


def test_the_future() -> None:
    """Nobody can look back from there."""
    with pytest.raises(click.BadParameter, match="in the future"):
        point("2999-01-01")


def test_a_shown_time_can_be_typed() -> None:
    """What a table shows is a point that means the same."""
    assert point(shown_time(THEN_MS)) == AtTime(THEN_MS, shown_time(THEN_MS))
    assert json_time(THEN_MS) == "2023-11-14T22:13:20.123Z"
    assert (shown_time(None), json_time(None)) == ("", None)
    assert (shown_time(2**64 - 1), json_time(2**64 - 1)) == ("", None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"docker/network", "docker/network"),
        ("é".encode(), "é"),
        (b"a\xff\n", r"a\xff\x0a"),
        (rb"a\xff", r"a\\xff"),
        (b"\x1b[31m", r"\x1b[31m"),
        ("\u202e".encode(), r"\xe2\x80\xae"),
    ],
)
def test_odd_keys(name: bytes, text: str) -> None:
    """No two keys are shown alike, and none moves the cursor."""
    assert shown(name) == text


def test_values() -> None:
    """A long one is cut, and its size told; JSON has the bytes exactly."""
    assert shown_value(b"short") == "short"
    assert shown_value(b"x" * 1000) == "x" * 40 + "… (1000 bytes)"
    assert len(shown_value(b"\xff" * 30)) < 60
    assert bytes_fields("key", b"\xff") == {"key": r"\xff", "key_base64": "/w=="}
    assert bytes_fields("key", None) == {"key": None, "key_base64": None}


def test_the_size_to_read(tmp_path: Path) -> None:
    """The size of all files, and nothing where none can be read."""
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").write_bytes(b"345")
    assert size_to_read(Folder(tmp_path)) == 5
    assert size_to_read(Folder(tmp_path / "none")) is None


FOLDER = Path("/var/lib/kvstore")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (JournalLocked(FOLDER, "42"), 5, "in use by process 42"),
        (JournalCorrupt(FOLDER / "1.journal", 36, "why"), 6, "at offset 36: why"),
        (NoStore(FOLDER), 4, "/var/lib/kvstore holds no store. Name the folder"),
        (NotKept("index 3", (5, THEN_MS), (9, None)), 12, "index 3 is not kept in /the/folder"),
        (ArchiveUnreadable("no gzip", "gzip"), 6, "the backup is damaged, or is none: no gzip"),
        (CallFailed("it said no"), 10, "it said no."),
        (FileExistsError("x exists"), 11, "x exists. Nothing was changed. Another."),
        (OSError(28, "No space left on device", "f"), 8, "f: No space left on device."),
        (OSError(30, "Read-only file system", "f"), 9, "f: Read-only file system."),
        (OSError(13, "Permission denied", "f"), 4, "f: Permission denied."),
    ],
)
def test_how_a_command_ends(
    error: Exception, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure is a sentence and an exit code."""
    where = Path("/the/folder")
    with pytest.raises(SystemExit) as ended, ends_in_a_sentence(where, when_taken="Another."):
        raise error
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("kvstore: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_the_range_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for what is not kept is told what is."""
    with pytest.raises(SystemExit), ends_in_a_sentence():
        raise NotKept("index 3", (5, THEN_MS), (9, None))
    said = capsys.readouterr().err
    assert re.search(r"it has index 5 \(.*\.123\) to index 9\.", said)
    assert shown_time(THEN_MS) in said

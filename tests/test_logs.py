"""The log: lines for people, or an object a line for machines."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from kvstore.logs import set_up_logging

log = logging.getLogger("kvstore.test")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """Give pytest its handlers back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level and message, on standard error only."""
    set_up_logging("text", "info")
    log.warning("cut %d bytes", 7)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING cut 7 bytes\n", captured.err)


def test_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is one JSON object, whatever the message has in it."""
    set_up_logging("json", "info")
    log.info('two\nlines and a "%s"', "quote\x00é")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("time").startswith("20")
    assert fields == {
        "level": "info",
        "logger": "kvstore.test",
        "message": 'two\nlines and a "quote\x00é"',
    }


def test_an_error_is_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback stays within its object."""
    set_up_logging("json", "info")
    try:
        int("x")
    except ValueError:
        log.exception("a bug")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["error"].endswith("literal for int() with base 10: 'x'")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_the_least_important_shown(
    capsys: pytest.CaptureFixture[str], level: str, shown: list[str]
) -> None:
    """Lines below the level are not written."""
    set_up_logging("json", level)
    for name in ("debug", "info", "warning", "error"):
        log.log(logging.getLevelNamesMapping()[name.upper()], "x")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["level"] for line in lines] == shown


def test_a_second_set_up_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """No line is written twice."""
    set_up_logging("text", "info")
    set_up_logging("json", "info")
    log.info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1

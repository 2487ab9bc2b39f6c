"""The log: lines for people, or an object a line for machines."""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest

from kvstore.logs import FOLLOWED_LINES_MAX, LINE_CHARS_MAX, follow_log, set_up_logging

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


async def test_who_follows_reads_what_is_logged_from_then_on() -> None:
    """At a level and in a format of their own, from any thread."""
    set_up_logging("text", "error")
    lines = follow_log("json", logging.DEBUG)
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)  # until it follows
    thread = threading.Thread(target=log.debug, args=("from a thread",))
    thread.start()
    assert json.loads(await first)["message"] == "from a thread"
    log.info("x")
    assert json.loads(await anext(lines))["message"] == "x"
    await lines.aclose()
    thread.join()


async def test_who_follows_changes_nothing_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown on standard error stays as it was, also when the last one ends."""
    set_up_logging("text", "warning")
    followers = [follow_log("text", level) for level in (logging.DEBUG, logging.INFO)]
    waiting = [asyncio.ensure_future(anext(lines)) for lines in followers]
    await asyncio.sleep(0)  # until they follow
    log.info("for two")
    assert [line.endswith(" INFO for two") for line in await asyncio.gather(*waiting)] == [True] * 2
    await followers[0].aclose()
    assert logging.getLogger().level == logging.INFO
    await followers[1].aclose()
    assert logging.getLogger().level == logging.WARNING
    assert len(logging.getLogger().handlers) == 1
    assert capsys.readouterr().err == ""


async def test_who_is_slow_loses_lines_and_is_told_how_many() -> None:
    """Those that wait are kept, then comes the count, then what is logged after it."""
    set_up_logging("text", "critical")
    lines = follow_log("text", logging.INFO)
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)  # until it follows
    for number in range(FOLLOWED_LINES_MAX + 3):
        log.info("line %d", number)
    assert (await first).endswith("line 0")
    log.info("one more fits")
    read = [await anext(lines) for _ in range(FOLLOWED_LINES_MAX)]
    assert read[-1].endswith("one more fits")
    assert (await anext(lines)).startswith("3 lines were lost here")
    log.info("after")
    assert (await anext(lines)).endswith("after")
    await lines.aclose()


async def test_a_line_that_waits_is_not_long() -> None:
    """It may hold what a client sent."""
    set_up_logging("text", "critical")
    lines = follow_log("text", logging.INFO)
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)  # until it follows
    log.info("x" * 2 * LINE_CHARS_MAX)
    assert len(await first) == LINE_CHARS_MAX
    await lines.aclose()

"""What people see of a long start: nothing, lines in a log, or a bar on a terminal."""

import logging
import sys
from collections.abc import Callable
from io import StringIO

import pytest

from kvstore.cli import replaying
from kvstore.cli.replaying import ReplayReport

MIB = 1024 * 1024


class Terminal(StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        """Be one."""
        return True


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Give a function that lets seconds pass."""
    now = [1000.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(replaying, "time", Time)

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Keep lines for people too."""
    caplog.set_level(logging.INFO)


def test_a_short_start_is_silent(
    passing: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever is done within five seconds is not worth a line."""
    with ReplayReport() as report:
        for number in range(49):
            passing(0.1)
            report.step(1000, number * MIB, 100 * MIB)
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")


def test_a_long_start_tells_how_long_it_takes(
    passing: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A line each five seconds: how much of how much, how fast, and what is left."""
    with ReplayReport() as report:
        for number in range(1, 22):
            passing(0.5)
            report.step(1000, number * MIB, 40 * MIB)
    assert caplog.messages == [
        (
            "reading the journal: 10.0 MiB of 40.0 MiB, 10000 keys and records so far, "
            "2000 per second, about 15 s left"
        ),
        (
            "reading the journal: 20.0 MiB of 40.0 MiB, 20000 keys and records so far, "
            "2000 per second, about 10 s left"
        ),
    ]


def test_nothing_read_yet(
    passing: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    """No figure divides by what is 0."""
    with ReplayReport() as report:
        report.step(0, 0, 0)
        passing(6)
        report.step(0, 0, 0)
    assert len(caplog.messages) == 1
    assert "0 bytes of 0 bytes, 0 keys and records" in caplog.messages[0]


def test_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is drawn from the first step, says how fast it is, and is gone afterwards."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with ReplayReport() as report:
        assert terminal.getvalue() == ""
        report.step(1000, 30 * MIB, 100 * MIB)
        report.step(1000, 60 * MIB, 100 * MIB)
    shown = terminal.getvalue()
    assert "reading the journal, " in shown
    assert "keys and records per second" in shown
    assert "60%" in shown
    assert caplog.messages == []
    # Whether it worked or not, the cursor is back and the line is free.
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h\x1b[1A\x1b[2K"))


def test_a_terminal_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder needs no bar."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ReplayReport():
        pass
    assert terminal.getvalue().strip() == ""

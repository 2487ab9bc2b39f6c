"""What commands show: progress, tables and JSON."""

import io
import json

import pytest

from kvstore.cli.output import EVERY_S, print_json, print_table, progress


class Terminal(io.StringIO):
    """A terminal that keeps what it is shown."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_progress_without_a_terminal() -> None:
    """A line now and then; none for what is soon done."""
    stream, clock = io.StringIO(), [0.0]
    with progress("doing", 5000, unit="keys", stream=stream, now=lambda: clock[0]) as advance:
        for clock[0] in (1.0, EVERY_S - 1, EVERY_S, EVERY_S + 1, 2 * EVERY_S):
            advance(1000)
    lines = ["kvstore: doing: 3,000 of 5,000 keys", "kvstore: doing: 5,000 of 5,000 keys"]
    assert stream.getvalue().splitlines() == lines


@pytest.mark.parametrize(("total", "unit"), [(2000, "bytes"), (None, "bytes"), (7, "keys")])
def test_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, total: int | None, unit: str
) -> None:
    """A bar that names what is done and is gone at the end."""
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress("doing", total, unit=unit, stream=stream) as advance:
        advance(7)
    assert "doing" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_a_table_is_whole_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut, wrapped or taken for markup; numbers stand to the right."""
    print_table(["name", "keys"], [["[red]" + "x" * 200, 5], ["b", 1234]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "name" + " " * 203 + "keys",
        "[red]" + "x" * 200 + " " * 5 + "5",
        "b" + " " * 206 + "1234",
    ]


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """It comes back as it was."""
    print_json({"a": [1, None, "é"]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, None, "é"]}

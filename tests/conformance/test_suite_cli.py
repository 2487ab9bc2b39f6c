"""The command line: both its forms, what it refuses, and how it ends."""

import socket
from asyncio import to_thread
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running import Start

from conformance.__main__ import main
from conformance.suite import cli
from conformance.suite.chapters import cases
from conformance.suite.script.parser import parse


def run(*arguments: str) -> Result:
    """Run `python -m conformance`."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_help_teaches_both_forms() -> None:
    """The group says how to begin; `check --help` has all options and exit codes."""
    output = run("--help").output
    assert "python -m conformance --url http://HOST:8500" in output
    assert "python -m conformance check --url http://HOST:8500" in output
    for command in ("check", "overlay", "setup", "soak"):
        assert f"\n  {command} " in output
    output = run("check", "--help").output
    for code in ("0  all passed", "1  a case failed", "2  usage", "3  the store", "4  all passed"):
        assert code in output


@pytest.mark.parametrize("first", [[], ["check"]])
def test_list(first: list[str]) -> None:
    """Without a command, options are those of `check`; `--list` asks nobody."""
    done = run(*first, "--list")
    assert done.exit_code == 0
    assert [line.split()[1] for line in done.output.splitlines()] == [one.id for one in cases()]


def test_list_of_a_part() -> None:
    """Chapters, case ids and contract ids narrow it down."""
    listed = run("--list", "--chapter", "redirects", "--case", "H7a", "--case", "H8").output
    assert [line.split()[1] for line in listed.splitlines()] == ["H7a", "H8a", "H8b", "H8c", "H8d"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "no store: give --url"),
        (["--url", "ftp://x"], "is no address of a store: write http://HOST:PORT"),
        (["--url", "http://x:8500/v1"], "is no address of a store"),
        (["--list", "--chapter", "nope"], "no chapter nope; there are script, routes"),
        (["--list", "--case", "Z9"], "no case Z9; see --list"),
        (["--url", "http://x", "--fuzz", "5"], "give --oracle URL"),
        (["--nonsense"], "No such option"),
    ],
)
def test_usage_errors_end_with_two(arguments: list[str], words: str) -> None:
    """A command line that can mean nothing is told so before anything is asked."""
    done = run(*arguments)
    assert done.exit_code == cli.EXIT_USAGE
    assert words in " ".join(done.output.split())


def test_a_missing_package_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that could not be written is refused before the run, with what to install."""
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    done = run("--url", "http://127.0.0.1:1", "--html", "x.html")
    assert done.exit_code == cli.EXIT_USAGE
    assert "pip install kvstore[conformance]" in " ".join(done.output.split())


def test_a_store_that_is_not_there_ends_with_three(closed_port: int) -> None:
    """The address is told, and no traceback."""
    done = run("--url", f"http://127.0.0.1:{closed_port}", "--case", "H1")
    assert done.exit_code == cli.EXIT_UNREACHABLE
    assert f"no store answers at http://127.0.0.1:{closed_port}" in done.output
    assert "Traceback" not in done.output


async def test_a_run(start: Start, tmp_path: Path) -> None:
    """A few cases on a server, with all files, and nothing left behind."""
    server = await start()
    files = [tmp_path / name for name in ("run.json", "run.xml", "run.html")]
    options = zip(("--json", "--junit", "--html"), map(str, files), strict=True)
    words = ["--url", f"http://127.0.0.1:{server.port}", "--case", "H7a", "--case", "P3c"]
    done = await to_thread(run, *words, *(word for pair in options for word in pair))
    assert done.exit_code == 0, done.output
    assert "cas-identical-wakes" in done.output
    assert all(file.stat().st_size > 500 for file in files)


async def test_a_failure_ends_with_one(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that is not met is told in full."""
    server = await start()
    text = "# T\n## H1 A title\n> GET /v1/kv/$p/k\n< 200 what is not there"
    bad = parse("bad.txt", text, chapter="bad").cases
    monkeypatch.setattr(cli, "select", lambda *_: bad)
    address = f"http://127.0.0.1:{server.port}"
    done = await to_thread(run, "--url", address)
    assert done.exit_code == cli.EXIT_FAILED
    assert "bad.txt:4" in done.output
    assert "status 404 instead of 200" in done.output
    done = await to_thread(run, "--url", address, "--oracle", address)
    assert done.exit_code == cli.EXIT_FAILED, "both fail: no difference, but a failure"

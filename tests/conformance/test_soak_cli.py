"""The command line: what it refuses, how it ends, and a whole soak of a few seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from running import Launch
from soak_samples import window

from conformance.soak import cli
from conformance.soak.meter import Fault
from conformance.soak.plan import Plan
from conformance.soak.run import Outcome, Progress
from conformance.soak.store import RunningStore
from conformance.soak.verdict import SHORT, judge, judge_departure

# On a busy machine the first containers take much longer than the rest of a short soak.
TIMEOUT_S = 400


def run(*arguments: str) -> tuple[int, str]:
    """Run `conformance soak` and return its exit status and output."""
    result = CliRunner().invoke(cli.soak, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engines", "0"], "--engines"),
        (["--minutes", "0.01"], "--minutes"),
        (["--speed", "1000"], "--speed"),
        (["--store", "/no/such/program"], "no such program"),
        (["--url", "http://127.0.0.1:8500"], "--url and --pid go together"),
        (["--pid", "1"], "--url and --pid go together"),
        (["--pid", "1", "--url", "consul://127.0.0.1:8500"], "expected http://HOST:PORT"),
        (["--pid", "1", "--url", "http://127.0.0.1"], "expected http://HOST:PORT"),
        (["--pid", "1", "--url", "http://127.0.0.1:x"], "expected http://HOST:PORT"),
        (["--pid", "99999999", "--url", "http://127.0.0.1:8500"], "process 99999999 has ended"),
    ],
)
def test_usage_errors_end_with_two(arguments: list[str], words: str) -> None:
    """A command line that can mean nothing is told so before anything starts."""
    status, output = run(*arguments)

    assert status == 2
    assert words in output


def test_a_store_that_does_not_answer_ends_with_three() -> None:
    """Port 1 of this machine has no store; the reason is a sentence."""
    status, output = run("--url", "http://127.0.0.1:1", "--pid", str(os.getpid()))

    assert status == cli.EXIT_UNAVAILABLE
    assert "no store answers at 127.0.0.1:1" in output
    assert "Traceback" not in output


def test_a_program_that_is_no_store_ends_with_three() -> None:
    """What it said is part of the reason."""
    status, output = run("--store", "/bin/false")

    assert status == cli.EXIT_UNAVAILABLE
    assert "the store ended at once; it logged: nothing" in output


def outcome(faults: dict[str, Fault]) -> Outcome:
    """Return what a flat soak found, and some faults."""
    windows = [window(number) for number in range(12)]
    judged = [*judge(windows[2:], SHORT), judge_departure(10, 11)]
    plan = Plan(engines=5, seconds=120.0)
    return Outcome(plan, "kvstore", long=False, warm_at_s=20.0, windows=windows, judged=judged,
                   faults=faults, requests=12_345)  # fmt: skip


@pytest.mark.parametrize(
    ("faults", "status", "words"),
    [
        ({}, 0, "Flat. 12345 requests, no fault."),
        ({"status": Fault(2, ["GET [x] answered 500"])}, 1, "GET [x] answered 500"),
    ],
)
def test_the_verdict_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    launch: Launch,
    faults: dict[str, Fault],
    status: int,
    words: str,
) -> None:
    """Tables for people, one object for machines, 1 for a store that was wrong."""

    async def soak(_plan: Plan, _store: RunningStore, tell: Any) -> Outcome:
        tell(Progress(1.0, "", 10, cli.sample(os.getpid()), 0, window()))
        return outcome(faults)

    monkeypatch.setattr(cli, "run_soak", soak)
    store = launch("--dev").wait_until_ready()
    file = tmp_path / "figures.json"

    ended, output = run(
        *("--url", f"http://127.0.0.1:{store.port}", "--pid", str(store.pid), "--json", str(file))
    )

    assert ended == status
    assert words in output
    written = json.loads(file.read_text())
    assert written["ok"] is (status == 0)
    assert len(written["windows"]) == 12
    assert written["windows"][0]["cut"]["kinds"]["get"]["count"] == 1000
    assert {one["name"]: one["flat"] for one in written["judged"]}["memory"]
    assert written["faults"].keys() == faults.keys()


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_a_hundred_engines_leave_the_store_as_it_was(tmp_path: Path) -> None:
    """Statuses, watches, records, descriptors, memory; not how fast it was, in so short a time."""
    file = tmp_path / "figures.json"

    status, output = run(
        "--engines", "100", "--minutes", "0.34", "--speed", "5", "--json", str(file)
    )

    assert status == 0, output
    written = json.loads(file.read_text())
    assert written["faults"] == {}
    assert not any(one["unit"] == "ms" for one in written["judged"])
    kinds = {kind for one in written["windows"] for kind in one["cut"]["kinds"]}
    assert kinds == {"get", "list", "put", "cas", "delete", "session", "watch"}
    assert sum(one["cut"]["polls"] for one in written["windows"]) > 100


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_a_store_of_somebody_else_is_left_as_it_was(launch: Launch) -> None:
    """Keys are written below a prefix of their own, and removed; those of others stay."""
    store = launch("--dev").wait_until_ready()
    store.call("PUT", "/v1/kv/docker/nodes/real:2376", b"real:2376")

    status, output = run(
        *("--url", f"http://127.0.0.1:{store.port}", "--pid", str(store.pid)),
        *("--engines", "5", "--minutes", "0.2", "--speed", "10"),
    )

    assert status == 0, output
    assert store.call("GET", "/v1/kv/?keys=").json == ["docker/nodes/real:2376"]


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_a_store_that_ends_ends_the_soak(monkeypatch: pytest.MonkeyPatch, launch: Launch) -> None:
    """It is a fault, and the figures so far are shown."""
    store = launch("--dev").wait_until_ready()
    tell = cli.report.Story.tell

    def kill_at_first_window(story: Any, now: Progress) -> None:
        tell(story, now)
        if now.window:
            store.terminate()
            store.wait()

    monkeypatch.setattr(cli.report.Story, "tell", kill_at_first_window)

    status, output = run(
        *("--url", f"http://127.0.0.1:{store.port}", "--pid", str(store.pid)),
        *("--engines", "5", "--minutes", "0.2", "--speed", "10"),
    )

    assert status == 1
    assert "store ended: 1 times" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_sigterm_ends_everything_that_was_started(tmp_path: Path) -> None:
    """As CI systems end what takes too long: the store ends, and its folder is removed."""
    words = [sys.executable, "-m", "conformance", "soak", "--engines", "2", "--minutes", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as soak:
        assert soak.stdout is not None
        while "2 engines" not in soak.stdout.readline():
            assert soak.poll() is None
        during = list(tmp_path.glob("*/data"))
        soak.terminate()
        rest = soak.stdout.read()

    assert soak.returncode == cli.EXIT_INTERRUPTED
    assert "everything the soak started has ended" in rest
    assert len(during) == 1
    assert list(tmp_path.iterdir()) == []

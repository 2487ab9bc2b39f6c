"""One small run of the whole command, on this server alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from promised import lacking, promised

ROOT = Path(__file__).parents[2]


def bench(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "benchmarks", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_run_measures_and_tells(tmp_path: Path) -> None:
    """Reads of one key: figures that can be, as a table and as JSON; no target is asserted."""
    # As root the benchmark gets it by itself; what that takes is promised in CI only.
    if shutil.which("wrk") is None and not (promised() and os.geteuid() == 0):
        lacking("no wrk here: install it (`apt-get install wrk`)")
    told = tmp_path / "told.json"
    only = ("--only", "get", "--stores", "ours", "--rounds", "1", "--seconds", "1")
    done = bench(*only, "--json", str(told), "--folder", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rate, /s" in done.stdout
    found = json.loads(told.read_text(encoding="utf-8"))
    figures = {one["metric"]: one["median"] for one in found["figures"]}
    assert set(figures) == {"rate", "p50", "p99", "CPU", "memory"}
    assert all(value > 0 for value in figures.values())
    assert found["failures"] == []


def test_names_that_are_not_there_are_refused() -> None:
    """With the names there are."""
    done = bench("--only", "gets")
    assert done.returncode == 2
    assert "'gets' is none of get, put" in done.stderr


def test_help_names_every_scenario() -> None:
    """And what it measures."""
    done = bench("--help")
    assert "put-1     Durable writes of 300 B by one writer" in done.stdout

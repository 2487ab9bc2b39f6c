"""The quick part of the overlay lab against our store: real engines, one test for each scenario.

Skipped where the lab cannot run, unless KVSTORE_REQUIRE_LAB=1 says that it must.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from promised import lacking, promised

from conformance.overlay import packages
from conformance.overlay.scenario import select
from conformance.overlay.scenarios import ALL

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
QUICK = [one.id for one in select(ALL, None, quick=True)]
UNAVAILABLE = 3


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the lab once and return its outcomes by scenario id."""
    if os.geteuid() != 0:
        lacking("the overlay lab needs root")
    if packages.missing() and not promised():
        wanted = ", ".join(packages.missing())
        pytest.skip(f"the overlay lab needs {wanted}: run `python -m conformance setup`")
    report = tmp_path_factory.mktemp("overlay") / "outcomes.json"
    command = [sys.executable, "-m", "conformance", "overlay", "--quick", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == UNAVAILABLE:
        lacking(done.stdout.strip().splitlines()[-1])
    assert report.is_file(), f"the lab ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return {row["id"]: row for row in json.loads(report.read_text())["scenarios"]}


@pytest.mark.parametrize("scenario_id", QUICK)
def test_quick_scenario(outcomes: dict[str, Any], scenario_id: str) -> None:
    """The scenario passes against our store."""
    row = outcomes[scenario_id]

    if row["verdict"] == "skip":
        lacking(row["note"])
    assert row["verdict"] == "pass", f"{row['title']}: {row['note']}\n{row['evidence']}"

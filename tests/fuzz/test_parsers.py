"""The parsers under a coverage-guided fuzzer, each in a process of its own.

KVSTORE_FUZZ_RUNS sets how many inputs each target gets, KVSTORE_FUZZ_SEED with which they begin.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from promised import lacking

from .targets import SEEDS, TARGETS

RUNS = int(os.environ.get("KVSTORE_FUZZ_RUNS", "10000"))
SEED = int(os.environ.get("KVSTORE_FUZZ_SEED", "1"))
RUNNER = Path(__file__).parent / "parsers.py"
LENGTH_MAX = 2000
# An input that takes longer is a failure, too: the server has one thread.
SLOW_S = 10

ARCHIVE = Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap"

_EXECUTED = re.compile(r"number_of_executed_units: ([0-9]+)")


def fuzz(name: str, folder: Path, runs: int) -> tuple[int, str]:
    """Give a target inputs; return the exit code and what was printed."""
    corpus, found = folder / "corpus", folder / "found"
    corpus.mkdir()
    found.mkdir()
    for n, seed in enumerate(SEEDS[name]):
        (corpus / str(n)).write_bytes(seed)
    if name == "archive":
        (corpus / "consul").write_bytes(ARCHIVE.read_bytes())
    flags = [f"-runs={runs}", f"-seed={SEED}", f"-max_len={LENGTH_MAX}", f"-timeout={SLOW_S}"]
    flags += [f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=0"]
    done = subprocess.run(
        [sys.executable, str(RUNNER), name, *flags, str(corpus)],
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    for file in found.iterdir():
        replay = f"python tests/fuzz/parsers.py {name} --replay {file.read_bytes().hex()}"
        printed += f"\nAn input that breaks a promise; see it again with\n  {replay}\n"
    return done.returncode, printed


def require_atheris() -> None:
    """Skip where the fuzzer cannot be installed; in CI it must be there."""
    if find_spec("atheris") is None:
        lacking("the fuzzer atheris is not installed: it has no wheel for this Python or system")


@pytest.mark.slow
@pytest.mark.timeout(max(120, RUNS // 200))
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No input breaks what it promises."""
    require_atheris()
    code, printed = fuzz(name, tmp_path, RUNS)
    assert code == 0, printed
    executed = _EXECUTED.search(printed)
    assert executed is not None, printed
    assert int(executed[1]) >= RUNS
    record_property("figures", f"fuzz {name}: {executed[1]} inputs (KVSTORE_FUZZ_SEED={SEED})")


@pytest.mark.slow
def test_a_broken_promise_is_found_and_can_be_replayed(tmp_path: Path) -> None:
    """The runner is no rubber stamp: a target that fails is told, with the command to see it."""
    require_atheris()
    runner = RUNNER.read_text(encoding="utf-8")
    broken = "def breaks(data):\n    assert b'%' not in data\n\n\nTARGETS = {'query': breaks}\n"
    (tmp_path / "fuzz").mkdir()
    (tmp_path / "fuzz" / "targets.py").write_text(broken, encoding="utf-8")
    (tmp_path / "fuzz" / "parsers.py").write_text(runner, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "fuzz" / "parsers.py"), "query"]
    flags = ["-runs=100000", "-seed=1", f"-artifact_prefix={tmp_path}/", "-verbosity=0"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (found,) = tmp_path.glob("crash-*")
    again = [*command, "--replay", found.read_bytes().hex()]
    assert subprocess.run(again, capture_output=True, check=False).returncode != 0
    assert subprocess.run([*command, "--replay", "41"], check=False).returncode == 0

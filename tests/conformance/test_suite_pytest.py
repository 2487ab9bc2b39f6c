"""The suite under pytest, as others would run it: in a process of its own."""

import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest
from running import Start

pytestmark = pytest.mark.slow


def run_pytest(folder: Path, *words: str) -> tuple[int, str]:
    """Run pytest far from this project; return its exit status and output."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *words]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def test_each_case_is_a_test(start: Start, tmp_path: Path) -> None:
    """Cases are chosen as tests are, and the address is an option."""
    server = await start()
    words = ["--pyargs", "conformance", "--url", f"http://127.0.0.1:{server.port}"]
    status, output = await to_thread(run_pytest, tmp_path, *words, "-k", "H7a or P3c or A1a")
    assert status == 0, output
    assert "2 passed, 1 skipped" in output
    assert "needs a management token: --token" in output


def test_without_an_address(tmp_path: Path) -> None:
    """All is skipped, and the reason says what to give; an address that is none is refused."""
    words = ["--pyargs", "conformance", "-k", "H7a"]
    status, output = run_pytest(tmp_path, *words)
    assert status == 0, output
    assert "give --url http://HOST:PORT" in output
    status, output = run_pytest(tmp_path, *words, "--url", "nonsense")
    assert status != 0
    assert "is no address of a store" in output

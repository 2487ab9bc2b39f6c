"""The server's process; its exit codes are in test_serve_process.py and test_serve_tls.py."""

import signal
from pathlib import Path

import pytest
from running import Launch

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts(launch: Launch, tmp_path: Path, number: int) -> None:
    """It ends in good order however far it has come, and its socket goes with it."""
    process = launch("--data-dir", "data", "--listen", f"unix://{tmp_path}/s")
    while not (tmp_path / "s").exists():
        pass
    process.terminate(number)
    assert process.wait() == 0
    assert "Traceback" not in process.printed
    assert not (tmp_path / "s").exists()


def test_a_hangup_while_it_starts(launch: Launch, tmp_path: Path) -> None:
    """Is no reason to end: there is nothing to read again yet."""
    process = launch("--dev", "--listen", f"unix://{tmp_path}/s")
    while not (tmp_path / "s").exists():
        pass
    process.terminate(signal.SIGHUP)
    process.wait_until_printed("listens on")
    process.terminate()
    assert process.wait() == 0

"""One long-running program of the lab: started, watched, ended, by its own process id.

Knows nothing of what the program is.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from conformance.overlay.errors import Mismatch
from conformance.overlay.waiting import wait_until

_START_S = 10.0
_LOG_TAIL_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program behind `nsenter`, which waits for it outside the namespaces."""

    entry: subprocess.Popen[bytes]
    # The program's own id on this machine; signals go here, because nsenter passes none on.
    pid: int

    @classmethod
    def spawn(cls, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None) -> Self:
        """Start `command` (an nsenter line) with both outputs appended to `log`."""
        with log.open("ab") as output:
            entry = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd="/",
                start_new_session=True,  # Ctrl-C reaches the lab only; the lab ends its programs
            )
        return cls(entry=entry, pid=only_child(entry.pid))

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        return self.entry.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program; does nothing if it has ended."""
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the program with SIGKILL and wait for it."""
        self.signal(signal.SIGKILL)
        self.entry.wait(_START_S)

    def terminate(self, timeout_s: float) -> int:
        """Send SIGTERM, wait, and return the exit status. Raises Mismatch when it takes longer."""
        self.signal(signal.SIGTERM)
        try:
            return self.entry.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Mismatch(
                f"process {self.pid} did not end {timeout_s:g} s after SIGTERM"
            ) from None


def only_child(pid: int) -> int:
    """Return the id of the one child of process `pid`, waiting for its birth if need be."""

    def child() -> int:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return int(children[0]) if children else 0

    return wait_until(child, _START_S, f"process {pid} has started its program", pause_s=0.01)


def log_tail(log: Path, lines: int) -> str:
    """Return the last lines of a log, or nothing if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])

"""The load generator: how wrk is run with a script, and what it tells.

Source: wrk's SCRIPTING document; scripts are in lua/ beside this file.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import GO_HEADERS
from benchmarks.errors import WrongAnswer

__all__ = ["Load", "Wrk", "parse"]

_SCRIPTS = Path(__file__).parent / "lua"
_URL = "http://127.0.0.1:{port}"
_TIMEOUT_S = 60
_MORE_S = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one run of load."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    # Connections that failed, answers that did not come or had another status than they should.
    errors: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Wrk:
    """The program, ready to be run. One thread of it does for the servers that are measured."""

    program: Path

    def run(
        self,
        script: str,
        arguments: list[str],
        *,
        port: int,
        connections: int,
        seconds: int,
        threads: int = 1,
    ) -> Load:
        """Put load on a port with one of our scripts. Raises WrongAnswer when wrk fails."""
        headers = [word for pair in GO_HEADERS.items() for word in ("-H", ": ".join(pair))]
        command = [
            *(str(self.program), "--latency", f"-t{threads}", f"-c{connections}", f"-d{seconds}"),
            *(f"--timeout={_TIMEOUT_S}", *headers, "-s", f"{script}.lua"),
            *(_URL.format(port=port), "--", *arguments),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=_SCRIPTS,  # so that scripts find each other
            timeout=seconds + _MORE_S,
            check=False,
        )
        if done.returncode != 0:
            raise WrongAnswer(f"wrk failed: {(done.stderr or done.stdout).strip()}")
        return parse(done.stdout, statuses=script != "mix")


def parse(output: str, *, statuses: bool = True) -> Load:
    """Return what a run tells in the last line of its output that is JSON.

    With `statuses` an answer above 399 is an error; else only what the script calls `bad`.
    Raises WrongAnswer when there is no such line, or when nothing was answered.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise WrongAnswer(f"wrk told nothing: {output.strip()!r}")
    told = json.loads(lines[-1])
    if not told["requests"]:
        raise WrongAnswer("wrk had no answer at all")
    errors = sum(told[name] for name in ("connect", "read", "write", "timeout", "bad"))
    return Load(
        requests=told["requests"],
        seconds=told["duration_us"] / 1e6,
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        max_ms=told["max_us"] / 1e3,
        errors=errors + (told["status"] if statuses else 0),
    )

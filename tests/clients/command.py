"""The real `consul` command as a client of one store; knows nothing of what its output means."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

WITHIN_S = 30.0
"""Longest wait for what should come at once; generous, since cores are shared."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed, for people."""
        return self.out + self.err

    @property
    def table(self) -> list[dict[str, str]]:
        """Its output as a table: a line of names, then lines of as many words."""
        names, *rows = [line.split() for line in self.out.splitlines()]
        return [dict(zip(names, row, strict=False)) for row in rows]


class Command:
    """`consul`, with the address of a store in its environment."""

    def __init__(self, binary: Path, port: int) -> None:
        self._binary = binary
        kept = {name: value for name, value in os.environ.items() if "CONSUL" not in name}
        self._environment = {**kept, "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}"}

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome:
        """Run it to its end."""
        done = subprocess.run(
            [self._binary, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        """Run it, which must succeed, and return what it printed to standard output."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == 0, outcome
        return outcome.out

    @contextmanager
    def started(self, *arguments: str) -> Iterator["Running"]:
        """Run it beside the block; it is ended with an interrupt, and killed if need be."""
        with subprocess.Popen(
            [self._binary, *arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield Running(process)
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()


class Running:
    """A command that runs; what it prints is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        """Wait for a line and return it."""
        line = self._out.readline()
        assert line, "it has ended"
        return line.rstrip("\n")

    def line_with(self, text: str) -> str:
        """Wait for a line that has the text in it."""
        while text not in (line := self.line()):
            pass
        return line

    def json(self) -> Any:
        """Wait for a line that is JSON and return its value."""
        while not (line := self.line()).startswith(("{", "[", "null")):
            pass
        return json.loads(line)

    def end_input(self) -> int:
        """Close its standard input, wait for its end and return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(WITHIN_S)

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

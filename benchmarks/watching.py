"""Many parked blocking queries from a process of their own: how scenarios command it.

The process is `python -m benchmarks.watchers`; a command and its answer are a line of JSON each.
"""

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Self

from benchmarks.errors import WrongAnswer

__all__ = ["Group", "Herd", "Woken"]

_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Group:
    """Queries on one key: how many, and how long each asks to wait."""

    key: str
    count: int
    wait: str = "600s"


@dataclass(frozen=True, slots=True)
class Woken:
    """What came of one write that a group waited for, in seconds from its sending."""

    answered: int
    written_s: float
    first_s: float
    last_s: float


class Herd(AbstractContextManager["Herd"]):
    """The watchers of one server. Their process ends with the block."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.watchers", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us to tell it of
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait(_STOP_S)
        self._process.stdin.close()
        self._process.stdout.close()

    def park(self, groups: list[Group], *, again: bool = False) -> float:
        """Connect all queries and send them; return how many seconds that took.

        With `again` a query that is answered is sent once more with its new index, as engines do.
        """
        told = self._do("park", groups=[asdict(one) for one in groups], again=again)
        return float(told["seconds"])

    def wake(self, key: str, value: bytes) -> Woken:
        """Write a value; wait until the whole group of the key was answered with it.

        Unless they do so by themselves, the queries are not sent again. Raises WrongAnswer when
        one was answered otherwise, or not at all.
        """
        return Woken(**self._do("wake", key=key, value=value.decode("ascii")))

    def rearm(self) -> None:
        """Send every query that was answered once more, with its new index."""
        self._do("rearm")

    def answers(self) -> int:
        """Return how many answers there were so far."""
        return int(self._do("answers")["answers"])

    def _do(self, name: str, **details: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": name, **details}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WrongAnswer(f"the watchers ended while they should {name}")
        told: dict[str, Any] = json.loads(line)
        if "wrong" in told:
            raise WrongAnswer(f"watchers, {name}: {told['wrong']}")
        return told

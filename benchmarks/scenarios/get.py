"""`get`: reading."""

from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.scenarios.base import Scenario, value

__all__ = ["GetOne"]

_KEY = "bench/get/one"
_READERS = 64


class GetOne(Scenario):
    """One key of 300 B, read by 64 connections with the headers of Go's client."""

    name = "get"

    def run(self, ground: Ground) -> list[Figure]:
        """Read, and check before and after that it is the value that was written."""
        dialect = ground.store.dialect
        call = dialect.get(_KEY)
        with ground.server.client() as client:
            if not dialect.wrote(client.ask(dialect.put(_KEY, value(1)))):
                raise WrongAnswer(f"the write of {_KEY} was refused")
            _check(list(dialect.values(client.ask(call))))
            arguments = [call.method, call.target, call.body.decode()]
            _, figures = ground.load("same", arguments, connections=_READERS)
            _check(list(dialect.values(client.ask(call))))
        return figures


def _check(values: list[bytes]) -> None:
    if values != [value(1)]:
        raise WrongAnswer(f"{_KEY} has other values than the one that was written: {values!r}")

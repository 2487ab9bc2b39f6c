"""`list` and `list-new`: recursive lists."""

from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.scenarios.base import CONSULS, VALUE_BYTES, Scenario, check_count, seed, value

__all__ = ["ListMany", "ListNew"]

_LISTERS = 16
_ENTRIES = 1000


class ListMany(Scenario):
    """A recursive list of 1,000 entries of 300 B, asked for by 16 connections."""

    name = "list"

    def run(self, ground: Ground) -> list[Figure]:
        """List, and check before and after that all entries are there and right."""
        dialect = ground.store.dialect
        prefix = f"bench/{self.name}/"
        with ground.server.client() as client:
            seed(client, dialect, [f"{prefix}{number:04d}" for number in range(_ENTRIES)])
            _check(check_count(client, dialect, prefix, _ENTRIES))
            figures = self._load(ground, prefix)
            _check(check_count(client, dialect, prefix, _ENTRIES))
        return figures

    def _load(self, ground: Ground, prefix: str) -> list[Figure]:
        call = ground.store.dialect.list(prefix)
        arguments = [call.method, call.target, call.body.decode()]
        return ground.load("same", arguments, connections=_LISTERS)[1]


class ListNew(ListMany):
    """The same, when every list is asked for right after a write of one of its entries.

    So an answer can be used again only for those who ask before the next write. A figure is of
    either request: half of them are lists.
    """

    name = "list-new"
    stores = CONSULS

    def _load(self, ground: Ground, prefix: str) -> list[Figure]:
        dialect = ground.store.dialect
        write = dialect.put(f"{prefix}0000", b"")
        read = dialect.list(prefix)
        steps = [
            f"{write.method} {write.target} 200 {{count}}{'v' * VALUE_BYTES}",
            f"{read.method} {read.target} 200",
        ]
        script = ground.folder / "list-new.txt"
        script.write_text("\n".join(steps) + "\n", encoding="utf-8")
        return ground.load("mix", [str(script)], connections=_LISTERS, threads=_LISTERS)[1]


def _check(values: list[bytes]) -> None:
    """Raise WrongAnswer for a list with other values than were seeded; the first may change."""
    if values[1:] != [value(number) for number in range(1, _ENTRIES)]:
        raise WrongAnswer("a list has other values than were written")

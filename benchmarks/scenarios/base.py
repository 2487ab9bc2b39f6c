"""What every scenario is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from benchmarks.client import Client
from benchmarks.dialect import Dialect
from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground

__all__ = [
    "ALL_STORES",
    "CONSULS",
    "VALUE_BYTES",
    "Scenario",
    "check_count",
    "seed",
    "value",
]

ALL_STORES = ("ours", "consul", "etcd")
CONSULS = ("ours", "consul")
"""Those that speak Consul's API."""

VALUE_BYTES = 300
# What a transaction may hold in every version of Consul.
TXN_MAX = 64


class Scenario(ABC):
    """One thing to measure, by name. Its docstring's first line says what it is, for people."""

    name: str
    # Which stores can do it.
    stores: Sequence[str] = ALL_STORES
    # Whether it can follow others on one server: it leaves little, and looks at its own keys only.
    shares: bool = True
    # How many rounds at most: what takes minutes is not repeated.
    rounds_max: int = 99

    @abstractmethod
    def run(self, ground: Ground) -> list[Figure]:
        """Measure one store once. Raises WrongAnswer and ServerDied."""


def value(number: int) -> bytes:
    """Return a value of the usual size that is not like another one."""
    return f"{number:08d}".encode() + b"v" * (VALUE_BYTES - 8)


def seed(client: Client, dialect: Dialect, keys: Sequence[str]) -> None:
    """Write numbered values to keys, in transactions."""
    for first in range(0, len(keys), TXN_MAX):
        pairs = [
            (key, value(first + place)) for place, key in enumerate(keys[first : first + TXN_MAX])
        ]
        call = dialect.transaction(pairs)
        if not dialect.wrote(client.ask(call)):
            raise WrongAnswer(f"a transaction that writes {pairs[0][0]} and others was refused")


def check_count(client: Client, dialect: Dialect, prefix: str, count: int) -> list[bytes]:
    """Check that there are so many entries below a prefix, and return their values."""
    values = list(dialect.values(client.ask(dialect.list(prefix))))
    if len(values) != count:
        raise WrongAnswer(f"{prefix} has {len(values)} entries, expected {count}")
    return values

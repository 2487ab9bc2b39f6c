"""`put` and `put-1`: durable writes."""

from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.scenarios.base import VALUE_BYTES, Scenario, check_count

__all__ = ["PutMany", "PutOne", "put_load"]

# So few that one writer on a busy machine gets to all of them in two seconds.
_KEYS = 100
_NUMBERS_CHARS = 12
_TAIL = "v" * (VALUE_BYTES - _NUMBERS_CHARS)


class PutMany(Scenario):
    """Durable writes of 300 B by 64 writers, to 100 keys in turn, each value a new one."""

    name = "put"
    _writers = 64

    def run(self, ground: Ground) -> list[Figure]:
        """Write, and check that every key is there with a value of the load."""
        prefix = f"bench/{self.name}/"
        figures = put_load(ground, prefix, self._writers)
        with ground.server.client() as client:
            for found in check_count(client, ground.store.dialect, prefix, _KEYS):
                if not found.endswith(_TAIL.encode()):
                    raise WrongAnswer(f"{prefix} holds {found[:40]!r}…, which nobody wrote")
        return figures


class PutOne(PutMany):
    """Durable writes of 300 B by one writer, one after the other."""

    name = "put-1"
    _writers = 1


def put_load(ground: Ground, prefix: str, writers: int) -> list[Figure]:
    """Put the load of so many writers on keys below a prefix; return its figures."""
    template = ground.store.dialect.put_template(prefix, _TAIL)
    arguments = [template.method, template.target, template.body, str(_KEYS)]
    _, figures = ground.load("put", arguments, connections=writers)
    return figures

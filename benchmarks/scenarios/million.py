"""`million`: a store that has grown."""

import time

from benchmarks.dialect import Dialect
from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.loader import load
from benchmarks.scenarios.base import Scenario, check_count, value
from benchmarks.scenarios.put import put_load
from benchmarks.server import Server

__all__ = ["Million"]

_PER_FOLDER = 1000
_FOLDERS = 1000
_FOLDERS_SHORT = 20
_ROOT = "million"
_READERS = 64
_WRITERS = 64
# Lists and deletes: one alone may meet a collection of garbage.
_TIMES = 20


class Million(Scenario):
    """1,000,000 entries of 300 B (20,000 in the short form), loaded by transactions of 64.

    Load time, memory, disk, and the time from a kill -9 to the next write that is acknowledged.
    Then rates of single reads and writes, and the cost of listing and deleting a folder of 1,000
    entries, each beside the same with 1,000 entries.
    """

    name = "million"
    shares = False
    rounds_max = 1

    def run(self, ground: Ground) -> list[Figure]:
        """Measure it small, then let it grow, kill it, and measure it large."""
        server = ground.server
        folders = _FOLDERS_SHORT if ground.short else _FOLDERS
        base = server.look().rss_bytes
        load(server.port, ground.store.dialect, _folders(0, 1), ground.tell)
        small = _figures(ground, 1, ", small")
        cpu_s = server.look().cpu_s
        took_s = load(server.port, ground.store.dialect, _folders(0, folders), ground.tell)
        cpu_s = server.look().cpu_s - cpu_s
        server.wait_for_rest()
        grown = [
            Figure("entries", "", folders * _PER_FOLDER),
            Figure("load", "s", took_s),
            Figure("CPU of the load", "s", cpu_s),
            Figure("memory", "MB", server.look().rss_bytes / 1e6),
            Figure("memory of an entry", "B",
                   (server.look().rss_bytes - base) / folders / _PER_FOLDER),
            Figure("disk", "MB", server.disk_bytes() / 1e6),
        ]  # fmt: skip
        ground.tell("killing it, and starting it again")
        server.kill()
        server.start()
        grown.append(Figure("restart", "s", server.took_s))
        self._check(server, ground.store.dialect, folders)
        return [*grown, *_figures(ground, folders, ""), *small]

    def _check(self, server: Server, dialect: Dialect, folders: int) -> None:
        """Check that some folders are there and right after the kill."""
        with server.client() as client:
            for folder in {0, folders // 2, folders - 1}:
                expected = [value(folder * _PER_FOLDER + place) for place in range(_PER_FOLDER)]
                if check_count(client, dialect, _prefix(folder), _PER_FOLDER) != expected:
                    raise WrongAnswer(f"{_prefix(folder)} has other values than were written")


def _figures(ground: Ground, folders: int, suffix: str) -> list[Figure]:
    """Measure a store of so many folders, and leave it as it was found."""
    dialect = ground.store.dialect
    ground.tell(f"reading and writing among {folders * _PER_FOLDER} entries")
    ground.server.wait_for_rest()
    found = _named("put", suffix, put_load(ground, "bench/put/", _WRITERS))
    ground.server.wait_for_rest()  # the writes may have made a snapshot due
    if dialect.get("").method == "GET":  # etcd's gateway has keys in bodies, in base64
        target = dialect.get(f"{_ROOT}/%03d/%03d").target
        arguments = [str(folders), str(_PER_FOLDER), target]
        _, reads = ground.load("random", arguments, connections=_READERS)
        found += _named("get", suffix, reads)
    return [*found, *_costs(ground, suffix)]


def _named(work: str, suffix: str, figures: list[Figure]) -> list[Figure]:
    """Return rate and processor time of a load, named after it."""
    found = {one.metric: one for one in figures}
    rate, used = found["rate"], found["CPU"]
    return [
        Figure(f"{work} rate{suffix}", rate.unit, rate.value),
        Figure(f"CPU of a {work}{suffix}", used.unit, used.value),
    ]


def _costs(ground: Ground, suffix: str) -> list[Figure]:
    """List, delete and restore the first folder, again and again."""
    dialect, server = ground.store.dialect, ground.server
    pairs, prefix = _folders(0, 1), _prefix(0)
    figures = []
    server.wait_for_rest()
    with server.client() as client:
        for _ in range(_TIMES):
            for what, call in (("list", dialect.list(prefix)), ("delete", dialect.delete(prefix))):
                began, cpu_s = time.monotonic(), server.look().cpu_s
                client.ask(call)
                took_s, cpu_s = time.monotonic() - began, server.look().cpu_s - cpu_s
                figures += [
                    Figure(f"time of a {what} of 1,000{suffix}", "ms", took_s * 1000),
                    Figure(f"CPU of a {what} of 1,000{suffix}", "ms", cpu_s * 1000),
                ]
            load(server.port, dialect, pairs, ground.tell)
    return figures


def _folders(first: int, behind: int) -> list[tuple[str, bytes]]:
    return [
        (f"{_prefix(number // _PER_FOLDER)}{number % _PER_FOLDER:03d}", value(number))
        for number in range(first * _PER_FOLDER, behind * _PER_FOLDER)
    ]


def _prefix(folder: int) -> str:
    return f"{_ROOT}/{folder:03d}/"

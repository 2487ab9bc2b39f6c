"""`parked` and `wake`: many blocking queries at once."""

import resource
import time

from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.probe import Probe
from benchmarks.scenarios.base import CONSULS, Scenario, seed, value
from benchmarks.scenarios.put import put_load
from benchmarks.server import Server
from benchmarks.watching import Group, Herd

__all__ = ["Parked", "Wake"]

_PARKED = 20_000
_PARKED_SHORT = 2_000
# As engines: twenty of them have containers on a network.
_PER_KEY = 20
# Descriptors of a server that are no query of ours; Consul keeps some back, too.
_FILES_BESIDE = 700
_QUIET_S = 3.0
_WAIT_S = 15
_WAIT_SHORT_S = 4
# How many times their wait they are looked at: stores add up to a sixteenth to it.
_ROUNDS = 2.2
_WAKES = 5
_WATCHED = "bench/wake/watched"
_WRITERS = 64
_KB = 1000.0


class Parked(Scenario):
    """Up to 20,000 parked queries: memory of each, and what others notice of them.

    They wait 15 s (4 s in the short form) and come again when they are answered, as engines do.
    One more client reads a key all the while: when nobody is parked, while they park, and while
    they are answered and come again.
    """

    name = "parked"
    stores = CONSULS
    shares = False
    rounds_max = 3

    def run(self, ground: Ground) -> list[Figure]:
        """Park them, and let them come again for two times their wait."""
        server, dialect = ground.server, ground.store.dialect
        count = _allowed(_PARKED_SHORT if ground.short else _PARKED)
        wait_s = _WAIT_SHORT_S if ground.short else _WAIT_S
        keys = [f"bench/parked/{number:04d}" for number in range(count // _PER_KEY)]
        with server.client() as client, Herd(server.port) as herd:
            seed(client, dialect, keys)
            probe = Probe(server.port, dialect.get(keys[0]))
            with probe.asking():
                time.sleep(_QUIET_S)
            quiet_ms = probe.ms(0.99)
            server.wait_for_rest()
            before = server.look()
            ground.tell(f"parking {count} queries")
            with probe.asking():
                seconds = herd.park(
                    [Group(key, _PER_KEY, f"{wait_s}s") for key in keys], again=True
                )
            parking_ms = probe.ms(0.99)
            memory = server.look().rss_bytes - before.rss_bytes
            ground.tell(f"{count} queries are answered and come again")
            cpu_s, answers, began = server.look().cpu_s, herd.answers(), time.monotonic()
            with probe.asking():
                time.sleep(wait_s * _ROUNDS)
            took_s = time.monotonic() - began
            share = (server.look().cpu_s - cpu_s) / took_s
            answered = herd.answers() - answers
            later = server.look().rss_bytes - before.rss_bytes
        return [
            Figure("parked", "", count),
            Figure("memory each", "KB", memory / count / _KB),
            Figure("memory each, later", "KB", later / count / _KB),
            Figure("parking", "s", seconds),
            Figure("p99 of others, before", "ms", quiet_ms),
            Figure("p99 of others, parking", "ms", parking_ms),
            Figure("p99 of others, re-arming", "ms", probe.ms(0.99)),
            Figure("slowest of others, re-arming", "ms", probe.ms(1.0)),
            Figure("queries answered", "/s", answered / took_s),
            Figure("CPU share", "%", share * 100),
        ]


class Wake(Scenario):
    """One write that half of 20,000 parked queries wait for, and writes nobody waits for.

    The time is from the sending of the write to the last answer, whole and with the new value.
    """

    name = "wake"
    stores = CONSULS
    shares = False
    rounds_max = 3

    def run(self, ground: Ground) -> list[Figure]:
        """Write with none parked and beside them all, then wake half of them, then write again."""
        server, dialect = ground.server, ground.store.dialect
        count = _allowed(_PARKED_SHORT if ground.short else _PARKED)
        woken = count // 2
        others = [f"bench/wake/other/{number:04d}" for number in range(woken // _PER_KEY)]
        groups = [Group(_WATCHED, woken), *(Group(key, _PER_KEY) for key in others)]
        figures = [Figure("woken", "", woken)]
        with server.client() as client:
            seed(client, dialect, [_WATCHED, *others])
        figures += _writes(ground, "none parked")
        with Herd(server.port) as herd:
            ground.tell(f"parking {count} queries")
            herd.park(groups)
            figures += _writes(ground, "parked") + _writes(ground, "parked")
            for number in range(_WAKES):
                ground.tell(f"waking {woken} queries, {number + 1} of {_WAKES}")
                figures += _wake(server, herd, number)
        figures += _writes(ground, "none parked")
        return figures


def _writes(ground: Ground, beside: str) -> list[Figure]:
    """Measure writes that nobody waits for.

    What one of them costs depends on how many make a batch, and so on the machine's other work:
    with and without parked queries it is measured before and after.
    """
    ground.server.wait_for_rest()
    used = next(one for one in put_load(ground, "bench/free/", _WRITERS) if one.metric == "CPU")
    return [Figure(f"CPU of a write, {beside}", used.unit, used.value)]


def _wake(server: Server, herd: Herd, number: int) -> list[Figure]:
    """Wake the watched half once, and park it again."""
    server.wait_for_rest()
    before = server.look().cpu_s
    told = herd.wake(_WATCHED, value(number + 1_000_000))
    server.wait_for_rest()
    figures = [
        Figure("all answered", "ms", told.last_s * 1000),
        Figure("first answered", "ms", told.first_s * 1000),
        Figure("write answered", "ms", told.written_s * 1000),
        Figure("CPU of all", "ms", (server.look().cpu_s - before) * 1000),
    ]
    herd.rearm()
    return figures


def _allowed(wanted: int) -> int:
    """Return how many queries a server may hold: as many, or what the limit of files allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(wanted, hard - _FILES_BESIDE) // (2 * _PER_KEY) * (2 * _PER_KEY)

"""`engines`: a large installation of Docker engines, simulated."""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.probe import percentile
from benchmarks.scenarios.base import CONSULS, Scenario, seed, value
from benchmarks.server import Server
from benchmarks.watching import Group, Herd

__all__ = ["Engines"]

_ROOT = Path(__file__).resolve().parents[2]
_ENGINES = 1000
_ENGINES_SHORT = 100
_MINUTES = 4.0
_MINUTES_SHORT = 0.4
# Parts of the whole: engines arrive and start containers, then they live, then others watch, too.
_WARM_PART = 0.3
_LIVING_PART = 0.3
_WATCHED_PART = 0.3
_PAUSE_S = 0.5
_SEED = 1
_STOP_S = 120.0
_NETWORK = "docker/network/v1.0/endpoint_count/benchmark/"


class Engines(Scenario):
    """1,000 simulated engines on 100 networks (100 on 10 in the short form).

    They are those of `python -m conformance soak`, which checks every answer; containers start,
    stop and crash all the while. First the share of a core that the store takes, then the time
    from a change of one network's record to the last of as many watchers as there are engines.
    """

    name = "engines"
    stores = CONSULS
    shares = False
    rounds_max = 1

    def run(self, ground: Ground) -> list[Figure]:
        """Let them arrive, look at the store, then wake all, again and again."""
        server = ground.server
        engines = _ENGINES_SHORT if ground.short else _ENGINES
        seconds = 60 * (_MINUTES_SHORT if ground.short else _MINUTES)
        told = ground.folder / "soak.json"
        soak = _soak(server, engines, seconds / 60, told)
        try:
            ground.tell(f"{engines} engines arrive")
            time.sleep(seconds * _WARM_PART)
            began, used = time.monotonic(), server.look()
            ground.tell(f"{engines} engines live")
            time.sleep(seconds * _LIVING_PART)
            now = server.look()
            share = (now.cpu_s - used.cpu_s) / (time.monotonic() - began)
            ground.tell(f"{engines} engines watch one network")
            seen_s = _watched(ground, engines, seconds * _WATCHED_PART)
            ground.tell("the engines leave")
            soak.wait(seconds + _STOP_S)
        finally:
            soak.terminate()
            soak.wait(_STOP_S)
        rate = _check(told)
        return [
            Figure("engines", "", engines),
            Figure("requests", "/s", rate),
            Figure("CPU share", "%", share * 100),
            Figure("memory", "MB", now.rss_bytes / 1e6),
            Figure("p50 of seen by all", "ms", percentile(seen_s, 0.5) * 1000),
            Figure("p99 of seen by all", "ms", percentile(seen_s, 0.99) * 1000),
        ]


def _soak(server: Server, engines: int, minutes: float, told: Path) -> subprocess.Popen[bytes]:
    log = (told.parent / "soak.log").open("wb")
    command = [
        *(sys.executable, "-m", "conformance", "soak", f"--engines={engines}"),
        *(f"--minutes={minutes:g}", f"--seed={_SEED}", f"--url=http://127.0.0.1:{server.port}"),
        *(f"--pid={server.pid}", f"--json={told}"),
    ]
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=_ROOT, start_new_session=True)


def _watched(ground: Ground, watchers: int, seconds: float) -> list[float]:
    """Change a record that all watch, again and again; return how long each took to be seen."""
    server = ground.server
    seen_s: list[float] = []
    with server.client() as client, Herd(server.port) as herd:
        seed(client, ground.store.dialect, [_NETWORK])
        herd.park([Group(_NETWORK, watchers)])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(_PAUSE_S)
            seen_s.append(herd.wake(_NETWORK, value(len(seen_s) + 1_000_000)).last_s)
            herd.rearm()
    return seen_s


def _check(told: Path) -> float:
    """Return the mean rate of requests. Raises WrongAnswer when the soak found a fault."""
    if not told.is_file():
        log = (told.parent / "soak.log").read_text(errors="replace")
        raise WrongAnswer(f"the engines ended early: {log[-500:]}")
    found = json.loads(told.read_text(encoding="utf-8"))
    if found["faults"]:
        raise WrongAnswer(f"the engines met faults: {found['faults']}")
    seconds = sum(window["seconds"] for window in found["windows"])
    return float(found["requests"] / seconds)

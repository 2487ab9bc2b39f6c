"""A real server, killed with SIGKILL under load and started again, many times over.

`KVSTORE_KILLS` is the number of kills, shared by the modes; `KVSTORE_KILLS_SEED` repeats a run,
threads permitting.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from history import ReadSessions, ReadTree, as_of_death
from history_checker import Checker, HistoryBroken
from history_clients import LAYOUT, Actor, everybody
from killing import Client, Directory, Fuse, ServerGone
from linearizability import NotLinearizable, Operation
from running import Process

pytestmark = pytest.mark.slow

# The flags of the server in each mode; the kills are shared among them.
MODES: dict[str, tuple[str, ...]] = {
    "always": ("--sync", "always"),
    "never": ("--sync", "never"),
    # All the time, so that kills meet it at every step.
    "compacting": ("--sync", "never", "--compact-min-size", "4KiB", "--compact-ratio", "0"),
}
KILLS = int(os.environ.get("KVSTORE_KILLS", "50"))
KILLS_PER_MODE = -(-KILLS // len(MODES))
SEED = int(os.environ.get("KVSTORE_KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

# The most requests that are sent, or answered, before a kill.
REQUESTS_MAX = 1500
# How often a server is killed while it starts, too.
START_KILLS = 0.3


class Life:
    """One store over many kills."""

    def __init__(self, folder: Path, flags: tuple[str, ...], seed: str) -> None:
        self.checker = Checker(LAYOUT)
        self.start_kills = 0
        # How long the last start took.
        self._start_s = 0.0
        self._folder = folder
        self._flags = ("--data-dir", "data", *flags)
        self._actors = everybody()
        self._directory = Directory()
        self._chance = random.Random(seed)

    def kill(self, requests_min: int = 1) -> None:
        """Run a server under load until it is killed, and check all that was seen."""
        if self._chance.random() < START_KILLS:
            self._kill_while_it_starts()
        with Process(self._folder, self._flags) as process:
            began_s = time.monotonic()
            port = process.wait_until_ready().port
            self._start_s = time.monotonic() - began_s
            operations = self._observe(port)
            fuse = Fuse(
                self._chance.randint(requests_min, REQUESTS_MAX),
                when_sent=self._chance.random() < 0.5,
                burn=lambda: process.terminate(signal.SIGKILL),
            )
            with ThreadPoolExecutor(len(self._actors)) as pool:
                runs = [
                    pool.submit(self._run, one, random.Random(self._chance.random()), port, fuse)
                    for one in self._actors
                ]
                burnt = fuse.wait()
                process.terminate(signal.SIGKILL)
                process.wait()
                died_ns = time.monotonic_ns()
        for run in runs:
            operations += run.result()
        assert burnt, "the server did not answer"
        self.checker.check(as_of_death(operations, died_ns))

    def stop(self) -> None:
        """Start a server, see what is there, and end it in good order."""
        with Process(self._folder, self._flags) as process:
            operations = self._observe(process.wait_until_ready().port)
            process.terminate()
            assert process.wait() == 0
        self.checker.check(operations)

    def _kill_while_it_starts(self) -> None:
        """Kill a server at a moment that only time can choose: nobody can ask it anything yet."""
        with Process(self._folder, self._flags):
            time.sleep(self._chance.uniform(0, self._start_s))
        self.start_kills += 1

    def _observe(self, port: int) -> list[Operation]:
        client = Client(port, self._directory)
        client.do(ReadTree(""))
        client.do(ReadSessions())
        client.close()
        return client.operations

    def _run(self, actor: Actor, chance: random.Random, port: int, fuse: Fuse) -> list[Operation]:
        client = Client(port, self._directory, fuse)
        with suppress(ServerGone):
            while True:
                actor.act(client, chance)
        client.close()
        return client.operations


@pytest.mark.timeout(60 + 5 * KILLS)
@pytest.mark.parametrize("mode", MODES)
def test_what_clients_were_told_holds_over_kills(
    tmp_path: Path, mode: str, record_property: Callable[[str, object], None]
) -> None:
    """Some order of the operations explains all that was seen, before kills and after them.

    Synced or not: what the kernel has outlives the process.
    """
    seed = f"KVSTORE_KILLS={KILLS} KVSTORE_KILLS_SEED={SEED}"
    print(seed)  # noqa: T201 - to repeat a failure
    life = Life(tmp_path, MODES[mode], f"{SEED}/{mode}")
    for _ in range(KILLS_PER_MODE):
        life.kill()
    life.stop()
    life.stop()
    told = life.checker.figures
    record_property(
        "figures",
        f"kills, {mode}: {KILLS_PER_MODE} under load and {life.start_kills} while starting; "
        f"{told.acknowledged} operations acknowledged, {told.unknown} unknown, "
        f"{LAYOUT.key_count} keys, all explained ({seed})",
    )


def test_a_store_that_went_back_is_noticed(tmp_path: Path) -> None:
    """The checks can fail: a server that is given the data of an earlier life is found out."""
    life = Life(tmp_path, MODES["never"], f"{SEED}/back")
    life.kill(requests_min=REQUESTS_MAX // 2)
    shutil.copytree(tmp_path / "data", tmp_path / "earlier")
    life.kill(requests_min=REQUESTS_MAX // 2)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "earlier").rename(tmp_path / "data")
    with pytest.raises((HistoryBroken, NotLinearizable)):
        life.kill()

"""A real server, killed with SIGKILL under load and started again, many times over.

`KVSTORE_KILLS` sets the number of kills; `KVSTORE_KILLS_SEED` repeats a run, threads permitting.
"""

import http.client
import os
import random
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from killing import Acknowledged, Client, Counter, Entry, Writer
from running import Process

KILLS = int(os.environ.get("KVSTORE_KILLS", "12"))
SEED = int(os.environ.get("KVSTORE_KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

# The most writes that are acknowledged before a kill.
ROUND_MAX = 300


class History:
    """All that clients have seen of a store: an index that once meant one entry means no other."""

    def __init__(self) -> None:
        self._seen: dict[int, Entry] = {}
        self._newest: dict[str, int] = {}

    def check(self, entries: dict[str, Entry]) -> None:
        """Verify that no index was used twice, and that no entry went back to an older one."""
        for entry in entries.values():
            assert self._seen.setdefault(entry.modify_index, entry) == entry
            assert entry.modify_index >= self._newest.get(entry.key, 0), entry
            self._newest[entry.key] = entry.modify_index


class Load:
    """Writers and counters over many rounds, with what they know."""

    def __init__(self) -> None:
        self.writers = [Writer(f"own/{number}") for number in range(4)]
        self.counters = [Counter("shared") for _ in range(2)]
        self.history = History()

    def run_until(self, port: int, acknowledged: Acknowledged) -> list[threading.Thread]:
        """Start everybody; each ends when the server does."""
        threads = [
            threading.Thread(target=self._run, args=(one, port, acknowledged))
            for one in (*self.writers, *self.counters)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, one: Writer | Counter, port: int, acknowledged: Acknowledged) -> None:
        client = Client(port)
        with suppress(OSError, http.client.HTTPException):
            one.run(client, acknowledged)
        client.close()

    def check(self, port: int) -> None:
        """Verify what a server has against what everybody knows."""
        client = Client(port)
        entries = client.entries("")
        client.close()
        self.history.check(entries)
        for writer in self.writers:
            writer.check(entries)
        count = int(entries["shared"].value) if "shared" in entries else 0
        least = sum(counter.acknowledged for counter in self.counters)
        assert least <= count <= least + sum(counter.unknown for counter in self.counters)
        # From here on the unknown steps are known.
        self.counters[0].acknowledged += count - least
        for counter in self.counters:
            counter.unknown = 0


@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * KILLS)
@pytest.mark.parametrize("sync", ["always", "never"])
def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path, sync: str) -> None:
    """After each kill every acknowledged write is there, and after a clean end too.

    Synced or not: what the kernel has outlives the process.
    """
    print(f"KVSTORE_KILLS={KILLS} KVSTORE_KILLS_SEED={SEED}")  # noqa: T201 - to repeat a failure
    chance = random.Random(SEED)
    load = Load()
    flags = ("--data-dir", "data", "--sync", sync)
    for _ in range(KILLS):
        with Process(tmp_path, flags) as process:
            load.check(process.wait_until_ready().port)
            acknowledged = Acknowledged()
            threads = load.run_until(process.port, acknowledged)
            enough = acknowledged.wait_for(chance.randint(1, ROUND_MAX))
        # The end of the block has killed it.
        for thread in threads:
            thread.join()
        assert enough, "the server did not acknowledge writes"
    with Process(tmp_path, flags) as process:
        load.check(process.wait_until_ready().port)
        process.terminate()
        assert process.wait() == 0
    with Process(tmp_path, flags) as process:
        load.check(process.wait_until_ready().port)

"""The store in a container: which docker commands each verb is, on an engine that only remembers.

The same on a real engine are the lab's scenarios K1 to K4.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from conformance.overlay.container import ContainerStore
from conformance.overlay.errors import Mismatch

IMAGE = "kvstore:lab"
TUTORIAL = "run --detach --publish 8500:8500 --hostname consul"


@dataclass
class FakeEngine:
    """An engine whose containers start at once, and end as they are told."""

    commands: list[str] = field(default_factory=list)
    running: bool = False
    # What a container ends with when it is stopped, and whether it stays when it is started.
    exit_status: int = 0
    stays: bool = True
    runs: int = 0

    def docker(self, *words: str, **_: object) -> str:
        """Do what a docker client would be asked to do; looks are not remembered."""
        verb = words[0]
        if verb in ("inspect", "image"):
            return self._inspect(words[-2])
        self.commands.append(" ".join(words))
        if verb in ("run", "start"):
            self.running = self.stays
        if verb in ("stop", "kill", "rm") and "HUP" not in words:
            self.running = False
        self.runs += verb == "run"
        return f"c{self.runs}"

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Return a container's log."""
        return subprocess.CompletedProcess(words, 0, stdout="", stderr="Permission denied\n")

    def log_tail(self, lines: int) -> str:
        """Return the engine's own log."""
        return f"{lines} lines of the engine's"

    def _inspect(self, template: str) -> str:
        return {
            "{{.State.Running}}": str(self.running).lower(),
            "{{.State.ExitCode}}": str(self.exit_status),
            "{{.State.Health.Status}}": "healthy",
            "{{.Config.User}}": f"{os.getuid()}:{os.getgid()}",
        }[template]


class FakeKv:
    """A store's API that answers while its container runs."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def ready(self) -> bool:
        """Whether it answers."""
        return self._engine.running


@pytest.fixture
def engine() -> FakeEngine:
    """Make an engine that nothing was asked of."""
    return FakeEngine()


def store_on(engine: FakeEngine, **settings: Any) -> ContainerStore:
    """Return a store on an engine, and have it found to answer while its container runs."""
    store = ContainerStore(cast("Any", engine), IMAGE, **settings)
    store.kv = cast("Any", FakeKv(engine))
    return store


def test_the_first_start_is_the_tutorials_command(engine: FakeEngine) -> None:
    """Nothing is added to it: the image has a place for the data."""
    store_on(engine).start()

    assert engine.commands == [f"{TUTORIAL} {IMAGE} -server -bootstrap"]


def test_volume_and_settings_stand_before_the_image(engine: FakeEngine) -> None:
    """What docker itself is told comes before the image, what the server is told behind it."""
    store_on(engine, data="data", options=("--env=KVSTORE_NODE=one",)).start()

    told = "--volume=data:/data --env=KVSTORE_NODE=one"
    assert engine.commands == [f"{TUTORIAL} {told} {IMAGE} -server -bootstrap"]


def test_the_same_container_is_started_again(engine: FakeEngine) -> None:
    """After a stop and after a kill: `docker start`, no second `docker run`."""
    store = store_on(engine)
    store.start()
    store.stop()
    store.start()
    store.kill()
    store.start()

    again = ["stop c1", "start c1", "kill --signal KILL c1", "start c1"]
    assert engine.commands[1:] == again


def test_other_flags_need_another_container(engine: FakeEngine, tmp_path: Path) -> None:
    """On the same data, in the server's own words, with the folder of a file that a flag names."""
    (tmp_path / "tokens.toml").touch()
    store = store_on(engine, data="data")
    store.start()
    store.stop()
    store.start("--dev", f"--tokens={tmp_path}/tokens.toml")

    mounts = f"--volume=data:/data --volume={tmp_path}:{tmp_path}:ro"
    own = f"serve --listen=http://0.0.0.0:8500 --dev --tokens={tmp_path}/tokens.toml"
    assert engine.commands[-2:] == ["rm --force --volumes c1", f"{TUTORIAL} {mounts} {IMAGE} {own}"]


def test_an_upgrade_keeps_the_volume(engine: FakeEngine) -> None:
    """Stop, rm, run; nothing else, and never a volume that has a name."""
    store = store_on(engine, data="data")
    store.start()
    store.upgrade("kvstore:next")

    run = f"{TUTORIAL} --volume=data:/data kvstore:next -server -bootstrap"
    assert engine.commands[1:] == ["stop c1", "rm --force --volumes c1", run]


def test_a_wiped_store_starts_on_no_data(engine: FakeEngine) -> None:
    """The volume goes with the container, also when the store has flags or does not answer."""
    store = store_on(engine, data="data")
    store.start("--dev")
    store.ensure_plain()

    gone = ["kill --signal KILL c1", "rm --force --volumes c1", "volume rm --force data"]
    assert engine.commands[1:4] == gone
    assert engine.commands[4].endswith(f"{IMAGE} -server -bootstrap")


def test_a_plain_store_that_answers_is_left_alone(engine: FakeEngine) -> None:
    """Nothing is asked of the engine."""
    store = store_on(engine)
    store.start()
    store.ensure_plain()

    assert len(engine.commands) == 1


def test_a_stop_must_end_well(engine: FakeEngine) -> None:
    """An exit status other than 0 after `docker stop` is a failure of the server's."""
    engine.exit_status = 137
    store = store_on(engine)
    store.start()

    with pytest.raises(Mismatch, match="exit status 0 after docker stop; seen: 137"):
        store.stop()


def test_a_container_that_ends_at_once_says_why(engine: FakeEngine) -> None:
    """The failure has the end of its log."""
    engine.stays = False

    with pytest.raises(Mismatch, match="the container ended; it logged: Permission denied"):
        store_on(engine).start()


def test_without_a_container_the_engines_log_is_told(engine: FakeEngine) -> None:
    """A failure before the first `docker run` is the engine's."""
    assert store_on(engine).log_tail(3) == "3 lines of the engine's"


def test_certificates_are_read_again_at_a_signal(engine: FakeEngine) -> None:
    """The container goes on."""
    store = store_on(engine)
    store.start()
    store.reload()

    assert engine.commands[-1] == "kill --signal HUP c1"
    assert engine.running

"""The store under test: ours, a real Consul, a program of either kind, or one somebody else runs.

Engines find it at the same port, whichever it is and whatever host it is on.
Knows nothing of Docker; a store in a container is in `container.py`.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from conformance.overlay.daemon import Daemon, log_tail
from conformance.overlay.errors import LabUnavailable, Mismatch, Skipped
from conformance.overlay.kv import Kv
from conformance.overlay.namespaces import Host
from conformance.overlay.waiting import wait_until

PORT = 8500
# Where it listens too, in scenarios about TLS; the plain port stays for the lab's own looks.
TLS_PORT = 8543

# What `--store` calls the store that is a container of this project's image.
IMAGE = "image"

_CONNECT_S = 5.0
# Consul answers about 5.5 s after kill -9 on two idle cores; a busy machine takes longer.
_READY_S = 60.0
_STOP_S = 20.0
_ROOT = Path(__file__).resolve().parents[2]

# Consul's production timing (its default waits five times as long for an election).
_CONSUL_OPTIONS = ("-hcl", "performance { raft_multiplier = 1 }")


class Store(Protocol):
    """What scenarios may do with a store. Those of somebody else refuse all but `kv`."""

    # "kvstore" or "consul": whose known differences are to be expected.
    kind: str
    kv: Kv

    @property
    def host(self) -> Host:
        """The host that it listens on."""

    def start(self, *flags: str) -> None:
        """Start on the data there is, with extra flags, and return when it answers."""

    def stop(self) -> None:
        """End it as an operator would."""

    def reload(self) -> None:
        """Have it read certificates and tokens again (SIGHUP)."""

    def kill(self) -> None:
        """End it with SIGKILL."""

    def wipe(self) -> None:
        """Remove its data. It must not be running."""

    def ensure_plain(self) -> None:
        """Make sure that it runs, and with no extra flags; if not, start it on no data."""

    def log_tail(self, lines: int) -> str:
        """Return the last lines it logged."""


Command = Callable[[Path, str], list[str]]


def kvstore_command(program: list[str]) -> Command:
    """Return how to start our server, given the words that run it."""

    def command(data: Path, _address: str) -> list[str]:
        listen = f"--listen=http://0.0.0.0:{PORT}"  # inside a namespace
        return [*program, "serve", listen, "--data-dir", str(data)]

    return command


def consul_command(program: Path) -> Command:
    """Return how to start a real Consul: one server that elects itself."""

    def command(data: Path, address: str) -> list[str]:
        server = ["agent", "-server", "-bootstrap", "-node", "kv", "-bind", address]
        client = ["-client", "0.0.0.0", "-http-port", str(PORT)]  # noqa: S104 - inside a namespace
        return [str(program), *server, *client, "-data-dir", str(data), *_CONSUL_OPTIONS]

    return command


@dataclass(slots=True)
class OwnStore:
    """A store the lab runs: it may be stopped, killed and wiped."""

    kind: str
    host: Host
    folder: Path
    command: Command
    kv: Kv = field(init=False)
    _daemon: Daemon | None = None
    _flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kv = Kv(lambda: self.host.connect(PORT, timeout_s=_CONNECT_S))

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self, *flags: str) -> None:
        """Start on the data there is and return when it answers. Raises Mismatch."""
        self._flags = flags
        self._data.mkdir(exist_ok=True)
        env = {**os.environ, "PYTHONPATH": str(_ROOT)}
        command = [*self.command(self._data, self.host.address), *flags]
        daemon = self._daemon = self.host.spawn(command, log=self._log, env=env)

        def ready() -> bool:
            return not daemon.running or self.kv.ready()

        wait_until(ready, _READY_S, "the store answers")
        if not daemon.running:
            raise Mismatch(f"the store ended at once; it logged: {self.log_tail(3)}")

    def stop(self) -> None:
        """Send SIGTERM and wait. Raises Mismatch when our server's exit status is not 0."""
        if self._daemon is None or not self._daemon.running:
            return
        status = self._daemon.terminate(_STOP_S)
        if self.kind == "kvstore" and status != 0:
            raise Mismatch(f"expected exit status 0 after SIGTERM; seen: {status}")

    def reload(self) -> None:
        """Send SIGHUP; does nothing if it does not run."""
        if self._daemon is not None:
            self._daemon.signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it with SIGKILL; does nothing if it does not run."""
        if self._daemon is not None:
            self._daemon.kill()

    def wipe(self) -> None:
        """Remove its data."""
        shutil.rmtree(self._data, ignore_errors=True)

    def ensure_plain(self) -> None:
        """Make sure that it runs, and with no extra flags; if not, start it on no data."""
        if self._flags or not self.kv.ready():
            self.kill()
            self.wipe()
            self.start()

    def log_tail(self, lines: int) -> str:
        """Return the last lines it logged."""
        return log_tail(self._log, lines)


@dataclass(slots=True)
class ForeignStore:
    """A store somebody else runs, reached through a relay that listens in the lab's network."""

    kv: Kv
    kind: str
    host: Host

    def start(self, *flags: str) -> None:
        """Check that it is there. Raises Skipped when flags are asked of it."""
        if flags:
            raise Skipped(f"needs a store started with {' '.join(flags)}")
        if not self.kv.ready():
            raise LabUnavailable("the store does not answer any more: look at it first.")

    def stop(self) -> None:
        """Refuse: it is not ours."""
        raise Skipped("needs a store that the lab may stop; this one is somebody else's")

    def reload(self) -> None:
        """Refuse: it is not ours."""
        self.stop()

    def kill(self) -> None:
        """Refuse: it is not ours."""
        self.stop()

    def wipe(self) -> None:
        """Refuse: it is not ours."""
        self.stop()

    def ensure_plain(self) -> None:
        """Check that it is there."""
        self.start()

    def log_tail(self, lines: int) -> str:
        """Return nothing: its log is elsewhere."""
        del lines
        return ""


def command_for(wanted: str, consul: Path) -> tuple[str, Command]:
    """Return the kind and the start command of `--store kvstore`, `consul` or a program's path."""
    if wanted == "kvstore":
        return "kvstore", kvstore_command([sys.executable, "-m", "kvstore"])
    if wanted == "consul":
        return "consul", consul_command(consul)
    program = Path(wanted).resolve()
    if program.name.startswith("consul"):
        return "consul", consul_command(program)
    return "kvstore", kvstore_command([str(program)])

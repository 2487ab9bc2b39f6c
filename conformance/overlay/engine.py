"""One Docker engine on one lab host, and the client that talks to it.

Knows nothing of scenarios, and of the store only its URL.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.overlay import cgroups, image
from conformance.overlay.daemon import Daemon, log_tail
from conformance.overlay.errors import Mismatch
from conformance.overlay.namespaces import Host
from conformance.overlay.packages import Tools
from conformance.overlay.waiting import wait_until

# Nobody listens there: the advertised address only names the engine.
ADVERTISE_PORT = 2376

_READY_S = 60.0
# SIGTERM stops containers first: quick with `--stop-signal KILL`, less so on a busy machine.
_STOP_S = 60.0
_COMMAND_S = 60.0


@dataclass(slots=True)
class Engine:
    """dockerd with folders of its own; `start` and `stop` as often as wanted on the same data."""

    name: str
    host: Host
    tools: Tools
    folder: Path
    _daemon: Daemon | None = None
    _image: bytes = field(default=b"", repr=False)
    # How much of the log a scenario found when it began.
    _log_mark: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "daemon.json").write_text("{}", encoding="ascii")

    @property
    def advertised(self) -> str:
        """The address this engine registers in the store."""
        return f"{self.host.address}:{ADVERTISE_PORT}"

    @property
    def socket(self) -> Path:
        """Where the engine's API listens."""
        return self.folder / "docker.sock"

    @property
    def client_words(self) -> list[str]:
        """How to talk to this engine from a shell, for as long as it runs."""
        return [str(self.tools.docker), "-H", f"unix://{self.socket}"]

    @property
    def running(self) -> bool:
        """Whether dockerd runs (it may not answer yet)."""
        return self._daemon is not None and self._daemon.running

    @property
    def log(self) -> Path:
        """Where dockerd and its containerd log."""
        return self.folder / "log"

    def launch(
        self,
        store_url: str | None,
        *flags: str,
        advertise: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start dockerd and return at once; without a URL it has no cluster store."""
        folders = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        own = [f"--{flag}={self.folder / name}" for flag, name in folders.items()]
        config = f"--config-file={self.folder / 'daemon.json'}"
        socket = f"--host=unix://{self.socket}"
        cluster = [f"--cluster-store={store_url}"] if store_url else []
        if store_url and advertise:
            cluster.append(f"--cluster-advertise={self.advertised}")
        # Not by the machine's systemd, which would be asked for v2: see cgroups.py.
        groups = ["--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent={cgroups.PARENT}"]
        command = [str(self.tools.dockerd), *own, config, socket, *groups, *cluster, *flags]
        scratch = self.folder / "tmp"  # containerd leaves files in the machine's otherwise
        scratch.mkdir(exist_ok=True)
        own_words = {"PATH": self.tools.path, "TMPDIR": str(scratch)}
        environment = {**os.environ, **own_words, **(env or {})}
        self._daemon = self.host.spawn(command, log=self.log, env=environment)

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Wait until the engine answers and has the lab's image."""

        def answers() -> bool:
            if not self.running:
                raise Mismatch(f"{self.name} ended: {self.log_tail(3)}")
            return self.client("version", timeout_s=5).returncode == 0

        wait_until(answers, timeout_s, f"engine {self.name} answers")
        if self.client("image", "inspect", image.NAME).returncode != 0:
            self._image = self._image or image.build(self.tools.busybox)
            self.docker("import", "-", image.NAME, stdin=self._image)

    def stop(self) -> None:
        """Send SIGTERM and wait; an engine cut short leaves its local database dirty."""
        if self._daemon is not None and self.running:
            self._daemon.terminate(_STOP_S)

    def kill(self) -> None:
        """End dockerd with SIGKILL. Its containers stay; its containerd goes with it."""
        if self._daemon is not None:
            self._daemon.kill()

    def wait_ended(self, timeout_s: float) -> None:
        """Wait until dockerd ends by itself."""
        wait_until(lambda: not self.running, timeout_s, f"engine {self.name} ends by itself")

    def client(
        self, *arguments: str, timeout_s: float = _COMMAND_S, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker client; a failure is in the result. Raises Mismatch on a time-out."""
        try:
            done = subprocess.run(
                [*self.client_words, *arguments],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                env={"PATH": self.tools.path, "HOME": str(self.folder)},
            )
        except subprocess.TimeoutExpired:
            shown = " ".join(arguments)
            raise Mismatch(f"{self.name}: docker {shown}: no end after {timeout_s:g} s") from None
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(arguments, done.returncode, out, err)

    def docker(
        self, *arguments: str, timeout_s: float = _COMMAND_S, stdin: bytes | None = None
    ) -> str:
        """Run the docker client and return what it prints. Raises Mismatch when it fails."""
        done = self.client(*arguments, timeout_s=timeout_s, stdin=stdin)
        if done.returncode != 0:
            shown = " ".join(arguments)
            raise Mismatch(f"{self.name}: docker {shown}: {done.stderr.strip()}")
        return done.stdout.strip()

    def refuses(self, *arguments: str, saying: str, timeout_s: float = _COMMAND_S) -> None:
        """Run the docker client and expect it to fail with a text. Raises Mismatch otherwise."""
        done = self.client(*arguments, timeout_s=timeout_s)
        if done.returncode == 0 or saying not in done.stderr:
            shown = " ".join(arguments)
            raise Mismatch(
                f"expected docker {shown} on {self.name} to fail saying {saying!r}; "
                f"seen: exit {done.returncode}: {(done.stderr or done.stdout).strip()}"
            )

    def mark_log(self) -> None:
        """Remember where the log ends now."""
        self._log_mark = self.log.stat().st_size if self.log.exists() else 0

    def logged(self) -> str:
        """Return what was logged since the mark."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self._log_mark)
            return file.read().decode(errors="replace")

    def log_tail(self, lines: int) -> str:
        """Return the last lines logged."""
        return log_tail(self.log, lines)

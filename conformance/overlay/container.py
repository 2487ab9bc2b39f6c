"""The store in a container: this project's image, run by an engine as the tutorial runs Consul's.

Everything is done with the docker client, by the commands that an operator would use.
"""

import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

from conformance.overlay.engine import Engine
from conformance.overlay.errors import Mismatch
from conformance.overlay.kv import Connect, Kv
from conformance.overlay.namespaces import Host
from conformance.overlay.store import PORT
from conformance.overlay.waiting import expect, wait_until

__all__ = ["ContainerStore"]

# What the tutorial says behind the name of the image.
_AGENT = ("-server", "-bootstrap")

_CONNECT_S = 5.0
_READY_S = 60.0
# Docker looks at a container's health after an interval of the image's, half a minute by default.
_HEALTHY_S = 75.0


@dataclass(slots=True)
class ContainerStore:
    """One container of `image` on `engine`; it may be stopped, killed, wiped and upgraded.

    `data` is the name of a volume, or a folder of the host. Without one the data are in the
    container's own volume: they outlive its process, but not itself.
    """

    engine: Engine
    image: str
    data: str = ""
    # More words for `docker run`: what is mounted, set and published.
    options: tuple[str, ...] = ()
    # How to reach it, where not in plain HTTP.
    connect: Connect | None = None
    kind: str = "kvstore"
    kv: Kv = field(init=False)
    _id: str = ""
    _flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.kv = Kv(self.connect or self._dial)

    @property
    def host(self) -> Host:
        """The engine's: the container's port is published there."""
        return self.engine.host

    @property
    def health(self) -> str:
        """What Docker says of its health: `starting`, `healthy` or `unhealthy`."""
        return self._inspect("{{.State.Health.Status}}")

    def start(self, *flags: str) -> None:
        """Start the container there is; run a new one on the same data if other flags are asked.

        Returns when it answers. Raises Mismatch.
        """
        if self._id and flags == self._flags:
            self.engine.docker("start", self._id)
        else:
            self._remove()
            self._flags = flags
            self._run()
        self._wait_ready()

    def stop(self) -> None:
        """Run `docker stop`. Raises Mismatch when its exit status is not 0."""
        if not self._running:
            return
        self.engine.docker("stop", self._id)
        status = self._inspect("{{.State.ExitCode}}")
        expect(that=status == "0", what="exit status 0 after docker stop", seen=status)

    def reload(self) -> None:
        """Have it read certificates and tokens again."""
        self.engine.docker("kill", "--signal", "HUP", self._id)

    def kill(self) -> None:
        """End it with SIGKILL; does nothing if it does not run."""
        if self._running:
            self.engine.docker("kill", "--signal", "KILL", self._id)

    def upgrade(self, image: str) -> None:
        """Stop and remove the container, and run another image on the same data."""
        self.stop()
        self._remove()
        self.image = image
        self._run()
        self._wait_ready()

    def wipe(self) -> None:
        """Remove the container and its data."""
        self._remove()
        if self.data.startswith("/"):
            shutil.rmtree(self.data, ignore_errors=True)
        elif self.data:
            self.engine.docker("volume", "rm", "--force", self.data)

    def ensure_plain(self) -> None:
        """Make sure that it runs, and with no extra flags; if not, start it on no data."""
        if self._flags or not self.kv.ready():
            self.kill()
            self.wipe()
            self.start()

    def log_tail(self, lines: int) -> str:
        """Return the last lines it logged; its engine's, if it has no container."""
        if not self._id:
            return self.engine.log_tail(lines)
        said = self.engine.client("logs", "--tail", str(lines), self._id)
        return f"{said.stdout}{said.stderr}".strip()

    def wait_healthy(self) -> None:
        """Wait until Docker finds it healthy."""
        wait_until(lambda: self.health == "healthy", _HEALTHY_S, "docker inspect says healthy")

    def _dial(self) -> socket.socket:
        return self.host.connect(PORT, timeout_s=_CONNECT_S)

    @property
    def _running(self) -> bool:
        return bool(self._id) and self._inspect("{{.State.Running}}") == "true"

    def _run(self) -> None:
        """Run the tutorial's command, with a place for the data; in our own words to take flags."""
        tutorial = ["--detach", "--publish", f"{PORT}:{PORT}", "--hostname", "consul"]
        place = [f"--volume={self.data}:/data"] if self.data else []
        words = [*tutorial, *place, *self._lent(), *self.options, self.image]
        own = ["serve", f"--listen=http://0.0.0.0:{PORT}", *self._flags]  # inside a namespace
        self._id = self.engine.docker("run", *words, *(own if self._flags else _AGENT))

    def _lent(self) -> list[str]:
        """Return what mounts the files that flags name, having given them to the image's user."""
        folders = {Path(flag.partition("=")[2]).parent for flag in self._flags if "=/" in flag}
        for folder in folders:
            for path in (folder, *folder.iterdir()):
                os.chown(path, *self._user)
        return [f"--volume={folder}:{folder}:ro" for folder in sorted(folders)]

    @property
    def _user(self) -> tuple[int, int]:
        """The numbers of the user and group that the image runs as."""
        user = self.engine.docker("image", "inspect", "--format", "{{.Config.User}}", self.image)
        uid, _, gid = user.partition(":")
        return int(uid), int(gid)

    def _remove(self) -> None:
        if self._id:
            self.engine.docker("rm", "--force", "--volumes", self._id)
            self._id = ""

    def _wait_ready(self) -> None:
        def ready() -> bool:
            return self.kv.ready() or not self._running

        wait_until(ready, _READY_S, "the store in the container answers")
        if not self._running:
            raise Mismatch(f"the container ended; it logged: {self.log_tail(3)}")

    def _inspect(self, template: str) -> str:
        return self.engine.docker("inspect", "--format", template, self._id)

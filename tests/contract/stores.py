"""The two stores under test, each a process of its own on random loopback ports."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from conformance.consul import one_server
from conformance.overlay.packages import CONSUL, cache_folder
from conformance.suite.address import Address
from conformance.suite.store import Store as AnyStore
from conformance.suite.wire import ConnectionEnded, NotAnswered

START_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0

CONSUL_NODE = "n1"


class Store(AnyStore):
    """One running store: its name ("consul" or "kvstore"), its port, its process."""

    def __init__(self, name: str, folder: Path, *, session_ttl_min: str = "10s") -> None:
        super().__init__(name=name)
        self.folder = folder
        self.session_ttl_min = session_ttl_min
        self._ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before it was launched."""
        return self.address.port

    def start(self) -> None:
        """Start it on its folder, and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start its process, on ports that were free a moment ago."""
        port, *self._ports = free_ports(3)
        self.address = Address.loopback(port)
        self._run()

    def restart(self) -> None:
        """End it in good order, and start it on its data and its ports."""
        self.stop()
        self._run()
        if not self._becomes_ready():
            raise RuntimeError(f"{self.name} did not start again:\n{self._end_of_log()}")

    def _run(self) -> None:
        command = self.command(self._ports)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=clean)

    def wait_until_ready(self) -> None:
        """Wait until it answers reads and knows its node; try again once, on other ports."""
        if not self._becomes_ready():
            self.kill()
            self.launch()
            if not self._becomes_ready():
                raise RuntimeError(f"{self.name} did not start:\n{self._end_of_log()}")

    def stop(self) -> None:
        """End it in good order; kill it when it does not end in time."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def command(self, ports: list[int]) -> list[str]:
        """Return its command line; `ports` are free ones beside its own."""
        if self.name == "consul":
            more = {"node_name": CONSUL_NODE, "session_ttl_min": self.session_ttl_min}
            return one_server(consul_binary(), self.folder, [self.port, *ports], **more)
        data = str(self.folder / "data")
        return [
            *(sys.executable, "-m", "kvstore", "serve"),
            *("--port", str(self.port), "--data-dir", data),
            *("--session-ttl-min", self.session_ttl_min),
        ]

    def _end_of_log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _becomes_ready(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.05)  # the only sleep: there is nothing to wait on before the port opens
        return False

    def _is_ready(self) -> bool:
        """Return whether it knows its node: Consul answers, and even has a leader, before that."""
        try:
            nodes = self.ask("GET", "/v1/catalog/nodes")
            checks = self.ask("GET", "/v1/health/state/passing")
        except (OSError, NotAnswered, ConnectionEnded):
            return False
        return b'"lan"' in nodes.body and b"serfHealth" in checks.body


def free_ports(count: int) -> list[int]:
    """Return that many loopback ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def consul_binary() -> Path:
    """Return where the real Consul should be; nobody promises that it is there."""
    if named := os.environ.get("KVSTORE_CONSUL"):
        return Path(named)
    return cache_folder() / CONSUL.stem / "usr" / "bin" / "consul"

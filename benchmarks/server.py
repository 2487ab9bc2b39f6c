"""One running server of a benchmark: started on a folder, watched, killed, started again."""

import http.client
import os
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.errors import ServerDied
from benchmarks.stores import HOST, PORTS, Store
from benchmarks.usage import Usage, folder_bytes, look
from conformance.overlay.daemon import log_tail

__all__ = ["Server"]

_ROOT = Path(__file__).resolve().parents[1]
# A million entries take Consul twenty seconds, and a busy machine takes longer.
_START_S = 180.0
_STOP_S = 30.0
# Short against every start, long enough to leave the server its core.
_PAUSE_S = 0.002
_TRY_S = 2.0
_FIRST_KEY = "benchmark/first"
_LOG_LINES = 5
# A server is at rest when it and its children take less than this part of a core. A second, since
# a compaction waits for the disk now and then.
_REST_SHARE = 0.05
_REST_LOOK_S = 1.0
_REST_S = 120.0


class Server:
    """A store's process on a folder of its own; started when it is made.

    `took_s` is the time from its start to the first write that it acknowledged.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.took_s = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        """Start it, again if it was killed, and wait for the first write it acknowledges.

        Raises ServerDied when it does not come up.
        """
        ports = _free_ports(PORTS)
        self.port = ports[0]
        command = self.store.command(self.folder, ports)
        # Python's modules are compiled once and kept, as where it is installed.
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("KVSTORE_") and key != "PYTHONDONTWRITEBYTECODE"
        }
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
                env=clean,
                start_new_session=True,  # Ctrl-C reaches the benchmark only; it ends its servers
            )
        try:
            self._wait_until_it_writes(began + _START_S)
        except BaseException:
            self.kill()
            raise
        self.took_s = time.monotonic() - began

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def look(self) -> Usage:
        """Return what it has used and holds now. Raises ServerDied if it has ended."""
        self.check_alive()
        return look(self.pid)

    def disk_bytes(self) -> int:
        """Return what its data takes on the disk."""
        return folder_bytes(self.folder / "data")

    def client(self) -> Client:
        """Return a new connection to it."""
        return Client(self.port)

    def check_alive(self) -> None:
        """Raise ServerDied if it has ended."""
        code = self._process.poll()
        if code is not None:
            said = log_tail(self._log, _LOG_LINES) or "nothing"
            raise ServerDied(f"{self.store.name} ended with {code}; it logged: {said}")

    def wait_for_rest(self) -> None:
        """Wait until it has done what it was asked to do, as far as its processor time tells.

        A server that never rests is measured as it is.
        """
        deadline = time.monotonic() + _REST_S
        before = self.look().cpu_s
        while time.monotonic() < deadline:
            time.sleep(_REST_LOOK_S)
            now = self.look().cpu_s
            if now - before < _REST_SHARE * _REST_LOOK_S:
                return
            before = now

    def kill(self) -> None:
        """End it with SIGKILL; harmless when it has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in good order, so that what it may have started ends with it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self.kill()

    def _wait_until_it_writes(self, deadline: float) -> None:
        dialect = self.store.dialect
        write = dialect.put(_FIRST_KEY, b"1")
        with Client(self.port, _TRY_S) as client:
            while time.monotonic() < deadline:
                reply: Reply | None = None
                with suppress(OSError, http.client.HTTPException):
                    reply = client.send(write)
                if reply is not None and dialect.wrote(reply):
                    return
                self.check_alive()
                time.sleep(_PAUSE_S)
        said = log_tail(self._log, _LOG_LINES) or "nothing"
        raise ServerDied(f"{self.store.name} did not start in {_START_S:g} s; it logged: {said}")


def _free_ports(count: int) -> list[int]:
    """Return that many loopback ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]

"""Stands in for a service manager: holds sockets, starts servers on them, hears what they tell."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from running import WITHIN_S

__all__ = ["Manager", "as_a_service"]

# Puts descriptors at 3 and on, and becomes Python with the same process id, which LISTEN_PID names.
_BECOME = """
import os, sys
descriptors = [int(one) for one in sys.argv[1].split(",") if one]
for n, descriptor in enumerate(descriptors):
    os.dup2(descriptor, 100 + n)
for n in range(len(descriptors)):
    os.dup2(100 + n, 3 + n, inheritable=True)
    os.close(100 + n)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def as_a_service(descriptors: Sequence[int], *arguments: str) -> list[str]:
    """Return the command that runs Python with descriptors from 3 on, which it has to be given."""
    return [sys.executable, "-c", _BECOME, ",".join(map(str, descriptors)), *arguments]


class Manager:
    """One service: sockets that stay, and servers that come and go; all end with its context."""

    def __init__(self, folder: Path, *flags: str, names: str = "", **environment: str) -> None:
        self._folder = folder
        self._flags = flags
        self._names = names
        self._environment = environment
        self._opened = ExitStack()
        self._hears = self._opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._hears.bind(str(folder / "notify"))
        self._hears.settimeout(WITHIN_S)
        self._sockets: list[socket.socket] = []
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._opened.close()

    def hold(self, held: socket.socket) -> socket.socket:
        """Hand a socket to every server that is started from now on."""
        self._sockets.append(self._opened.enter_context(held))
        return held

    def start(self) -> None:
        """Start a server, and return at once."""
        descriptors = [one.fileno() for one in self._sockets]
        told = {
            "LISTEN_FDS": str(len(descriptors)),
            "LISTEN_FDNAMES": self._names,
            "NOTIFY_SOCKET": str(self._folder / "notify"),
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
        with (self._folder / "printed").open("a") as printed:
            self._server = subprocess.Popen(
                as_a_service(descriptors, "-m", "kvstore", "serve", *self._flags),
                cwd=self._folder,
                env={**inherited, **told, **self._environment},
                pass_fds=descriptors,
                stderr=printed,
                encoding="utf-8",
            )

    def start_until_ready(self) -> None:
        """Start a server and wait until it says that it is ready."""
        self.start()
        while self.heard().get("READY") != "1":
            pass

    def heard(self) -> dict[str, str]:
        """Wait for what the server tells next."""
        try:
            lines = self._hears.recv(4096).decode().split("\n")
        except TimeoutError:
            raise AssertionError(f"nothing was told; it printed: {self.printed}") from None
        return dict(line.split("=", 1) for line in lines)

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        assert self._server is not None
        self._server.send_signal(number)

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def wait(self) -> int:
        """Wait for the server's end and return its exit code."""
        assert self._server is not None
        return self._server.wait(WITHIN_S)

    @property
    def printed(self) -> str:
        """What all servers have printed."""
        return (self._folder / "printed").read_text(encoding="utf-8")

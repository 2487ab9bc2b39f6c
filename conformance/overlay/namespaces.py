"""Lab hosts: groups of Linux namespaces joined by a switch, all held by processes of ours.

Nothing has a name outside: no `/run/netns` entry, no mount and no interface is visible on the
machine, and the kernel takes everything away when the holder processes end (also when this
program is killed with SIGKILL, because holders are told to die with it).

Knows nothing of stores, engines or scenarios.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from conformance.overlay.daemon import Daemon, only_child
from conformance.overlay.errors import LabUnavailable

_HOLDER = Path(__file__).with_name("holder.py")
# From sched.h: the flag setns() checks the file against.
_CLONE_NEWNET = 0x40000000
_STOP_S = 10.0

# An address range that exists only inside the namespaces (any private one would do).
SUBNET = "10.99.0"
# Host → the last part of its address.
_NUMBERS = {"kv": 1, "h1": 2, "h2": 3, "keystore": 4}


@dataclass(frozen=True, slots=True)
class Host:
    """One lab host, held by `holder`; `pid` is its process 1 as this machine numbers it."""

    name: str
    address: str
    holder: subprocess.Popen[bytes]
    pid: int

    def run(self, *command: str) -> None:
        """Run a short command in the host's network namespace, and raise if it fails."""
        subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", *command], check=True, capture_output=True
        )

    def spawn(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> Daemon:
        """Start a long-running program inside all of the host's namespaces."""
        entry = ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-p"]
        return Daemon.spawn([*entry, *command], log=log, env=env)

    def open_inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        """Return the socket `make` creates, belonging to this host's network.

        A socket stays in the network namespace of the thread that made it, so a thread is sent in.
        """
        made: list[socket.socket | OSError] = []

        def enter_and_make() -> None:
            try:
                _enter_network(self.pid)
                made.append(make())
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=enter_and_make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def connect(self, port: int, *, address: str | None = None, timeout_s: float) -> socket.socket:
        """Open a TCP connection from inside the host's network, by default to the host itself."""
        target = (address or self.address, port)
        return self.open_inside(lambda: socket.create_connection(target, timeout=timeout_s))

    def listen(self, port: int) -> socket.socket:
        """Return a socket listening on `port` of the host's own address."""
        return self.open_inside(lambda: socket.create_server((self.address, port), backlog=512))

    def end(self) -> None:
        """End the host: every process in it is killed by the kernel. Does nothing if it is gone."""
        if self.holder.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.holder.wait(_STOP_S)


def _enter_network(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open("rb") as network:
        if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


class Network:
    """The hosts `kv`, `h1`, `h2` and the switch between them. Use it as a context manager.

    A fourth, `keystore`, is there from `join` to `leave`.
    """

    def __init__(self) -> None:
        # Each host as soon as it is held, so that a failure half way ends those already there.
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in reversed(self._hosts.values()):
            host.end()
        self._hosts.clear()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def plug(self, name: str) -> None:
        """Connect a host's cable to the switch."""
        self["switch"].run("ip", "link", "set", name, "up")

    def unplug(self, name: str) -> None:
        """Pull a host's cable: packets both ways are lost without a word to either side."""
        self["switch"].run("ip", "link", "set", name, "down")

    def join(self, name: str) -> Host:
        """Make a host and run a cable from it to the switch."""
        switch = self["switch"]
        address = f"{SUBNET}.{_NUMBERS[name]}"
        host = self._hold(name, address)
        peer = ["peer", "name", "eth0", "netns", str(host.pid)]
        switch.run("ip", "link", "add", name, "type", "veth", *peer)
        switch.run("ip", "link", "set", name, "master", "switch", "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        return host

    def replace(self, name: str) -> Host:
        """End a host with everything that runs in it, and return a new one in its place."""
        self.leave(name)
        return self.join(name)

    def leave(self, name: str) -> None:
        """End a host with everything that runs in it, and take its cable away."""
        self[name].end()
        del self._hosts[name]
        with suppress(subprocess.CalledProcessError):  # the kernel may have taken it away already
            self["switch"].run("ip", "link", "delete", name)

    def _build(self) -> None:
        switch = self._hold("switch", "")
        switch.run("ip", "link", "add", "switch", "type", "bridge")
        switch.run("ip", "link", "set", "switch", "up")
        for name in ("kv", "h1", "h2"):
            self.join(name)

    def _hold(self, name: str, address: str) -> Host:
        """Start the holder of one host and wait until its namespaces are made.

        The holder dies with the *thread* that starts it (that is how the kernel's parent death
        signal works), so a network is built from the main thread.
        """
        namespaces = ["--net", "--mount", "--uts", "--pid", "--mount-proc"]
        unshare = ["unshare", *namespaces, "--fork", "--kill-child=KILL", "--propagation=private"]
        program = [sys.executable, "-I", str(_HOLDER), f"kvlab-{name}"]
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *unshare, *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches the lab only; the lab ends its hosts
        )
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"ready\n":
            holder.kill()
            reason = holder.stderr.read().decode(errors="replace").strip()
            raise LabUnavailable(
                f"network namespaces cannot be made here ({reason.splitlines()[-1:]}): "
                "run the lab as root on a machine (or in a privileged container) that allows them."
            )
        host = Host(name=name, address=address, holder=holder, pid=only_child(holder.pid))
        self._hosts[name] = host
        return host

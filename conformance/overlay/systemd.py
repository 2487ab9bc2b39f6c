"""A real systemd as process 1 of namespaces of its own, which starts units as a machine would.

It sees this machine's files, but /opt, /run, /tmp and /var are its own, and its units are those of
one folder and Debian's targets. When it is killed, the kernel ends all that it has started.
Knows nothing of what the units are.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from conformance.overlay.daemon import Daemon, log_tail, only_child
from conformance.overlay.errors import LabUnavailable, Mismatch
from conformance.overlay.waiting import wait_until

PROGRAM = Path("/lib/systemd/systemd")
PYTHON = "/opt/kvstore/bin/python"
"""This Python, inside: where it is on this machine may not be there."""

_TARGETS = Path("/lib/systemd/system")
# What units refer to; everything else of a machine is left out.
_NEEDED = (
    "basic", "multi-user", "network", "network-online", "paths", "shutdown", "slices", "sockets",
    "sysinit", "timers", "umount",
)  # fmt: skip
_START_S = 20.0
_COMMAND_S = 60.0

# Run inside new namespaces. $1 is the folder of this systemd, $2 our source, $3 Python, $4 the
# libraries, $5 systemd. So /opt/kvstore has what an operator would have there, and users without
# rights can reach it, wherever it really is.
_BOOT = """\
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lab /run/lock
mount --rbind "$1" /run/lab
mount -t tmpfs -o mode=755 opt /opt
mkdir -p /opt/kvstore/bin /opt/kvstore/source /opt/kvstore/python /opt/kvstore/libraries
mount --bind "$2" /opt/kvstore/source
mount --bind "$3" /opt/kvstore/python
mount --bind "$4" /opt/kvstore/libraries
cp /run/lab/python /run/lab/kvstore /opt/kvstore/bin
for folder in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmp "$folder"; done
mount --bind /run/lab/lib /var/lib
mount -t cgroup2 cgroup /sys/fs/cgroup
touch /run/console
mount --bind /run/lab/console /dev/console
ip link set lo up
mount --make-rshared /
exec env -i PATH="$PATH" container=lab SYSTEMD_UNIT_PATH=/run/lab/units \
    "$5" --system --unit=multi-user.target --log-target=console --show-status=no </dev/null
"""
_PROGRAMS = {
    "python": """\
#!/bin/sh
export PYTHONPATH=/opt/kvstore/source:/opt/kvstore/libraries
export LD_LIBRARY_PATH=/opt/kvstore/python/lib  # of a Python that is not where it was built for
exec /opt/kvstore/python/bin/python3 "$@"
""",
    "kvstore": """\
#!/bin/sh
exec /opt/kvstore/bin/python -m kvstore "$@"
""",
}
# The only change to the units: there is no journal to log to.
_LOGGED = "[Service]\nStandardOutput=append:/run/lab/log\nStandardError=append:/run/lab/log\n"


def missing() -> str:
    """Return what this machine lacks for it, as a sentence; nothing when it can run."""
    if os.geteuid() != 0:
        return "systemd in namespaces needs root"
    for program in (str(PROGRAM), "systemctl", "unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"no {program} here: install the packages systemd, util-linux and iproute2"
    if _hierarchy() is None:
        return "no cgroup2 is mounted here"
    return ""


class Systemd:
    """One systemd, from the beginning of its context to the end.

    `folder` is empty and its own; `units` is what it gets beside Debian's targets. `entry` are the
    words that enter the namespaces of a host (`nsenter …`), by default this machine's network is
    left for an empty one. `group` names its control group.
    """

    def __init__(
        self, folder: Path, units: Path, *, entry: Sequence[str] = (), group: str = ""
    ) -> None:
        self._folder = folder
        self._units = units
        self._entry = entry
        self._new = () if entry else ("--net",)
        self._group = _require_hierarchy() / (group or f"kvstore-systemd-{os.getpid()}")
        self._daemon: Daemon | None = None

    @property
    def state(self) -> Path:
        """What units have as /var/lib."""
        return self._folder / "lib"

    @property
    def units(self) -> Path:
        """The folder of its units; call `ctl("daemon-reload")` after a change."""
        return self._folder / "units"

    def log_tail(self, lines: int) -> str:
        """Return the last lines that the services have logged."""
        return log_tail(self._folder / "log", lines)

    def __enter__(self) -> Self:
        self._lay_out()
        self._group.mkdir(parents=True, exist_ok=True)
        flags = ["--pid", "--mount", "--ipc", "--cgroup", "--fork", "--kill-child=KILL"]
        libraries = sysconfig.get_path("purelib")
        places = [str(self._folder), str(_SOURCE), sys.base_prefix, libraries, str(PROGRAM)]
        # Dies with this program, however that ends.
        mortal = ["setpriv", "--pdeathsig", "KILL"]
        unshare = [*mortal, "unshare", *flags, *self._new, "sh", "-c", _BOOT, "systemd", *places]
        join = ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self._group / "cgroup.procs")]
        command = [*self._entry, *join, *unshare]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        self._daemon = Daemon.spawn(command, log=self._folder / "boot.log", env=environment)
        try:
            wait_until(self._is_up, _START_S, "systemd has started its units")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None:
            self._daemon.kill()
        wait_until(self._is_gone, _START_S, "the control groups of systemd are removed")

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside and return what it printed. Raises Mismatch when it fails."""
        assert self._daemon is not None
        inside = ["nsenter", "-t", str(self._pid()), "-m", "-p", "-n", "-i", "-C"]
        done = subprocess.run(
            [*inside, *command], capture_output=True, text=True, check=False, timeout=_COMMAND_S
        )
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise Mismatch(f"{' '.join(command)}: {said}; {self.log_tail(5)}")
        return done.stdout.strip()

    def ctl(self, *words: str, check: bool = True) -> str:
        """Run systemctl inside; see `run`."""
        return self.run("systemctl", "--no-pager", *words, check=check)

    def show(self, unit: str, member: str) -> str:
        """Return one property of a unit."""
        return self.ctl("show", unit, f"--property={member}", "--value")

    def kill(self, unit: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the main process of a unit."""
        self.ctl("kill", f"--signal={number.name}", "--kill-who=main", unit)

    def _lay_out(self) -> None:
        shutil.copytree(self._units, self.units)
        for name in _NEEDED:
            shutil.copy(_TARGETS / f"{name}.target", self.units)
        # Without what a whole machine has to do first.
        (self.units / "sysinit.target").write_text("[Unit]\nDescription=Begin\n", encoding="ascii")
        for service in self._units.glob("*.service"):
            folder = self.units / f"{service.name}.d"
            folder.mkdir()
            (folder / "lab.conf").write_text(_LOGGED, encoding="ascii")
        self.state.mkdir(exist_ok=True)
        (self._folder / "console").touch()
        for name, text in _PROGRAMS.items():
            program = self._folder / name
            program.write_text(text, encoding="ascii")
            program.chmod(0o755)

    def _pid(self) -> int:
        """Return the number by which this machine knows process 1 of it."""
        assert self._daemon is not None
        # nsenter has a child too, and that is then unshare.
        return only_child(self._daemon.pid) if self._entry else self._daemon.pid

    def _is_up(self) -> bool:
        if self._daemon is not None and not self._daemon.running:
            said = log_tail(self._folder / "boot.log", 3)
            raise LabUnavailable(f"systemd does not start in namespaces here: {said}")
        return self.ctl("is-active", "multi-user.target", check=False) == "active"

    def _is_gone(self) -> bool:
        for folder, _, _ in os.walk(self._group, topdown=False):
            Path(folder).rmdir()  # busy for a moment after its last process was killed
        return True


_SOURCE = Path(__file__).resolve().parents[2]


def _hierarchy() -> Path | None:
    """Return where cgroup2 is mounted, alone or beside cgroup v1."""
    for line in Path("/proc/self/mounts").read_text(encoding="ascii").splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(where)
    return None


def _require_hierarchy() -> Path:
    found = _hierarchy()
    if found is None:
        raise LabUnavailable("systemd in namespaces needs a mounted cgroup2.")
    return found

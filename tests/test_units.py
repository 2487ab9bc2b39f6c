"""The systemd units in deploy/: looked at by systemd's own tools, and run by a real systemd.

The latter is process 1 of namespaces of its own and needs root. What this machine lacks is skipped,
unless KVSTORE_REQUIRE_LAB=1 says that it must be there.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from certificates import Authority
from promised import lacking

from conformance.overlay.errors import Mismatch
from conformance.overlay.systemd import PYTHON, Systemd, missing
from conformance.overlay.waiting import wait_until

pytestmark = [pytest.mark.slow]

UNITS = Path(__file__).parent.parent / "deploy"
ALL = sorted(path for path in UNITS.iterdir() if path.suffix in (".service", ".socket", ".timer"))
SERVICES = [path for path in ALL if path.suffix == ".service"]
PROGRAM = "/opt/kvstore/bin/kvstore"
URL = "http://127.0.0.1:8500"
SOON_S = 30.0
# Sends METHOD URL with a body, and trusts the CA of a file.
ASK = """
import ssl, sys, urllib.request
url, method, body, ca = (*sys.argv[1:], *["", "", ""][len(sys.argv) - 2:])
request = urllib.request.Request(url, body.encode() or None, method=method or "GET")
context = ssl.create_default_context(cafile=ca) if ca else None
print(urllib.request.urlopen(request, timeout=60, context=context).read().decode())
"""
DISK_BYTES = 64 * 1024**2
ENDLESS = ("[Unit]", "StartLimitIntervalSec=0")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    if shutil.which("systemd-analyze") is None:
        lacking("the units are looked at by systemd-analyze: install the package systemd")
    command = ["systemd-analyze", "--no-pager", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Each unit is understood, every word of it."""
    program = shutil.which("true")
    assert program is not None
    for path in ALL:
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace(PROGRAM, program), encoding="utf-8")
    done = analyze("verify", *(str(tmp_path / path.name) for path in ALL))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_word_is_found(tmp_path: Path) -> None:
    """The test above looks at something."""
    (tmp_path / "a.service").write_text("[Service]\nExecStart=/bin/true\nWatchdog=1\n")
    assert "Watchdog" in analyze("verify", str(tmp_path / "a.service")).stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_services_are_hardened(service: Path) -> None:
    """Systemd's own figure for what a service exposes is low: 10 is the most, 1.2 what is left.

    That is the network, which it is there for.
    """
    done = analyze("security", "--offline=true", "--threshold=13", str(service))
    assert done.returncode == 0, done.stdout


class Machine:
    """A systemd with the units, and calls to the server in it."""

    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd

    def call(self, target: str, *words: str) -> str:
        """Send a request from inside, by default a GET, and return the body of the answer."""
        return self.systemd.run(PYTHON, "-c", ASK, URL + target, *words)

    def drop_in(self, unit: str, *lines: str) -> None:
        """Change a unit as `systemctl edit` does."""
        text = "\n".join(["[Service]", *lines, ""])
        (self.systemd.units / f"{unit}.d" / "z.conf").write_text(text, encoding="utf-8")
        self.systemd.ctl("daemon-reload")

    def restarts(self) -> int:
        """Return how often systemd has started the server again by itself."""
        return int(self.systemd.show("kvstore.service", "NRestarts"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty folder for a systemd."""
    if missing():
        lacking(missing())
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)  # the server is a user without rights
    made = tmp_path / "machine"
    made.mkdir(mode=0o711)
    return made


@pytest.fixture
def machine(folder: Path) -> Iterator[Machine]:
    """Give a machine on which the port is held and no server runs yet."""
    with Systemd(folder, UNITS) as systemd:
        systemd.ctl("start", "kvstore.socket")
        yield Machine(systemd)


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """Give a disk of its own for the data of the machine that is asked for after it."""
    disk = folder / "lib"
    disk.mkdir()
    device = folder / "device"
    device.touch()
    os.truncate(device, DISK_BYTES)
    run("mkfs.ext4", "-q", str(device))
    run("mount", "-o", "loop", str(device), str(disk))
    yield disk
    subprocess.run(["fsfreeze", "--unfreeze", str(disk)], capture_output=True, check=False)
    run("umount", "--lazy", str(disk))


def run(*command: str) -> None:
    """Run a program that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_life_of_a_server(machine: Machine) -> None:
    """It starts with the first connection, survives kills, reloads, and stops; data is kept."""
    systemd = machine.systemd
    assert systemd.show("kvstore.service", "ActiveState") == "inactive"
    assert machine.call("/v1/kv/a", "PUT", "kept") == "true"
    assert systemd.show("kvstore.service", "StatusText") == "serving on http://[::]:8500"
    for number in range(1, 4):
        systemd.kill("kvstore.service")
        assert machine.call("/v1/kv/a?raw") == "kept"
        assert machine.restarts() == number
    systemd.ctl("reload", "kvstore.service")
    assert systemd.show("kvstore.service", "ActiveState") == "active"
    systemd.ctl("restart", "kvstore.service")
    assert machine.call("/v1/kv/a?raw") == "kept"
    systemd.ctl("stop", "kvstore.service")
    assert systemd.show("kvstore.service", "Result") == "success"
    assert machine.call("/v1/kv/a?raw") == "kept"
    assert '"compacted": true' in machine.call("/v1/kvstore/compact", "PUT")
    assert (systemd.state / "private" / "kvstore" / "LOCK").exists()


def test_a_server_that_hangs(machine: Machine) -> None:
    """It is ended and started again, and who asked meanwhile is answered."""
    # A process that was only stopped goes on for a moment when it gets SIGABRT, and takes what has
    # come: one that hangs does not.
    fast = ("WatchdogSec=1", "WatchdogSignal=SIGKILL")
    machine.drop_in("kvstore.service", *fast)
    assert machine.call("/v1/kv/a", "PUT", "kept") == "true"
    machine.systemd.kill("kvstore.service", signal.SIGSTOP)
    assert machine.call("/v1/kv/a?raw") == "kept"
    assert machine.restarts() == 1


def test_a_disk_that_hangs(disk: Path, machine: Machine) -> None:
    """A server that answers reads but whose writes hang is ended too, and starts when it can."""
    fast = ("WatchdogSec=1", "TimeoutAbortSec=1", "Environment=KVSTORE_DISK_FREE_MIN=0")
    machine.drop_in("kvstore.service", *fast)
    assert machine.call("/v1/kv/a", "PUT", "kept") == "true"
    run("fsfreeze", "--freeze", str(disk))
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(machine.call, "/v1/kv/a", "PUT", "lost")
        wait_until(
            lambda: machine.systemd.show("kvstore.service", "Result") == "watchdog",
            SOON_S,
            "the watchdog has acted",
        )
        # What waits for the disk cannot be ended before.
        run("fsfreeze", "--unfreeze", str(disk))
        with pytest.raises(Mismatch, match=r"Remote end closed connection|reset"):
            writing.result()
    assert machine.call("/v1/kv/a?raw") in ("kept", "lost")
    assert machine.restarts() == 1
    assert "a write has waited for the disk since the last sign" in machine.systemd.log_tail(200)


def test_a_start_that_cannot_succeed(machine: Machine) -> None:
    """Is not tried again by itself: its exit code says so."""
    machine.drop_in("kvstore.service", "Environment=KVSTORE_SYNC=perhaps")
    machine.systemd.ctl("start", "kvstore.service", check=False)
    assert machine.systemd.show("kvstore.service", "ActiveState") == "failed"
    assert machine.systemd.show("kvstore.service", "ExecMainStatus") == "2"
    assert machine.restarts() == 0


def test_backups(machine: Machine) -> None:
    """Each run leaves one more, until there are as many as are kept; then the oldest goes."""
    machine.drop_in("kvstore-backup.service", "Environment=KEEP=2", *ENDLESS)
    assert machine.call("/v1/kv/a", "PUT", "kept") == "true"
    folder = machine.systemd.state / "private" / "kvstore-backup"
    seen: list[str] = []
    for number in range(1, 4):

        def made() -> bool:
            # Names are seconds: a second backup in one is refused.
            machine.systemd.ctl("start", "kvstore-backup.service", check=False)
            return machine.systemd.show("kvstore-backup.service", "Result") == "success"

        wait_until(made, SOON_S, f"backup {number} is made")
        names = sorted(path.name for path in folder.iterdir())
        assert len(names) == min(number, 2)
        seen.append(names[-1])
        assert names == seen[-2:]
    assert all(re.fullmatch(r"kvstore-[0-9-]{10}T[0-9]{6}Z\.snap", name) for name in seen)
    machine.systemd.ctl("start", "kvstore-backup.timer")
    assert machine.systemd.show("kvstore-backup.timer", "NextElapseUSecRealtime")


def test_tls_by_a_second_socket(machine: Machine) -> None:
    """Its name says that it speaks TLS; files that only root may read get there as credentials."""
    files = machine.systemd.state / "files"
    files.mkdir(mode=0o700)
    Authority(files).issue("server", "127.0.0.1")
    machine.drop_in(
        "kvstore.service",
        "LoadCredential=server.pem:/var/lib/files/server.pem",
        "LoadCredential=server-key.pem:/var/lib/files/server-key.pem",
        "Environment=KVSTORE_TLS_CERT_FILE=%d/server.pem KVSTORE_TLS_KEY_FILE=%d/server-key.pem",
    )
    machine.systemd.ctl("start", "kvstore-tls.socket")
    url = "https://127.0.0.1:8501/v1/kv/a"
    ask = (PYTHON, "-c", ASK, url, "PUT", "kept", "/var/lib/files/ca.pem")
    assert machine.systemd.run(*ask) == "true"
    assert machine.call("/v1/kv/a?raw") == "kept"

"""Real servers on real file systems that fill up, turn read-only or fail, and what is left of them.

Needs root for its mounts. Without it the tests that mount are skipped, unless KVSTORE_REQUIRE_LAB=1
says that they must run.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from promised import lacking
from running import WITHIN_S, Launch, Process

pytestmark = [pytest.mark.slow]

KIB = 1024
VALUE = bytes(range(256)) * 200  # 50 KiB

# From Linux, include/uapi/linux/ext4.h: all I/O fails with EIO from now on, nothing is flushed.
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_FLUSH = 2


class Mount:
    """One mounted file system."""

    def __init__(self, folder: Path, *what: str) -> None:
        self.folder = folder
        self._what = what
        folder.mkdir(exist_ok=True)
        self.mount()

    def mount(self) -> None:
        """Mount it, also again."""
        _run("mount", *self._what, str(self.folder))

    def remount(self, options: str) -> None:
        """Change it while it is in use."""
        _run("mount", "-o", f"remount,{options}", str(self.folder))

    def unmount(self) -> None:
        """Take it away, whoever still uses it."""
        _run("umount", "--lazy", str(self.folder))

    def fail(self) -> None:
        """Let all further calls fail, as when the device is pulled out (ext4 only)."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(fd)

    def free_bytes(self) -> int:
        """Return what is left on it."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def why_not() -> str | None:
    """Say why nothing can be mounted here; None when it can."""
    if os.geteuid() != 0:
        return "file systems that fail need root"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "file systems that fail need the right to mount"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Callable[..., Mount]]:
    """Give a function that mounts a file system on a folder; all are gone at the end."""
    reason = why_not()
    if reason is not None:
        lacking(reason)
    with ExitStack() as stack:

        def mount(*what: str) -> Mount:
            one = Mount(tmp_path / "disk", *what)
            stack.callback(one.unmount)
            return one

        yield mount


@pytest.fixture
def on_disk(mounts: Callable[..., Mount], launch: Launch) -> Launch:
    """Give `launch` for servers whose data is on what was mounted; they end before it goes."""
    return lambda *flags: launch("--data-dir", "disk/data", *flags)


@pytest.fixture
def small(mounts: Callable[..., Mount]) -> Mount:
    """Give a file system of 2 MiB."""
    return mounts("-t", "tmpfs", "-o", "size=2m", "none")


@pytest.fixture
def ext4(mounts: Callable[..., Mount], tmp_path: Path) -> Mount:
    """Give an ext4 of 16 MiB, on a file."""
    image = tmp_path / "ext4.image"
    with image.open("wb") as file:
        file.truncate(16 * KIB * KIB)
    _run("mkfs.ext4", "-q", "-F", str(image))
    return mounts("-t", "ext4", "-o", "loop", str(image))


def fill(process: Process, status: int) -> list[str]:
    """Write keys until a write gets this status; return those that were acknowledged."""
    taken: list[str] = []
    for number in range(200):
        answer = process.call("PUT", f"/v1/kv/k{number:03}", VALUE)
        if answer.status == status:
            return taken
        assert (answer.status, answer.body) == (200, b"true")
        taken.append(f"k{number:03}")
    raise AssertionError(f"{len(taken)} values were taken, and none was refused")


def keys(process: Process) -> list[str]:
    """Return all keys; each must have its whole value."""
    answer = process.call("GET", "/v1/kv/?keys")
    if answer.status == 404:
        return []
    for key in answer.json:
        assert process.call("GET", f"/v1/kv/{key}?raw").body == VALUE
    return list(answer.json)


def gauges(process: Process) -> dict[str, float]:
    """Return the figures of a server by their names."""
    metrics = process.call("GET", "/v1/agent/metrics").json
    figures = {one["Name"]: one["Value"] for one in metrics["Gauges"]}
    return figures | {one["Name"]: one["Sum"] for one in metrics["Counters"]}


def ended(process: Process, code: int, number: int = signal.SIGTERM) -> str:
    """Stop a server, see that it ends with this code, and return its last line."""
    process.terminate(number)
    assert process.wait() == code, process.printed
    assert "Traceback" not in process.printed
    return process.printed.splitlines()[-1]


def test_a_disk_that_is_full(on_disk: Launch, small: Mount) -> None:
    """Without a reserve: writes fail with the reason, reads go on, nothing acknowledged is lost."""
    process = on_disk("--disk-free-min", "0").wait_until_ready()
    taken = fill(process, 500)
    assert len(taken) > 30
    for body in (VALUE, b"v"):  # also what would fit: the first failure is final
        answer = process.call("PUT", "/v1/kv/more", body)
        assert answer.status == 500
        assert answer.body == (
            b"the journal cannot be written: disk/data/00000000000000000001.journal: "
            b"No space left on device"
        )
    assert process.call("DELETE", f"/v1/kv/{taken[0]}").status == 500
    assert keys(process) == taken
    assert gauges(process)["kvstore.journal_failed"] == 1
    assert ended(process, 8) == (
        "kvstore: the journal cannot be written: disk/data/00000000000000000001.journal: "
        "No space left on device. Free some space on its disk (or raise the quota), "
        "then start again."
    )

    small.remount("size=8m")
    again = on_disk("--disk-free-min", "0").wait_until_ready()
    assert keys(again) == taken
    assert again.call("PUT", "/v1/kv/more", VALUE).body == b"true"
    ended(again, 0)


def test_a_disk_that_is_full_at_the_start(on_disk: Launch, small: Mount) -> None:
    """A new store that cannot be written says so and ends; with space it starts."""
    with (small.folder / "filler").open("wb") as filler:
        filler.truncate(0)
        os.posix_fallocate(filler.fileno(), 0, small.free_bytes())
    process = on_disk()
    assert process.wait() in (4, 8), process.printed
    assert process.printed.splitlines()[-1].startswith("kvstore: ")
    assert "No space left on device" in process.printed
    assert "Traceback" not in process.printed
    (small.folder / "filler").unlink()
    on_disk().wait_until_ready()


def test_a_reserve_is_kept(on_disk: Launch, small: Mount) -> None:
    """Writes that add are refused before the disk is full; deletes and a compaction make room."""
    process = on_disk("--disk-free-min", "1MiB").wait_until_ready()
    taken = fill(process, 507)
    assert len(taken) > 10
    assert small.free_bytes() > 900 * KIB
    answer = process.call("PUT", "/v1/kv/more", b"v")
    assert answer.status == 507
    assert answer.body.startswith(b"no room for more data: the disk has ")
    assert answer.body.endswith(b" left, at least 1.0 MiB must stay free")
    assert process.call("PUT", "/v1/session/create", b"{}").status == 507
    assert gauges(process)["kvstore.full"] == 1
    assert keys(process) == taken

    kept = taken[-3:]
    for key in taken[:-3]:
        assert process.call("DELETE", f"/v1/kv/{key}").body == b"true"
    assert compacted(process)
    assert gauges(process)["kvstore.full"] == 0
    assert process.call("PUT", "/v1/kv/more", VALUE).body == b"true"
    assert keys(process) == [*kept, "more"]
    ended(process, 0)
    assert keys(on_disk("--disk-free-min", "1MiB").wait_until_ready()) == [*kept, "more"]


def compacted(process: Process) -> bool:
    """Have a server compact what is there now; one that is under way began before, and may fail."""
    process.call("PUT", "/v1/kvstore/compact")
    return process.call("PUT", "/v1/kvstore/compact").status == 200


def overwrite_until_compacted(process: Process) -> int:
    """Replace one value until that made it full and then not full; return how often it was."""
    statuses: list[int] = []
    while not statuses or statuses[-1] != 200 or 507 not in statuses:
        statuses.append(process.call("PUT", "/v1/kv/a", VALUE).status)
        assert statuses[-1] in (200, 507)
        assert statuses.count(200) < 200
    return statuses.count(200)


def test_a_reserve_is_kept_by_compacting(on_disk: Launch, small: Mount) -> None:
    """Values that were replaced need no room: a compaction begins by itself, writes go on."""
    process = on_disk("--disk-free-min", "1MiB").wait_until_ready()
    for _ in range(2):
        overwrite_until_compacted(process)
        assert small.free_bytes() > 500 * KIB
    assert gauges(process)["kvstore.compactions"] >= 2
    ended(process, 0)
    assert keys(on_disk("--disk-free-min", "1MiB").wait_until_ready()) == ["a"]


def test_a_folder_has_a_limit(launch: Launch) -> None:
    """The same of the folder's own size, wherever it is."""
    flags = ("--data-dir", "data", "--data-max-size", "1MiB", "--disk-free-min", "0")
    process = launch(*flags).wait_until_ready()
    taken = fill(process, 507)
    assert 15 < len(taken) < 25
    answer = process.call("PUT", "/v1/kv/more", b"v")
    assert answer.status == 507
    assert answer.body.startswith(b"no room for more data: the data folder holds 1.")
    assert answer.body.endswith(b" MiB, its limit is 1.0 MiB")
    assert process.call("DELETE", "/v1/kv/?recurse").body == b"true"
    assert compacted(process)
    assert process.call("PUT", "/v1/kv/more", VALUE).body == b"true"
    assert overwrite_until_compacted(process) > 10
    ended(process, 0)
    assert keys(launch(*flags).wait_until_ready()) == ["a", "more"]


def test_a_disk_that_turns_read_only(on_disk: Launch, ext4: Mount) -> None:
    """As ext4 does after an error: the code is 9, and a restart has what was acknowledged."""
    process = on_disk("--disk-free-min", "0").wait_until_ready()
    for key in ("a", "b"):
        assert process.call("PUT", f"/v1/kv/{key}", VALUE).body == b"true"
    ext4.remount("abort")
    answer = process.call("PUT", "/v1/kv/c", VALUE)
    assert answer.status == 500
    assert answer.body.endswith(b".journal: Read-only file system")
    assert keys(process) == ["a", "b"]
    assert process.call("PUT", "/v1/kvstore/compact").status == 500
    assert ended(process, 9).endswith(
        ": Read-only file system. Its disk is read-only, often after an error: see `dmesg`, "
        "then start again."
    )
    still = on_disk("--disk-free-min", "0")
    assert still.wait() in (4, 9), still.printed
    assert "Read-only file system" in still.printed
    assert "Traceback" not in still.printed

    ext4.unmount()
    ext4.mount()
    again = on_disk("--disk-free-min", "0").wait_until_ready()
    assert [key for key in keys(again) if key != "c"] == ["a", "b"]
    assert again.call("PUT", "/v1/kv/d", VALUE).body == b"true"


def test_a_disk_that_fails(on_disk: Launch, ext4: Mount) -> None:
    """Every call gets EIO from one moment on: the code is 7, and what was synced is there."""
    process = on_disk("--disk-free-min", "0").wait_until_ready()
    for key in ("a", "b"):
        assert process.call("PUT", f"/v1/kv/{key}", VALUE).body == b"true"
    ext4.fail()
    answer = process.call("PUT", "/v1/kv/c", VALUE)
    assert answer.status == 500
    assert answer.body.endswith(b".journal: Input/output error")
    assert keys(process) == ["a", "b"]
    assert ended(process, 7).endswith(
        ": Input/output error. Check the disk (`dmesg`), then start again."
    )

    ext4.unmount()
    ext4.mount()
    again = on_disk("--disk-free-min", "0").wait_until_ready()
    assert keys(again) == ["a", "b"]


def test_compaction_under_writes(launch: Launch, tmp_path: Path) -> None:
    """It happens by itself, again and again; figures show it, a restart has everything."""
    flags = ("--data-dir", "data", "--compact-min-size", "64KiB", "--history", "0")
    process = launch(*flags).wait_until_ready()
    written = {}
    while gauges(process)["kvstore.compactions"] < 3:
        number = len(written)
        written[f"k{number}"] = b"%d" % number * 1000
        assert process.call("PUT", f"/v1/kv/k{number}", written[f"k{number}"]).body == b"true"
    figures = gauges(process)
    assert figures["kvstore.compaction_failures"] == 0
    assert figures["kvstore.keys"] == len(written)
    assert 0 < figures["kvstore.snapshot_index"] <= figures["kvstore.index"]
    assert figures["kvstore.snapshot_bytes"] > 0
    ended(process, 0)
    assert len(list((tmp_path / "data").glob("*.snapshot"))) == 1
    again = launch(*flags).wait_until_ready()
    assert gauges(again)["kvstore.keys"] == len(written)
    for key, value in written.items():
        assert again.call("GET", f"/v1/kv/{key}?raw").body == value


def test_kill_9_during_a_compaction(launch: Launch, tmp_path: Path) -> None:
    """At several moments of one: nothing acknowledged is lost, nothing unfinished is left."""
    data = tmp_path / "data"
    signs: list[Callable[[], bool]] = [
        lambda: True,
        lambda: len(list(data.glob("*.journal"))) > 1,
        lambda: bool(list(data.glob("*.unfinished"))),
        lambda: bool(list(data.glob("*.snapshot"))),
    ]
    taken: list[str] = []
    for round_, sign in enumerate(signs):
        process = launch("--data-dir", "data", "--history", "0").wait_until_ready()
        assert keys(process) == taken
        assert not list(data.glob("*.unfinished"))
        for number in range(10):
            key = f"k{round_}{number}"
            assert process.call("PUT", f"/v1/kv/{key}", VALUE).body == b"true"
            taken.append(key)
        kill_when(process, sign)
    assert keys(launch("--data-dir", "data").wait_until_ready()) == taken


def kill_when(process: Process, sign: Callable[[], bool]) -> None:
    """Ask for a compaction and kill the server, and not its worker, when the sign is there."""
    request = b"PUT /v1/kvstore/compact HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", process.port), timeout=WITHIN_S) as asking:
        asking.sendall(request)
        while not sign() and not select.select([asking], [], [], 0)[0]:
            pass
        process.terminate(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

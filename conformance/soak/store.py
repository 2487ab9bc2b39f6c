"""The store under load: one that the soak starts on an empty folder, or one that runs already.

Knows nothing of engines.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.consul import one_server
from conformance.overlay.daemon import log_tail
from conformance.overlay.errors import LabUnavailable, Mismatch
from conformance.overlay.kv import Kv
from conformance.overlay.packages import CONSUL, unpacked
from conformance.overlay.waiting import wait_until
from conformance.soak.errors import SoakRefused

_HOST = "127.0.0.1"
_CONNECT_S = 5.0
# Consul has a leader after two seconds; a busy machine takes longer.
_READY_S = 60.0
_STOP_S = 20.0
_ROOT = Path(__file__).resolve().parents[2]

# The shortest session TTL: as fleets that live faster than real ones need it, and Consul's own.
_OWN_TTL_MIN_S = 1.0
_FOREIGN_TTL_MIN_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningStore:
    """A store that answers at `url`, and the process that it is."""

    name: str
    url: str
    pid: int
    ttl_min_s: float
    # Where it logs; None for a store that somebody else runs.
    log: Path | None = None

    def log_tail(self) -> str:
        """Return the last lines that it logged, as far as we know."""
        return log_tail(self.log, 5) if self.log else ""


@contextmanager
def own_store(wanted: str, folder: Path, connections: int) -> Iterator[RunningStore]:
    """Run `kvstore`, `consul` or a program of either kind on an empty folder, until the end.

    `connections` is how many it must allow. Raises SoakRefused when it does not start.
    """
    data, log = folder / "data", folder / "log"
    ports = _free_ports(3)
    command = _command(wanted, folder, data, ports, connections)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KVSTORE_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
            env=inherited,
            start_new_session=True,  # Ctrl-C reaches the soak only; the soak ends its store
        )
    try:
        _wait_ready(process, ports[0], log)
        url = f"http://{_HOST}:{ports[0]}"
        yield RunningStore(wanted, url, process.pid, _OWN_TTL_MIN_S, log)
    finally:
        _end(process)


def foreign_store(host: str, port: int, pid: int) -> RunningStore:
    """Return a store that somebody else runs. Raises SoakRefused when it does not answer."""
    if not _kv(host, port).ready():
        raise SoakRefused(f"no store answers at {host}:{port}: start it, or give another --url.")
    url = f"http://{host}:{port}"
    return RunningStore(url, url, pid, _FOREIGN_TTL_MIN_S)


def remove_keys(store_host: str, store_port: int, prefix: str) -> None:
    """Delete all that the soak wrote below its prefix."""
    _kv(store_host, store_port).delete_tree(prefix)


def _command(
    wanted: str, folder: Path, data: Path, ports: list[int], connections: int
) -> list[str]:
    if wanted == "kvstore":
        return _kvstore_command([sys.executable, "-m", "kvstore"], data, ports[0])
    if wanted == "consul":
        try:
            consul = unpacked(CONSUL, lambda _: None) / "usr/bin/consul"
        except LabUnavailable as reason:
            raise SoakRefused(f"there is no Consul here: {reason}") from reason
        return _consul_command(consul, folder, ports, connections)
    program = Path(wanted).resolve()
    if program.name.startswith("consul"):
        return _consul_command(program, folder, ports, connections)
    return _kvstore_command([str(program)], data, ports[0])


def _kvstore_command(program: list[str], data: Path, port: int) -> list[str]:
    bind = ["--host", _HOST, "--port", str(port), "--data-dir", str(data)]
    return [*program, "serve", *bind, "--session-ttl-min", f"{_OWN_TTL_MIN_S:g}s"]


def _consul_command(program: Path, folder: Path, ports: list[int], connections: int) -> list[str]:
    """Return the start of one server that allows that many connections."""
    limits = {"http_max_conns_per_client": connections}
    return one_server(program, folder, ports, limits=limits, session_ttl_min=f"{_OWN_TTL_MIN_S:g}s")


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    kv = _kv(_HOST, port)
    try:
        wait_until(lambda: process.poll() is not None or kv.ready(), _READY_S, "the store answers")
    except Mismatch as late:
        raise SoakRefused(f"the store did not start: {late}; it logged: {_tail(log)}") from late
    if process.poll() is not None:
        raise SoakRefused(f"the store ended at once; it logged: {_tail(log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _kv(host: str, port: int) -> Kv:
    return Kv(lambda: socket.create_connection((host, port), timeout=_CONNECT_S))


def _tail(log: Path) -> str:
    return log_tail(log, 3) or "nothing"


def _free_ports(count: int) -> list[int]:
    """Return that many loopback ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]

"""The stores that are compared: what each is called, how it is started, how it is asked.

Every one keeps its defaults, which are durable: a write is on the disk before it is acknowledged.
"""

import resource
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks import programs
from benchmarks.dialect import CONSUL, ETCD, Dialect
from conformance.consul import one_server
from conformance.overlay.packages import Say

__all__ = ["NAMES", "PORTS", "Consul", "Etcd", "Ours", "Store", "find"]

HOST = "127.0.0.1"
# What a store may need beside the port it is asked at.
PORTS = 3
_FILES_KEPT = 64


class Store(ABC):
    """One make of store."""

    name: str
    # With its version, for reports.
    title: str
    dialect: Dialect

    @abstractmethod
    def command(self, folder: Path, ports: list[int]) -> list[str]:
        """Return how to start one on a folder; it answers at the first port."""


class Ours(Store):
    """This server, as `kvstore serve` starts it."""

    name = "ours"
    dialect = CONSUL

    def __init__(self) -> None:
        self._python = Path(sys.executable)
        kvstore = programs.version(self._python, "-m", "kvstore", "--version")
        self.title = f"kvstore {kvstore.rpartition(' ')[2]}"

    def command(self, folder: Path, ports: list[int]) -> list[str]:
        """Return the command line with its defaults."""
        return [
            *(str(self._python), "-m", "kvstore", "serve", "--host", HOST),
            *("--port", str(ports[0]), "--data-dir", str(folder / "data")),
        ]


class Consul(Store):
    """One server that elects itself; its limit of connections of one client is raised."""

    name = "consul"
    dialect = CONSUL

    def __init__(self, program: Path) -> None:
        self._program = program
        self.title = programs.version(program, "version")

    def command(self, folder: Path, ports: list[int]) -> list[str]:
        """Write its configuration and return the command line."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = {"http_max_conns_per_client": files - _FILES_KEPT}
        return one_server(self._program, folder, ports, node_name="n1", limits=limits)


class Etcd(Store):
    """One member that elects itself, asked through its JSON gateway."""

    name = "etcd"
    dialect = ETCD

    def __init__(self, program: Path) -> None:
        self._program = program
        self.title = f"{programs.version(program, '--version')} (JSON gateway)"

    def command(self, folder: Path, ports: list[int]) -> list[str]:
        """Return the command line; its space is raised to hold a million entries."""
        client, peer = f"http://{HOST}:{ports[0]}", f"http://{HOST}:{ports[1]}"
        return [
            *(str(self._program), "--name=n1", f"--data-dir={folder / 'data'}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            *(f"--initial-cluster=n1={peer}", "--quota-backend-bytes=8589934592"),
            *("--logger=zap", "--log-level=error"),
        ]


NAMES = (Ours.name, Consul.name, Etcd.name)


def find(name: str, say: Say) -> Store:
    """Return a store by its name, getting its program if need be. Raises StoreMissing."""
    if name == Consul.name:
        return Consul(programs.consul(say))
    if name == Etcd.name:
        return Etcd(programs.etcd(say))
    return Ours()

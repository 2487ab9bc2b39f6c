"""The two stores under test, each a process of its own on random loopback ports.

A `Store` speaks to one of them; what it offers is only what many tests need.
"""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from conformance.overlay.packages import CONSUL, cache_folder

from .wire import (
    ANSWER_WITHIN_S,
    Answer,
    Connection,
    ConnectionEnded,
    Headers,
    NotAnswered,
    encode_request,
)

START_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0

PARKED_S = 0.15
"""A query that has said nothing for this long is waiting; an answer takes a millisecond or two."""

CONSUL_NODE = "n1"


class Store:
    """One running store: its name ("consul" or "kvstore"), its port, its process."""

    def __init__(self, name: str, folder: Path, *, session_ttl_min: str = "10s") -> None:
        self.name = name
        self.folder = folder
        self.session_ttl_min = session_ttl_min
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    # --- its life ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start it on its folder, and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start its process, on ports that were free a moment ago."""
        self.port, *others = free_ports(3)
        command = consul_command(self, others) if self.name == "consul" else self._kvstore()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=clean)

    def wait_until_ready(self) -> None:
        """Wait until it answers reads and knows its node; try again once, on other ports."""
        if not self._becomes_ready():
            self.kill()
            self.launch()
            if not self._becomes_ready():
                log = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start:\n{log}")

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

    def _kvstore(self) -> list[str]:
        data = str(self.folder / "data")
        return [
            *(sys.executable, "-m", "kvstore", "serve"),
            *("--port", str(self.port), "--data-dir", data),
            *("--session-ttl-min", self.session_ttl_min),
        ]

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

    # --- talking to it ----------------------------------------------------------------------

    def connect(self) -> Connection:
        """Open a new connection."""
        return Connection(self.port)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: Headers = (),
        chunked: bool = False,
    ) -> Answer:
        """Send one request on a connection of its own and read the answer."""
        with self.connect() as connection:
            request = encode_request(method, target, body, headers=headers, chunked=chunked)
            connection.send(request)
            return connection.read(method)

    def get(self, key: str) -> Answer:
        """GET the key; `key` may carry a query."""
        return self.ask("GET", f"/v1/kv/{key}")

    def put(self, key: str, value: bytes = b"") -> Answer:
        """PUT the value; `key` may carry a query."""
        return self.ask("PUT", f"/v1/kv/{key}", value)

    def delete(self, key: str) -> Answer:
        """DELETE the key; `key` may carry a query."""
        return self.ask("DELETE", f"/v1/kv/{key}")

    def write(self, key: str, value: bytes = b"") -> int:
        """PUT, which must succeed, and return the key's ModifyIndex."""
        answer = self.put(key, value)
        assert (answer.status, answer.body) == (200, b"true"), answer
        return self.modify_index(key.partition("?")[0])

    def entry(self, key: str) -> dict[str, Any]:
        """Return the one entry of an existing key."""
        answer = self.get(key)
        assert answer.status == 200, answer
        (entry,) = answer.json
        return dict(entry)

    def modify_index(self, key: str) -> int:
        """Return the ModifyIndex of an existing key."""
        return int(self.entry(key)["ModifyIndex"])

    def kvs_index(self) -> int:
        """Return the index of the last change of any key: what a missing key answers with."""
        return self.get("no/such/key").index

    def sessions_index(self) -> int:
        """Return the index of the last change of the session table."""
        return self.ask("GET", "/v1/session/list").index

    def session(self, **members: Any) -> str:
        """Create a session, without lock-delay unless asked, and return its id."""
        body = json.dumps({"LockDelay": 0, **members}).encode()
        answer = self.ask("PUT", "/v1/session/create", body)
        assert answer.status == 200, answer
        return str(answer.json["ID"])

    def destroy(self, session: str) -> None:
        """Destroy the session."""
        answer = self.ask("PUT", f"/v1/session/destroy/{session}")
        assert (answer.status, answer.body) == (200, b"true"), answer

    def park(self, target: str) -> "Parked":
        """Start a blocking GET of `target` and prove that it waits."""
        parked = self.call_blocking(target)
        assert parked.waits(), f"{target} was answered at once: {parked.answer()}"
        return parked

    def call_blocking(self, target: str) -> "Parked":
        """Start a GET of `target`, whether it will wait or not."""
        return Parked(self.connect(), target)


class Parked:
    """A GET that has been sent and may wait for its answer; closes its connection at the end."""

    def __init__(self, connection: Connection, target: str) -> None:
        self._connection = connection
        self.took_s = 0.0
        """Seconds from sending to the whole answer; 0 until it came."""
        self._sent_at = time.monotonic()
        connection.send(encode_request("GET", target))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up waiting."""
        self._connection.close()

    def waits(self, seconds: float = PARKED_S) -> bool:
        """Return whether nothing was answered for that long."""
        return self._connection.silent_for(seconds)

    def answer(self, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Read the answer."""
        answer = self._connection.read(within_s=within_s)
        self.took_s = time.monotonic() - self._sent_at
        return answer

    def ends(self) -> bool:
        """Return whether the store answers or closes the connection: anything but silence."""
        return not self._connection.silent_for(ANSWER_WITHIN_S)


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


def consul_command(store: Store, ports: list[int]) -> list[str]:
    """Write Consul's configuration and return its command line.

    One server, as in production but for raft_multiplier 1: it has a leader in 2 s, not 6.
    Not `-dev`, which prints all JSON with spaces (H26).
    """
    server_port, serf_port = ports
    settings = {
        "node_name": CONSUL_NODE,
        "server": True,
        "bootstrap": True,
        "data_dir": str(store.folder / "data"),
        "bind_addr": "127.0.0.1",
        "client_addr": "127.0.0.1",
        "ports": {
            "http": store.port,
            "server": server_port,
            "serf_lan": serf_port,
            "serf_wan": -1,
            "dns": -1,
            "grpc": -1,
        },
        "performance": {"raft_multiplier": 1},
        "session_ttl_min": store.session_ttl_min,
        "disable_update_check": True,
    }
    path = store.folder / "consul.json"
    path.write_text(json.dumps(settings))
    return [str(consul_binary()), "agent", f"-config-file={path}"]

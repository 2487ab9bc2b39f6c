"""How a real Consul is started beside the store under test: one server, alone, on loopback.

For the soak, the benchmark and the tests; the lab starts its own, in a network of its own.
"""

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["HOST", "one_server"]

HOST = "127.0.0.1"


def one_server(program: Path, folder: Path, ports: Sequence[int], **more: object) -> list[str]:
    """Write the configuration of a server that elects itself, and return how to start it.

    It answers HTTP at the first of three free ports, needs the others for itself, and keeps its
    data in `folder`/data. `more` are further settings by their names. As in production, but that
    it has a leader in two seconds and not in six (`raft_multiplier` 1, which Consul's documents
    advise); not `-dev`, which prints all JSON with spaces (H26).
    """
    http, server, serf = ports
    settings = {
        "server": True,
        "bootstrap": True,
        "data_dir": str(folder / "data"),
        "bind_addr": HOST,
        "client_addr": HOST,
        "ports": {
            "http": http,
            "server": server,
            "serf_lan": serf,
            "serf_wan": -1,
            "dns": -1,
            "grpc": -1,
        },
        "performance": {"raft_multiplier": 1},
        "disable_update_check": True,
        **more,
    }
    path = folder / "consul.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return [str(program), "agent", f"-config-file={path}"]

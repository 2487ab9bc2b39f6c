"""`consul` of npm, a client library for Node.js, on our server and on a real Consul."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from contract.stores import Store
from promised import lacking

from conformance.overlay.npm import client_package

SCRIPT = Path(__file__).parent / "node_client.js"
WITHIN_S = 60.0


@pytest.fixture
def node() -> str:
    """Give the program that runs the client; skips without it or the package, but not in CI."""
    program = shutil.which("node")
    if program is None or not client_package().is_dir():
        lacking(f"no Node.js, or no package {client_package()}: run `python -m conformance setup`")
    return program


def test_every_step(node: str, store: Store, prefix: str) -> None:
    """Keys, locks, watches, and what a client asks of an agent; the same on both."""
    arguments = [node, SCRIPT, client_package(), str(store.port), prefix]
    if store.name == "kvstore":
        arguments.append("ours")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    if store.name == "kvstore":
        refused = results.pop("register")
        assert refused.startswith("501: kvstore has no service discovery")
    assert results == {
        "set": True,
        "get": "v1",
        "keys": [f"{prefix}a"],
        "cas": False,
        "missing": True,
        "lock": [True, True, False],
        "watch": [None, "one", None],
        "txn": "djE=",
        "leader": True,
        "self": "dc1",
        "members": [1],
        "services": {},
        "checks": {},
        "datacenters": ["dc1"],
        "nodes": 1,
        "catalog": {"consul": []},
        "health": ["serfHealth"],
        "event": "v1",
        "pass": '500: CheckID "none" does not have associated TTL',
        "acl": "401: ACL support disabled",
    }

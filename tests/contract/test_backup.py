"""`kvstore backup` and `kvstore restore` with a real Consul on the other side."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import Spares, require_consul
from .stores import Store


def kvstore(*words: str | Path) -> str:
    """Run a command, which must succeed, and return what it prints."""
    command = [sys.executable, "-m", "kvstore", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def take(spares: Spares) -> Iterator[Callable[[str], Store]]:
    """Give a function that returns a new store of a kind; it is killed at the end."""
    with ExitStack() as stack:

        def take_one(name: str) -> Store:
            store = spares.take(name)
            stack.callback(store.kill)
            return store

        yield take_one


@pytest.mark.oracle
@pytest.mark.parametrize("source", ["consul", "kvstore"])
@pytest.mark.parametrize("target", ["consul", "kvstore"])
def test_a_backup_of_either_restored_on_either(
    take: Callable[[str], Store], tmp_path: Path, source: str, target: str
) -> None:
    """The same keys, values, flags and holders, whoever saved and whoever restores."""
    require_consul()
    one, other = take(source), take(target)
    one.put("docker/a?flags=42", b"\x00\xff")
    one.put("docker/b%2Fc", b"")
    other.put("gone", b"")
    path = tmp_path / "b.snap"
    said = kvstore("backup", "-o", path, "--url", f"127.0.0.1:{one.port}")
    assert ", 2 keys, " in said
    kvstore("verify", path)
    kvstore("restore", path, "--url", f"127.0.0.1:{other.port}")
    assert shown(other) == shown(one)


@pytest.mark.oracle
def test_moving_from_a_consul_to_a_folder(take: Callable[[str], Store], tmp_path: Path) -> None:
    """A new folder has what the Consul had, with its indexes."""
    require_consul()
    consul = take("consul")
    consul.put("docker/a?flags=42", b"v")
    path, folder = tmp_path / "b.snap", tmp_path / "store" / "data"
    kvstore("backup", "-o", path, "--url", f"127.0.0.1:{consul.port}")
    assert "Left out" in kvstore("restore", path, "--data-dir", folder)
    store = Store("kvstore", folder.parent)
    try:
        store.start()
        assert store.get("docker/a").json == consul.get("docker/a").json
    finally:
        store.kill()


def shown(store: Store) -> list[tuple[str, str, int]]:
    """Return what a store has under docker/, and that there is nothing else."""
    found = store.get("?recurse").json
    return [(one["Key"], one["Value"], one["Flags"]) for one in found]

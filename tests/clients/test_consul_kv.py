"""`consul kv`, `consul lock` and `consul snapshot`, on our server and on a real Consul."""

import base64
import json
import re
from pathlib import Path

import pytest

from .command import Command

pytestmark = pytest.mark.oracle


def test_put_and_get(cli: Command, prefix: str) -> None:
    """A value, from the command line or standard input, comes back as it was."""
    key = f"{prefix}a b/é"
    assert cli.ok("kv", "put", key, "one") == f"Success! Data written to: {key}\n"
    assert cli.ok("kv", "get", key) == "one\n"
    cli.ok("kv", "put", key, "-", stdin="two\nlines")
    assert cli.ok("kv", "get", key) == "two\nlines\n"
    encoded = cli.ok("kv", "get", "-base64", key)
    assert base64.b64decode(encoded) == b"two\nlines"


def test_what_is_not_there(cli: Command, prefix: str) -> None:
    """A missing key is an error of the command, and deleting one is not."""
    outcome = cli("kv", "get", f"{prefix}none")
    assert (outcome.code, outcome.said) == (1, f"Error! No key exists at: {prefix}none\n")
    assert cli.ok("kv", "delete", f"{prefix}none").startswith("Success!")
    assert cli.ok("kv", "get", "-keys", f"{prefix}none") == ""
    assert cli.ok("kv", "get", "-recurse", f"{prefix}none") == ""


def test_details(cli: Command, prefix: str) -> None:
    """Flags, indexes and the holder of a lock."""
    cli.ok("kv", "put", "-flags=42", f"{prefix}a", "v")
    shown = cli.ok("kv", "get", "-detailed", f"{prefix}a")
    assert re.search(r"^Flags +42$", shown, re.MULTILINE)
    assert re.search(r"^Session +-$", shown, re.MULTILINE)
    assert re.search(r"^LockIndex +0$", shown, re.MULTILINE)


def test_check_and_set(cli: Command, prefix: str) -> None:
    """A write with an old index fails, and so does a deletion."""
    key = f"{prefix}a"
    cli.ok("kv", "put", key, "one")
    refused = cli("kv", "put", "-cas", "-modify-index=1", key, "two")
    assert (refused.code, "CAS failed" in refused.said) == (1, True)
    shown = cli.ok("kv", "get", "-detailed", key)
    (index,) = re.findall(r"^ModifyIndex +(\d+)$", shown, re.MULTILINE)
    assert cli("kv", "delete", "-cas", "-modify-index=1", key).code == 1
    cli.ok("kv", "put", "-cas", f"-modify-index={index}", key, "two")
    assert cli.ok("kv", "get", key) == "two\n"


def test_trees(cli: Command, prefix: str) -> None:
    """Names, with a separator or without, and whole trees."""
    for name in ("a", "b/c", "b/d"):
        cli.ok("kv", "put", f"{prefix}{name}", name)
    assert cli.ok("kv", "get", "-keys", prefix).split() == [f"{prefix}a", f"{prefix}b/"]
    assert cli.ok("kv", "get", "-keys", "-separator=", prefix).split() == [
        f"{prefix}a",
        f"{prefix}b/c",
        f"{prefix}b/d",
    ]
    assert cli.ok("kv", "get", "-recurse", f"{prefix}b/") == (f"{prefix}b/c:b/c\n{prefix}b/d:b/d\n")
    cli.ok("kv", "delete", "-recurse", f"{prefix}b/")
    assert cli.ok("kv", "get", "-keys", prefix).split() == [f"{prefix}a"]


def test_export_and_import(cli: Command, prefix: str) -> None:
    """What was exported is imported again, flags and empty values included."""
    cli.ok("kv", "put", "-flags=7", f"{prefix}a", "v")
    cli.ok("kv", "put", f"{prefix}empty", "")
    exported = cli.ok("kv", "export", prefix)
    assert [one["key"] for one in json.loads(exported)] == [f"{prefix}a", f"{prefix}empty"]
    cli.ok("kv", "delete", "-recurse", prefix)
    cli.ok("kv", "import", "-", stdin=exported)
    assert cli.ok("kv", "export", prefix) == exported


def test_a_lock_runs_a_command(cli: Command, prefix: str) -> None:
    """And leaves nothing behind."""
    assert cli.ok("lock", prefix, "echo $CONSUL_LOCK_HELD") == "true\n"
    assert cli.ok("kv", "get", "-keys", prefix) == ""


def test_a_lock_passes_an_exit_code_on(cli: Command, prefix: str) -> None:
    """With `-child-exit-code` a failing command fails the lock."""
    outcome = cli("lock", "-child-exit-code", prefix, "exit 7")
    assert (outcome.code, "exit status 7" in outcome.said) == (2, True)
    assert cli("lock", prefix, "exit 7").code == 0


def test_a_held_lock_is_tried_in_vain(cli: Command, prefix: str) -> None:
    """`-try` gives up; when the holder has ended the lock is free."""
    with cli.started("lock", "-pass-stdin", prefix, "echo locked; cat") as holder:
        holder.line_with("locked")
        outcome = cli("lock", "-try=1s", prefix, "echo mine")
        assert (outcome.code, "mine" in outcome.out) == (1, False)
        assert holder.end_input() == 0
    assert cli.ok("lock", prefix, "echo mine") == "mine\n"


def test_a_waiting_lock_is_taken_when_it_is_free(cli: Command, prefix: str) -> None:
    """The second waits for the first, and no longer."""
    with cli.started("lock", "-pass-stdin", prefix, "echo first; cat") as first:
        first.line_with("first")
        with cli.started("lock", "-pass-stdin", prefix, "echo second; cat") as second:
            assert first.end_input() == 0
            second.line_with("second")
            assert second.end_input() == 0


def test_a_semaphore(cli: Command, prefix: str) -> None:
    """With `-n=2` two hold it and a third does not, until one has ended."""
    with (
        cli.started("lock", "-n=2", "-pass-stdin", prefix, "echo one; cat") as one,
        cli.started("lock", "-n=2", "-pass-stdin", prefix, "echo two; cat") as two,
    ):
        one.line_with("one")
        two.line_with("two")
        assert cli("lock", "-n=2", "-try=1s", prefix, "echo three").code == 1
        assert (one.end_input(), two.end_input()) == (0, 0)
    assert cli.ok("lock", "-n=2", prefix, "echo three") == "three\n"


def test_a_snapshot_is_saved_and_inspected(cli: Command, prefix: str, tmp_path: Path) -> None:
    """The command verifies what it gets."""
    cli.ok("kv", "put", f"{prefix}a", "v")
    saved = cli.ok("snapshot", "save", str(tmp_path / "s.snap"))
    (index,) = re.findall(r"Saved and verified snapshot to index (\d+)", saved)
    inspected = cli.ok("snapshot", "inspect", str(tmp_path / "s.snap"))
    assert re.search(rf"^Index +{index}$", inspected, re.MULTILINE)


def test_a_snapshot_is_restored(our_cli: Command, prefix: str, tmp_path: Path) -> None:
    """What was changed since is undone (not on the shared Consul: it forgets its node)."""
    archive = str(tmp_path / "s.snap")
    our_cli.ok("kv", "put", f"{prefix}a", "old")
    our_cli.ok("snapshot", "save", archive)
    our_cli.ok("kv", "put", f"{prefix}a", "new")
    assert our_cli.ok("snapshot", "restore", archive) == "Restored snapshot\n"
    assert our_cli.ok("kv", "get", f"{prefix}a") == "old\n"
    Path(archive).write_bytes(b"no archive")
    refused = our_cli("snapshot", "restore", archive)
    assert (refused.code, "Error restoring snapshot" in refused.said) == (1, True)

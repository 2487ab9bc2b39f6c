"""`kvstore backup`: round trips, and what is refused; the usage of both commands."""

from pathlib import Path

import pytest
from maintenance.stories import ms_of
from maintenance.test_point import forget
from maintenance.test_restore import damage
from running import Launch

from kvstore.cli.past import shown_time
from kvstore.journal.disk import Folder
from kvstore.maintenance.restore import BUMP

from .commands import folder_of, kvstore, parsed
from .saved import CONSULS, LAST, content, content_at, entries, names, saved


def test_a_round_trip_of_a_running_server(tmp_path: Path, launch: Launch) -> None:
    """Saved, restored as a new folder and served: everything is there with its indexes."""
    process = launch("--data-dir", "d").wait_until_ready()
    made = process.call("PUT", "/v1/session/create", b'{"Name": "s"}').json["ID"]
    process.call("PUT", f"/v1/kv/lock?acquire={made}", b"me")
    process.call("PUT", "/v1/kv/a%FF?flags=7", b"\x00\xff")
    before = process.call("GET", "/v1/kv/?recurse")
    told = parsed("backup", "-o", tmp_path / "b.snap", port=process.port)
    assert (told["index"], told["keys"], told["sessions"]) == (before.index, 2, 1)
    assert told["size_bytes"] == (tmp_path / "b.snap").stat().st_size
    said = kvstore("restore", tmp_path / "b.snap", "--data-dir", tmp_path / "new").stdout
    assert f"the next write has {before.index + BUMP + 1}" in said
    again = launch("--data-dir", "new").wait_until_ready()
    assert entries(again) == before.json
    (session,) = again.call("GET", "/v1/session/list").json
    assert session["ID"] == made
    assert again.call("GET", "/v1/kv/?recurse").index > before.index
    again.call("PUT", "/v1/kv/next", b"")
    assert again.call("GET", "/v1/kv/next").json[0]["ModifyIndex"] == before.index + BUMP + 1


def test_of_a_folder_at_points(tmp_path: Path) -> None:
    """The newest store, or any that the folder still knows."""
    folder = folder_of(tmp_path / "d", 4, 10)
    path = tmp_path / "b.snap"
    assert f"index {LAST}, " in kvstore("backup", "-o", path, "--data-dir", folder).stdout
    assert content(saved(path)) == content_at(LAST)
    for point, index in (("6", 6), (shown_time(ms_of(8)), 8)):
        kvstore("backup", "-o", path, "--data-dir", folder, "--at", point, "--force")
        assert saved(path).last_index == index
        assert content(saved(path)) == content_at(index)


def test_of_a_folder_in_use(tmp_path: Path, launch: Launch) -> None:
    """A server on it is not disturbed, and what it acknowledged is there."""
    process = launch("--data-dir", "d").wait_until_ready()
    process.call("PUT", "/v1/kv/k", b"v")
    kvstore("backup", "-o", tmp_path / "b.snap", "--data-dir", tmp_path / "d")
    assert content(saved(tmp_path / "b.snap")) == [(b"k", b"v", 0, "")]


def test_a_file_that_is_there(tmp_path: Path) -> None:
    """It is kept, unless it is to be replaced."""
    folder, path = folder_of(tmp_path / "d"), tmp_path / "b.snap"
    path.write_bytes(b"precious")
    assert "--force" in kvstore("backup", "-o", path, "--data-dir", folder, code=11).stderr
    assert path.read_bytes() == b"precious"
    kvstore("backup", "-o", path, "--data-dir", folder, "--force")
    assert content(saved(path)) == content_at(LAST)
    assert names(tmp_path) == {"d", "b.snap"}


def test_nothing_is_left_of_a_backup_that_failed(tmp_path: Path) -> None:
    """No server, no store, no such point: no file."""
    folder, path = folder_of(tmp_path / "d", 10), tmp_path / "b.snap"
    forget(Folder(folder), 10)
    assert "cannot reach" in kvstore("backup", "-o", path, code=10).stderr
    kvstore("backup", "-o", path, "--data-dir", folder, "--at", 9, code=12)
    damage(max(folder.glob("*.journal")), 40)
    kvstore("backup", "-o", path, "--data-dir", folder, code=6)
    (tmp_path / "empty").mkdir()
    kvstore("backup", "-o", path, "--data-dir", tmp_path / "empty", code=4)
    kvstore("backup", "-o", tmp_path / "none" / "b", "--data-dir", folder, code=4)
    assert names(tmp_path) == {"d", "empty"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["restore"],
        ["restore", str(CONSULS)],
        ["restore", "--data-dir", "x"],
        ["restore", "--at", "3"],
        ["restore", "--at", "3", "--url", "h:1"],
        ["restore", str(CONSULS), "--at", "3", "--data-dir", "x"],
        ["restore", str(CONSULS), "--url", "h:1", "--data-dir", "x"],
        ["restore", str(CONSULS), "--url", "h:1", "--bump", "3"],
        ["restore", str(CONSULS), "--url", "ftp://h"],
        ["restore", "--at", "3", "--data-dir", "x", "--bump", "3"],
        ["restore", "--from", ".", "--url", "h:1"],
        ["restore", str(CONSULS), "--data-dir", "x", "--bump", "-1"],
        ["backup"],
        ["backup", "-o", "x", "--url", "h:1", "--data-dir", "."],
        ["backup", "-o", "x", "--at", "3"],
        ["backup", "-o", "x", "--url", "h:1/path"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    """What does not go together is refused before anything is done."""
    assert "Usage:" in kvstore(*arguments, code=2).stderr


@pytest.mark.parametrize("command", ["backup", "restore", "verify", "log", "history"])
def test_help(command: str) -> None:
    """Each shows how it is used, and its exit codes."""
    said = " ".join(kvstore(command, "--help").stdout.split())
    assert f"kvstore {command} " in said
    assert "Exit codes: 0 " in said

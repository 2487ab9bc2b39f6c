"""`kvstore backup` and `kvstore restore`: round trips, and everything that is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from maintenance.stories import STORY, image_at, ms_of
from maintenance.test_point import forget
from maintenance.test_restore import damage
from running import Launch, Process

from kvstore.cli.past import shown_time
from kvstore.journal.disk import Folder
from kvstore.maintenance.backup import read_backup
from kvstore.maintenance.rebuild import rebuild
from kvstore.maintenance.restore import BUMP
from kvstore.state.store import State

from .commands import folder_of, kvstore, parsed

LAST = len(STORY)
CONSULS = Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap"


def content(state: State) -> list[tuple[bytes, bytes, int, str]]:
    """Return what is in a store, without indexes."""
    return [(one.key, one.value, one.flags, one.session) for one in state.image().entries]


def content_at(index: int) -> list[tuple[bytes, bytes, int, str]]:
    """Return what the story has come to after a record."""
    return [(one.key, one.value, one.flags, one.session) for one in image_at(index).entries]


def saved(path: Path) -> State:
    """Return the store in a backup."""
    with path.open("rb") as file:
        return read_backup(file).state


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def entries(process: Process) -> list[dict[str, Any]]:
    """Return all entries of a server."""
    found: list[dict[str, Any]] = process.call("GET", "/v1/kv/?recurse").json
    return found


# --- backup ---------------------------------------------------------------------------------


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


# --- restore a backup -----------------------------------------------------------------------


def test_of_a_real_consul(tmp_path: Path) -> None:
    """What is no business of ours is told; the rest is there."""
    said = kvstore("restore", CONSULS, "--data-dir", tmp_path / "new").stdout
    assert "Left out" in said
    state = rebuild(Folder(tmp_path / "new"))
    assert content(state) == content(saved(CONSULS))
    assert state.last_index == saved(CONSULS).last_index + BUMP


def test_a_bump(tmp_path: Path) -> None:
    """It can be chosen, also none."""
    for bump in (0, 5):
        told = parsed("restore", CONSULS, "--data-dir", tmp_path / f"n{bump}", "--bump", bump)
        assert told["next_index"] == told["index"] + bump + 1


def test_a_folder_that_has_a_store(tmp_path: Path) -> None:
    """It is left alone."""
    folder = folder_of(tmp_path / "d")
    said = kvstore("restore", CONSULS, "--data-dir", folder, code=11).stderr
    assert "has a store" in said
    assert content(rebuild(Folder(folder))) == content_at(LAST)


def test_a_damaged_backup(tmp_path: Path) -> None:
    """Nothing is made of it."""
    copy = tmp_path / "copy.snap"
    copy.write_bytes(CONSULS.read_bytes())
    damage(copy, 200)
    kvstore("restore", copy, "--data-dir", tmp_path / "new", code=6)
    kvstore("restore", copy, "--url", "127.0.0.1:1", code=6)
    assert names(tmp_path) == {"copy.snap"}


def test_to_a_running_server(tmp_path: Path, launch: Launch) -> None:
    """Its content becomes that of the backup."""
    process = launch("--dev").wait_until_ready()
    process.call("PUT", "/v1/kv/gone", b"")
    url = f"http://127.0.0.1:{process.port}"
    told = parsed("restore", CONSULS, "--url", url)
    found = [one["Key"] for one in entries(process)]
    assert found == [key.decode("utf-8", "replace") for key, *_ in content(saved(CONSULS))]
    assert told["keys"] == len(found)
    assert "cannot reach" in kvstore("restore", CONSULS, "--url", "127.0.0.1:1", code=10).stderr


# --- undo -----------------------------------------------------------------------------------


def test_undo_and_undo_it(tmp_path: Path) -> None:
    """The sentence that it prints takes it back."""
    folder = folder_of(tmp_path / "d", 4, 10)
    said = kvstore("restore", "--at", shown_time(ms_of(6)), "--data-dir", folder).stdout
    assert f"Index {LAST + 1} made" in said
    assert f"at index 6 ({shown_time(ms_of(6))})" in said
    assert content(rebuild(Folder(folder))) == content_at(6)
    assert f"kvstore restore --at {LAST} --data-dir {folder}" in said
    told = parsed("restore", "--at", LAST, "--data-dir", folder)
    assert (told["index"], told["restored_index"]) == (LAST + 2, LAST)
    assert content(rebuild(Folder(folder))) == content_at(LAST)
    assert kvstore("verify", folder).exit_code == 0


def test_undo_on_a_running_server(tmp_path: Path, launch: Launch) -> None:
    """The folder's past is sent to the server that runs on it; alone, the folder is refused."""
    process = launch("--data-dir", "d").wait_until_ready()
    process.call("PUT", "/v1/kv/k", b"old")
    process.call("PUT", "/v1/kv/k", b"new")
    process.call("PUT", "/v1/kv/other", b"")
    folder = tmp_path / "d"
    assert "--url" in kvstore("restore", "--at", 2, "--data-dir", folder, code=5).stderr
    url = f"http://127.0.0.1:{process.port}"
    told = parsed("restore", "--at", 2, "--data-dir", folder, "--url", url)
    assert told["restored_index"] == 2
    (only,) = entries(process)
    assert (only["Key"], only["Value"], only["ModifyIndex"]) == ("k", "b2xk", 5)
    last = kvstore("log", "--data-dir", folder, "--limit", 1, "--json").stdout
    assert json.loads(last)["command"] == "restore"


def test_undo_where_there_is_nothing(tmp_path: Path) -> None:
    """No folder is made, none is changed."""
    kvstore("restore", "--at", 2, "--data-dir", tmp_path / "none", code=4)
    kvstore("restore", "--at", 2, "--data-dir", tmp_path, code=4)
    assert names(tmp_path) == set()
    folder = folder_of(tmp_path / "d")
    said = kvstore("restore", "--at", LAST + 1, "--data-dir", folder, code=12).stderr
    assert f"index {LAST + 1} is not kept in {folder}" in said
    assert rebuild(Folder(folder)).last_index == LAST


# --- a damaged folder -----------------------------------------------------------------------


def test_from_a_damaged_folder(tmp_path: Path) -> None:
    """What is left is a new folder, and it is told what was lost; the old one stays as it is."""
    folder, new = folder_of(tmp_path / "d", 4, 10), tmp_path / "new"
    newest = max(folder.glob("*.journal"))
    damage(newest, 40)
    reached = int(newest.name.partition(".")[0]) - 1
    before = newest.read_bytes()
    said = kvstore("restore", "--from", folder, "--data-dir", new).stdout
    assert f"up to index {reached}" in said
    assert f"damaged in {newest} at offset 36" in said
    assert f"What was written after index {reached} is lost." in said
    assert content(rebuild(Folder(new))) == content_at(reached)
    assert newest.read_bytes() == before
    told = parsed("restore", "--from", folder, "--data-dir", tmp_path / "at", "--at", 6)
    assert (told["index"], told["damage"]) == (6, None)
    assert content(rebuild(Folder(tmp_path / "at"))) == content_at(6)


def test_from_a_folder_without_damage(tmp_path: Path) -> None:
    """Nothing is said to be lost."""
    folder = folder_of(tmp_path / "d")
    said = kvstore("restore", "--from", folder, "--data-dir", tmp_path / "new").stdout
    assert "lost" not in said
    assert f"up to index {LAST}" in said


# --- usage ----------------------------------------------------------------------------------


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

"""`kvstore restore`: each way, and what is refused."""

import json
from pathlib import Path

from maintenance.stories import ms_of
from maintenance.test_restore import damage
from running import Launch

from kvstore.cli.past import shown_time
from kvstore.journal.disk import Folder
from kvstore.maintenance.rebuild import rebuild
from kvstore.maintenance.restore import BUMP

from .commands import folder_of, kvstore, parsed
from .saved import CONSULS, LAST, content, content_at, entries, names, saved


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

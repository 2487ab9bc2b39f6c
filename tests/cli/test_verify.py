"""`kvstore verify`: what it says, and its exit codes."""

from pathlib import Path

import pytest
from maintenance.stories import STORY, ms_of
from maintenance.test_restore import damage
from running import Launch

from kvstore.cli.past import shown_time

from .commands import folder_of, kvstore, parsed

LAST = len(STORY)
CONSULS = Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap"


def test_a_sound_folder(tmp_path: Path) -> None:
    """A line for each file, and how far it is sound."""
    folder = folder_of(tmp_path / "d", 4)
    said = kvstore("verify", folder).stdout
    for path in folder.iterdir():
        assert (path.name in said) == (path.name != "LOCK")
    assert shown_time(ms_of(1)).partition(".")[0] in said
    assert "equals the replay of the journal" in said
    assert said.endswith(f"Sound up to index {LAST}, the newest record.\n")


def test_json(tmp_path: Path) -> None:
    """All of it for programs."""
    folder = folder_of(tmp_path / "d", 4)
    told = parsed("verify", folder)
    assert (told["sound"], told["starts"], told["sound_up_to_index"]) == (True, True, LAST)
    assert {one["name"] for one in told["files"]} == {
        path.name for path in folder.iterdir() if path.name != "LOCK"
    }
    first = next(one for one in told["files"] if one["kind"] == "segment")
    assert first["first_time"] == "2023-11-14T22:13:21.000Z"
    assert first["damage"] is None


def test_damage_where_it_hurts(tmp_path: Path) -> None:
    """Where, why, up to where it is sound, and what to do."""
    folder = folder_of(tmp_path / "d", 4)
    name = f"{5:020d}.journal"
    damage(folder / name, 40)
    said = kvstore("verify", folder, code=6).stdout
    assert f"DAMAGED: {name}, offset 36: the frame's header does not match its checksum" in said
    assert "sound up to index 4" in said
    assert f"kvstore restore --from {folder} --data-dir NEW" in said
    told = parsed("verify", folder, code=6)
    assert (told["sound"], told["starts"], told["sound_up_to_index"]) == (False, False, 4)


def test_damage_in_history(tmp_path: Path) -> None:
    """A server still starts, and a backup is due."""
    folder = folder_of(tmp_path / "d", 4)
    damage(folder / f"{1:020d}.journal", 40)
    said = kvstore("verify", folder, code=6).stdout
    assert "a server starts on it" in said
    assert "kvstore backup" in said


def test_nothing_left(tmp_path: Path) -> None:
    """Only a backup helps then."""
    folder = folder_of(tmp_path / "d")
    (folder / f"{1:020d}.journal").unlink()
    assert "kvstore restore BACKUP" in kvstore("verify", folder, code=6).stdout


def test_a_torn_tail(tmp_path: Path) -> None:
    """It is told, and is no damage."""
    folder = folder_of(tmp_path / "d")
    newest = max(folder.glob("*.journal"))
    newest.write_bytes(newest.read_bytes() + b"half a frame")
    assert "12 bytes of a write that was never acknowledged" in kvstore("verify", folder).stdout


def test_no_store(tmp_path: Path) -> None:
    """An empty folder is not a sound one."""
    assert "holds no store" in kvstore("verify", tmp_path, code=4).stderr


def test_a_backup() -> None:
    """A file is read as a backup; what a restore leaves out is told."""
    said = kvstore("verify", CONSULS).stdout
    assert CONSULS.name in said
    assert "leaves out" in said
    assert parsed("verify", CONSULS)["sound"]


@pytest.mark.parametrize("offset", [0, 200, -6])
def test_a_damaged_backup(tmp_path: Path, offset: int) -> None:
    """It is told from a sound one."""
    copy = tmp_path / "copy.snap"
    copy.write_bytes(CONSULS.read_bytes())
    damage(copy, offset)
    assert "the backup is damaged" in kvstore("verify", copy, code=6).stderr
    assert parsed("verify", copy, code=6)["sound"] is False


def test_beside_a_server(tmp_path: Path, launch: Launch) -> None:
    """A folder in use is sound too."""
    process = launch("--data-dir", "d").wait_until_ready()
    for number in range(20):
        process.call("PUT", f"/v1/kv/k{number}", b"v")
    assert "Sound up to index 21" in kvstore("verify", tmp_path / "d").stdout

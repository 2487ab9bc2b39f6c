"""`kvstore compact`: on a folder without a server, and on a server that runs."""

import json
import threading
from pathlib import Path

import pytest
from running import Launch

from kvstore.journal.disk import Folder, FolderDisk
from kvstore.journal.listing import Listing
from kvstore.journal.space import format_bytes
from kvstore.maintenance.rebuild import rebuild

from .commands import folder_of, kvstore, parsed

pytestmark = pytest.mark.slow


def listing(folder: Path) -> Listing:
    """Return which files a folder has."""
    return Listing.of(Folder(folder).names())


def content(folder: Path) -> dict[bytes, bytes]:
    """Return what the store in a folder holds."""
    state = rebuild(Folder(folder))
    state.check()
    return {entry.key: entry.value for entry in state.get_tree(b"").value}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a store and no snapshot."""
    return folder_of(tmp_path / "data")


def test_a_folder(folder: Path) -> None:
    """A snapshot of all of it; what was before stays, to look back."""
    before, last_index = content(folder), rebuild(Folder(folder)).last_index
    segments = listing(folder).segments
    done = kvstore("compact", "--data-dir", folder)
    size = format_bytes((folder / f"{last_index:020d}.snapshot").stat().st_size)
    assert done.stdout == (
        f"compacted up to index {last_index}: {len(before)} keys in a snapshot of {size}\n"
    )
    assert listing(folder).snapshots == (last_index,)
    assert set(segments) <= set(listing(folder).segments)
    assert content(folder) == before


def test_a_second_time_there_is_nothing_to_do(folder: Path) -> None:
    """It says so, and the code is 0 all the same."""
    kvstore("compact", "--data-dir", folder)
    names = listing(folder)
    done = kvstore("compact", "--data-dir", folder)
    assert done.stdout == "nothing to compact: nothing was written since the last snapshot\n"
    assert listing(folder) == names


def test_without_history(folder: Path) -> None:
    """`--history 0` leaves the snapshot and the journal behind it."""
    before = content(folder)
    kvstore("compact", "--data-dir", folder, "--history", "0")
    found = listing(folder)
    assert len(found.snapshots) == 1
    assert found.segments == (found.snapshots[0] + 1,)
    assert content(folder) == before


def test_with_less_history(folder: Path) -> None:
    """`--history-max-size 0` comes to the same."""
    kvstore("compact", "--data-dir", folder, "--history-max-size", "0")
    found = listing(folder)
    assert found.segments == (found.snapshots[0] + 1,)


def test_as_json(folder: Path) -> None:
    """What was done and what was not, for programs."""
    last_index = rebuild(Folder(folder)).last_index
    done = parsed("compact", "--data-dir", folder)
    assert done == {
        "compacted": True,
        "last_index": last_index,
        "entry_count": len(content(folder)),
        "size_bytes": (folder / f"{last_index:020d}.snapshot").stat().st_size,
    }
    assert parsed("compact", "--data-dir", folder) == {"compacted": False}


def test_a_folder_in_use(folder: Path) -> None:
    """Is the server's own to compact; the code is 5."""
    disk = FolderDisk(folder)
    try:
        done = kvstore("compact", "--data-dir", folder, code=5)
    finally:
        disk.close()
    assert "is in use by process" in done.stderr
    assert listing(folder).snapshots == ()


def test_a_folder_that_holds_no_store(tmp_path: Path) -> None:
    """It is not made one; the code is 4."""
    done = kvstore("compact", "--data-dir", tmp_path, code=4)
    assert done.stderr == (
        f"kvstore: there is no store in {tmp_path}. Name the right --data-dir.\n"
    )
    assert list(tmp_path.iterdir()) == []
    kvstore("compact", "--data-dir", tmp_path / "nope", code=2)


def test_a_damaged_folder(folder: Path) -> None:
    """Nothing is changed; the code is 6."""
    segment = folder / f"{1:020d}.journal"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    done = kvstore("compact", "--data-dir", folder, code=6)
    assert f"the journal is damaged in {segment} at offset " in done.stderr
    assert segment.read_bytes() == bytes(data)
    assert listing(folder).snapshots == ()


def test_a_running_server(launch: Launch, tmp_path: Path) -> None:
    """It is asked for it, goes on, and has everything after a restart."""
    process = launch("--data-dir", "data").wait_until_ready()
    for number in range(30):
        process.call("PUT", f"/v1/kv/k{number}", b"v" * 1000)
    done = kvstore("compact", port=process.port)
    assert done.stdout.startswith("compacted up to index 31: 30 keys in a snapshot of 29.")
    assert done.stdout.endswith(" KiB\n")
    assert listing(tmp_path / "data").snapshots == (31,)
    done = kvstore("compact", "--url", f"http://127.0.0.1:{process.port}")
    assert done.stdout.startswith("nothing to compact")
    assert process.call("PUT", "/v1/kv/more", b"v").body == b"true"
    found = parsed("compact", port=process.port)
    assert (found["compacted"], found["last_index"], found["entry_count"]) == (True, 32, 31)
    process.terminate()
    assert process.wait() == 0
    assert "compacted up to index 31: 30 keys, " in process.printed
    again = launch("--data-dir", "data").wait_until_ready()
    assert len(again.call("GET", "/v1/kv/?keys").json) == 31


def test_two_who_ask_at_once(launch: Launch) -> None:
    """Share one compaction, or the second has nothing to do."""
    process = launch("--data-dir", "data").wait_until_ready()
    process.call("PUT", "/v1/kv/a", b"v")
    answers: list[dict[str, object]] = []

    def ask() -> None:
        answers.append(json.loads(process.call("PUT", "/v1/kvstore/compact").body))

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert len(answers) == 4
    done = [one for one in answers if one["compacted"]]
    assert done
    assert all(one == done[0] for one in done)
    figures = process.call("GET", "/v1/agent/metrics").json["Counters"]
    assert {one["Name"]: one["Count"] for one in figures}["kvstore.compactions"] == 1


def test_a_server_in_memory(launch: Launch) -> None:
    """Refuses, and its text is shown; the code is 10."""
    process = launch("--dev").wait_until_ready()
    done = kvstore("compact", port=process.port, code=10)
    assert "there is no journal to compact: everything is in memory (--dev)" in done.stderr


def test_no_server() -> None:
    """The code is 10, and the sentence names the flag for a folder."""
    done = kvstore("compact", code=10)
    assert done.stderr.startswith("kvstore: cannot reach http://127.0.0.1:1: Connection refused.")
    assert done.stderr.endswith(" For a folder without a server there is --data-dir.\n")


def test_an_address_that_is_none() -> None:
    """Is wrong usage."""
    done = kvstore("compact", "--url", "ftp://x", code=2)
    assert "is no server's address" in done.stderr

"""The process that makes a snapshot: what it prints, how it ends, and that it ends with us."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kvstore.journal.disk import Folder, FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.listing import segment_name, unfinished_name
from kvstore.journal.snapshot import read_snapshot
from kvstore.state.command import SetKey

pytestmark = pytest.mark.slow

WITHIN_S = 20.0
KEYS = 500


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Give a folder of one closed segment with 500 keys, and the next, empty one."""
    path = tmp_path / "data"
    journal = FileJournal(FolderDisk(path))
    journal.base()
    assert list(journal.replay()) == []
    await journal.append([SetKey(b"%d" % number, bytes(1000), 0) for number in range(KEYS)], 0)
    await journal.rotate(0)
    await journal.close()
    return path


def start(folder: Path, last_index: int = KEYS, left_bytes: int = 0) -> subprocess.Popen[bytes]:
    """Start a worker as the server does: its standard input stays open."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "kvstore.maintenance.worker"),
            *(str(folder), str(last_index), str(left_bytes)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Return the exit code and what was printed; the input is open until it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with closing(process.stdin), process.stdout, process.stderr:
        printed, complaint = process.stdout.read(), process.stderr.read().decode()
        return process.wait(WITHIN_S), printed, complaint


def test_it_builds_what_it_says(folder: Path) -> None:
    """The snapshot is there under its unfinished name, and its figures are printed as JSON."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, printed, complaint = finished(start(folder))
    assert (code, complaint) == (0, "")
    name = unfinished_name(KEYS)
    size_bytes = (folder / name).stat().st_size
    assert json.loads(printed) == {
        "last_index": KEYS,
        "entry_count": KEYS,
        "size_bytes": size_bytes,
    }
    image = read_snapshot(Folder(folder), name, KEYS, lambda _: None)
    assert len(list(image.entries)) == KEYS
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != name}
    assert after == before


def test_it_needs_no_lock(folder: Path) -> None:
    """It runs beside the server that owns the folder."""
    disk = FolderDisk(folder)
    try:
        assert finished(start(folder))[0] == 0
    finally:
        disk.close()


def test_damage_is_a_sentence(folder: Path) -> None:
    """The code is 1, and file and offset are named; nothing but the sentence is printed."""
    segment = folder / segment_name(1)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    code, printed, complaint = finished(start(folder))
    assert (code, printed) == (1, b"")
    assert complaint.startswith(f"the journal is damaged in {segment} at offset ")
    assert len(complaint.splitlines()) == 1


def test_an_index_that_is_not_the_end_of_a_segment(folder: Path) -> None:
    """Records that are not there cannot be in a snapshot."""
    code, printed, complaint = finished(start(folder, KEYS + 1))
    assert (code, printed) == (1, b"")
    assert f"expected a store at {KEYS + 1}, found {KEYS}" in complaint


def test_a_file_that_cannot_be_made_is_a_sentence(folder: Path) -> None:
    """The system's reason, and the name."""
    (folder / unfinished_name(KEYS)).touch()
    code, _, complaint = finished(start(folder))
    assert code == 1
    assert "File exists" in complaint
    assert "Traceback" not in complaint


def test_it_leaves_room_for_the_journal(folder: Path) -> None:
    """More than the disk has cannot be left; it says so and writes nothing."""
    code, printed, complaint = finished(start(folder, left_bytes=2**62))
    assert (code, printed) == (1, b"")
    assert complaint.startswith("the disk has ")
    assert complaint.endswith(" left, a snapshot must leave 4194304.0 TiB of it for the journal\n")
    assert (folder / unfinished_name(KEYS)).stat().st_size == 0


def start_code(code: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that brings a worker about in another way."""
    imported = f"import os, sys, threading\nfrom kvstore.maintenance import worker\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", imported, str(folder), str(KEYS), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("niceness", [0, 3])
def test_it_runs_at_the_lowest_priority(folder: Path, niceness: int) -> None:
    """Whatever the server's is."""
    code = f"os.nice({niceness}); worker.main(); print(os.nice(0), file=sys.stderr)"
    assert finished(start_code(code, folder))[::2] == (0, "19\n")


def test_it_ends_with_the_server(folder: Path) -> None:
    """When the pipe it was started with ends, so does it, however long its work would take."""
    code = (
        "def build(*_):\n"
        "    print('begun', flush=True)\n"
        "    threading.Event().wait()\n"
        "worker.build_snapshot = build\n"
        "worker.main()\n"
    )
    process = start_code(code, folder)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(WITHIN_S) == 1
    assert finished(process) == (1, b"", "")

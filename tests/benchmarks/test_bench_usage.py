"""Processor time and memory, by the kernel's count."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.usage import folder_bytes, look, reaped_ticks

MIB = 1024 * 1024


def test_a_name_with_brackets_does_not_confuse() -> None:
    """What stands behind the last bracket counts: here 3 and 4 ticks of children."""
    before = " ".join("9" * 12)
    assert reaped_ticks(f"12 (a b) c)) S {before} 3 4 20 0") == 7


def test_work_is_counted() -> None:
    """What this process did since the first look, it has used by the second."""
    before, clock = look(os.getpid()).cpu_s, time.process_time()
    sum(range(1_000_000))
    worked = time.process_time() - clock
    assert look(os.getpid()).cpu_s - before >= worked


def test_children_count_with_their_parent() -> None:
    """A child that holds memory adds it."""
    script = f"memory = b'1' * {64 * MIB}; print(len(memory), flush=True); input()"
    before = look(os.getpid()).rss_bytes
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert look(os.getpid()).rss_bytes - before > 48 * MIB
        assert look(child.pid).rss_bytes > 64 * MIB


def test_a_process_that_is_gone_counts_as_nothing() -> None:
    """Servers end between two looks."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert look(child.pid).rss_bytes == 0


def test_a_folder_takes_what_its_files_take(tmp_path: Path) -> None:
    """Blocks on the disk, in folders within it, too; a hole takes none."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(os.urandom(64 * 1024))
    empty = folder_bytes(tmp_path)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(MIB)
    assert empty >= 64 * 1024
    assert folder_bytes(tmp_path) - empty < MIB

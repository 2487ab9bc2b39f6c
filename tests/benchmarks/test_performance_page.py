"""Tables for the page about performance."""

from pathlib import Path

import pytest

from benchmarks import docs
from benchmarks.docs import between_marks, markdown
from benchmarks.figures import Figure
from benchmarks.machine import Machine
from benchmarks.runner import Outcome, Plan
from benchmarks.stores import Consul, Ours
from benchmarks.wrk import Wrk

MACHINE = Machine("a processor", 2, 24.0, "Linux 6.1", "CPython 3.11", "ext4", 0.5, 0.0)


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    """And it can be replaced again."""
    page = docs.PAGE.read_text(encoding="utf-8")
    once = between_marks(page, "| one |")
    twice = between_marks(once, "| two |")
    assert "| one |" in once
    assert "| one |" not in twice
    assert between_marks(twice, "| one |") == once
    head, _, _ = page.partition("<!--")
    assert once.startswith(head)


def test_a_page_without_marks_is_left_alone() -> None:
    """Rather than to be written over."""
    with pytest.raises(ValueError, match="marks"):
        between_marks("# Performance\n", "| one |")


def test_a_run_becomes_two_tables(tmp_path: Path) -> None:
    """Figures with their ratio, targets with their verdict."""
    consul = tmp_path / "consul"
    consul.write_text("#!/bin/sh\necho Consul v1.8.7\n")
    consul.chmod(0o755)
    plan = Plan([], [Ours(), Consul(consul)], 3, True, 2, tmp_path, Wrk(Path("wrk")))
    outcome = Outcome()
    for value in (10_000, 12_000):
        outcome.results.add("get", "ours", [Figure("rate", "/s", value)])
    outcome.results.add("get", "consul", [Figure("rate", "/s", 5_000)])
    lines = markdown(plan, outcome, MACHINE).splitlines()
    assert "| **get** | rate, /s | 11,000 (10,000 to 12,000) | 5,000 | 2.20x |" in lines
    assert "| get | rate ≥ 2.5x of Consul's | 2.2 x | missed |" in lines
    assert lines[0].startswith("Measured on a processor, 2 cores")
    assert lines[0].endswith("consul 1.8.7.")

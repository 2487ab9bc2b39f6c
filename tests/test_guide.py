"""The guide (docs/running.md) can be followed: each of its commands is run, here or by the lab.

A block of commands has a name in a comment above it, and is run by exactly one of these:

    HERE       this module, in a folder
    MACHINE    this module, under a real systemd (root), in the order of the guide
    BLOCKS     a scenario of the lab, with real engines; the comment names it: `lab MOVE`
"""

import inspect
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from promised import lacking
from running import Launch

from conformance.overlay.scenario import Scenario
from conformance.overlay.scenarios import ALL, moving
from conformance.overlay.systemd import Systemd, missing

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")

HERE = {"install"}
MACHINE = ("start", "backup", "monitoring", "upgrade")

_LINES = re.MULTILINE | re.DOTALL
_BLOCK = re.compile(r"^<!-- run: ([\w-]+)(?:, lab (\w+))? -->\n```console\n(.*?)^```$", _LINES)
_UNIT = re.compile(r"^<!-- unit: ([\w.-]+) -->\n```ini\n(.*?)^```$", _LINES)
_FIGURE = re.compile(r"`((?:kvstore|process)_[a-z_]+)`")
_ANCHOR = re.compile(r"\]\(#([\w-]+)\)")
_ENV_PATH = "PATH=/opt/kvstore/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Step:
    """A command as it is typed, and the lines that the guide shows as its output."""

    command: str
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block of commands; `scenario` is the lab's that runs it, empty for none."""

    name: str
    scenario: str
    text: str

    @property
    def steps(self) -> list[Step]:
        """Its commands, each with what is shown below it."""
        steps = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            last = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
            steps.append(Step("\n".join(lines[: last + 1]), tuple(lines[last + 1 :])))
        return steps

    @property
    def script(self) -> str:
        """Its commands alone."""
        return "".join(f"{step.command}\n" for step in self.steps)


FOUND = [Block(*match) for match in _BLOCK.findall(GUIDE)]
BLOCKS = {block.name: block for block in FOUND}
SCENARIOS = {one.id: one for one in ALL}


def test_every_block_has_a_name_of_its_own() -> None:
    """A block without a name would be run by nobody."""
    assert len(BLOCKS) == len(FOUND) == GUIDE.count("```console\n")
    assert GUIDE.count("```") == 2 * (len(FOUND) + len(_UNIT.findall(GUIDE)))


def test_every_block_is_run_once() -> None:
    """No block is left out, none is known that the guide does not have."""
    assert sorted(BLOCKS) == sorted([*HERE, *MACHINE, *moving.BLOCKS])


@pytest.mark.parametrize("name", moving.BLOCKS)
def test_the_lab_runs_what_the_guide_says(name: str) -> None:
    """Command for command, in the scenario that the guide names."""
    block = BLOCKS[name]
    assert block.script == moving.BLOCKS[name]
    assert f'"{name}"' in source(SCENARIOS[block.scenario])


def source(scenario: Scenario) -> str:
    """Return the code of a scenario."""
    return inspect.getsource(scenario.run)


def test_the_lab_has_the_units_of_the_guide() -> None:
    """Byte for byte."""
    assert dict(_UNIT.findall(GUIDE)) == moving.UNITS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_install(tmp_path: Path) -> None:
    """What is installed runs, and the units are where systemd looks."""
    places = {"/opt/kvstore": tmp_path / "opt", "/etc/systemd/system/": tmp_path / "units"}
    (tmp_path / "units").mkdir()
    for step in BLOCKS["install"].steps:
        command = step.command
        for place, instead in places.items():
            command = command.replace(place, str(instead))
        words = ["sh", "-ec", command]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert_shown(step, done.stdout)
    assert (tmp_path / "units" / "kvstore.socket").exists()
    assert (tmp_path / "units" / "kvstore-backup.timer").exists()


@pytest.mark.slow
def test_on_a_machine_with_systemd(tmp_path: Path) -> None:
    """From the first start to an upgrade, in the order of the guide."""
    if missing():
        lacking(missing())
    if shutil.which("curl") is None:
        lacking("the guide asks for the metrics with curl: install the package curl")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)  # the server is a user without rights
    folder = tmp_path / "machine"
    folder.mkdir(mode=0o711)
    with Systemd(folder, ROOT / "deploy") as systemd:
        for name in MACHINE:
            for step in BLOCKS[name].steps:
                output = systemd.run("env", _ENV_PATH, "sh", "-ec", step.command)
                assert_shown(step, output.replace(socket.gethostname(), "keystore"))


def assert_shown(step: Step, output: str) -> None:
    """See that a command prints what the guide shows: other numbers, and any lines for `…`."""
    parts = [".*\n" if line == "…" else re.escape(digits(line)) + "\n" for line in step.output]
    pattern = "(?s)" + "".join(parts)
    assert re.fullmatch(pattern, digits(f"{output.strip()}\n" if output.strip() else "")), output


def digits(text: str) -> str:
    """Return a text with each number as one N."""
    return re.sub(r"[0-9]+(\.[0-9]+)?", "N", text)


def test_every_figure_is_one_of_the_servers(launch: Launch) -> None:
    """An alert on a figure that is not there would never come."""
    server = launch("--data-dir", "data").wait_until_ready()
    body = server.call("GET", "/v1/agent/metrics?format=prometheus").body.decode()
    there = {line.split(" ")[0] for line in body.splitlines() if not line.startswith("#")}
    named = set(_FIGURE.findall(GUIDE))
    assert len(named) > 5
    assert named <= there


def test_anchors_lead_somewhere() -> None:
    """A link within the page is to one of its headings."""
    headings = re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(_ANCHOR.findall(GUIDE)) <= anchors


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (("saved a: 12 keys",), "saved a: 7 keys"),
        (("a", "…"), "a\nb\nc"),
        (("…", "c"), "a\nb\nc"),
        ((), ""),
    ],
)
def test_what_may_differ(shown: tuple[str, ...], printed: str) -> None:
    """Numbers, and lines that are left out."""
    assert_shown(Step("", shown), printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [(("a",), "b"), ((), "a"), (("a",), ""), (("a", "…"), "b\na")]
)
def test_what_may_not_differ(shown: tuple[str, ...], printed: str) -> None:
    """Words, lines that are not shown, and those that do not come."""
    with pytest.raises(AssertionError):
        assert_shown(Step("", shown), printed)


def test_the_machine_is_left_alone() -> None:
    """No block changes what a machine starts with: `systemctl enable` would, in a test too."""
    assert not any("systemctl enable" in block.script for block in FOUND)

"""Fixtures for all floors: servers in the test's own process, and servers in one of their own."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from running import InProcess, Launch, Process, Start, in_process

# A failure prints how to repeat it; time limits on examples would make slow machines red.
settings.register_profile("ci", print_blob=True, deadline=None, derandomize=False)
settings.load_profile("ci")


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Give a function that starts a server in this process; what still runs at the end stops."""
    async with AsyncExitStack() as stack:

        async def start_one(data_dir: Path | None = None, **changes: object) -> InProcess:
            return await stack.enter_async_context(in_process(data_dir, **changes))

        yield start_one


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Give a function that runs `kvstore serve` with flags; what still runs at the end is killed.

    Its working directory is `tmp_path`, its port free, its environment has no setting of ours.
    """
    with ExitStack() as stack:

        def launch_one(*flags: str, **environment: str) -> Process:
            return stack.enter_context(Process(tmp_path, flags, environment))

        yield launch_one


@pytest.fixture(scope="module")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run one server on a folder for all tests of a module; keep to keys of your own."""
    with Process(tmp_path_factory.mktemp("shared"), ()) as process:
        yield process.wait_until_ready()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped and why, a line for each reason and not for each test.

    And show the figures of tests that count what they have tried (`record_property`).
    """
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"FIGURES {value}")
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {count}: {reason}")

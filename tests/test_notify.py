"""What the service manager is told, on a socket as systemd has it."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvstore.notify import Notifier, Watchdog


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Give the address of a manager and the socket on which it hears, of either kind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        if request.param == "path":
            address = str(tmp_path / "notify")
            hears.bind(address)
        else:
            address = f"@kvstore-test-{os.getpid()}-{id(hears)}"
            hears.bind(f"\0{address[1:]}")
        hears.setblocking(False)
        yield address, hears


def heard(hears: socket.socket) -> dict[str, str]:
    """Return the assignments of one datagram."""
    lines = hears.recv(4096).decode().split("\n")
    return dict(line.split("=", 1) for line in lines)


def test_what_a_start_tells(manager: tuple[str, socket.socket]) -> None:
    """How far it is, with more time for it, and then that it is ready."""
    address, hears = manager
    notifier = Notifier(address)
    notifier.starting("reading the journal, 10 % done", 1.5)
    assert heard(hears) == {
        "STATUS": "reading the journal, 10 % done",
        "EXTEND_TIMEOUT_USEC": "1500000",
    }
    notifier.ready("serving")
    assert heard(hears) == {"READY": "1", "STATUS": "serving"}


def test_what_a_reload_and_a_stop_tell(manager: tuple[str, socket.socket]) -> None:
    """A reload has the time at which it began, by the clock that the manager compares with."""
    address, hears = manager
    notifier = Notifier(address)
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    told = heard(hears)
    assert told.pop("RELOADING") == "1"
    assert before_us <= int(told.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert not told
    notifier.stopping()
    assert heard(hears)["STOPPING"] == "1"


def test_without_a_manager() -> None:
    """Nothing happens, and no signs of life are due."""
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000000"})
    notifier.ready("serving")
    notifier.alive()
    assert notifier.watchdog_s is None


def test_a_manager_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Is worth a line in the log, and no more: the server goes on."""
    Notifier(str(tmp_path / "gone")).ready("serving")
    (line,) = caplog.messages
    assert line.startswith("the service manager was not told READY=1: ")


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_environment(variables: dict[str, str], watchdog_s: float | None) -> None:
    """The variables are taken out, so that no child speaks for us; those of others do not count."""
    environment = {"NOTIFY_SOCKET": "@manager", "HOME": "/", **variables}
    assert Notifier.from_environment(environment).watchdog_s == watchdog_s
    assert environment == {"HOME": "/"}


def beats(manager: tuple[str, socket.socket], *batches: int | None) -> list[bool]:
    """Return whether a sign of life was given for each number of the batch under way."""
    address, hears = manager
    left = list(batches)
    watchdog = Watchdog(Notifier(address), lambda: left.pop(0))
    given = []
    for _ in batches:
        watchdog.beat()
        try:
            given.append(heard(hears) == {"WATCHDOG": "1"})
        except BlockingIOError:
            given.append(False)
    return given


def test_signs_of_life(manager: tuple[str, socket.socket]) -> None:
    """They are given while nothing is written, and while what is written changes."""
    assert beats(manager, None, None, 1, 2, None, 3) == [True] * 6


def test_a_write_that_hangs(manager: tuple[str, socket.socket]) -> None:
    """No sign is given for a batch that was under way before, until it is done."""
    given = beats(manager, 7, 7, 7, 8, None, None)
    assert given == [True, False, False, True, True, True]

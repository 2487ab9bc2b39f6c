"""Tells the service manager how the server is: ready, reloading, stopping, alive.

The protocol of sd_notify(3), which is lines in a datagram. There are libraries for it (sdnotify,
cysystemd, systemd-python); the first knows the datagram only, the others are bindings that need a C
library and a compiler where there is no wheel. What is here is shorter than what any of them would
leave to do: the variables, the watchdog's rule, and time for a long start.

Imports the standard library's smallest only: it is loaded before the server listens.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping

__all__ = ["Notifier", "Watchdog"]

log = logging.getLogger(__name__)

_US_PER_S = 1_000_000
# A manager that does not take a datagram for so long has other worries; we go on.
_SEND_S = 1.0
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Sends to the manager's socket; without one every method does nothing.

    `address` is a path, or a name of the abstract kind behind "@". `watchdog_s` is how long the
    manager waits for a sign of life, None when it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> "Notifier":
        """Make one of what the manager has put there; takes it out, so that no child tells lies."""
        address, interval_us, pid = (environment.pop(name, "") for name in _VARIABLES)
        for_us = pid in ("", str(os.getpid()))
        watched = for_us and interval_us.isdecimal() and int(interval_us) > 0
        return cls(address, int(interval_us) / _US_PER_S if watched else None)

    def ready(self, status: str) -> None:
        """Say that the start, or a reload, is over."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that files are read again; `ready` says that this is over."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1", "STATUS=answering what is under way")

    def starting(self, status: str, within_s: float) -> None:
        """Say how far a start has come, and that it needs up to so much more time."""
        self._send(f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(within_s * _US_PER_S)}")

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("the service manager was not told %s: %s", lines[0], error)


class Watchdog:
    """Decides whether the server is alive, each time it is asked, which the event loop must do.

    So a loop that hangs gives no sign. `batch` is the number of the batch that is being written,
    None while there is none: one that is the same twice hangs, and no sign is given either.
    """

    def __init__(self, notifier: Notifier, batch: Callable[[], int | None]) -> None:
        self._notifier = notifier
        self._batch = batch
        self._seen: int | None = None

    def beat(self) -> None:
        """Give a sign of life, unless a write has made no progress since the last beat."""
        batch = self._batch()
        if batch is not None and batch == self._seen:
            log.error("a write has waited for the disk since the last sign of life: none is given")
        else:
            self._notifier.alive()
        self._seen = batch

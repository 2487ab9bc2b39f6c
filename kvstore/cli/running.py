"""The server's process: started, told by signals, stopped; errors → one sentence and its code.

Heavy modules are imported when they are needed: the sockets listen before the server is loaded.
"""

import asyncio
import errno
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from kvstore.cli.exits import (
    EXIT_CANNOT_LISTEN,
    EXIT_FOLDER_UNUSABLE,
    give_up,
    journal_exit,
    ownership_step,
)
from kvstore.cli.greeting import greeting
from kvstore.errors import (
    CannotListen,
    JournalError,
    JournalUnwritable,
    TlsUnusable,
    TokensUnusable,
)
from kvstore.listening import Address, Listener, inherited_listeners, open_listeners
from kvstore.notify import Notifier, Watchdog
from kvstore.process import (
    allow_descriptors,
    loading,
    map_large_blocks,
    search_seldom,
    settle_after_long_searches,
)
from kvstore.settings import Settings

if TYPE_CHECKING:
    from kvstore.server import Server

__all__ = ["inherited_or_give_up", "run"]

_STOPS = (signal.SIGTERM, signal.SIGINT)
# Click's, for settings that are wrong: files that they name are part of them.
_EXIT_USAGE = 2
# How often the service manager hears how far a start has come, and how much more time that buys.
_TELL_EVERY_S = 1.0
_MORE_S = 60.0


def inherited_or_give_up() -> list[Listener]:
    """Return the sockets that this process was started with; ends it when one is unusable."""
    try:
        return inherited_listeners()
    except CannotListen as error:
        give_up(EXIT_CANNOT_LISTEN, f"{error}. {_next_step(error)}")


def run(
    settings: Settings, addresses: Sequence[Address], inherited: Sequence[Listener] = ()
) -> None:
    """Serve on inherited sockets and on addresses until a signal says to stop.

    Ends the process when it cannot. Tells the service manager, if there is one, how it goes.
    """
    notifier = Notifier.from_environment()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
    # Signals wait until there is somebody to hear them, so that all is taken down in good order.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    with asyncio.Runner() as runner:
        try:
            listeners = [*inherited, *open_listeners(addresses)]
        except CannotListen as error:
            give_up(EXIT_CANNOT_LISTEN, f"{error}. {_next_step(error)}")
        try:
            runner.run(_serve(settings, listeners, notifier))
        finally:
            for listener in listeners:
                listener.close()


class _Told:
    """Whether a signal has said to stop; also for code that does not let the loop run."""

    def __init__(self) -> None:
        self.to_stop = False
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def listen(self) -> None:
        """Hear signals from now on, those first that wait already."""
        for number in _STOPS:
            signal.signal(number, self._hear)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)

    async def wait(self) -> None:
        """Wait for a signal."""
        await self._event.wait()

    def leave_if_told(self) -> None:
        """End the task that is running if a signal has come."""
        if self.to_stop:
            raise asyncio.CancelledError

    def _hear(self, _number: int, _frame: object) -> None:
        self.to_stop = True
        with suppress(RuntimeError):  # the loop is closed: it is on its way out already
            self._loop.call_soon_threadsafe(self._event.set)


async def _serve(settings: Settings, listeners: Sequence[Listener], notifier: Notifier) -> None:
    told = _Told()
    told.listen()
    with loading():
        from kvstore.server import Server  # noqa: PLC0415 - after the listeners: see listening.py

    map_large_blocks()
    allow_descriptors()
    search_seldom()
    settle_after_long_searches()
    server = Server(settings, listeners)
    stopping = asyncio.create_task(told.wait())
    starting = asyncio.create_task(_start(server, told, notifier))
    await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()  # without effect when it is done
    try:
        await starting
    except asyncio.CancelledError:
        return
    except (JournalError, TlsUnusable, TokensUnusable, OSError) as error:
        give_up(*_cannot_start(settings, error))
    status = f"serving on {', '.join(listener.url for listener in listeners)}"
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, server, notifier, status)
    click.echo(greeting(settings, listeners), err=True)
    notifier.ready(status)
    beating = asyncio.create_task(_beat(server, notifier))
    failing = asyncio.create_task(server.wait_failed())
    await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        await failing
    failing.cancel()
    notifier.stopping()
    try:
        await server.stop()
    except JournalUnwritable as failure:
        give_up(*journal_exit(failure))
    finally:
        beating.cancel()


def _reload(server: "Server", notifier: Notifier, status: str) -> None:
    notifier.reloading()
    server.reload()
    notifier.ready(status)


async def _beat(server: "Server", notifier: Notifier) -> None:
    """Give signs of life, twice in the time in which the service manager expects one."""
    watchdog = Watchdog(notifier, lambda: server.batch_under_way)
    while notifier.watchdog_s is not None:
        watchdog.beat()
        await asyncio.sleep(notifier.watchdog_s / 2)


async def _start(server: "Server", told: _Told, notifier: Notifier) -> None:
    """Start a server; cancelled when a signal comes, also in the middle of a long journal."""
    from kvstore.cli.replaying import ReplayReport  # noqa: PLC0415 - slow to load

    next_s = time.monotonic()
    with ReplayReport() as report:

        def step(taken: int, read_bytes: int, total_bytes: int) -> None:
            nonlocal next_s
            told.leave_if_told()
            report.step(taken, read_bytes, total_bytes)
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + _TELL_EVERY_S
                done = read_bytes / max(total_bytes, 1)
                notifier.starting(f"reading the journal, {done:.0%} done", _MORE_S)

        await server.start(step)


def _next_step(error: CannotListen) -> str:
    if "handed over" in error.address:
        return "Look at the .socket unit, or start the server without it."
    if error.address.startswith("unix:"):
        return _next_step_for_file(error.number)
    if error.number == errno.EADDRINUSE:
        return "Another server has this port: stop it, or choose another with --port or --listen."
    if error.number == errno.EACCES:
        return "Ports below 1024 need root: choose another with --port or --listen."
    return "Choose an address of this machine with --host or --listen."


def _next_step_for_file(number: int | None) -> str:
    if number == errno.EADDRINUSE:
        return "Another server listens there: stop it, or choose another path with --listen."
    if number == errno.EEXIST:
        return "There is a file that is no socket: choose another path with --listen."
    return "Choose a path in a folder that this user can write to, shorter than 108 bytes."


def _cannot_start(
    settings: Settings, error: JournalError | TlsUnusable | TokensUnusable | OSError
) -> tuple[int, str]:
    """Return the exit code and the sentence for a start that failed."""
    if isinstance(error, JournalError):
        return journal_exit(error)
    if isinstance(error, TlsUnusable):
        return _EXIT_USAGE, f"{error}. See --tls-cert-file, --tls-key-file, --tls-client-ca-file."
    if isinstance(error, TokensUnusable):
        return _EXIT_USAGE, f"{error}. `kvstore token check` looks at them without a server."
    step = "Make it writable for this user, or choose another with --data-dir."
    if isinstance(error, PermissionError) and settings.data_dir is not None:
        step = ownership_step(settings.data_dir)
    return EXIT_FOLDER_UNUSABLE, (
        f"cannot use the data folder: {settings.data_dir}: {error.strerror or error}. {step}"
    )

"""The server's process: started, told by signals, stopped; errors → one sentence and its code.

Heavy modules are imported when they are needed: the sockets listen before the server is loaded.
"""

import asyncio
import errno
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from kvstore.cli.exits import (
    EXIT_CANNOT_LISTEN,
    EXIT_FOLDER_UNUSABLE,
    give_up,
    journal_exit,
)
from kvstore.cli.greeting import greeting
from kvstore.errors import (
    CannotListen,
    JournalError,
    JournalUnwritable,
    TlsUnusable,
    TokensUnusable,
)
from kvstore.listening import Address, Listener, open_listeners
from kvstore.settings import Settings

__all__ = ["run"]

_STOPS = (signal.SIGTERM, signal.SIGINT)
# Click's, for settings that are wrong: files that they name are part of them.
_EXIT_USAGE = 2


def run(settings: Settings, addresses: Sequence[Address]) -> None:
    """Serve until a signal says to stop; ends the process when it cannot."""
    for number in _STOPS:
        signal.signal(number, _leave)  # until the server has something to drain
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has something to read again
    # A signal waits until loop and sockets are there, so that they are taken down in good order.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    with asyncio.Runner() as runner:
        runner.get_loop()
        try:
            listeners = open_listeners(addresses)
        except CannotListen as error:
            give_up(EXIT_CANNOT_LISTEN, f"{error}. {_next_step(error)}")
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            runner.run(_serve(settings, listeners))
        finally:
            for listener in listeners:
                listener.close()


async def _serve(settings: Settings, listeners: Sequence[Listener]) -> None:
    from kvstore.cli.replaying import ReplayReport  # noqa: PLC0415
    from kvstore.process import allow_descriptors, map_large_blocks  # noqa: PLC0415
    from kvstore.server import Server  # noqa: PLC0415 - after the listeners: see listening.py

    map_large_blocks()
    allow_descriptors()
    server = Server(settings, listeners)
    loop = asyncio.get_running_loop()
    try:
        with ReplayReport() as report:
            await server.start(report.step)
    except (JournalError, TlsUnusable, TokensUnusable, OSError) as error:
        give_up(*_cannot_start(settings, error))
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    click.echo(greeting(settings, listeners), err=True)
    told_to_stop = asyncio.Event()
    for number in _STOPS:
        loop.add_signal_handler(number, told_to_stop.set)
    stopping = asyncio.create_task(told_to_stop.wait())
    failing = asyncio.create_task(server.wait_failed())
    await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        await failing
    failing.cancel()
    try:
        await server.stop()
    except JournalUnwritable as failure:
        give_up(*journal_exit(failure))


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _next_step(error: CannotListen) -> str:
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
    return EXIT_FOLDER_UNUSABLE, (
        f"cannot use the data folder: {settings.data_dir}: {error.strerror or error}. "
        "Make it writable for this user, or choose another with --data-dir."
    )

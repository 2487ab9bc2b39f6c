"""How a command ends when it cannot do what it was told: one sentence, and an exit code.

0 is success and 2 is click's for wrong usage.
"""

import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from kvstore.errors import (
    JournalCorrupt,
    JournalError,
    JournalLocked,
    JournalUnreadable,
    JournalUnwritable,
)

__all__ = [
    "EXIT_CANNOT_LISTEN",
    "EXIT_DISK_FULL",
    "EXIT_EXISTS",
    "EXIT_FOLDER_LOCKED",
    "EXIT_FOLDER_UNUSABLE",
    "EXIT_JOURNAL_DAMAGED",
    "EXIT_JOURNAL_FAILED",
    "EXIT_MAY_NOT",
    "EXIT_NOT_KEPT",
    "EXIT_READ_ONLY",
    "EXIT_SERVER",
    "EXIT_TOKENS_UNUSABLE",
    "give_up",
    "journal_exit",
    "ownership_step",
]

# Listed in `kvstore serve --help` and the README.
EXIT_CANNOT_LISTEN = 3
EXIT_FOLDER_UNUSABLE = 4
EXIT_FOLDER_LOCKED = 5
EXIT_JOURNAL_DAMAGED = 6
EXIT_JOURNAL_FAILED = 7
EXIT_DISK_FULL = 8
EXIT_READ_ONLY = 9
EXIT_SERVER = 10
EXIT_EXISTS = 11
EXIT_NOT_KEPT = 12
EXIT_TOKENS_UNUSABLE = 13
EXIT_MAY_NOT = 14

_FULL = (errno.ENOSPC, errno.EDQUOT)


def give_up(code: int, sentence: str) -> NoReturn:
    """End the process with a sentence on standard error."""
    click.echo(f"kvstore: {sentence}", err=True)
    sys.exit(code)


def ownership_step(folder: Path) -> str:
    """Return what to do about a folder that this user may not use, with the user's number.

    In a container the number is all that the host and the container have in common.
    """
    owner = f"{os.geteuid()}:{os.getegid()}"
    return (
        f"This server runs as user and group {owner}: `chown -R {owner} {folder.absolute()}`, or, "
        "if it runs in a container, the folder of the host that is mounted there; or choose "
        "another with --data-dir."
    )


def journal_exit(error: JournalError) -> tuple[int, str]:
    """Return the exit code and the sentence for a folder that cannot be read or written."""
    if isinstance(error, JournalLocked):
        return EXIT_FOLDER_LOCKED, f"{error}. Stop it, or choose another folder with --data-dir."
    if isinstance(error, JournalCorrupt):
        folder = error.path.parent
        return EXIT_JOURNAL_DAMAGED, (
            f"{error}. Nothing was changed; starting on it would lose writes that were "
            f"acknowledged. `kvstore verify {folder}` shows how far it is sound; `kvstore restore` "
            "brings back a backup, or what the folder's own history still has."
        )
    if isinstance(error, JournalUnwritable):
        return _unwritable_exit(error)
    assert isinstance(error, JournalUnreadable)
    return EXIT_FOLDER_UNUSABLE, f"{error}. Check the disk and the file's permissions."


def _unwritable_exit(failure: JournalUnwritable) -> tuple[int, str]:
    """Return the exit code by the cause, and what to do about it."""
    if failure.number in _FULL:
        step = "Free some space on its disk (or raise the quota), then start again."
        return EXIT_DISK_FULL, f"{failure}. {step}"
    if failure.number == errno.EROFS:
        step = "Its disk is read-only, often after an error: see `dmesg`, then start again."
        return EXIT_READ_ONLY, f"{failure}. {step}"
    if failure.number in (errno.EACCES, errno.EPERM):
        step = "Make it writable for this user, or choose another folder with --data-dir."
        return EXIT_FOLDER_UNUSABLE, f"{failure}. {step}"
    return EXIT_JOURNAL_FAILED, f"{failure}. Check the disk (`dmesg`), then start again."

"""Exit codes: one for each cause, and a sentence that says what to do."""

import errno
import os
from pathlib import Path

import pytest

from kvstore.cli.exits import give_up, journal_exit
from kvstore.errors import (
    JournalCorrupt,
    JournalError,
    JournalLocked,
    JournalUnreadable,
    JournalUnwritable,
)

FOLDER = Path("/var/lib/kvstore")
SEGMENT = FOLDER / "1.journal"


def unwritable(number: int) -> JournalUnwritable:
    """Return a failed write with the system's number and text."""
    return JournalUnwritable(SEGMENT, OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("error", "code", "step"),
    [
        (JournalLocked(FOLDER, "42"), 5, "Stop it, or choose another folder with --data-dir."),
        (
            JournalCorrupt(SEGMENT, 32, "checksum"),
            6,
            (
                "Nothing was changed; starting on it would lose writes that were acknowledged. "
                "`kvstore verify /var/lib/kvstore` shows how far it is sound; `kvstore restore` "
                "brings back a backup, or what the folder's own history still has."
            ),
        ),
        (
            JournalUnreadable(SEGMENT, OSError(errno.EIO, "Input/output error")),
            4,
            "Check the disk and the file's permissions.",
        ),
        (unwritable(errno.EIO), 7, "Check the disk (`dmesg`), then start again."),
        (
            JournalUnwritable(SEGMENT, OSError("no number")),
            7,
            "Check the disk (`dmesg`), then start again.",
        ),
        (
            unwritable(errno.ENOSPC),
            8,
            "Free some space on its disk (or raise the quota), then start again.",
        ),
        (
            unwritable(errno.EDQUOT),
            8,
            "Free some space on its disk (or raise the quota), then start again.",
        ),
        (
            unwritable(errno.EROFS),
            9,
            "Its disk is read-only, often after an error: see `dmesg`, then start again.",
        ),
        (
            unwritable(errno.EACCES),
            4,
            "Make it writable for this user, or choose another folder with --data-dir.",
        ),
        (
            unwritable(errno.EPERM),
            4,
            "Make it writable for this user, or choose another folder with --data-dir.",
        ),
    ],
)
def test_each_cause_has_its_code(error: JournalError, code: int, step: str) -> None:
    """The sentence is the error's own, and then the next step."""
    assert journal_exit(error) == (code, f"{error}. {step}")


def test_giving_up(capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard error, nothing on standard output."""
    with pytest.raises(SystemExit) as caught:
        give_up(7, "it went wrong. Do this.")
    assert caught.value.code == 7
    assert capsys.readouterr() == ("", "kvstore: it went wrong. Do this.\n")

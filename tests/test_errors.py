"""The taxonomy of errors: its tree, and the texts made of fields."""

import inspect
from pathlib import Path

import pytest

from kvstore import errors
from kvstore.errors import (
    ArchiveUnreadable,
    CallFailed,
    CannotListen,
    CompactionFailed,
    InvalidRequest,
    InvalidSession,
    InvalidSessionId,
    InvariantBroken,
    JournalCorrupt,
    JournalError,
    JournalLocked,
    JournalUnreadable,
    JournalUnwritable,
    KVStoreError,
    MissingSession,
    NoRoom,
    NoStore,
    NotKept,
    Overloaded,
    RequestError,
    Stopping,
    TlsUnusable,
    TokensUnusable,
    TooManySessions,
    UnknownSession,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize(
    ("parent", "children"),
    [
        (
            KVStoreError,
            {
                RequestError,
                JournalError,
                ArchiveUnreadable,
                CallFailed,
                CannotListen,
                CompactionFailed,
                NoRoom,
                NoStore,
                NotKept,
                Overloaded,
                Stopping,
                TlsUnusable,
                TokensUnusable,
                TooManySessions,
                InvariantBroken,
            },
        ),
        (
            RequestError,
            {InvalidRequest, InvalidSessionId, MissingSession, UnknownSession, InvalidSession},
        ),
        (JournalError, {JournalLocked, JournalCorrupt, JournalUnreadable, JournalUnwritable}),
    ],
)
def test_the_tree(parent: type[KVStoreError], children: set[type[KVStoreError]]) -> None:
    """Whose fault it is can be told by the branch."""
    assert set(parent.__subclasses__()) == children


def test_the_tree_is_drawn_on_top() -> None:
    """The module's docstring names every error, at a depth of its place in the tree."""
    lines = (inspect.getdoc(errors) or "").splitlines()
    for one in CLASSES:
        (line,) = [line for line in lines if one.__name__ in line.split()]
        depth = len(one.__mro__) - len(KVStoreError.__mro__)
        assert line.index(one.__name__) == 4 * (depth + 1), one.__name__


@pytest.mark.parametrize("one", CLASSES)
def test_every_error_says_when(one: type[KVStoreError]) -> None:
    """Each has a docstring of its own."""
    assert one.__doc__


FOLDER = Path("/var/lib/kvstore")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidRequest("which and why"), "which and why"),
        (InvalidSessionId("UUID must be 36 characters"), "UUID must be 36 characters"),
        (MissingSession(), "missing session"),
        (UnknownSession("abc"), 'invalid session "abc"'),
        (InvalidSession("Must provide Node"), "Must provide Node"),
        (
            JournalLocked(FOLDER, "42"),
            "the data folder /var/lib/kvstore is in use by process 42",
        ),
        (
            JournalLocked(FOLDER, ""),
            "the data folder /var/lib/kvstore is in use by another process",
        ),
        (
            JournalCorrupt(FOLDER / "1.journal", 32, "checksum"),
            "the journal is damaged in /var/lib/kvstore/1.journal at offset 32: checksum",
        ),
        (
            JournalUnwritable(FOLDER / "1.journal", OSError(28, "No space left on device")),
            "the journal cannot be written: /var/lib/kvstore/1.journal: No space left on device",
        ),
        (
            JournalUnreadable(FOLDER / "1.journal", OSError(5, "Input/output error")),
            "the journal cannot be read: /var/lib/kvstore/1.journal: Input/output error",
        ),
        (
            JournalUnwritable(FOLDER / "1.journal", OSError("no number")),
            "the journal cannot be written: /var/lib/kvstore/1.journal: no number",
        ),
        (
            ArchiveUnreadable("failed to decompress snapshot", "a gzip header"),
            "failed to decompress snapshot; expected a gzip header",
        ),
        (CallFailed("which and why"), "which and why"),
        (
            CannotListen("http://h:1", OSError(98, "Address already in use")),
            "cannot listen on http://h:1: Address already in use",
        ),
        (
            CannotListen("unix:///s", OSError("path too long")),
            "cannot listen on unix:///s: path too long",
        ),
        (CompactionFailed("why"), "why"),
        (NoRoom("the disk has 1 byte left"), "no room for more data: the disk has 1 byte left"),
        (NoStore(FOLDER), "/var/lib/kvstore holds no store"),
        (
            NotKept("index 3", (7, 1_600_000_000_000), (9, None)),
            "index 3 is not kept here, indexes 7 to 9 are",
        ),
        (Overloaded(9), "too many writes are waiting, the limit is 9: try again"),
        (Stopping(), "the server is stopping"),
        (TlsUnusable(FOLDER, "is not there"), "/var/lib/kvstore: is not there"),
        (
            TooManySessions(9),
            (
                "there are 9 sessions, which is the limit: destroy those that are not needed, "
                "give them a TTL, or raise --sessions-max"
            ),
        ),
        (
            TokensUnusable(FOLDER, 'token "ci"', "no secret", "one"),
            '/var/lib/kvstore: token "ci": found no secret, expected one',
        ),
        (TokensUnusable(FOLDER, "", "what", "that"), "/var/lib/kvstore: found what, expected that"),
        (InvariantBroken("what"), "what"),
    ],
)
def test_texts_are_made_of_fields(error: KVStoreError, text: str) -> None:
    """People read a sentence; programs read the fields."""
    assert str(error) == text


def test_fields() -> None:
    """What is in the sentence can be had without taking it apart."""
    corrupt = JournalCorrupt(FOLDER, 32, "checksum")
    assert (corrupt.path, corrupt.offset, corrupt.reason) == (FOLDER, 32, "checksum")
    locked = JournalLocked(FOLDER, "42")
    assert (locked.folder, locked.holder) == (FOLDER, "42")
    unwritable = JournalUnwritable(FOLDER, OSError(28, "full"))
    assert (unwritable.path, unwritable.reason, unwritable.number) == (FOLDER, "full", 28)
    assert JournalUnwritable(FOLDER, OSError("no number")).number is None
    unreadable = JournalUnreadable(FOLDER, OSError(5, "broken"))
    assert (unreadable.path, unreadable.reason) == (FOLDER, "broken")
    archive = ArchiveUnreadable("what it is", "what it should be")
    assert (archive.reason, archive.expected) == ("what it is", "what it should be")
    unusable = TokensUnusable(FOLDER, "where", "what", "that")
    assert (unusable.path, unusable.where) == (FOLDER, "where")
    assert (unusable.found, unusable.expected) == ("what", "that")
    assert NoRoom("why").reason == "why"
    assert NoStore(FOLDER).folder == FOLDER
    not_kept = NotKept("index 3", (7, 1), (9, 2))
    assert (not_kept.asked, not_kept.first, not_kept.last) == ("index 3", (7, 1), (9, 2))
    assert UnknownSession("abc").session_id == "abc"
    assert InvalidSessionId("rule").reason == "rule"
    assert Overloaded(9).limit == 9
    cannot = CannotListen("http://h:1", OSError(98, "in use"))
    assert (cannot.address, cannot.reason, cannot.number) == ("http://h:1", "in use", 98)
    tls = TlsUnusable(FOLDER, "why")
    assert (tls.path, tls.reason) == (FOLDER, "why")

"""Every error kvstore raises on purpose, in one tree.

    KVStoreError
    ├── RequestError            the client's fault; nothing was written
    │   ├── InvalidRequest          a parameter or body we cannot accept
    │   ├── InvalidSessionId        not the form of a session id
    │   ├── MissingSession          a lock without a session id
    │   ├── UnknownSession          a well-formed id that no session has
    │   └── InvalidSession          a session that may not be created as asked
    ├── JournalError            the machine's fault
    │   ├── JournalLocked           another process owns the data folder
    │   ├── JournalCorrupt          damage before the tail: refuse to start
    │   ├── JournalUnreadable       the system would not read a file
    │   └── JournalUnwritable       a write or a sync failed: nothing more is acknowledged
    ├── ArchiveUnreadable       what should be a snapshot archive of Consul's is none, or damaged
    ├── CallFailed              a command got no answer from a server, or a refusal
    ├── CannotListen            an address that no socket could be opened for
    ├── CompactionFailed        no snapshot could be made; the journal goes on as it was
    ├── NoRoom                  the data folder is full up to its limit; nothing was written
    ├── NoStore                 a folder that holds no store, where one was expected
    ├── NotKept                 an index or a time that a folder's files do not have
    ├── Overloaded              the bounded queue is full; nothing was written
    ├── Stopping                the server is on its way down; nothing was written
    ├── TooManySessions         there are as many sessions as there may be
    ├── TlsUnusable             a certificate, key or CA file that cannot be used
    ├── TokensUnusable          what should be tokens cannot be read or makes no sense; none is used
    └── InvariantBroken         our fault: a bug

A refused check-and-set, a lock held by somebody else and a missing key are answers, not errors.
Knows nothing of HTTP: which status an error becomes is decided in `api/refusals.py`.
"""

from pathlib import Path

__all__ = [
    "ArchiveUnreadable",
    "CallFailed",
    "CannotListen",
    "CompactionFailed",
    "InvalidRequest",
    "InvalidSession",
    "InvalidSessionId",
    "InvariantBroken",
    "JournalCorrupt",
    "JournalError",
    "JournalLocked",
    "JournalUnreadable",
    "JournalUnwritable",
    "KVStoreError",
    "MissingSession",
    "NoRoom",
    "NoStore",
    "NotKept",
    "Overloaded",
    "RequestError",
    "Stopping",
    "TlsUnusable",
    "TokensUnusable",
    "TooManySessions",
    "UnknownSession",
]


class KVStoreError(Exception):
    """Root of everything kvstore raises on purpose."""


class RequestError(KVStoreError):
    """The client asked for something that cannot be; nothing was written.

    Inside `state` these are values, not raised: they depend on the command and the state alone,
    so a replay meets them again and comes to the same end.
    """


class InvalidRequest(RequestError):
    """A parameter or a body that cannot be understood; the text says which and why."""


class InvalidSessionId(RequestError):
    """A text that has not the form of a session id; `reason` is the rule it breaks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MissingSession(RequestError):
    """A lock operation that names no session."""

    def __str__(self) -> str:
        return "missing session"


class UnknownSession(RequestError):
    """A well-formed session id that belongs to no live session."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def __str__(self) -> str:
        return f'invalid session "{self.session_id}"'


class InvalidSession(RequestError):
    """A session that may not be created as asked; the text says which member and why."""


class JournalError(KVStoreError):
    """The machine failed the journal."""


class JournalLocked(JournalError):
    """Another process owns the data folder; `holder` is its process id when it is known."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(folder, holder)
        self.folder = folder
        self.holder = holder

    def __str__(self) -> str:
        who = f"process {self.holder}" if self.holder else "another process"
        return f"the data folder {self.folder} is in use by {who}"


class JournalCorrupt(JournalError):
    """Damage that is not a torn tail: acknowledged records cannot be read."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(path, offset, reason)
        self.path = path
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"the journal is damaged in {self.path} at offset {self.offset}: {self.reason}"


class JournalUnreadable(JournalError):
    """A file could not be opened or read; nothing was changed."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(path, error)
        self.path = path
        self.reason = error.strerror or str(error)

    def __str__(self) -> str:
        return f"the journal cannot be read: {self.path}: {self.reason}"


class JournalUnwritable(JournalError):
    """A write, a sync or the opening of a file failed; final for this process."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(path, error)
        self.path = path
        self.reason = error.strerror or str(error)
        # The system's number of the error, as in `errno`; None when it gave none.
        self.number = error.errno

    def __str__(self) -> str:
        return f"the journal cannot be written: {self.path}: {self.reason}"


class ArchiveUnreadable(KVStoreError):
    """A snapshot archive that is none, damaged or too large; nothing of it was used.

    `reason` is Consul's text where it has one; `expected` says what should have been there.
    """

    def __init__(self, reason: str, expected: str) -> None:
        super().__init__(reason, expected)
        self.reason = reason
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.reason}; expected {self.expected}"


class NoRoom(KVStoreError):
    """The data folder or its disk is full up to its limit; this write was not taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"no room for more data: {self.reason}"


class NoStore(KVStoreError):
    """A folder without a single file of a store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return f"{self.folder} holds no store"


class NotKept(KVStoreError):
    """An index or a time that the files of a folder do not reach.

    `first` and `last` are the indexes that they reach, with their times in milliseconds since
    1970, None where that is not known.
    """

    def __init__(
        self, asked: str, first: tuple[int, int | None], last: tuple[int, int | None]
    ) -> None:
        super().__init__(asked, first, last)
        self.asked = asked
        self.first = first
        self.last = last

    def __str__(self) -> str:
        return f"{self.asked} is not kept here, indexes {self.first[0]} to {self.last[0]} are"


class CallFailed(KVStoreError):
    """A server could not be reached, or did not do what a command asked; the text says which."""


class CannotListen(KVStoreError):
    """A socket could not be opened; `number` is the system's, None when it gave none."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(address, error)
        self.address = address
        self.reason = error.strerror or str(error)
        self.number = error.errno

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.reason}"


class CompactionFailed(KVStoreError):
    """A snapshot could not be made; the journal is as it was and goes on."""


class Overloaded(KVStoreError):
    """More writes wait than the queue holds; this one was not taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"too many writes are waiting, the limit is {self.limit}: try again"


class Stopping(KVStoreError):
    """The server is shutting down and takes no more writes."""

    def __str__(self) -> str:
        return "the server is stopping"


class TlsUnusable(KVStoreError):
    """A file that TLS needs is missing or wrong; `reason` says what is, and what was expected."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class TokensUnusable(KVStoreError):
    """A file or folder of tokens with a mistake in it; nothing of it is in force.

    `where` names the token and the member, "" when it is about the whole file. Never holds a
    secret.
    """

    def __init__(self, path: Path, where: str, found: str, expected: str) -> None:
        super().__init__(path, where, found, expected)
        self.path = path
        self.where = where
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        where = f"{self.path}: {self.where}" if self.where else str(self.path)
        return f"{where}: found {self.found}, expected {self.expected}"


class TooManySessions(KVStoreError):
    """A session more than there may be; nothing was written."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"there are {self.limit} sessions, which is the limit: destroy those that are not "
            "needed, give them a TTL, or raise --sessions-max"
        )


class InvariantBroken(KVStoreError):
    """Something that cannot be has happened: a bug in kvstore."""

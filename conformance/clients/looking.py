"""Looking at what a store says, with the words for when it is wrong."""

from conformance.clients.speaker import show
from conformance.suite.case import Failed, Store
from conformance.suite.pointing import SHORT, pointed
from conformance.suite.wire import Answer

OK = 200
NOT_FOUND = 404
ERROR = 500
TRUE = "true"
FALSE = "false"

AT_ONCE_S = 5.0
"""The longest that anything takes that should come at once; generous, for busy machines."""


def equal(asked: str, got: object, expected: object) -> None:
    """Raise Failed unless both are the same."""
    if got != expected:
        raise Failed(asked, str(expected), str(got), differs=_differs(str(expected), str(got)))


def claim(asked: str, expected: str, got: object, *, so: bool) -> None:
    """Raise Failed unless it is so."""
    if not so:
        raise Failed(asked, expected, str(got))


def answered(asked: str, answer: Answer, status: int, text: str | None = None) -> Answer:
    """Return the answer; raise Failed unless it has that status and, if given, that body."""
    right = text is None or answer.plain == text.encode()
    if answer.status != status or not right:
        got = answer.plain.decode("utf-8", "backslashreplace")
        differs = _differs(text or "", got) if answer.status == status else ""
        raise Failed(asked, f"{status} {text or ''}".rstrip(), show(answer), differs=differs)
    return answer


def _differs(expected: str, got: str) -> str:
    """Point at the difference of what is too long to compare by eye."""
    return pointed(expected, got) if max(len(expected), len(got)) > SHORT else ""


def asking(
    store: Store,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    status: int = OK,
    text: str | None = None,
) -> Answer:
    """Send a request and return its answer. Raises Failed as `answered` does."""
    return answered(f"{method} {target}", store.ask(method, target, body), status, text)


def renew(store: Store, session: str) -> None:
    """Renew a session. Raises Failed unless the store still has it."""
    asking(store, "PUT", f"/v1/session/renew/{session}")


def check_gone(store: Store, session: str) -> None:
    """Raise Failed unless a session is unknown."""
    asking(store, "GET", f"/v1/session/info/{session}", text="[]")
    text = f"Session id '{session}' not found"
    asking(store, "PUT", f"/v1/session/renew/{session}", status=NOT_FOUND, text=text)

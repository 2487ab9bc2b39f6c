"""How a case ends early.

    Failed     the store did not do what the case expects
    Skipped    the case has no meaning for this store or this run; no failure

Any other exception out of a case is a bug of the case, but for those of a store that does not
answer: OSError, ConnectionEnded and NotAnswered count as Failed.
"""


class Failed(AssertionError):
    """What was asked, what was expected, and what came instead; all for a person to read."""

    def __init__(
        self, asked: str, expected: str, got: str, *, differs: str = "", where: str = ""
    ) -> None:
        super().__init__(asked, expected, got, differs, where)
        self.asked = asked
        self.expected = expected
        self.got = got
        # In what the two differ; "" where that is plain.
        self.differs = differs
        # File and line of the expectation, when it stands in a script.
        self.where = where

    def __str__(self) -> str:
        """Show all of it, one below the other."""
        lines = [
            ("asked", self.asked),
            ("expected", self.expected),
            ("got", self.got),
            ("differs", self.differs),
        ]
        shown = [f"{name + ':':10}{_indented(text)}" for name, text in lines if text]
        return "\n".join([self.where] * bool(self.where) + shown)


class Skipped(Exception):
    """The case does not apply; the text says why, and what would make it apply."""


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 10)

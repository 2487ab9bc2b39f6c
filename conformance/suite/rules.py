"""The rules of NOTES.md: by what name, and for what reason, a store may differ from Consul."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NOT_PLAYED = {
    "parked-is-never-failed": "which of its waiting queries a Consul fails when it stops is chance",
    "idle-connections-stay": "Consul keeps them too; a store that does not shows it after minutes",
    "txn-deletes-trees": "it ends a Consul",
    "restore-looks-first": "it ends a Consul, and its data is gone",
    "monitor-is-ours": "the words of a log are free, and 16 readers would keep the operators out",
}
"""Rules that no case meets, each with the reason."""

_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z`])")
_HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One deliberate difference, as NOTES.md tells it."""

    id: str
    # Why differences of its kind exist: the heading above it.
    because: str
    # All that is said of it, as paragraphs.
    text: str

    @property
    def summary(self) -> str:
        """Its first paragraph, on one line."""
        return " ".join(self.text.split("\n\n")[0].split())

    @property
    def promise(self) -> str:
        """Its first sentence."""
        return _SENTENCE.split(self.summary, maxsplit=1)[0]


@cache
def rules() -> dict[str, Rule]:
    """Return all rules by id, in the order of the notes."""
    return parse(files("conformance").joinpath("NOTES.md").read_text(encoding="utf-8"))


def parse(notes: str) -> dict[str, Rule]:
    """Read notes: each `### id` is a rule under the `##` above it."""
    pieces = _HEADING.split(notes)[1:]
    found = {}
    because = ""
    for level, title, text in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        if level == "##":
            because = title
        elif level == "###":
            rule_id = title.split()[0]
            found[rule_id] = Rule(rule_id, because, text.strip())
    return found

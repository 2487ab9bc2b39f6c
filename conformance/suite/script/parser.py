"""Reads golden scripts: text into cases, errors with file and line.

A file is one chapter: a `# Title`, prose, and cases that begin with `## ID [ID …] Title`.
Of a case's lines some are steps; the others are prose and begin with a capital letter.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.suite.case import Case, Ground, Need
from conformance.suite.script.naming import first_unbound
from conformance.suite.script.reader import Reader, ScriptInvalid
from conformance.suite.script.scene import Scene
from conformance.suite.script.steps import Step
from conformance.suite.store import Store

CASE_ID = re.compile(r"[A-Z]\d+[a-z]*|\d+(\.\d+)?[a-z]*")
CONTRACT_ID = re.compile(r"[A-Z]\d+|\d+(\.\d+)?")
SIDES = {"### Consul": "consul", "### By intent": "intent", "### Both": "both"}


@dataclass(frozen=True, slots=True)
class Script:
    """A chapter as it stands in a file."""

    title: str
    about: str
    cases: tuple[Case, ...]


@dataclass(slots=True)
class _Written:
    """The lines of one case, sorted by what they are for."""

    file: str
    number: int
    heading: str
    rule: str = ""
    needs: tuple[Need, ...] = ()
    # Names of the columns and the rows of each table.
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    # Side ("both", "consul", "intent"), line number, text.
    lines: list[tuple[str, int, str]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def at(self, number: int) -> str:
        """Return file and line."""
        return f"{self.file}:{number}"


def parse(file: str, text: str, *, chapter: str) -> Script:
    """Read a file. Raises ScriptInvalid at the first line that cannot be read."""
    title, about, written = "", [], []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if line.startswith("## "):
            written.append(_Written(file, number, line.removeprefix("## ")))
        elif written:
            written[-1].text.append(line)
            _sort(written[-1], number, line)
        elif line.startswith("# "):
            title = line.removeprefix("# ")
        elif line:
            about.append(line)
    if not title:
        raise ScriptInvalid(f"{file}:1", "no title: the first line is `# Title`")
    return Script(title, "\n".join(about), tuple(_case(one, chapter) for one in written))


def _sort(case: _Written, number: int, line: str) -> None:
    """Put one line of a case where it belongs."""
    side = case.lines[-1][0] if case.lines else "both"
    if line in SIDES:
        if not case.rule:
            raise ScriptInvalid(case.at(number), f"`{line}` needs a `rule:` line at the top")
        case.lines.append((SIDES[line], number, ""))
    elif line.startswith("rule: "):
        case.rule = line.removeprefix("rule: ").strip()
    elif line.startswith("needs: "):
        case.needs = tuple(_need(case, number, name) for name in line[7:].split(","))
    elif line.startswith("|"):
        _add_row(case, number, line)
    elif not line or line[0].isupper() or line[0] in "`(-*":
        case.lines.append((side, number, ""))
    else:
        case.lines.append((side, number, line))


def _need(case: _Written, number: int, name: str) -> Need:
    try:
        return Need(name.strip())
    except ValueError:
        known = ", ".join(Need)
        raise ScriptInvalid(
            case.at(number), f"unknown need {name.strip()}; one of {known}"
        ) from None


def _add_row(case: _Written, number: int, line: str) -> None:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
    if all(re.fullmatch(r":?-+:?", cell) for cell in cells):
        return
    if all(re.fullmatch(r"\$[a-z]\w*", cell) for cell in cells):
        case.tables.append(([cell[1:] for cell in cells], []))
        return
    if not case.tables:
        raise ScriptInvalid(case.at(number), "a table begins with names: `| $one | $two |`")
    names, rows = case.tables[-1]
    if len(cells) != len(names):
        raise ScriptInvalid(case.at(number), f"{len(cells)} cells, expected {len(names)}")
    rows.append(cells)


def _case(written: _Written, chapter: str) -> Case:
    words = written.heading.split(" ")
    ids = list(itertools.takewhile(CONTRACT_ID.fullmatch, words[1:]))
    title = " ".join(words[1 + len(ids) :])
    where = written.at(written.number)
    if not CASE_ID.fullmatch(words[0]) or not title:
        raise ScriptInvalid(where, "a case is `## ID [ID …] Title`, as in `## H7b H8 A title`")
    sides = ("consul", "intent") if written.rule else ("consul",)
    played = {side: [_steps(written, row, side) for row in _rows(written)] for side in sides}
    if not all(any(steps_ for steps_ in runs) for runs in played.values()):
        raise ScriptInvalid(where, "a case without steps")
    own = re.sub(r"(?<=\d)[a-z]+$", "", words[0])
    return Case(
        words[0],
        chapter,
        title,
        _runner(played, written.rule),
        rules=(written.rule,) if written.rule else (),
        needs=written.needs,
        covers=tuple(dict.fromkeys([own, *ids])),
        text="\n".join(written.text).strip(),
        source=where,
    )


def _rows(written: _Written) -> list[dict[str, str]]:
    """Return what the columns say for each run of the case: all rows with all rows."""
    tables = [
        [dict(zip(names, row, strict=True)) for row in rows] for names, rows in written.tables
    ]
    return [
        {name: cell for row in chosen for name, cell in row.items()}
        for chosen in itertools.product(*tables)
    ]


def _runner(played: dict[str, list[list[Step]]], rule: str) -> Callable[[Store, Ground], None]:
    def run(store: Store, ground: Ground) -> None:
        side = ground.by_intent(rule, consul="consul", ours="intent") if rule else "consul"
        for number, steps_ in enumerate(played[side], start=1):
            names = {"p": f"{ground.prefix}{number}".encode(), **_credentials(store)}
            with Scene(store, ground, names) as scene:
                for step in steps_:
                    step.play(scene)

    return run


def _credentials(store: Store) -> dict[str, bytes]:
    """Return `$token`, where there is one, and `$auth`: its header line for exact bytes."""
    if store.token is None:
        return {"auth": b""}
    token = store.token.encode("latin-1")
    return {"token": token, "auth": b"X-Consul-Token: %s\r\n" % token}


def _steps(written: _Written, row: dict[str, str], side: str) -> list[Step]:
    """Return the steps of one run of a case."""
    lines = [
        (number, _with_cells(text, row))
        for at, number, text in written.lines
        if text and at in {"both", side}
    ]
    found = list(Reader(written.file, lines).read())
    if early := first_unbound(found):
        step, name = early
        raise ScriptInvalid(step.where, f"${name} is not bound: let an answer above bind it")
    return found


def _with_cells(text: str, row: dict[str, str]) -> str:
    """Put in what the columns say, wherever a line has `$column` or `${column}`."""
    if not row:
        return text
    names = "|".join(sorted(row, key=len, reverse=True))
    pattern = rf"(?<!\\)\$(?:({names})\b|\{{({names})\}})"
    return re.sub(pattern, lambda found: row[found[1] or found[2]], text)

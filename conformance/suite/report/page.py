"""The HTML page: one file that says what was played, on which store, and how it ended.

Its looks and its words are in `templates/page.html`; nothing is loaded from elsewhere.
"""

import html
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

from conformance.suite.chapters import Chapter
from conformance.suite.contract import NOT_SHOWN
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.result import Result, count, differences
from conformance.suite.rules import rules
from conformance.suite.text import clean

CLASSES = {
    Verdict.PASSED: "passed",
    Verdict.DIFFERS: "differs",
    Verdict.FAILED: "failed",
    Verdict.SKIPPED: "skipped",
}

SIGNS = {Verdict.PASSED: "✓", Verdict.DIFFERS: "≠", Verdict.FAILED: "✗", Verdict.SKIPPED: "○"}
"""Nobody should need colours to tell verdicts apart."""

_PARTS = re.compile(r"(asked|expected|got|differs):")
_ASKS = re.compile(r"([a-z]\w*)?[>!]( |$)")
_ANSWERS = re.compile(r"([a-z]\w*)?<( |$)")
_PROSE = re.compile(r"[A-Z`(*-]")


def write_page(
    file: Path, chapters: tuple[Chapter, ...], result: Result, oracle: Result | None = None
) -> None:
    """Write the page. Needs the package jinja2."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - of an optional extra

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "prose": _prose,
        "coded": _coded,
        "script": _script,
        "failure": _failure,
    }
    folder = files("conformance.suite.report").joinpath("templates")
    template = environment.from_string(folder.joinpath("page.html").read_text(encoding="utf-8"))
    text = template.render(
        result=result,
        oracle=oracle,
        stores=[("store", result), *([("oracle", oracle)] if oracle else [])],
        classes=CLASSES,
        signs=SIGNS,
        verdicts=list(Verdict),
        chapters=_chapters(chapters, result, oracle),
        differences=differences(result, oracle) if oracle else [],
        rules=[(rules()[rule], sides) for rule, sides in result.followed.items()],
        by_rule=Counter(rule for one in result.outcomes for rule in one.intents),
        not_shown=NOT_SHOWN,
    )
    file.write_text(text, encoding="utf-8")


def _chapters(
    chapters: tuple[Chapter, ...], result: Result, oracle: Result | None
) -> list[dict[str, Any]]:
    """Return what the page shows of each chapter that was played."""
    titles = {chapter.name: (chapter.title, chapter.about) for chapter in chapters}
    other = {one.case.id: one for one in oracle.outcomes} if oracle else {}
    shown = []
    for name, outcomes in result.by_chapter().items():
        title, about = titles.get(name, (name, ""))
        rows: list[tuple[Outcome, Outcome | None]] = [
            (one, other.get(one.case.id)) for one in outcomes
        ]
        numbers = count(outcomes)
        shown.append(
            {"name": name, "title": title, "about": about, "rows": rows, "counts": numbers}
        )
    return shown


def _finalize(value: object) -> object:
    """Clean whatever text goes onto the page; what is HTML already is clean."""
    return clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _html(text: str) -> Any:
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    return Markup(text)  # noqa: S704 - all that comes here was escaped


def _escaped(text: str) -> str:
    return html.escape(clean(text), quote=False)


def _prose(text: str) -> Any:
    """Return the little Markdown that notes use as HTML: paragraphs and `code`."""
    paragraphs = [one for one in re.split(r"\n\s*\n", text.strip()) if one]
    return _html("".join(f"<p>{_coded(one)}</p>" for one in paragraphs))


def _coded(text: str) -> Any:
    """Return one line of such Markdown as HTML."""
    return _html(re.sub(r"`([^`]+)`", r"<code>\1</code>", _escaped(text)))


def _script(text: str) -> Any:
    """Return a script with requests, answers and prose told apart."""
    return _html("\n".join(_line_of_script(line) for line in text.splitlines()))


def _line_of_script(line: str) -> str:
    if line.startswith("### "):
        return f"<b>{_escaped(line)}</b>"
    kinds = {"ask": _ASKS, "answer": _ANSWERS, "note": _PROSE}
    kind = next((kind for kind, pattern in kinds.items() if pattern.match(line)), "")
    return f'<span class="{kind}">{_escaped(line)}</span>' if kind else _escaped(line)


def _failure(text: str) -> Any:
    """Return a failure with its parts told apart."""
    kind, lines = "where", []
    for line in text.splitlines():
        part = _PARTS.match(line)
        kind = part[1] if part else kind if line.startswith(" ") else "where"
        lines.append(f'<span class="{kind}">{_escaped(line)}</span>')
    return _html("\n".join(lines))

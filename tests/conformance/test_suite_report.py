"""What is written of a run: the table, JSON, JUnit and the page."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from conformance.suite.case import Case, Ground, Store
from conformance.suite.chapters import Chapter
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.report import terminal
from conformance.suite.report.files import write_json, write_junit
from conformance.suite.report.page import write_page
from conformance.suite.result import Result, differences
from conformance.suite.text import clean

RULE = "exact-wakeups"


def run(_store: Store, _ground: Ground) -> None:
    """Do nothing."""


def outcome(case_id: str, verdict: Verdict, **members: object) -> Outcome:
    """Return an outcome of a made-up case."""
    rules = (RULE,) if case_id == "B6" else ()
    title = f"<{case_id}> & so on"
    case = Case(case_id, f"chapter {case_id[0]}", title, run, rules, text="> GET /")
    return Outcome(case, verdict, 0.5, **members)  # type: ignore[arg-type]


def result(*, oracle: bool = False) -> Result:
    """Return a run with one outcome of each kind, or what an oracle made of the same."""
    blocking = (
        outcome("B6", Verdict.PASSED) if oracle else outcome("B6", Verdict.DIFFERS, intents=(RULE,))
    )
    return Result(
        "http://127.0.0.1:8500",
        "Consul 1.8.7" if oracle else "kvstore-0.1.0 (Consul 1.8.7)",
        datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        12.3,
        (
            outcome("H1", Verdict.PASSED),
            outcome("H2", Verdict.FAILED, failures=("asked:    GET /",))
            if not oracle
            else outcome("H2", Verdict.PASSED),
            blocking,
            outcome("B7", Verdict.SKIPPED, note="no time"),
        ),
        "conformance-0/",
    )


def printed(*shown: object) -> str:
    """Return what a terminal would show."""
    console = Console(file=StringIO(), width=100)
    for one in shown:
        console.print(one)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_differences() -> None:
    """What a rule explains is told apart from what it does not."""
    found = differences(result(), result(oracle=True))
    assert [(one.ours.case.id, one.explained) for one in found] == [("H2", False), ("B6", True)]
    assert differences(result(), result()) == []


def test_the_table() -> None:
    """A row for each chapter, and one for all."""
    text = printed(terminal.table(result()))
    assert "kvstore-0.1.0" in text
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if line.count("│") > 5}
    assert list(rows) == ["chapter H", "chapter B", "all"]
    assert re.findall(r"\d+", rows["all"]) == ["4", "1", "1", "1", "1"]


def test_the_rest_of_the_story() -> None:
    """Failures, rules, skips, differences and the next step are told in words."""
    console = Console(file=StringIO(), width=100)
    terminal.show_failures(console, result())
    terminal.show_meaning(console, result())
    terminal.show_verdict(console, result())
    terminal.show_differences(console, differences(result(), result(oracle=True)))
    with terminal.Story(console, 4) as story:
        for one in result().outcomes:
            story.end(one)
    text = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert "asked:    GET /" in text
    assert f"1 {RULE} A blocking query ends when what it reads has changed" in text
    assert "1 skipped: not played\n         1 no time" in text
    assert "FAILED: 1 of 3 cases in 12 s, with keys below conformance-0/" in text
    assert "python -m conformance --url http://127.0.0.1:8500 --case H2\n" in text
    assert "indents all JSON" not in text
    assert "none" in text
    assert "failed H2 <H2> & so on" in text


def test_json(tmp_path: Path) -> None:
    """All outcomes, those of the oracle, and what differs."""
    file = tmp_path / "run.json"
    write_json(file, result(), result(oracle=True))
    found = json.loads(file.read_text())
    assert found["counts"] == {"passed": 1, "differs by intent": 1, "failed": 1, "skipped": 1}
    assert found["cases"][2]["rules"] == [RULE]
    assert found["cases"][2]["contract"] == ["B6"]
    assert found["oracle"]["version"] == "Consul 1.8.7"
    assert found["differences"] == [
        {"case": "H2", "explained": False},
        {"case": "B6", "explained": True},
    ]


def test_junit(tmp_path: Path) -> None:
    """A suite for each chapter; a difference by intent is a pass that says so."""
    file = tmp_path / "run.xml"
    write_junit(file, result())
    suites = ET.parse(file).getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["chapter H", "chapter B"]
    counts = [(one.get("tests"), one.get("failures"), one.get("skipped")) for one in suites]
    assert counts == [("2", "1", "0"), ("2", "0", "1")]
    failure = suites[0].find("testcase/failure")
    assert failure is not None
    assert failure.text == "asked:    GET /"
    assert f"differs by intent: {RULE}" in ET.tostring(suites[1], encoding="unicode")


STRANGE = {
    "controls": "\x00\x07\x1b[31m\x7f\x9b",
    "line ends": "a\r\nb\rc\x85\u2028\u2029",
    "lone surrogates": "\ud800 \udfff \udc80",
    "no characters": "\ufffe \uffff \ufdd0 \U0001fffe \U0010ffff",
    "turns": "\u202eevil\u2066\u200f",
    "private and unassigned": "\ue000 \u0378 \U000e0001",
    "markup": "</pre><script>alert(1)</script> ]]> &amp; ' \"",
    "plain": "é ☃ 😀\tand\nlines",
}


def everywhere(text: str) -> Result:
    """Return a run whose every text has this in it."""
    failed = Outcome(Case("H1", "x", text, run, text=text), Verdict.FAILED, 0.1, failures=(text,))
    skipped = Outcome(Case("H2", "x", text, run), Verdict.SKIPPED, 0.1, text)
    began = datetime(2030, 1, 2, tzinfo=UTC)
    return Result(f"http://{text}", text, began, 1.0, (failed, skipped), indents=True)


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_whatever_a_store_answers_can_be_written(tmp_path: Path, text: str) -> None:
    """No file breaks by it, no terminal obeys it, and what can be read stays."""
    write_junit(tmp_path / "run.xml", everywhere(text))
    failure = ET.parse(tmp_path / "run.xml").getroot().find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.text == clean(text)
    write_page(tmp_path / "run.html", (), everywhere(text))
    page = Page()
    page.feed((tmp_path / "run.html").read_text(encoding="utf-8"))
    assert page.loads == []
    assert "".join(page.words).count(clean(text)) >= 4
    write_json(tmp_path / "run.json", everywhere(text))
    assert json.loads((tmp_path / "run.json").read_text())["cases"][0]["failures"] == [text]
    console = Console(file=StringIO(), width=100)
    terminal.show_meaning(console, everywhere(text))
    terminal.show_failures(console, everywhere(text))
    terminal.show_verdict(console, everywhere(text))
    shown = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert all(one.isprintable() or one in "\n\t" for one in shown)
    assert "indents all JSON" in shown


def test_every_code_point_is_clean_or_spelt() -> None:
    """What is left is text of XML 1.0 and UTF-8; nothing is lost."""
    for first in range(0, 0x110000, 0x1000):
        raw = "".join(map(chr, range(first, first + 0x1000)))
        cleaned = clean(raw)
        ET.fromstring(f"<a>{cleaned.replace('&', '').replace('<', '')}</a>".encode())
        assert all(one in cleaned or repr(one)[1:-1] in cleaned for one in raw)


class Page(HTMLParser):
    """Reads a page: its text, its tags, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep ids and addresses."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a":
            self.links.add(found["href"])
        elif tag in {"script", "link", "img", "iframe"} or "src" in found:
            self.loads.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.words.append(data)


def test_the_page(tmp_path: Path) -> None:
    """It stands by itself, its links lead somewhere, and it tells everything."""
    file = tmp_path / "run.html"
    chapter = Chapter("chapter H", "Hypertext", "About `it`.", ())
    write_page(file, (chapter,), result(), result(oracle=True))
    page = Page()
    page.feed(file.read_text())
    text = " ".join("".join(page.words).split())
    assert page.loads == []
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert "Conformance of kvstore-0.1.0 (Consul 1.8.7)" in text
    assert "2 January 2030" in text
    assert "<H2> & so on" in text
    assert "asked: GET /" in text
    assert "A blocking query ends when what it reads has changed" in text
    assert "Other than on the oracle" in text
    assert "tombstones are forgotten after 15 minutes" in text


def test_the_page_of_one_store(tmp_path: Path) -> None:
    """Without an oracle there is one column."""
    file = tmp_path / "run.html"
    write_page(file, (), result())
    assert "oracle" not in file.read_text()

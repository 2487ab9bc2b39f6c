"""Reading golden scripts: cases, tables, sides, and errors that say file, line and reason."""

from importlib.resources import files

import pytest
from fake_store import PREFIX, FakeStore, answer

from conformance.suite.case import Case, Ground, Need
from conformance.suite.expectation import Failed
from conformance.suite.script.parser import ScriptInvalid, parse

RULE = "unclean-write-in-place"


def script(*lines: str) -> tuple[Case, ...]:
    """Parse a chapter with these lines below its title."""
    return parse("x.txt", "\n".join(["# Title", *lines]), chapter="x").cases


def test_a_chapter_and_its_cases() -> None:
    """Title, prose, ids, needs and the text for the reader."""
    text = "# Keys\n\nSome prose.\n\n## H7b H8 1.2 A title\nneeds: quiet, slow\n\n> GET /\n< 200"
    chapter = parse("keys.txt", text, chapter="keys")
    (case,) = chapter.cases
    assert (chapter.title, chapter.about) == ("Keys", "Some prose.")
    assert (case.id, case.title, case.chapter) == ("H7b", "A title", "keys")
    assert case.contract_ids == ("H7", "H8", "1.2")
    assert case.needs == (Need.QUIET, Need.SLOW)
    assert case.source == "keys.txt:5"
    assert case.text.endswith("> GET /\n< 200")


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["## lower Not an id"], 2, "a case is `## ID"),
        (["## H7"], 2, "a case is `## ID"),
        (["## H7 Empty", "Prose."], 2, "a case without steps"),
        (["## H7 A", "> GET /"], 3, "a request without an answer"),
        (["## H7 A", "< 200"], 3, "an answer without a request"),
        (["## H7 A", "> GET"], 3, "is no request"),
        (["## H7 A", "> GET /", "< OK"], 4, "is no answer"),
        (["## H7 A", "> GET /", "< 200", "< what is this"], 4, "is no header"),
        (["## H7 A", "q wait"], 3, "is no step"),
        (["## H7 A", "lower prose"], 3, "is no step"),
        (["## H7 A", "! raw"], 3, "connection with a name"),
        (["## H7 A", "where $i1 and more"], 3, "is no relation"),
        (["## H7 A", "> GET /$i1", "< 200"], 4, "$i1 is not bound"),
        (["## H7 A", "> GET /", "< 200 $", "Prose"], 4, "a lone $"),
        (["## H7 A", "needs: patience"], 3, "unknown need patience; one of quiet"),
        (["## H7 A", "### Consul"], 3, "needs a `rule:` line"),
        (["## H7 A", "| a |", "| 1 |"], 3, "a table begins with names"),
        (["## H7 A", "| $a | $b |", "| 1 |"], 4, "1 cells, expected 2"),
    ],
)
def test_errors_name_the_line(lines: list[str], where: int, what: str) -> None:
    """A script that cannot be read says where and why."""
    with pytest.raises(ScriptInvalid) as caught:
        script(*lines)
    assert str(caught.value).startswith(f"x.txt:{where}: ")
    assert what in str(caught.value)


def test_a_file_without_a_title() -> None:
    """The first line says what the chapter is about."""
    with pytest.raises(ScriptInvalid, match="no title"):
        parse("x.txt", "## H1 A\n> GET /\n< 200", chapter="x")


def test_the_format_is_documented() -> None:
    """The scripts in the description of the format are scripts."""
    text = files("conformance").joinpath("cases", "README.md").read_text(encoding="utf-8")
    first, second = text.split("```\n")[1:4:2]
    assert parse("README.md", first, chapter="x").cases
    assert parse("README.md", f"# Rules\n{second}", chapter="x").cases[0].rules == (RULE,)


def play(case: Case, *, intents: frozenset[str] = frozenset()) -> None:
    """Play a case on a ground where nothing can be cleaned up; a request may not be sent."""
    store = FakeStore()
    ground = Ground(store, PREFIX, intents=intents)
    case.run(store, ground)


def test_numbers_are_compared_as_numbers() -> None:
    """9 is less than 10, and a relation that does not hold says both."""
    (good,) = script("## I1 A", "let $i1 be 9", "let $i2 be 10", "where $i2 > $i1, ${i1 + 1} = $i2")
    play(good)
    (bad,) = script("## I1 A", "let $i1 be 9", "where $i1 >= 10")
    with pytest.raises(Failed) as caught:
        play(bad)
    assert (caught.value.where, caught.value.got) == ("x.txt:4", "9 and 10")


def test_sides() -> None:
    """Lines of one side are played on that side only."""
    (case,) = script(
        f"## P3 A\nrule: {RULE}",
        *("let $a be 1", "### Consul", "where $a = 1", "### By intent", "where $a = 2"),
        *("### Both", "let $b be 3", "where $b = 3"),
    )
    play(case)
    with pytest.raises(Failed):
        play(case, intents=frozenset({RULE}))


def test_tables_multiply() -> None:
    """A case is played for every row with every row; the first that fails is told."""
    lines = ["| $a |", "|---|", "| 1 |", "| 2 |", "", "| $b | $c |", "| x | \\| |", "| y | z |"]
    (case,) = script("## H1 A", *lines, "let $d be $a$b$c", "where $d != 2yz")
    with pytest.raises(Failed) as caught:
        play(case)
    assert caught.value.got == "2yz and 2yz"


def test_an_answer_helper_is_an_answer() -> None:
    """What the fake gives is what steps compare."""
    assert answer(404).status == 404
